(() => {
  "use strict";

  const SIZE = 24; // A square of the grid, in units of the drawing.

  function add(parent, name, attributes = {}, text = "") {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text) element.textContent = text;
    parent.append(element);
    return element;
  }

  function drawing(parent, width, height, label) {
    return add(parent, "svg", { viewBox: `-1 -1 ${width + 2} ${height + 2}`, role: "img", "aria-label": label });
  }

  function isWrong(shot, frame, i) {
    return shot.answer[i] !== "?" && frame[i] !== shot.answer[i];
  }

  function at(film, i) {
    return { x: (i % film.columns) * SIZE, y: Math.floor(i / film.columns) * SIZE };
  }

  // A captioned grid of characters. given: which tokens are; wrong: which are marked.
  function drawBoard(parent, film, title, label, text, given = [], wrong = []) {
    const width = film.columns * SIZE, height = film.rows * SIZE, board = document.createElement("div");
    const caption = document.createElement("p");
    board.className = "board";
    caption.textContent = title;
    board.append(caption);
    parent.append(board);
    const svg = drawing(board, width, height, label);
    for (let i = 0; i < text.length; i++) {
      const { x, y } = at(film, i), wall = film.maze && text[i] === "#";
      const kind = wall ? "wall" : given[i] ? "given" : "thin";
      add(svg, "rect", { x, y, width: SIZE, height: SIZE, class: kind });
      if (film.maze && text[i] === "o") {
        add(svg, "circle", { cx: x + SIZE / 2, cy: y + SIZE / 2, r: SIZE / 5, class: "path" });
      } else if (!wall) {
        const style = (given[i] ? "clue" : "") + (wrong[i] ? " fault" : "");
        add(svg, "text", { x: x + SIZE / 2, y: y + SIZE * 0.73, class: style }, text[i]);
      }
    }
    drawLines(svg, film, width, height);
    for (let i = 0; i < text.length; i++) { // On top of the lines: a wrong token has a frame and is struck out.
      if (!wrong[i]) continue;
      const { x, y } = at(film, i);
      const mark = add(svg, "rect", { x: x + 1.5, y: y + 1.5, width: SIZE - 3, height: SIZE - 3, class: "wrong" });
      mark.style.fillOpacity = 0.35;
      add(svg, "line", { x1: x + 4, y1: y + SIZE - 4, x2: x + SIZE - 4, y2: y + 4, class: "strike" });
    }
  }

  function drawShown(parent, film, shot) {
    parent.replaceChildren();
    (shot.shown || []).forEach(([question, answer], i) => {
      const text = answer.replaceAll("?", "\u00b7"), name = `Puzzle ${i + 1}`, pair = document.createElement("div");
      pair.className = "pair";
      parent.append(pair);
      drawBoard(pair, film, `${name}: question`, `${name}, question ${question}`, question);
      drawBoard(pair, film, "answer shown", `${name}, answer shown ${text}`, text);
      if (shot.taken && shot.taken[i]) drawTaken(pair, film, name, shot.taken[i]);
    });
  }

  // A cell's dot is full where it is read, and has a ring where it is written.
  function drawCell(svg, cx, cy, size, read, written) {
    const dot = add(svg, "circle", { cx, cy, r: read ? size : 1.5, class: read ? "active" : "idle" });
    if (written) add(svg, "circle", { cx, cy, r: size + 2, class: "written" });
    return dot;
  }

  // The cells of one puzzle, a column each: above those of its question, below those of its feedback.
  function drawTaken(parent, film, name, [read, written, fed, kept]) {
    const list = (cells) => cells.length ? cells.join(", ") : "none", column = 13, left = 62, box = document.createElement("div");
    const text = `cells: question reads ${list(read)}, writes ${list(written)}; feedback reads ${list(fed)}, writes ${list(kept)}`;
    const caption = document.createElement("p");
    box.className = "taken";
    caption.textContent = text;
    parent.append(box);
    box.append(caption);
    const width = left + film.cells * column, svg = drawing(box, width, 2 * column, `${name}, ${text}`);
    svg.style.maxWidth = `${1.15 * width}px`;
    [["question", read, written], ["feedback", fed, kept]].forEach(([word, reads, writes], row) => {
      const cy = (row + 0.5) * column;
      add(svg, "text", { x: left - 6, y: cy + 4, class: "name" }, word);
      for (let cell = 0; cell < film.cells; cell++) {
        drawCell(svg, left + (cell + 0.5) * column, cy, 3, reads.includes(cell), writes.includes(cell));
      }
    });
  }

  function drawLegend(parent) {
    const svg = drawing(parent, 300, 16, "Legend: a full dot is a cell that is read, a ring one that is written, both one that is read and written");
    [["read", true, false], ["written", false, true], ["read and written", true, true]].forEach(([word, read, written], i) => {
      drawCell(svg, 10 + 80 * i, 8, 4, read, written);
      add(svg, "text", { x: 20 + 80 * i, y: 12, class: "key" }, word);
    });
  }

  function drawLines(svg, film, width, height) {
    if (!film.maze) {
      for (let r = 1; r < film.rows; r++) add(svg, "path", { d: `M0 ${r * SIZE}H${width}`, class: "thin" });
      for (let c = 1; c < film.columns; c++) add(svg, "path", { d: `M${c * SIZE} 0V${height}`, class: "thin" });
    }
    if (film.boxes) {
      const [down, across] = film.boxes;
      for (let r = down; r < film.rows; r += down) add(svg, "path", { d: `M0 ${r * SIZE}H${width}`, class: "thick" });
      for (let c = across; c < film.columns; c += across) add(svg, "path", { d: `M${c * SIZE} 0V${height}`, class: "thick" });
    }
    add(svg, "rect", { x: 0, y: 0, width, height, class: "thick" });
  }

  function drawCells(parent, film, shot, step) {
    const active = shot.indices[step], written = shot.written_cells ? shot.written_cells[step] : null, weights = shot.alpha ? shot.alpha[step] : null;
    parent.replaceChildren();
    const cycles = active.length, row = 18, left = 52, column = 34;
    const words = active.map((cells, h) => `H-step ${h + 1}: cells ${cells.join(", ")}`);
    const svg = drawing(parent, left + cycles * column, 20 + film.cells * row, `Active cells. ${words.join("; ")}`);
    svg.style.maxWidth = `${1.15 * (left + cycles * column)}px`;
    for (let h = 0; h < cycles; h++) {
      add(svg, "text", { x: left + (h + 0.5) * column, y: 12, class: "head" }, `H ${h + 1}`);
    }
    for (let cell = 0; cell < film.cells; cell++) {
      const y = 20 + cell * row;
      add(svg, "text", { x: left - 8, y: y + 13, class: "name" }, `cell ${cell}`);
      for (let h = 0; h < cycles; h++) {
        const place = active[h].indexOf(cell), cx = left + (h + 0.5) * column, cy = y + row / 2;
        if (written && written[h].includes(cell)) add(svg, "circle", { cx, cy, r: 8.5, class: "written" });
        if (place < 0) {
          add(svg, "circle", { cx, cy, r: 2, class: "idle" });
          continue;
        }
        const weight = weights ? weights[h][place] : 1;
        const dot = add(svg, "circle", { cx, cy, r: 3 + 5 * Math.sqrt(weight), class: "active" });
        add(dot, "title", {}, `weight ${weight}`);
      }
    }
  }

  function start(root) {
    const film = JSON.parse(root.querySelector("script").textContent);
    const slider = root.querySelector(".slider"), play = root.querySelector(".play");
    const boards = root.querySelector(".boards"), cells = root.querySelector(".cells");
    const legend = root.querySelector(".legend");
    const before = root.querySelector(".before"), status = root.querySelector(".status");
    let timer = null, drawn = null;
    if (legend) drawLegend(legend);

    function show() {
      const chosen = root.querySelector("input[type=radio]:checked");
      const shot = film.shots[Number(chosen.value)], step = Number(slider.value) - 1, frame = shot.frames[step];
      const wrong = [...frame].map((_, i) => isWrong(shot, frame, i)), count = wrong.filter(Boolean).length;
      const text = `Step ${step + 1} of ${shot.frames.length}: `
        + (count ? `${count} wrong ${count === 1 ? "token" : "tokens"}` : "all tokens right")
        + (shot.q ? `; the Q-head gives it a ${(100 * shot.q[step]).toFixed(1)} % chance of being right.` : ".")
        + (step + 1 > film.trained ? " Beyond the training depth." : "");
      status.textContent = text;
      if (before && drawn !== shot) drawShown(before, film, shot);
      drawn = shot;
      boards.replaceChildren();
      if (shot.question) drawBoard(boards, film, "Question", `Question ${shot.question}`, shot.question);
      drawBoard(boards, film, "Model's answer", `${text} ${frame}`, frame, shot.given, wrong);
      drawBoard(boards, film, "Correct answer", `Correct answer ${shot.answer}`, shot.answer.replaceAll("?", " "), shot.given);
      if (cells && shot.indices) drawCells(cells, film, shot, step);
    }

    function stop() {
      clearInterval(timer);
      timer = null;
      play.textContent = "Play";
    }

    function forward() {
      if (Number(slider.value) >= Number(slider.max)) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }

    slider.addEventListener("input", () => { stop(); show(); });
    for (const radio of root.querySelectorAll("input[type=radio]")) radio.addEventListener("change", show);
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (slider.value === slider.max) slider.value = slider.min;
      play.textContent = "Pause";
      timer = setInterval(forward, 700);
      show();
    });
    show();
  }

  document.querySelectorAll(".film").forEach(start);
})();
