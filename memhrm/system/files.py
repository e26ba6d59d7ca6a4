"""Files: written whole or not at all, never over what is there, and read with errors that name them."""

import csv
import json
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

from memhrm.config.settings import require


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Yield a place to write to; what is written there appears at `path` when the block ends well.

    The parent folders are made. If the block fails, `path` stays as it was and nothing is left beside it.

    Raises:
        OSError: the place cannot be written, or the disk is full; the error names `path`.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    with named(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield unfinished
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all.

    Raises:
        OSError: the place cannot be written, or the disk is full.
    """
    with whole(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file, whole or not at all; numbers that are not finite become null.

    Raises:
        OSError: the place cannot be written, or the disk is full.
    """
    write_text(path, to_json(value, indent=1) + "\n")


def to_json(value: Any, indent: int | None = None) -> str:
    """Return a value as strict JSON, which knows neither NaN nor infinity: they become null."""
    return json.dumps(_finite(value), indent=indent, allow_nan=False, ensure_ascii=False)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        ValueError: it cannot be read, or is no JSON; the message names the file.
    """
    try:
        return json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it holds no JSON ({error})") from error


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file as plain data; tags that make objects are refused.

    Raises:
        ValueError: it cannot be read, or is no plain YAML; the message names the file.
    """
    import yaml

    try:
        return yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{path} is damaged: it holds no plain YAML ({error})") from error


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is damaged: it is no text in UTF-8 ({error})") from error
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror or error}") from error


def to_csv(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV: its header, and a record for each row."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue()


def require_free(setting: str, path: Path, overwrite: bool, way: str = "overwrite=true") -> None:
    """Refuse to write where something is, unless it may be overwritten, or where nothing can be written.

    To be called before the work whose result goes there. way: how the command is told to overwrite.

    Raises:
        ValueError: the path is taken, or a folder; or it cannot be written.
    """
    require(not path.is_dir(), setting, str(path), "a file, not a folder")
    free = overwrite or not os.path.lexists(path)
    require(free, setting, str(path), f"a file that does not exist yet, or {way}")
    require_writable(setting, path)


def require_new_folder(setting: str, path: Path, overwrite: bool) -> None:
    """Refuse to write into a folder in which something is, unless it may be overwritten.

    Raises:
        ValueError: it is taken, or no folder can be made there.
    """
    require(path.is_dir() or not os.path.lexists(path), setting, str(path), "a folder, not a file")
    taken = path.is_dir() and any(inside.name != ".lock" for inside in path.iterdir())
    require(overwrite or not taken, setting, str(path), "a folder that is empty or new, or overwrite=true")
    require_writable(setting, path)


def require_writable(setting: str, path: Path) -> None:
    """Refuse a file, or a folder, at which nothing can be written; makes nothing that stays.

    Raises:
        ValueError: no file can be made there.
    """
    above = next(parent for parent in path.absolute().parents if os.path.lexists(parent))
    above = path if path.is_dir() else above
    try:
        with tempfile.TemporaryFile(dir=above):
            pass
    except OSError as error:
        reason = error.strerror or str(error)
        raise ValueError(f"{setting} is {str(path)!r}, where nothing can be written ({reason})") from error


@contextmanager
def said_of(what: object) -> Iterator[None]:
    """Have a ValueError begin with what it is about, such as the name of a file."""
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{what}: {error}") from error


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Have an OSError of the block name `path`; of its own, a full disk does not."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
