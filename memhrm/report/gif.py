"""Films of an answer that forms, as animated GIFs."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from memhrm.config import extras
from memhrm.report.board import Board, Square

INK, SOFT, GROUND, GIVEN, WALL = "#1c2329", "#6b7680", "#ffffff", "#e8ecf0", "#3a434c"
CHANGED, WRONG, PATH, CELL, LINE = "#fff1b8", "#f7c9c4", "#0b63c4", "#0b63c4", "#c3cad1"
SQUARE, MARGIN, TEXT = 36, 18, 15
"""Sizes in pixels: of a square, around what is drawn, of a line of text."""


@dataclass(frozen=True)
class Picture:
    """One picture of a film.

    Attributes:
        boards: boards side by side, each with its caption.
        words: a line below them.
        q: how sure the model is; None: it has not learned to tell, or answers nothing here.
        residual: how far z_H moved, as a share of its norm; None: nothing is answered here.
        cells: memory cells there are; 0: none are drawn.
        read: the cells that are read.
        written: those that are written.
        graded: whether the right answer is known, and wrong squares are marked.
    """

    boards: Sequence[tuple[str, Board]]
    words: str
    q: float | None = None
    residual: float | None = None
    cells: int = 0
    read: frozenset[int] = frozenset()
    written: frozenset[int] = frozenset()
    graded: bool = False


def pillow() -> Any:
    """Return the library that draws.

    Raises:
        ValueError: it is not installed.
    """
    return extras.library("PIL", "play", "films need Pillow")


def animated(pictures: Sequence[Picture], seconds: float) -> bytes:
    """Return pictures as an animated GIF, which repeats; the last one stays three times as long.

    Args:
        pictures: in their order.
        seconds: how long each is seen.
    """
    pillow()
    from PIL import Image

    drawn = [_drawn(one) for one in pictures]
    size = tuple(max(one.size[axis] for one in drawn) for axis in range(2))
    frames = [Image.new("RGB", size, GROUND) for _ in drawn]
    for frame, one in zip(frames, drawn):
        frame.paste(one, (0, 0))
    lasting = [round(1000 * seconds)] * len(frames)
    lasting[-1] *= 3
    content = io.BytesIO()
    frames[0].save(
        content, format="GIF", save_all=True, append_images=frames[1:], duration=lasting, loop=0, disposal=1
    )
    return content.getvalue()


def _drawn(picture: Picture) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(TEXT)
    wide = [max(board.columns * SQUARE, font.getlength(caption)) for caption, board in picture.boards]
    high = max(board.rows for _, board in picture.boards) * SQUARE
    dots = 2 * TEXT if picture.cells else 0
    left = font.getlength("memory  ") if picture.cells else 0
    width = max(
        sum(wide) + 2 * MARGIN * len(wide),
        font.getlength(picture.words) + 2 * MARGIN,
        left + picture.cells * TEXT + 2 * MARGIN,
    )
    height = 2 * MARGIN + 2 * TEXT + high + 2 * TEXT + dots
    image = Image.new("RGB", (round(width), round(height)), GROUND)
    draw = ImageDraw.Draw(image)
    x = MARGIN
    for (caption, board), space in zip(picture.boards, wide):
        draw.text((x, MARGIN), caption, fill=SOFT, font=font)
        _board(draw, board, x, MARGIN + 2 * TEXT)
        x += round(space) + 2 * MARGIN
    y = MARGIN + 2 * TEXT + high + TEXT // 2
    draw.text((MARGIN, y), picture.words, fill=INK, font=font)
    if picture.cells:
        y += round(1.8 * TEXT)
        draw.text((MARGIN, y), "memory", fill=SOFT, font=font)
        for cell in range(picture.cells):
            _cell(draw, MARGIN + left + cell * TEXT, y, cell in picture.read, cell in picture.written)
    return image


def _cell(draw: Any, x: float, y: float, read: bool, written: bool) -> None:
    """Draw a memory cell: full where it is read, with a ring where it is written."""
    if read or written:
        draw.ellipse((x + 2, y + 4, x + 12, y + 14), fill=CELL if read else None, outline=CELL, width=2)
    else:
        draw.ellipse((x + 6, y + 8, x + 8, y + 10), fill=LINE)
    if written:
        draw.ellipse((x, y + 2, x + 14, y + 16), outline=CELL, width=1)


def _board(draw: Any, board: Board, left: int, top: int) -> None:
    from PIL import ImageFont

    font = ImageFont.load_default(round(0.58 * SQUARE))
    for place, square in enumerate(board.squares):
        row, column = divmod(place, board.columns)
        x, y = left + column * SQUARE, top + row * SQUARE
        draw.rectangle((x, y, x + SQUARE, y + SQUARE), fill=_ground(square), outline=LINE)
        if square.kind == "path":
            draw.ellipse((x + 13, y + 13, x + SQUARE - 13, y + SQUARE - 13), fill=PATH)
        if square.text:
            middle = (x + SQUARE / 2, y + SQUARE / 2)
            draw.text(
                middle, square.text, fill=INK if square.kind == "given" else PATH, font=font, anchor="mm"
            )
        if square.wrong:
            draw.line((x + 6, y + SQUARE - 6, x + SQUARE - 6, y + 6), fill="#b3261e", width=2)
    wide, high = board.columns * SQUARE, board.rows * SQUARE
    if board.boxes is not None:
        for row in range(0, board.rows + 1, board.boxes[0]):
            draw.line((left, top + row * SQUARE, left + wide, top + row * SQUARE), fill=INK, width=2)
        for column in range(0, board.columns + 1, board.boxes[1]):
            draw.line((left + column * SQUARE, top, left + column * SQUARE, top + high), fill=INK, width=2)
    else:
        draw.rectangle((left, top, left + wide, top + high), outline=INK, width=1)


def _ground(square: Square) -> str:
    if square.colour is not None:
        return square.colour
    if square.kind == "wall":
        return WALL
    if square.wrong:
        return WRONG
    if square.changed:
        return CHANGED
    return GIVEN if square.kind == "given" else GROUND
