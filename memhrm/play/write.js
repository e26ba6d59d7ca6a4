// The text of a board; memhrm/play/boards.py has the same for the first one.
(board) => {
  if (!board.colours) { return board.squares; }
  const row = (r) => [...board.squares.slice(r * board.columns, (r + 1) * board.columns)].map(Number);
  return JSON.stringify(Array.from({length: board.rows}, (_, r) => row(r)));
}
