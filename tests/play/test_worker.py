"""Turns in a process of their own."""

import multiprocessing
import subprocess
import sys

import pytest

from memhrm.play.blank import ALONE
from memhrm.play.choices import Choices
from memhrm.play.turns import Turns
from memhrm.play.visit import Visit
from memhrm.play.worker import VISITS, Kept, Worker
from pages import ROOT

QUESTION = "12..34..2.4....1"


@pytest.fixture(scope="module")
def worker():
    return Worker([], 8, threads=1)


def test_they_are_the_turns_of_this_process(worker):
    given = ("solve", "sudoku4", ALONE, QUESTION, None)
    (*_, there), here = worker.take(*given, Visit()), Turns(Choices(), 8).solve(*given[1:], Visit())
    assert there["shown"] == here[-1]["shown"] and there["say"] == here[-1]["say"]
    assert isinstance(here[0]["visit"], Visit)


def test_a_visit_is_kept_there_until_too_many_have_begun(worker):
    begun = worker.take("begin", "recall")
    first, question = begun["visit"], begun["text"]["value"]
    assert isinstance(first, Kept)
    told = worker.take("teach", "recall", question, question, first)
    assert told["visit"] == first
    steps = worker.take("solve", "recall", ALONE, question, 1, first)
    assert steps[0]["visit"] == first
    for _ in range(VISITS - 1):
        worker.take("begin", "recall")
    assert "shown" in worker.take("slide", 1, first)
    worker.take("begin", "recall")
    with pytest.raises(ValueError, match=f"{VISITS} visits have begun since this one; load the page again"):
        worker.take("slide", 1, first)


def test_an_error_of_one_turn_leaves_the_next(worker):
    with pytest.raises(AttributeError):
        worker.take("no_turn")
    assert worker.take("slide", 1, Visit()) == {"shown": ""}


def test_what_does_not_fit_is_said_before_the_first_turn(tmp_path):
    with pytest.raises(ValueError, match="nowhere"):
        Worker([str(tmp_path / "nowhere")], 8).wait()


@pytest.mark.parametrize("ready", [False, True])
def test_that_the_process_has_ended_is_said(ready):
    before = set(multiprocessing.active_children())
    worker = Worker([], 8, threads=1)
    (process,) = set(multiprocessing.active_children()) - before
    if ready:
        worker.wait()
    process.kill()
    process.join()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="has ended; start the page again"):
            worker.take("slide", 1, Visit())


@pytest.mark.parametrize("wait", ["wait()", "_other.poll(60)"], ids=["read", "unread"])
def test_it_ends_without_a_word_with_the_process_that_began_it(wait):
    code = f"import os\nfrom memhrm.play.worker import Worker\nWorker([], 8).{wait}\nos._exit(3)"
    # Whoever lives still holds the pipes.
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (3, b"", b"")


def test_the_page_writes_no_stubs_into_its_library():
    code = "import ast\nast.get_source_segment = None\nfrom memhrm.play.page import library\nlibrary()"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
