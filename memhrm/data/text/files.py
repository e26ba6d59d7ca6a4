"""Files of labelled texts: CSV with the columns text and category, as BANKING77 has them."""

import csv
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from memhrm.data.formats import opened

COLUMNS = ("text", "category")


class Labelled(NamedTuple):
    """A text of a file.

    Attributes:
        line: the line of the file on which its record ends.
        text: the text.
        category: its category; empty where the file has none.
    """

    line: int
    text: str
    category: str


def read_labelled(path: Path, *, required: bool = True, empty: bool = False) -> list[Labelled]:
    """Read the texts of a CSV file (RFC 4180; a field may span lines), in its order.

    Args:
        path: the file, in UTF-8.
        required: whether every text must have a category.
        empty: whether the file may hold no texts.

    Raises:
        ValueError: the file cannot be read, lacks a column, or a record has no text or no category; the
            message names the file and the line.
    """
    with opened(path) as file, _long_fields():
        rows = csv.reader(file)
        head = [name.strip().lower() for name in next(rows, [])]
        missing = [name for name in COLUMNS if name not in head and (required or name == "text")]
        if missing:
            raise ValueError(
                f"{path}:1: no column {missing[0]}; the header has {', '.join(head) or 'nothing'}"
            )
        found = [_labelled(path, rows.line_num, head, row, required) for row in _records(path, rows)]
    if not found and not empty:
        raise ValueError(f"{path}: no texts after the header")
    return found


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow fields of any length."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(path: Path, rows: Iterator[list[str]]) -> Iterator[list[str]]:
    while True:
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(f"{path}:{getattr(rows, 'line_num', 0)}: no CSV ({error})") from None
        if row:
            yield row


def _labelled(path: Path, line: int, head: list[str], row: list[str], required: bool) -> Labelled:
    if len(row) != len(head):
        raise ValueError(f"{path}:{line}: {len(row)} fields; the header has {len(head)}")
    fields = dict(zip(head, row))
    text, category = fields["text"], fields.get("category", "").strip()
    if not text.strip():
        raise ValueError(f"{path}:{line}: the text is empty")
    if required and not category:
        raise ValueError(f"{path}:{line}: the category is empty")
    return Labelled(line, text, category)
