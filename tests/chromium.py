"""A page in a real browser, in frames as wide as a phone and a desktop: what a script says of each."""

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
FLAGS = (
    *("--headless", "--no-sandbox", "--no-first-run", "--disable-gpu", "--disable-quic"),
    *(f"--disable-{name}" for name in ("background-networking", "component-update", "default-apps", "sync")),
)
"""Without a window, and without anything that a browser does of its own accord."""
WIDTHS = 390, 1280
"""A headless window cannot be as narrow as a phone; a frame can."""
FRAMES = (
    '<!doctype html><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
    '<script>addEventListener("message", (event) => { const line = document.createElement("pre");'
    "line.textContent = event.data; document.body.append(line); });</script><body>"
)


def framed(page: Path, look: str) -> Path:
    """Write a page that shows another one in frames, in which a script runs once it is loaded.

    Args:
        page: the page.
        look: JavaScript whose value, an object, each frame says, beside its width, scheme and requests.
    """
    script = f"""<script>addEventListener("load", () => {{
      const found = (() => {{ {look} }})(), page = document.documentElement;
      parent.postMessage(JSON.stringify({{
        width: innerWidth, scroll: page.scrollWidth,
        dark: matchMedia("(prefers-color-scheme: dark)").matches,
        ground: getComputedStyle(document.body).backgroundColor,
        requests: performance.getEntriesByType("resource").map((entry) => entry.name), ...found,
      }}), "*");
    }});</script></body>"""
    looked = page.with_name("looked.html")
    looked.write_text(page.read_text(encoding="utf-8").replace("</body>", script), encoding="utf-8")
    frames = "".join(
        f'<iframe src="looked.html" style="width:{width}px;height:900px;border:0"></iframe>'
        for width in WIDTHS
    )
    wrapper = page.with_name("wrapper.html")
    wrapper.write_text(f"{FRAMES}{frames}</body>", encoding="utf-8")
    return wrapper


def seen(wrapper: Path, scheme: str, folder: Path) -> list[dict[str, Any]]:
    """Return what the frames of a page say in a colour scheme, light or dark; the console must stay empty."""
    done = subprocess.run(
        [
            str(BROWSER), *FLAGS, f"--user-data-dir={folder}", "--enable-logging=stderr",
            f"--blink-settings=preferredColorScheme={int(scheme == 'light')}", "--virtual-time-budget=4000",
            "--window-size=1800,1000", "--dump-dom", wrapper.as_uri(),
        ],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert [line for line in done.stderr.splitlines() if "CONSOLE" in line] == []
    found = [json.loads(html.unescape(text)) for text in re.findall(r"<pre>(.*?)</pre>", done.stdout)]
    assert sorted(page["width"] for page in found) == list(WIDTHS)
    for page in found:
        assert page["scroll"] <= page["width"], "the page is wider than its window"
        assert page["dark"] == (scheme == "dark") and page["requests"] == []
        assert is_light(page["ground"]) == (scheme == "light")
    return found


def is_light(colour: str) -> bool:
    """Return whether a colour, as rgb(...), is a light one."""
    return sum(map(int, re.findall(r"\d+", colour)[:3])) > 384
