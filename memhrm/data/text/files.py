"""Files of labelled texts: CSV with the columns text and category, as BANKING77 has them."""

import csv
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TextIO

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
        ValueError: the file cannot be read, is no CSV, lacks a column or has it twice, or a record has no
            text or no category; the message names the file and the line.
    """
    with opened(path) as file, _long_fields():
        records = _records(path, file)
        _, names = next(records, (1, []))
        head = [name.strip().lower() for name in names]
        for name in COLUMNS:
            if name not in head and (required or name == "text"):
                raise ValueError(f"{path}:1: no column {name}; the header has {', '.join(head) or 'nothing'}")
            if head.count(name) > 1:
                raise ValueError(f"{path}:1: {head.count(name)} columns {name}; allowed: one")
        found = [_labelled(path, line, head, row, required) for line, row in records]
    if not found and not empty:
        raise ValueError(f"{path}: no texts after the header")
    return found


def require_known(path: Path, records: Iterable[Labelled], categories: Collection[str]) -> None:
    """Check that the texts of a file are of these categories.

    Raises:
        ValueError: one is not; the message names the file and the line.
    """
    for one in records:
        if one.category not in categories:
            raise ValueError(f"{path}:{one.line}: category is {one.category!r}, which no training text has")


@contextmanager
def _long_fields() -> Iterator[None]:
    """Allow fields of any length."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(path: Path, file: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Yield each record that is not empty, with the line on which it ends."""
    rows, begin = csv.reader(file, strict=True), 1
    try:
        for row in rows:
            if row:
                yield rows.line_num, row
            begin = rows.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{begin}: no CSV ({error}, in the record that begins here)") from None


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
