"""Grids in ARC's colours: in a terminal, and as SVG."""

import os
import sys
from collections.abc import Sequence
from html import escape

import numpy as np

from memhrm.data.arc.tasks import ArcTask

PALETTE = (
    "#000000", "#0074d9", "#ff4136", "#2ecc40", "#ffdc00",
    "#aaaaaa", "#f012be", "#ff851b", "#7fdbff", "#870c25",
)  # fmt: skip
"""The colours 0 to 9."""

CELL, GAP, CAPTION = 10, 16, 14
"""Sizes in an SVG: of a cell, between grids, and of a line of text."""


def in_terminal(grid: np.ndarray) -> str:
    """Return a grid ``(rows, columns)`` drawn for people, a line for each row.

    Its cells are blocks of colour where the output is a terminal and NO_COLOR is not set, else digits.
    """
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return "\n".join("".join(map(str, row)) for row in grid)
    return "\n".join("".join(map(_block, row)) + "\x1b[0m" for row in grid)


def _block(colour: int) -> str:
    red, green, blue = bytes.fromhex(PALETTE[colour][1:])
    return f"\x1b[48;2;{red};{green};{blue}m  "


def svg(task: ArcTask) -> str:
    """Return a picture of a task: its pairs in rows, inputs left and outputs right of them."""
    rows = [(f"demonstration {n}", pair) for n, pair in enumerate(task.demonstrations, start=1)]
    rows += [(f"test {n}", pair) for n, pair in enumerate(task.tests, start=1)]
    parts, y, width = [], GAP, 0
    for caption, pair in rows:
        parts.append(f'<text x="{GAP}" y="{y + CAPTION - 4}">{caption}</text>')
        y += CAPTION
        x, tallest = GAP, 0
        for grid in (pair.input, pair.output):
            if grid is not None:
                parts.append(svg_grid(grid, x, y))
                x += CELL * grid.shape[1] + GAP
                tallest = max(tallest, CELL * grid.shape[0])
        width, y = max(width, x), y + tallest + GAP
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" font-family="sans-serif" '
        f'font-size="{CAPTION - 3}"><title>ARC task {escape(task.id)}</title>'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(parts)}</svg>\n'
    )


def svg_grid(grid: np.ndarray, x: int = 0, y: int = 0) -> str:
    """Return an SVG group with a grid whose upper left corner is at (x, y)."""
    rows, columns = grid.shape
    cells = [
        f'<path fill="{PALETTE[colour]}" d="{_runs(grid == colour)}"/>' for colour in np.unique(grid).tolist()
    ]
    lines = "".join(f"M0 {CELL * row}h{CELL * columns}" for row in range(rows + 1))
    lines += "".join(f"M{CELL * column} 0v{CELL * rows}" for column in range(columns + 1))
    return (
        f'<g transform="translate({x} {y})">{"".join(cells)}'
        f'<path d="{lines}" stroke="#666666" stroke-width="0.5"/></g>'
    )


def _runs(where: np.ndarray) -> str:
    """Return an SVG path over the cells of a mask, one rectangle for each run in a row."""
    path: list[str] = []
    for row, line in enumerate(np.pad(where, ((0, 0), (1, 1))).astype(np.int8)):
        begins, ends = (np.flatnonzero(np.diff(line) == step) for step in (1, -1))
        path += [_rectangle(row, begin, end) for begin, end in zip(begins.tolist(), ends.tolist())]
    return "".join(path)


def _rectangle(row: int, begin: int, end: int) -> str:
    width = CELL * (end - begin)
    return f"M{CELL * begin} {CELL * row}h{width}v{CELL}h-{width}z"


def side_by_side(blocks: Sequence[str], gap: str = "   ") -> str:
    """Return several drawn grids beside one another, their first lines level."""
    lines = [block.splitlines() for block in blocks]
    widths = [max(map(visible, block), default=0) for block in lines]
    height = max(map(len, lines), default=0)
    return "\n".join(
        gap.join(
            block[row] + " " * (width - visible(block[row])) if row < len(block) else " " * width
            for block, width in zip(lines, widths)
        ).rstrip()
        for row in range(height)
    )


def visible(line: str) -> int:
    """Return how many characters of a line are seen, without the codes of colours."""
    seen, inside = 0, False
    for character in line:
        inside = inside or character == "\x1b"
        seen += not inside
        inside = inside and character != "m"
    return seen
