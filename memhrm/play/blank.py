"""What the page begins with, before PyTorch is there."""

from html import escape

ALONE = "none"
"""What stands for no second model."""
EMPTY = '<div class="squares" role="grid" aria-label="question"></div><div class="keys"></div>'
"""The board of a question, which editor.js draws, and the keys below it."""


def said_html(words: str, *, bad: bool = False) -> str:
    """Return a line that is read aloud when it changes."""
    return f'<p role="status" aria-live="polite" class="{"bad" if bad else "good"}">{escape(words)}</p>'
