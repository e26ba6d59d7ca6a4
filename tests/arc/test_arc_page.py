"""The page on ARC tasks in a real browser, if there is one."""

import numpy as np
import pytest

from chromium import BROWSER, framed, seen
from made_arc import tasks
from memhrm.data.arc.votes import Candidate, Voted, pass_rates
from memhrm.report.arc import page

pytestmark = [pytest.mark.thorough, pytest.mark.skipif(BROWSER is None, reason="no Chromium here")]

LOOK = """
  const main = document.querySelector("main");
  const count = (root, of, wrong) => [...root.querySelectorAll(of)].filter(wrong).length;
  const first = main.firstElementChild, second = main.children[1];
  first.dispatchEvent(new Event("toggle"));
  second.open = true;
  second.dispatchEvent(new Event("toggle"));
  const counts = {};
  for (const input of document.querySelectorAll("input[name=show]")) {
    input.click();
    counts[input.value] = count(main, "details", (one) => !one.hidden);
  }
  return {
    counts, notes: [...main.querySelectorAll("summary")].map((one) => one.textContent),
    grids: second.querySelectorAll("canvas").length,
    captions: [...second.querySelectorAll("figcaption")].map((one) => one.textContent),
    unnamed: count(document, "canvas", (one) => !one.ariaLabel),
    unreachable: count(document, "summary, input, .scroll", (one) => one.tabIndex < 0),
    colour: [...second.querySelector("canvas").getContext("2d").getImageData(1, 1, 1, 1).data],
  };"""


@pytest.fixture(scope="module")
def wrapper(tmp_path_factory):
    """A page on four tasks: solved, right further down the list, missed, and without any answer."""
    wrong = [np.full((3, 3), colour, np.uint8) for colour in range(1, 5)]
    voted = []
    for number, task in enumerate(tasks("evaluation", 1)[:4]):
        lists = []
        for test in task.tests:
            assert test.output is not None
            grids = {0: [test.output], 1: [*wrong, test.output], 2: wrong, 3: []}[number]
            lists.append([Candidate(grid, 9 - at, 0.5) for at, grid in enumerate(grids)])
        voted.append(Voted(task, lists, 9))
    rates = pass_rates({one.task.id: [1] for one in voted})
    place = tmp_path_factory.mktemp("arc") / "arc.html"
    place.write_text(page("ARC", "About it.", rates, voted), encoding="utf-8")
    return framed(place, LOOK)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_in_a_browser(wrapper, scheme, tmp_path):
    for one in seen(wrapper, scheme, tmp_path):
        assert one["counts"] == {"all": 4, "solved": 1, "listed": 1, "missed": 2}
        assert one["unnamed"] == one["unreachable"] == 0
        assert one["grids"] == len(one["captions"]) > 8 and one["colour"][3] == 255
        assert "5: 5 of 9 votes, Q 0.50, right" in one["captions"]
        assert "1: 9 of 9 votes, Q 0.50, wrong" in one["captions"]
