"""The code blocks of README, for tests that execute them."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def blocks() -> tuple[str, str, str]:
    """Return the Python file, the YAML file and the command of "A memory of your own"."""
    section = (ROOT / "README.md").read_text().split("## A memory of your own")[1].split("\n## ")[0]
    found = re.findall(r"```(?:python|yaml|bash)\n(.*?)```", section, re.DOTALL)
    assert len(found) == 3
    return found[0], found[1], found[2]
