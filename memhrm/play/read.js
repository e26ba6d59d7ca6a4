// The board that a question as text makes; of a text that makes none, the board as it is.
(text, board) => {
  if (!board) { return board; }
  if (!board.colours) {
    const known = [...text].every((one) => board.alphabet.includes(one));
    const fits = known && text.length === board.squares.length;
    return fits ? {...board, squares: text} : board;
  }
  try {
    const grid = JSON.parse(text), columns = grid[0].length, every = grid.flat();
    const fits = Math.max(grid.length, columns) <= board.most && grid.every((row) => row.length === columns)
      && every.every((one) => Number.isInteger(one) && one >= 0 && one <= 9);
    return fits ? {...board, rows: grid.length, columns, squares: every.join("")} : board;
  } catch { return board; }
}
