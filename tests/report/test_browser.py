"""The report in a real browser, if there is one: no errors, no requests, no overflow, a working film."""

import re

import pytest

from chromium import BROWSER, framed, is_light, seen
from memhrm.config.command import compose
from memhrm.probe import main
from tiny import train

pytestmark = [pytest.mark.thorough, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]

LOOK = """
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
  return {
    says, drawn, films, steps: slider.max,
    ink: getComputedStyle(document.querySelector("figure text")).fill,
    globals: ["start", "film", "show", "add"].filter((name) => typeof window[name] === "function"),
  };"""


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory):
    """A page that shows a report in frames, and what they say of it."""
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
    return framed(folder / "report" / "report.html", LOOK)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_in_a_browser(wrapper, scheme, tmp_path):
    for page in seen(wrapper, scheme, tmp_path):
        assert is_light(page["ink"]) == (scheme == "dark") and page["globals"] == []
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
