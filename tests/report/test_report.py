"""The report of `python -m memhrm.probe`: its numbers are the functions', its page needs nothing else."""

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import yaml

from memhrm.config.command import compose
from memhrm.data.episodes.recall import Recall
from memhrm.data.maze.task import Maze
from memhrm.data.sudoku.task import Sudoku
from memhrm.evaluation.intervals import wilson
from memhrm.probe import main
from memhrm.probes.accuracy import over_steps
from memhrm.probes.addresses import address_numbers
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import open_subject
from memhrm.probes.taken import cells_taken
from memhrm.report import figures, maps, page
from memhrm.report.build import _about, flat, plain
from memhrm.report.curves import Series, curves
from memhrm.report.page import change, sentences
from memhrm.report.run import ProbedRun
from memhrm.report.sections import SECTIONS, accuracy, attention, cells, episodes
from memhrm.report.sections.films import film_data, given, shown_answers
from memhrm.report.sections.learning import logged
from memhrm.report.settings import ReportSettings
from memhrm.runs.summary import labels
from memhrm.weights.prune import kept_cells
from memhrm.weights.transfer import check_cells
from planted import recall, small
from tiny import command_line, train

SMALL = """
    puzzles=6 few_puzzles=4 causal_puzzles=4 depth=2 restarts=2 shuffles=5
    progress=false threads=1
""".split()  # noqa: SIM905 (written as on a command line)
MEMORY_SECTIONS = {"cells", "information", "attention", "causal"}
CELLS = "+memory=multicell", "memory.cells=3", "k=1", "memory.tokens=2", "memory.gate=all", "model.H_cycles=2"


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A run without memory and one with cells."""
    folder = tmp_path_factory.mktemp("runs")
    assert train(folder / "plain") == 0
    looked = "probe=light", "probe_every=2"
    assert train(folder / "cells", *CELLS, *looked, "model.gradient_window={cycles:2}") == 0
    return {name: folder / name for name in ("plain", "cells")}


def probe(runs: list[Path], *words: str) -> Path:
    """Run the command's body; returns the folder that it wrote."""
    main(compose("probe", [f"run=[{','.join(map(str, runs))}]", *SMALL, *words]))
    return runs[0] / "probe"


@pytest.fixture(scope="module")
def both(runs) -> Path:
    return probe([runs["plain"], runs["cells"]])


@pytest.fixture(scope="module")
def alone(runs, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("alone")
    probe([runs["plain"]], f"out={out}")
    return out


def fake(**numbers: Any) -> ProbedRun:
    """A run named a, trained for two supervision steps, of which only these numbers are known."""
    subject: Any = SimpleNamespace(halt_max_steps=2)
    return ProbedRun(0, "a", subject, ReportSettings.of(), [], numbers)


def sections(page: str) -> set[str]:
    return set(re.findall(r'<section id="([^"]+)"', page))


def test_without_memory_there_is_no_memory_section(alone, both):
    plain, compared = ((folder / "report.html").read_text() for folder in (alone, both))
    assert not sections(plain) & MEMORY_SECTIONS
    assert sections(compared) == sections(plain) | MEMORY_SECTIONS
    assert "memory" not in re.sub(r"<th[^>]*>memory</th>", "", plain[plain.index("<main>") :])
    assert 'class="cells"' not in plain
    assert 'class="cells"' in compared
    assert "Similarity over training: cells" in compared and "Cells never selected, over training" in compared


@pytest.fixture(scope="module")
def episodic(tmp_path_factory) -> Path:
    """The report of a run on episodes with cells and of one without memory, trained at depth 1."""
    folder = tmp_path_factory.mktemp("episodic")
    recall = (
        "data=recall", "data.test_size=20", "data.lengths=[2,3]", "data.test_length=4",
        "data.test_episodes=20", "halting.halt_max_steps=1",
    )  # fmt: skip
    assert train(folder / "plain", *recall) == 0
    assert train(folder / "cells", *recall, *CELLS[:-1], "model.gradient_window=last_cycle") == 0
    return probe([folder / "plain", folder / "cells"])


def test_a_run_on_episodes_is_looked_at_with_the_memory_of_its_episodes(episodic):
    page = (episodic / "report.html").read_text()
    assert {"episodes", "cells", "attention", "causal", "films"} <= sections(page)
    lead = page[page.index('<section id="episodes">') :].partition("</p>")[0]
    assert "6 episodes that ask 4 puzzles" in lead and "digits" not in lead
    assert "stability" not in sections(page)  # No answer follows from its question alone.
    assert "are for puzzle 3 of each episode" in page and "solved (puzzle 3 of episode" in page
    for pointless in ("<h3>Switching<", "<h3>Usage entropy<", ">not written<", "once<"):
        assert pointless not in page  # With one H-step.
    numbers = json.loads((episodic / "numbers.json").read_text())["runs"]["cells"]
    assert "information" not in numbers and "addresses" not in numbers  # Hardly two puzzles share a rule.
    assert set(numbers["episodes"]) >= {"kept", "reset", "frozen", "shuffled", "optimum"}


@pytest.fixture(scope="module")
def contextual(tmp_path_factory) -> Path:
    """The report of two runs on contexts with cells, of which one logs what its cells do."""
    folder = tmp_path_factory.mktemp("contextual")
    words = (
        "data=contexts", "data.alphabet=3", "data.length=4", "data.test_size=9", "data.cue_symbols=6",
        "data.contexts=[1,2]", "data.test_contexts=3", "data.curve=[]", "data.test_episodes=20",
        "halting.halt_max_steps=1", "+memory=multicell", "memory.cells=4", "memory.tokens=2",
        "k=2", "memory.addressing=formula", "memory.shared_cell=false",
    )  # fmt: skip
    assert train(folder / "seen", *words, "memory.written=1", "probe=light", "probe_every=4") == 0
    assert train(folder / "unseen", *words, "memory.selector=hash") == 0
    return probe([folder / "seen", folder / "unseen"])


@pytest.mark.thorough
def test_a_run_on_contexts_with_cells_has_its_addresses(contextual):
    page = (contextual / "report.html").read_text()
    assert "addresses" in sections(page) and "are for puzzle 4 of each episode" in page
    found = json.loads((contextual / "numbers.json").read_text())["runs"]
    path = contextual.parents[0]
    for name in ("seen", "unseen"):
        subject = open_subject(path.parent / name, puzzles=6)
        exact, seen = address_numbers(subject, shuffles=5), found[name]["addresses"]
        assert plain(exact) == {key: value for key, value in seen.items() if key != "training"}
    assert found["seen"]["addresses"]["training"]["overwritten"]["step"] == [4, 8]
    assert "overwritten" not in found["unseen"]["addresses"]["training"]
    assert found["unseen"]["addresses"]["agreement"]["value"] == 1  # A hash finds its cell.
    drawn = {file.stem for file in (contextual / "figures").glob("addresses-*")}
    every = {"addresses-agreement", "addresses-overwritten", "addresses-retention"}
    assert drawn == every | {f"addresses-{kind}-{run}" for kind in ("cues", "one") for run in (0, 1)}
    assert "At 100.0 % of the later visits to a context, the question first reads a cell" in page


@pytest.mark.thorough
def test_a_film_of_contexts_has_the_cells_that_each_puzzle_took(contextual):
    page = (contextual / "report.html").read_text()
    assert page.count('<div class="legend">') == 2
    for name, film in zip(("seen", "unseen"), films(page)):
        subject = open_subject(contextual.parent.parent / name, puzzles=6)
        assert subject.episodes is not None
        taken, numbers = cells_taken(subject), subject.numbered() // subject.episodes.length + 1
        assert film["cells"] == 4
        for label, shot in zip(film["labels"], film["shots"]):
            ((row,),) = (np.flatnonzero(numbers == int(n)) for n in re.findall(r"of episode (\d+)", label))
            assert len(shot["taken"]) == len(shot["shown"]) == 3
            for at, puzzle in enumerate(shot["taken"]):
                masks = [one[told][row, at] for told in (False, True) for one in (taken.read, taken.written)]
                assert puzzle == [(np.flatnonzero(mask) + taken.apart).tolist() for mask in masks]
                if name == "seen":
                    assert len(puzzle[0]) == 2 and len(puzzle[1]) == 1  # Reads two, writes its first choice.
            chosen = [step[0] for step in shot["indices"]]
            assert [step[0] for step in shot["written_cells"]] == (
                [cells[:1] for cells in chosen] if name == "seen" else chosen
            )


def films(page: str) -> list[dict]:
    return [
        json.loads(found) for found in re.findall(r'<script type="application/json">(.*?)</script>', page)
    ]


def test_a_film_of_an_episode_has_the_right_answer_and_the_feedback_shown_before(episodic):
    """Whatever the film says follows the secret rule of its episode, which the feedback gives away."""
    page = (episodic / "report.html").read_text()
    assert page.count('class="before" tabindex="0"') == len(films(page)) == 2
    for one in films(page):
        for shot in one["shots"]:
            assert len(shot["question"]) == 6 and len(shot["shown"]) == 2  # Puzzles 1 and 2, before puzzle 3.
            rule = {}
            for question, answer in [*shot["shown"], (shot["question"], shot["answer"])]:
                assert len(question) == len(answer) == 6 and set(answer) <= set("1234")
                for x, y in zip(question, answer):
                    assert rule.setdefault(x, y) == y


def test_a_film_marks_what_a_feedback_does_not_show():
    task = Recall(digits=4, length=6)
    task.answers = 4
    question, answer = np.array([1, 2, 3, 4, 1, 2]), np.array([2, 3, 4, 1, 2, 3])
    feedback = np.where(np.arange(6) < 4, task.pair(question, answer), question)
    assert shown_answers(task, feedback).tolist() == [2, 3, 4, 1, 0, 0]
    one = {"inputs": question, "labels": answer, "tokens": answer[None], "q": [0.5]}
    one |= {"shown_questions": question[None], "shown_answers": shown_answers(task, feedback)[None]}
    (drawn,) = film_data(task, [one])["shots"]
    assert drawn["shown"] == [["123412", "2341??"]] and drawn["answer"] == "234123"


def test_the_cell_that_the_report_calls_most_used_is_the_one_that_prune_keeps(runs, both, tmp_path):
    """Given the usage that the report is about: prune measures its own, on training puzzles."""
    page = (both / "report.html").read_text()
    usage = np.load(both / "numbers.npz")["cells/cells/usage"].mean(axis=(0, 1))
    (said,) = re.findall(r"Cell (\d+) is used most, in ([\d.]+) % of the H-steps", page)
    (row,) = re.findall(r"<td>cell (\d+), ([\d.]+) %</td><td>cell \d+, [\d.]+ %</td>", page)
    kept = kept_cells(usage.tolist(), 1)
    assert kept == [int(said[0])] == [int(row[0])]
    assert said[1] == row[1] == f"{100 * usage.max():.1f}"
    check_cells("keep", tuple(range(len(usage))), len(usage))  # The command counts from 0 too.
    svg = next((both / "figures").glob("causal-knock_out.svg")).read_text()
    assert [f">cell {i}<" in svg for i in range(4)] == [True] * 3 + [False]


def test_cells_count_from_0_in_every_name():
    """A memory that only ever uses cells 0 and 2 of 3: all sentences and tables name these."""
    usage = np.zeros((2, 1, 3))
    usage[..., 0], usage[..., 2] = 0.25, 0.75
    found = {
        "usage": usage, "entropy_all": {"nats": 0.56, "share": 0.51}, "dead": np.array([1]), "active": 1,
        "weights": np.array([0.9, 0.0, 0.1]),
    }  # fmt: skip
    out = [
        {"test": "knock_out", "cell": cell, "change": change, "low": change - 0.02, "high": change + 0.02}
        for cell, change in enumerate((-0.125, 0.0, -0.5))
    ]
    run = fake(cells=found, causal={"effects": out})
    assert sentences("cells", run) == [
        "It uses 2 of its 3 memory cells, with a usage entropy of 51 % of the maximum. Cell 2 is used most, "
        "in 75.0 % of the H-steps; the most weight goes to cell 0, 90.0 %."
    ]
    assert cells.use_table([run]).rows[0][4:] == ["cell 1", "cell 2, 75.0 %", "cell 0, 90.0 %"]
    assert sentences("causal", run) == [
        "Knocking out a single cell lowers exact accuracy by 50.0 points for cell 2, 12.5 points for cell 0; "
        "the other 1 cell has no measurable effect."
    ]
    assert attention._name(0) == "cell 0"
    drawing = maps.matrix("cells-together", run, np.ones((3, 3)), 1.0).drawing
    assert drawing is not None and re.findall(r">(\d)<", drawing.svg)[:6] == ["0", "1", "2"] * 2
    assert "cell + 1" not in (page.FOLDER / "film.js").read_text()


def test_learning_curves_leave_gaps_where_the_log_has_them(both):
    lines = [{"step": step, "train/lm_loss": 1.0 / step} for step in (10, 20, 30, 40, 100, 110)]
    lines[1:1] = [{"step": 15, "validation/lm_loss": 2.0}, {"step": 16, "train/lm_loss": float("nan")}]
    lines.append({"step": 120, "train/lm_loss": None})
    found = logged(lines, "train/lm_loss")
    assert found is not None
    np.testing.assert_array_equal(found["step"], [10, 20, 30, 40, np.nan, 100, 110])
    np.testing.assert_array_equal(np.isnan(found["value"]), np.isnan(found["step"]))
    one = logged(lines, "validation/lm_loss")
    assert one is not None and one["step"].tolist() == [15] and logged(lines, "test/lm_loss") is None

    page = (both / "report.html").read_text()
    assert re.findall(r'<section id="([^"]+)"', page)[1] == "learning"  # After the summary.
    svg = (both / "figures" / "learning-exact_accuracy.svg").read_text()
    for run in ("plain", "cells"):  # Several runs in one figure.
        assert f">{run}, train<" in svg and f">{run}, validation<" in svg
    numbers = np.load(both / "numbers.npz")
    assert numbers["plain/learning/validation/exact_accuracy/step"].tolist() == [4, 8]


def test_no_figure_of_an_earlier_report_stays(runs, tmp_path):
    folder = tmp_path / "figures"
    probe([runs["plain"]], f"out={tmp_path}")
    drawn = {path.name for path in folder.iterdir()}
    for name in ("cells-usage-3.svg", "mine.png"):
        (folder / name).write_text("earlier")
    probe([runs["plain"]], f"out={tmp_path}", "overwrite=true")
    assert {path.name for path in folder.iterdir()} == drawn | {"mine.png"}


def test_sentences_claim_nothing_within_an_interval():
    measured = "does not measurably change exact accuracy (-3.0 points, 95 % interval -7.5 to +1.5)"
    assert change(-0.03, -0.075, 0.015) == measured
    assert change(-0.03, -0.05, -0.01) == "lowers exact accuracy by 3.0 points (95 % interval 1.0 to 5.0)"
    assert change(0.03, 0.01, 0.05) == "raises exact accuracy by 3.0 points (95 % interval 1.0 to 5.0)"

    def said(value: float) -> str:
        found = {"null_corrected": value, "low": value - 0.05, "high": value + 0.05}
        (sentence,) = sentences("information", fake(information={"rule": found}))
        return sentence

    numbers = "(null-corrected information 0.100 nats, 95 % interval 0.050 to 0.150)"
    assert said(0.1) == f"Which cells are active depends on the rule {numbers}."
    assert said(0.0).startswith("There is no evidence that the active cells depend on the rule (null-")
    assert said(-0.1).startswith("Each rule uses the cells more evenly than by chance, so they do not")

    def residual(area: float) -> list[str]:
        return sentences("dynamics", fake(dynamics={"auroc": {"z_H": area}, "chance": [0.4, 0.6]}))

    assert residual(float("nan")) == []
    assert "does not tell right answers from wrong ones (AUROC 0.50;" in residual(0.5)[0]
    assert "where z_H changes little" in residual(0.7)[0] and "z_H changes much" in residual(0.3)[0]


@pytest.mark.parametrize(
    ("exact", "says"),
    [
        ([0.1, 0.5, 0.5, 0.5], "as in training. Running it for 4 steps does not change that."),
        ([0.1, 0.5, 0.4, 0.25], "Left running for 4 steps, it solves 25.0 %."),
        ([0.1, 0.5, 0.75, 0.6], "it solves 60.0 %; its best is 75.0 %, after 3 steps."),
        (
            [0.1, 0.5, 0.6, 0.5],
            "it solves 50.0 %; its best is 60.0 %, after 3 steps.",
        ),
    ],
)
def test_what_more_steps_give_is_said(exact, says):
    found = {"exact": np.array(exact), "first_solved": np.ones(20)}
    (sentence,) = sentences("accuracy", fake(accuracy={"near": found, "far": found}))
    assert says in sentence


def test_validation_is_said_to_end_at_its_best_or_not():
    def said(values: list[float]) -> str:
        log = {"step": np.array([10.0, 20.0, np.nan, 40.0]), "value": np.array(values)}
        (sentence,) = sentences("learning", fake(learning={"validation/exact_accuracy": log}))
        return sentence

    assert "highest at the end of training, 30.0 %." in said([0.1, 0.2, np.nan, 0.3])
    assert "highest at optimiser step 20, 40.0 %, and 30.0 % at the end" in said([0.1, 0.4, np.nan, 0.3])
    assert sentences("learning", fake(learning={"train/lm_loss": {}})) == []


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [(1, 3, "no evidence"), (1, 19, "comes from its memory"), (19, 1, "no evidence")],
)
def test_an_episode_that_does_not_rise_is_no_memory_at_work(first, last, says):
    def at(shares) -> dict:
        low, high = wilson(np.array(shares), 20)
        return {"exact": np.array(shares), "low": low, "high": high}

    without = dict.fromkeys(("reset", "frozen", "shuffled"), at([first / 20, 0.05]))
    best = {"with_memory": np.array([0.1, 1.0]), "without_memory": 0.1}
    found = {"episodes": 20, "optimum": best, "kept": at([first / 20, last / 20]), **without}
    assert says in " ".join(sentences("episodes", fake(episodes=found)))


def test_a_section_its_numbers_its_words_and_its_file_have_one_name(both, episodic, contextual):
    texts = yaml.safe_load((page.FOLDER / "texts.yaml").read_text())
    runs = json.loads((both / "numbers.json").read_text())["runs"].values()
    for folder in (episodic, contextual):
        runs = [*runs, *json.loads((folder / "numbers.json").read_text())["runs"].values()]
    assert {name for run in runs for name in run} == {"about", *SECTIONS}
    assert {key.partition("-")[0] for key in texts} == {"overview", *SECTIONS}
    probes = Path(accuracy.__file__).parents[2] / "probes"
    assert [name for name in SECTIONS if not (probes / f"{name}.py").exists()] == ["learning", "films"]
    drawn = {path.stem for folder in (both, episodic, contextual) for path in (folder / "figures").iterdir()}
    assert {name.partition("-")[0] for name in drawn} == {*SECTIONS} - {"films"}


def test_contents_name_every_section(both):
    page = (both / "report.html").read_text()
    assert set(re.findall(r'<li><a href="#([^"]+)"', page)) == sections(page) - {"summary"}


def test_numbers_are_those_of_the_functions(runs, both):
    numbers = np.load(both / "numbers.npz")
    for name, path in runs.items():
        subject = open_subject(path, puzzles=6)
        near = over_steps(rollout(subject, 3))
        far = over_steps(rollout(subject.select([0, 1, 3, 4]), 6))  # Evenly spaced.
        for kind, found in (("near", near), ("far", far)):
            for key in ("exact", "token_accuracy", "first_solved"):
                np.testing.assert_array_equal(numbers[f"{name}/accuracy/{kind}/{key}"], found[key])
        plain = json.loads((both / "numbers.json").read_text())["runs"][name]
        assert plain["about"]["exact_accuracy"] == near["exact"][-1]
        assert plain["about"]["puzzles"] == 6
    assert "plain/cells/usage" not in numbers
    np.testing.assert_allclose(numbers["cells/cells/usage"].sum(axis=-1), 1)  # k = 1.


def test_the_optimiser_steps_are_those_of_the_weights():
    """The log goes on behind the best checkpoint."""
    subject = replace(small(None), step=4)
    run = ProbedRun(0, "a", subject, ReportSettings.of(), [{"step": 4}, {"step": 8}])
    assert _about(run)["step"] == 4


def test_page_needs_nothing_else(both):
    page = (both / "report.html").read_text()
    assert re.findall(r"""(?:src|href)=["'](?!#|data:)[^"']*""", page) == []
    assert not re.search(r"@import|url\((?!#)", page)
    ids = Counter(re.findall(r'\bid="([^"]+)"', page))
    assert [name for name, count in ids.items() if count > 1] == []
    wanted = set(re.findall(r'(?:xlink:href|href)="#([^"]+)"|url\(#([^)]+)\)', page))
    assert {a or b for a, b in wanted} <= set(ids)


def test_every_figure_says_what_it_shows(both):
    page = (both / "report.html").read_text()
    figure = r"<figure><h3>(.*?)</h3>.*?<title[^>]*>(.*?)</title>.*?<figcaption>(.*?)</figcaption>"
    found = re.findall(figure, page,
                       flags=re.DOTALL)  # fmt: skip
    assert len(found) == page.count("<figure>") == len(list((both / "figures").glob("*.svg"))) > 20
    assert all(heading and title and len(says) > 30 for heading, title, says in found)


def test_same_again(runs, alone, tmp_path):
    probe([runs["plain"]], f"out={tmp_path}")
    assert (tmp_path / "report.html").read_bytes() == (alone / "report.html").read_bytes()


def test_colours_follow_the_page():
    series = [Series("one", [1, 2]), Series("two", [2, 1], run=1)]
    drawing = curves("learning-lm_loss", series, name="a").drawing
    assert drawing is not None
    svg = drawing.svg
    assert svg.startswith("<svg") and svg.endswith("</svg>")
    assert figures.INK not in svg and "currentColor" in svg
    assert "var(--run-0, " in svg and "var(--run-1, " in svg
    assert "<style" not in svg and "<metadata" not in svg and 'width="360' not in svg
    assert re.findall(r'\bid="(?!a-)', svg) == []
    file = drawing.file()
    assert "prefers-color-scheme:dark" in file and "http" not in file.replace("http://www.w3.org", "")


def test_shades_are_as_opaque_as_the_value():
    colours = maps.SHADES((np.array([0.0, 0.5, -1.0, 9.0]) + 1) / 2)
    np.testing.assert_allclose(colours[:, 3], [0, 0.5, 1, 1], atol=0.01)
    np.testing.assert_allclose(colours[[1, 2], :3], [maps.POSITIVE, maps.NEGATIVE])
    assert maps.SHADES(np.ma.masked_invalid([np.nan]))[0, 3] == 0


def test_text_of_a_run_is_escaped():
    table = page.table("information-table", [["<b>", "1", "2"]])
    html = page.render("<i>", overview=table, summary={"<u>": ["<s>"]}, sections={})
    for tag in "<b>", "<i>", "<u>", "<s>":
        assert tag not in html and tag.replace("<", "&lt;").replace(">", "&gt;") in html


def test_film_holds_what_was_answered():
    task, answer = Sudoku(side=4), "1234341221434321"
    puzzle = task.encode(["1..4" + "." * 12], [answer])
    inputs, labels = puzzle.inputs[0], puzzle.labels[0]
    one = {"inputs": inputs, "labels": labels, "tokens": np.stack([inputs, labels]), "q": [0.25, 0.5]}
    data = film_data(task, [one])
    (shot,) = data["shots"]
    assert (data["rows"], data["columns"], data["boxes"]) == (4, 4, (2, 2))
    assert shot["frames"] == ["1  4" + " " * 12, answer] and shot["answer"] == answer
    assert shot["given"] == [1, 0, 0, 1] + [0] * 12
    assert shot["question"] == "" and shot["q"] == [0.25, 0.5]


def test_a_head_that_was_not_trained_is_not_judged(runs):
    """Nor does the film say what it thinks."""
    subject = replace(open_subject(runs["plain"], puzzles=2), judges=False)
    run = ProbedRun(0, "a", subject, ReportSettings.of(), [])
    assert SECTIONS["q_head"].compute(run) is None
    found = SECTIONS["films"].compute(run)
    assert found and not any("q" in one for one in found.values())
    assert not any("q" in shot for shot in film_data(subject.task, list(found.values()))["shots"])
    assert not recall("loss.q_halt=0").judges and recall().judges


def test_the_best_without_memory_is_that_of_all_questions(monkeypatch):
    """Where facts are told first, memory helps at the first question too."""
    drawn, part, rising = [], SimpleNamespace(drawing="chart"), [0.25, 1.0]
    monkeypatch.setattr(episodes, "curves", lambda key, series, **words: drawn.append(series) or part)
    summary = {"exact_accuracy_by_position": [0.5, 0.5], "episodes": 9, "optimum_by_position": [1.0, 1.0]}
    episodes.position_drawing("a", {"run": summary | {"optimum_without_memory": 0.25}})
    episodes.position_drawing("a", {"run": summary | {"optimum_by_position": rising}})  # An old summary.
    found = {"optimum": {"with_memory": np.ones(2), "without_memory": 0.25}}
    kept = {"exact": np.ones(2), "low": np.ones(2), "high": np.ones(2)}
    numbers = {"episodes": found | {"kept": kept}}
    run: Any = SimpleNamespace(numbers=numbers, label="a", index=0, remembers=False)
    episodes.show([run])
    for series in drawn:
        (blind,) = [one for one in series if one.label == "best without memory"]
        assert list(blind.y) == [0.25, 0.25]
    assert len(drawn) == 3


def test_what_is_given():
    sudoku, maze = Sudoku(side=4), Maze(side=2)
    puzzle = sudoku.encode(["1..4" + "." * 12], ["1234341221434321"])
    inputs, labels = puzzle.inputs[0], puzzle.labels[0]
    assert given(sudoku, inputs, labels).tolist() == [True, False, False, True] + [False] * 12
    assert not given(sudoku, inputs, np.where(labels == 2, 3, labels - 1)).any()  # Relabelled.
    walls = np.array([1, 2, 3, 4])
    assert given(maze, walls, np.array([1, 5, 3, 4])).tolist() == [True, False, True, True]


def test_first_solved_histogram():
    run = fake(accuracy={"far": {"first_solved": np.array([1, 1, 2, 5, 9, 0])}})
    vars(run)["far"] = SimpleNamespace(exact=np.zeros((9, 6), bool))
    names, (line,) = accuracy.histogram([run])
    assert names == ["1", "2", "3-4", "5-8", "9", "never"]
    np.testing.assert_allclose(line.y, np.array([2, 1, 0, 1, 1, 1]) / 6)


def test_plain_data():
    numbers = {"a": {"b": np.arange(3), "c": np.zeros(300)}, "d": float("nan"), "e": [{"f": np.float32(1)}]}
    found = plain(numbers)
    assert np.isnan(found.pop("d")) and found == {"a": {"b": [0, 1, 2]}, "e": [{"f": 1.0}]}
    assert set(flat(numbers)) == {"a/b", "a/c", "d"}


def test_runs_of_the_command_line():
    assert labels([Path("x/a"), Path("x/b")]) == ["a", "b"]
    assert labels([Path("x/a"), Path("y/a")]) == ["x/a", "y/a"]


def error(capsys, *words: str) -> str:
    """What the command says when it fails, which is one line."""
    assert command_line("probe", main, *words) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and said.startswith("error: ")
    return said


def test_errors(runs, tmp_path, capsys):
    run = f"run={runs['plain']}"
    assert "no run" in error(capsys, f"run={tmp_path}")
    half = tmp_path / "half"
    half.mkdir()
    shutil.copy(runs["plain"] / "config.yaml", half)
    assert "checkpoint" in error(capsys, f"run={half}")
    assert "puzzles is 0" in error(capsys, run, "puzzles=0")
    assert "depth is 0" in error(capsys, run, "depth=0")
    assert "noise is 0" in error(capsys, run, "noise=0")
    assert "each run once" in error(capsys, f"run=[{runs['plain']},{runs['plain']}]")
    assert "few_puzzles" in error(capsys, run, "few_puzzle=3")
    assert not (half / "probe").exists()


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
def test_without_what_a_report_needs(tmp_path, package):
    body = "from memhrm.probe import command, main; command('probe', main)"
    code = f"import sys; sys.modules[{package!r}] = None; {body}"
    done = subprocess.run(
        [sys.executable, "-c", code, f"run={tmp_path / 'nowhere'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )  # Before the run is looked for.
    assert done.returncode == 2
    assert done.stderr == f"error: {package} is not installed; install it with pip install 'memhrm[probe]'\n"
