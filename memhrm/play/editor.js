// The board of a question: it is edited by clicks, by the keys below it, and from the keyboard.
let at = 0;
const board = () => props.value || {squares: ""};
const squares = () => element.querySelector(".squares");
const make = (parent, words, name, label) => {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = words;
  button.className = name;
  button.setAttribute("aria-label", label);
  parent.append(button);
  return button;
};
const draw = () => {
  const {rows, columns, squares: text, alphabet, names, colours, boxes} = board();
  const root = squares(), keys = element.querySelector(".keys");
  if (!root || !rows) { return; }
  const inside = root.contains(document.activeElement);
  root.replaceChildren();
  keys.replaceChildren();
  element.style.setProperty("--columns", columns);
  at = Math.min(at, rows * columns - 1);
  for (let r = 0; r < rows; r += 1) {
    const line = document.createElement("div");
    line.className = "row";
    line.setAttribute("role", "row");
    for (let c = 0; c < columns; c += 1) {
      const place = r * columns + c, token = alphabet.indexOf(text[place]);
      const marks = [token > 0 ? "filled" : "", names[token] === "wall" ? "wall" : "", place === at ? "here" : "",
        boxes && c && c % boxes[1] === 0 ? "left" : "", boxes && r && r % boxes[0] === 0 ? "top" : ""].join(" ");
      const words = colours || names[token] === "wall" || token === 0 ? "" : text[place];
      const button = make(line, words, marks, `row ${r + 1}, column ${c + 1}: ${names[token]}`);
      button.setAttribute("role", "gridcell");
      button.dataset.at = place;
      button.tabIndex = place === at ? 0 : -1;
      if (colours) { button.style.background = colours[token]; }
    }
    root.append(line);
  }
  [...alphabet].forEach((one, token) => {
    const button = make(keys, colours ? one : names[token], "", `put ${names[token]}`);
    button.dataset.put = one;
    if (colours) { button.style.background = colours[token]; button.style.color = "#fff"; button.style.textShadow = "0 0 2px #000"; }
  });
  if (board().most) {
    for (const [words, down, across] of [["+ row", 1, 0], ["− row", -1, 0], ["+ column", 0, 1], ["− column", 0, -1]]) {
      const button = make(keys, words, "", words.replace("+", "add a").replace("−", "remove a"));
      button.dataset.down = down;
      button.dataset.across = across;
    }
  }
  if (inside) { root.querySelector(".here").focus(); }
};
const go = (place) => { at = place; draw(); squares().querySelector(".here").focus(); };
const put = (one) => {
  const old = board();
  props.value = {...old, squares: old.squares.slice(0, at) + one + old.squares.slice(at + 1)};
  draw();
  trigger("input");
};
const resize = (down, across) => {
  const old = board(), rows = old.rows + down, columns = old.columns + across;
  if (rows < 1 || columns < 1 || rows > old.most || columns > old.most) { return; }
  const square = (r, c) => r < old.rows && c < old.columns ? old.squares[r * old.columns + c] : old.alphabet[0];
  const all = Array.from({length: rows * columns}, (_, place) => square(Math.floor(place / columns), place % columns));
  props.value = {...old, rows, columns, squares: all.join("")};
  draw();
  trigger("input");
};
element.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) { return; }
  const {put: one, at: place, down, across} = button.dataset;
  if (one !== undefined) { put(one); }
  else if (down !== undefined) { resize(Number(down), Number(across)); }
  else { go(Number(place)); }
});
element.addEventListener("keydown", (event) => {
  const {rows, columns, alphabet} = board(), root = squares();
  if (!root.contains(event.target) || event.ctrlKey || event.metaKey || event.altKey) { return; }
  const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns};
  if (event.key in moves) {
    const place = at + moves[event.key], sideways = Math.abs(moves[event.key]) === 1;
    const same = Math.floor(place / columns) === Math.floor(at / columns);
    if (place >= 0 && place < rows * columns && (same || !sideways || columns === 1)) { go(place); }
  } else if (event.key === "Backspace" || event.key === "Delete") {
    put(alphabet[0]);
  } else if (event.key.length === 1 && alphabet.includes(event.key)) {
    put(event.key);
  } else { return; }
  event.preventDefault();
});
watch("value", draw);
draw();
