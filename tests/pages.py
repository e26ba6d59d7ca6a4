"""The blocks of code that README and the pages of docs/ show, so that they can be run."""

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = ["README.md", "CONTRIBUTING.md", *(f"docs/{path.name}" for path in sorted(ROOT.glob("docs/*.md")))]
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A block of code of a page.

    Attributes:
        place: the page and the line, for messages.
        language: what stands behind the fence.
        title: the file that the block is, or "".
        text: its lines.
    """

    place: str
    language: str
    title: str
    text: str

    def commands(self) -> list[list[str]]:
        """Return the words of each command, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := shlex.split(line, comments=True))]


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [
        Block(f"{page}:{text.count(chr(10), 0, found.start()) + 1}", found[1], found[2] or "", found[3])
        for found in FENCE.finditer(text)
    ]


def fading() -> tuple[str, str, str]:
    """Return the Python file, the YAML file and the command of README's memory of one's own."""
    found = blocks("README.md")
    code, config = (block for block in found if block.title)
    command = found[found.index(config) + 1]
    return code.text, config.text, command.text
