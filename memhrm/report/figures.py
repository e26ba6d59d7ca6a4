"""Figures as SVG that takes its colours from the page around it.

matplotlib draws with fixed colours; these are then replaced: ink by the colour of the text around, the colour
of run i by the page's variable `--run-i`.
"""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK = "#010203"
LIGHT = ("#0b63c4", "#b34700", "#0f7a55", "#93409a", "#7a6500", "#5a6470")
DARK = ("#74b5f7", "#f5a35c", "#55c79a", "#dc9ae0", "#d9c64f", "#aeb8c2")
"""Colours of the runs on light and dark ground, ordered so that the colour-blind can tell neighbours
apart."""
MARKERS = "os^DvP"

WIDTH, HEIGHT = 5.0, 3.05  # Inches of 72 units: as wide as a phone, so that text keeps its size there.
STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "memhrm",
    "font.size": 9.0,
    "axes.labelsize": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.2,
    **dict.fromkeys(("axes.linewidth", "xtick.major.width", "ytick.major.width"), 0.7),
    **dict.fromkeys(("xtick.labelsize", "ytick.labelsize", "legend.fontsize"), 8.5),
    **dict.fromkeys(("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


def hue(run: int) -> str:
    """Return the colour of a run."""
    return LIGHT[run % len(LIGHT)]


def marker(run: int) -> str:
    """Return the marker of a run."""
    return MARKERS[run % len(MARKERS)]


@dataclass(frozen=True)
class Drawing:
    """A chart.

    Attributes:
        name: of its file, and the prefix of its ids.
        svg: one element, without a size, which takes the colour of the text around it.
    """

    name: str
    svg: str

    def file(self) -> str:
        """Return the SVG as a standalone file that follows the viewer's colour scheme."""
        light, dark = (
            ";".join(f"--run-{i}:{one}" for i, one in enumerate(colours)) for colours in (LIGHT, DARK)
        )
        style = (
            f"<style>svg{{color:#1c2329;background:#fff;{light}}}@media(prefers-color-scheme:dark)"
            f"{{svg{{color:#e3e7eb;background:#14181c;{dark}}}}}</style>"
        )
        return re.sub(r"(<svg[^>]*>)", lambda found: found[1] + style, self.svg, count=1) + "\n"


def draw(
    name: str, title: str, paint: Callable[[Any], None], width: float = WIDTH, height: float = HEIGHT
) -> Drawing:
    """Return what `paint` draws on a matplotlib Figure.

    Args:
        name: of the drawing's file, and the prefix of its ids.
        title: what the chart shows, for screen readers.
        paint: draws on the Figure that it gets.
        width: of the Figure, in inches.
        height: of the Figure, in inches.
    """
    with matplotlib.rc_context(STYLE):
        figure = Figure((width, height), layout="constrained")
        paint(figure)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return Drawing(name, _cleaned(buffer.getvalue(), name, title))


def _cleaned(text: str, name: str, title: str) -> str:
    """Return one <svg> element that can stand among others in a page."""
    text = text[text.index("<svg") :].strip()
    text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", text, flags=re.DOTALL)
    box = re.search(r'viewBox="([^"]*)"', text)
    assert box is not None
    head = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'viewBox="{box[1]}" role="img" stroke-linejoin="round" aria-labelledby="{name}-title">'
        f'<title id="{name}-title">{escape(title)}</title>'
    )
    text = text[text.index(">") + 1 :]
    text = re.sub(r'\bid="([^"]*)"', rf'id="{name}-\1"', text)
    text = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', text)
    text = re.sub(r"url\(#([^)]*)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font: \1px system-ui, sans-serif", text)
    text = text.replace(INK, "currentColor")
    for i, colour in enumerate(LIGHT):
        text = text.replace(colour, f"var(--run-{i}, {colour})")
    return head + re.sub(r"\n\s*", "\n", text)
