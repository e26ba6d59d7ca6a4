"""What a page shows, as HTML; page.css says how it looks, and editor.js edits the board of a question."""

from collections.abc import Sequence
from html import escape

from memhrm.data.arc.task import Arc
from memhrm.data.task import Task
from memhrm.play.frames import Frame
from memhrm.report.board import Board, Square, board_of

WIDE, HIGH = 260, 90
"""Size of the curves, in pixels."""


def frame_html(name: str, every: Sequence[Frame], at: int) -> str:
    """Return one frame of an answer.

    Args:
        name: whose answer it is.
        every: all frames of the answer.
        at: which one is shown.
    """
    one = every[at]
    parts = [f'<h3>{escape(name)}</h3><p class="words">{escape(one.words)}</p>']
    if one.boards:
        parts.append(f'<div class="boards">{"".join(_board(*each) for each in one.boards)}</div>')
    parts += [_bar(*each) for each in one.categories]
    if one.prose is not None:
        parts.append(f"<pre>{escape(one.prose)}</pre>")
    if one.cells:
        parts.append(_cells(one))
    parts.append(_curves(every, at))
    return f'<section class="memhrm">{"".join(parts)}</section>'


def told_html(task: Task, told: Sequence[tuple[str, str]]) -> str:
    """Return a list of examples of a task; those of ARC as grids."""

    def shown(text: str) -> str:
        if not isinstance(task, Arc):
            return escape(text)
        return _board("", board_of(task, task.encode([text]).inputs[0]))

    lines = "".join(f"<li>{shown(question)} → {shown(answer)}</li>" for question, answer in told)
    return f'<ul class="told">{lines}</ul>' if told else "<p>It has been told nothing yet.</p>"


def _board(caption: str, board: Board) -> str:
    lines = []
    for row in range(board.rows):
        places = range(row * board.columns, (row + 1) * board.columns)
        lines.append("<tr>" + "".join(_square(board, at) for at in places) + "</tr>")
    return (
        f"<figure><figcaption>{escape(caption)}</figcaption>"
        f'<table class="board" style="--columns:{board.columns}"><tbody>{"".join(lines)}</tbody></table>'
        "</figure>"
    )


def _square(board: Board, at: int) -> str:
    square, (row, column) = board.squares[at], divmod(at, board.columns)
    marks = [square.kind]
    marks += (
        ["changed"] * square.changed + ["wrong"] * square.wrong + ["colour"] * (square.colour is not None)
    )
    if board.boxes is not None:
        marks += ["top"] * (row > 0 and row % board.boxes[0] == 0)
        marks += ["left"] * (column > 0 and column % board.boxes[1] == 0)
    colour = f' style="--colour:{square.colour}"' if square.colour is not None else ""
    text = escape(square.text) or {"wall": "", "path": "●"}.get(square.kind, "")
    return f'<td class="{" ".join(marks)}"{colour} aria-label="{_said(square)}">{text}</td>'


def _said(square: Square) -> str:
    words = [square.text or ("empty" if square.kind in ("open", "given") else square.kind)]
    words += ["changed"] * square.changed + ["wrong"] * square.wrong
    return escape(", ".join(words))


def _bar(name: str, share: float) -> str:
    return (
        f'<div class="bar"><span>{escape(name)}</span><span><i style="width:{share:.1%}"></i></span>'
        f"<span>{share:.1%}</span></div>"
    )


def _cells(frame: Frame) -> str:
    """Return the memory's cells as dots: full where they are read, with a ring where they are written."""

    def listed(cells: frozenset[int]) -> str:
        return ", ".join(map(str, sorted(cells))) or "none"

    said = f"cells read: {listed(frame.read)}; written: {listed(frame.written)}"
    dots = "".join(
        f'<span class="{"read " * (cell in frame.read)}{"written" * (cell in frame.written)}"></span>'
        for cell in range(frame.cells)
    )
    return f'<div class="cells" role="img" aria-label="{said}" title="{said}">{dots}</div>'


def _curves(every: Sequence[Frame], at: int) -> str:
    """Return Q and the residual of every frame as curves, with a mark at the one that is shown."""
    known = [place for place, one in enumerate(every) if one.residual is not None]
    if len(known) < 2:
        return ""
    left, bottom, top = 4, HIGH - 18, 6

    def x(place: int) -> float:
        return left + (WIDE - 2 * left) * place / max(1, len(every) - 1)

    def line(values: Sequence[float], style: str) -> str:
        spots = " ".join(
            f"{x(p):.1f},{bottom - (bottom - top) * min(1.0, v):.1f}" for p, v in zip(known, values)
        )
        return f'<polyline fill="none" stroke="currentColor" stroke-width="1.8" {style} points="{spots}"/>'

    sure = [one.q for one in every if one.q is not None]
    moved = [one.residual for one in every if one.residual is not None]
    judged = f"Q from {sure[0]:.2f} to {sure[-1]:.2f}, " if sure else ""
    return (
        f'<svg viewBox="0 0 {WIDE} {HIGH}" width="{WIDE}" height="{HIGH}" role="img" '
        f'aria-label="{judged}movement of z_H from {moved[0]:.2f} to {moved[-1]:.2f}">'
        f'<rect x="{left}" y="{top}" width="{WIDE - 2 * left}" height="{bottom - top}" fill="none" '
        'stroke="currentColor" opacity=".25"/>'
        f'<line x1="{x(at):.1f}" x2="{x(at):.1f}" y1="{top}" y2="{bottom}" stroke="currentColor" '
        'opacity=".5"/>'
        + (line(sure, "") if sure else "")
        + line(moved, 'stroke-dasharray="4 3"')
        + f'<text x="{left}" y="{HIGH - 4}" font-size="11" fill="currentColor">'
        f"{'— Q (0 to 1), ' if sure else ''}‑ ‑ how far z_H moved</text></svg>"
    )
