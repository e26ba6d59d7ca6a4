"""What CONTRIBUTING and the manual point at is there."""

import ast
import re

import pytest

from pages import PAGES, ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ANSWERS = re.findall(r"`([\w/]+\.py):([\w.]+)`", TEXT)
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")


def defined(path: str) -> set[str]:
    """Return the functions and classes of a file, and the methods of its classes as Class.method."""
    found = set()
    for node in ast.parse((ROOT / path).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return found


def test_every_answer_names_a_function_that_is_there():
    assert len(ANSWERS) >= 7
    for path, name in ANSWERS:
        assert name in defined(path), f"{path} has no {name}"


def test_every_room_is_in_the_table():
    rooms = {path.name for path in (ROOT / "memhrm").iterdir() if (path / "__init__.py").exists()}
    assert set(re.findall(r"^\| `memhrm/(\w+)/`", TEXT, re.MULTILINE)) == rooms


def test_a_letter_has_one_meaning():
    legend = TEXT.split("## The legend of letters")[1].split("\n## ")[0]
    rows = re.findall(r"^\| (\w(?:, \w)*) \|", legend, re.MULTILINE)
    letters = [letter for row in rows for letter in row.split(", ")]
    assert len(letters) > 15 and len(set(letters)) == len(letters)


@pytest.mark.parametrize("page", [*PAGES, "CHANGELOG.md", "experiments/LOG.md"])
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    for target, anchor in LINK.findall(text):
        path = (ROOT / page).parent / target if target else ROOT / page
        assert path.exists(), f"{page} links {target}"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in {slug(heading) for heading in headings}, f"{page} links {target}#{anchor}"


def slug(heading: str) -> str:
    """Return the anchor that both GitHub and the site give a heading without punctuation at its ends."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")


def test_equations_and_traps_are_numbered_in_order():
    text = (ROOT / "docs/memory.md").read_text(encoding="utf-8")
    equations = [int(number) for number in re.findall(r"\\tag\{(\d+)\}", text)]
    traps = [int(number) for number in re.findall(r"^### Trap (\d+):", text, re.MULTILINE)]
    assert equations == [*range(1, 33)] and traps == [*range(1, 14)]
    for folder in ("memhrm", "configs", "tests", "experiments"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".yaml", ".md"):
                said = path.read_text(encoding="utf-8")
                assert {int(n) for n in re.findall(r"\bequations? \((\d+)\)", said)} <= {*equations}, path
                assert {int(n) for n in re.findall(r"\btrap (\d+)", said)} <= {*traps}, path


def test_every_interval_in_the_text_is_one_of_the_results():
    """Tables are quoted as they are made (tests/experiments); this is for the sentences between them."""
    numbers = "".join(path.read_text() for path in ROOT.glob("paper/tables/*-numbers.tex"))
    for page in PAGES:
        text = re.sub(r"^\|.*$", "", (ROOT / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
        for mean, half in re.findall(r"(\d+\.\d)\s±\s(\d+\.\d)", text):
            assert rf"{mean} $\pm$ {half}" in numbers, f"{page}: {mean} ± {half}"
