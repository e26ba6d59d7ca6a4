"""The report in a real browser, if there is one: no errors, no requests, no overflow, a working film."""

import html
import json
import re
import shutil
import subprocess

import pytest

from memhrm.config.command import compose
from memhrm.probe import main
from tiny import train

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = [pytest.mark.thorough, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]

WIDTHS = 390, 1280
LOOK = """<script>addEventListener("load", () => {
  const film = document.querySelector(".film"), slider = film.querySelector(".slider");
  const boards = film.querySelector(".boards"), status = film.querySelector(".status");
  const says = [status.textContent], drawn = boards.querySelectorAll("text").length;
  const captions = (root, of) => [...root.querySelectorAll(of + " p")].map((line) => line.textContent);
  const films = [...document.querySelectorAll(".film")].map((one) => ({
    says: one.querySelector(".status").textContent, boards: captions(one, ".boards"),
    before: captions(one, ".before"), wrong: one.querySelectorAll(".strike").length,
    unreachable: [...one.querySelectorAll(".before, .cells, input, button")].filter((e) => e.tabIndex < 0)
      .length,
    unnamed: [...one.querySelectorAll("svg, .before, .cells")].filter((e) => !e.ariaLabel).length,
  }));
  slider.value = slider.max;
  slider.dispatchEvent(new Event("input"));
  says.push(status.textContent);
  film.querySelector(".play").click();
  says.push(status.textContent, film.querySelector(".play").textContent);
  const page = document.documentElement;
  parent.postMessage(JSON.stringify({
    width: innerWidth, scroll: page.scrollWidth, says, drawn, films, steps: slider.max,
    dark: matchMedia("(prefers-color-scheme: dark)").matches,
    ground: getComputedStyle(document.body).backgroundColor,
    ink: getComputedStyle(document.querySelector("figure text")).fill,
    requests: performance.getEntriesByType("resource").map((entry) => entry.name),
    globals: ["start", "film", "show", "add"].filter((name) => typeof window[name] === "function"),
  }), "*");
});</script></body>"""


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory):
    """A page that shows a report in frames as wide as a phone and a desktop, and what they say of it.

    A headless window cannot be as narrow as a phone; a frame can.
    """
    folder = tmp_path_factory.mktemp("browser")
    changes = "+memory=multicell", "memory.cells=3", "k=1", "memory.tokens=2", "memory.gate=all"
    recall = "data=recall", "data.lengths=[2,3]", "data.test_length=4", "data.test_episodes=20"
    assert train(folder / "plain") == 0
    assert (
        train(folder / "cells", *changes, *recall, "model.H_cycles=2", "model.gradient_window=last_cycle")
        == 0
    )
    runs = f"run=[{folder / 'plain'},{folder / 'cells'}]"
    small = (
        "puzzles=4",
        "few_puzzles=4",
        "causal_puzzles=4",
        "depth=2",
        "restarts=2",
        "shuffles=5",
        "threads=1",
    )
    main(compose("probe", [runs, *small, "progress=false", f"out={folder / 'report'}"]))
    folder = folder / "report"
    report = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "looked.html").write_text(report.replace("</body>", LOOK), encoding="utf-8")
    frames = "".join(
        f'<iframe src="looked.html" style="width:{w}px;height:900px;border:0"></iframe>' for w in WIDTHS
    )
    page = folder / "wrapper.html"
    page.write_text(
        '<!doctype html><meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        '<script>addEventListener("message", (event) => { const line = document.createElement("pre");'
        f"line.textContent = event.data; document.body.append(line); }});</script><body>{frames}</body>"
    )
    return page


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_in_a_browser(wrapper, scheme, tmp_path):
    quiet = "background-networking", "component-update", "sync"
    done = subprocess.run(
        [
            str(BROWSER), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            *(f"--disable-{name}" for name in quiet), f"--user-data-dir={tmp_path}",
            "--enable-logging=stderr",
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
        assert page["scroll"] <= page["width"]
        assert page["dark"] == (scheme == "dark")
        light = [sum(map(int, re.findall(r"\d+", page[of])[:3])) > 384 for of in ("ground", "ink")]
        assert light == ([False, True] if scheme == "dark" else [True, False])
        assert page["requests"] == [] and page["globals"] == []
        steps = page["steps"]
        assert page["drawn"] >= 16
        assert [f"Step {s} of {steps}" in said for s, said in zip((1, steps, 1), page["says"])] == [True] * 3
        assert page["says"][3] == "Pause"
        plain, episode = page["films"]
        assert plain["boards"] == ["Model's answer", "Correct answer"] and plain["before"] == []
        assert episode["boards"] == ["Question", *plain["boards"]]
        *before, last = (episode["before"][at : at + 3] for at in (0, 3, 6))  # The film is of puzzle 3.
        assert [pair[:2] for pair in before] == [[f"Puzzle {i}: question", "answer shown"] for i in (1, 2)]
        cells = r"cells: question reads [\d, ]+, writes [\d, ]+; feedback reads [\d, ]+, writes [\d, ]+"
        assert last == [] and all(re.fullmatch(cells, pair[2]) for pair in before)
        for film in page["films"]:
            assert film["unreachable"] == film["unnamed"] == 0
            wrong = re.search(r": (\d+) wrong token", film["says"])
            assert film["wrong"] == (int(wrong[1]) if wrong else 0)
