"""What the lines of a puzzle file hold: tables with a header, a puzzle a line, or drawn grids."""

import csv
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

from memhrm.data.checks import shown

if TYPE_CHECKING:
    from memhrm.data.grid import GridTask

HEADER = ["source", "question", "answer", "rating"]
NAMES = {  # of columns, in lower case: ours, and those of the Kaggle sets
    "source": "source", "rating": "rating",
    "question": "question", "puzzle": "question", "quizzes": "question", "quiz": "question",
    "answer": "answer", "solution": "answer", "solutions": "answer",
}  # fmt: skip
DRAWN = {".sdk", ".ss"}  # one puzzle a file, a row a line
DELIMITERS = ",;\t"
TITLE = re.compile(r"[A-Za-z]")  # in a line that is no row of a sudoku
RULE = re.compile(r"[-=+*|\s]*[-=+][-=+*|\s]*")  # what separates the boxes of a drawn sudoku


class Record(NamedTuple):
    """One puzzle of a file as text; `answer` and `rating` are empty where the file has none."""

    line: int
    source: str
    question: str
    answer: str
    rating: str


@contextmanager
def opened(path: Path) -> Iterator[TextIO]:
    """Open a text file in UTF-8, with or without a byte order mark.

    Raises:
        ValueError: it cannot be read, or is no such file; the message names it.
    """
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            yield file
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: a folder; allowed: a file") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror or error})") from None
    except UnicodeDecodeError:
        number, line = _not_decoded(path)
        wide = number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff")
        hint = "; it is in UTF-16, save it as UTF-8" if wide else ""
        raise ValueError(f"{path}:{number}: not a text file in UTF-8{hint}") from None


def _not_decoded(path: Path) -> tuple[int, bytes]:
    """Return the first line of a file that is not in UTF-8, with its number."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number, line
    return 1, b""  # It has changed since.


def records(path: Path, task: "GridTask") -> Iterator[Record]:
    """Read the puzzles of a file, in its order, as text.

    A file with a header that names a question or a puzzle is a table, separated by comma, semicolon or TAB.
    Files ending in .sdk and .ss, and those whose first line has one row of a grid, are drawn. All others
    have a question a line, with or without the answer after a comma. Sudokus may have comments from '#' on;
    in mazes that is a wall, and spaces are cells.

    Raises:
        ValueError: the file cannot be read, or a line is none of these; the message names it.
    """
    comments = "#" not in task.alphabet
    with opened(path) as file:
        numbered = ((number, line) for number, line in enumerate(file, 1) if _content(line, comments))
        line, first = next(numbered, (0, ""))
        _, second = next(numbered, (0, ""))
    if not first:
        raise ValueError(f"{path}: empty file; expected the header {','.join(HEADER)}, or puzzles")
    delimiter = _delimiter(first)
    with opened(path) as file:
        if delimiter is not None:
            csv.field_size_limit(max(csv.field_size_limit(), 2 * task.seq_len))
            yield from _table(path, file, delimiter, comments)
        elif path.suffix.lower() in DRAWN or _is_row(first, second, task, comments):
            yield from _drawn(path, file, task, comments)
        else:
            fields = _fields(first, comments)
            if len(fields) > 1 and len(fields[0]) != task.seq_len:
                raise ValueError(
                    f"{path}:{line}: header is {shown(first.strip())}; expected {','.join(HEADER)!r}, or "
                    "a part of it with the question, or 'puzzle,solution'"
                )
            yield from _lines(path, file, comments)


def tabled(path: Path) -> Iterator[Record]:
    """Read the examples of a table, in its order, as text: a file with a header that names a question.

    Raises:
        ValueError: the file cannot be read, or is no such table; the message names it.
    """
    with opened(path) as file:
        head = next((line for line in file if line.strip()), "")
    delimiter = _delimiter(head)
    if delimiter is None:
        raise ValueError(f"{path}: header is {shown(head.strip())}; expected 'question,answer'")
    with opened(path) as file:
        yield from _table(path, file, delimiter, comments=False)


def _content(line: str, comments: bool) -> str:
    """Return what of a line is no comment; empty if there is nothing."""
    return line.split("#", 1)[0].strip() if comments else line.strip("\r\n")


def _delimiter(header: str) -> str | None:
    """Return what separates the names of a header; None if the line is none."""
    for delimiter in DELIMITERS:
        try:
            names = next(csv.reader([header], delimiter=delimiter))
        except csv.Error:  # Longer than any header.
            return None
        if any(NAMES.get(name.strip().lower()) == "question" for name in names):
            return delimiter
    return None


def _table(path: Path, file: Iterable[str], delimiter: str, comments: bool) -> Iterator[Record]:
    reader = csv.reader(file, strict=True, delimiter=delimiter)
    try:
        header: list[str] = []
        while not _content("".join(header), comments).strip():
            header = next(reader)
        names = [NAMES.get(name.strip().lower(), "") for name in header]
        for name in set(names) - {""}:
            if names.count(name) > 1:
                raise ValueError(f"{path}:{reader.line_num}: header names the {name} twice")
        place = {name: names.index(name) for name in set(names)}
        question, answer = place["question"], place.get("answer")
        source, rating = place.get("source"), place.get("rating")
        for fields in reader:
            if len(fields) != len(header):
                found = f"{len(fields)} fields" if fields else "empty row"
                raise ValueError(f"{path}:{reader.line_num}: {found}; expected {','.join(header)}")
            yield Record(
                reader.line_num,
                path.name if source is None else fields[source],
                fields[question],
                "" if answer is None else fields[answer],
                "" if rating is None else fields[rating],
            )
    except csv.Error as error:
        raise ValueError(f"{path}:{reader.line_num}: {error}") from None


def _fields(line: str, comments: bool) -> list[str]:
    content = _content(line, comments)
    return re.split(r"[,;\s]+" if comments else f"[{DELIMITERS}]", content)


def _lines(path: Path, file: Iterable[str], comments: bool) -> Iterator[Record]:
    for number, line in enumerate(file, start=1):
        if not _content(line, comments):
            continue
        fields = _fields(line, comments)
        if len(fields) > 2:
            raise ValueError(
                f"{path}:{number}: {len(fields)} fields; expected a question, or question,answer"
            )
        yield Record(number, path.name, fields[0], fields[1] if len(fields) > 1 else "", "")


def _row(line: str, comments: bool) -> str:
    """Return the cells of a row of a drawn grid; empty where the line has none."""
    if not comments:
        return line.strip("\r\n")
    return "" if RULE.fullmatch(line.strip()) else re.sub(r"[|\s]", "", _content(line, comments))


def _is_row(first: str, second: str, task: "GridTask", comments: bool) -> bool:
    """Return whether a file with these first lines holds drawn grids, perhaps after a title or a rule."""
    if task.rows == 1:
        return False
    if comments and (TITLE.search(first) or RULE.fullmatch(first.strip())) and len(first) < task.seq_len:
        first = second
    return len(_row(first, comments)) == task.side


def _drawn(path: Path, file: Iterable[str], task: "GridTask", comments: bool) -> Iterator[Record]:
    lines = list(enumerate(file, start=1))
    marks = [k for k, (_, line) in enumerate(lines) if line.strip().lower() == "[puzzle]"]
    lines = lines[marks[0] + 1 :] if marks else lines
    rows: list[str] = []
    begin = 0
    for number, line in lines:
        if comments and line.startswith("["):  # another section: not the puzzle but its state
            break
        row = _row(line, comments)
        if not row or (not rows and comments and TITLE.search(row)):
            continue
        if len(row) != task.side:
            found = f"row has {len(row)} characters; {task.name} has {task.side}"
            raise ValueError(f"{path}:{number}: {found}")
        begin = begin if rows else number
        rows.append(row)
        if len(rows) == task.rows:
            yield Record(begin, path.name, "".join(rows), "", "")
            rows = []
    if rows:
        raise ValueError(f"{path}:{begin}: grid has {len(rows)} rows; {task.name} has {task.rows}")


def first_question(path: Path) -> tuple[str, bool]:
    """Return the first question of a file whose task is not known, and whether it is but a row of a grid."""
    with opened(path) as file:
        lines = [line for _, line in zip(range(200), file)]
    walled = any(re.fullmatch(r"[# SGo]*#[# SGo]*", line.strip("\r\n")) for line in lines)
    for k, line in enumerate(lines):
        if not _content(line, not walled) or RULE.fullmatch(line.strip()) or re.match(r"\[\w+\]", line):
            continue
        if (delimiter := _delimiter(line)) is not None:
            record = next(_table(path, lines[k:], delimiter, True), None)
            return (record.question if record else "", False)
        if TITLE.search(line) and not walled:
            continue
        row, whole = _row(line, not walled), _fields(line, not walled)[0]
        if (walled and not (whole.count("S") == whole.count("G") == 1)) or (not walled and len(row) <= 9):
            return row, True
        return whole, False
    return "", False
