"""Runs on contexts: their scores by facet and by the number of contexts, the table and the figure."""

import json
import sys

import numpy as np
import pytest

from memhrm.data import load as load_data
from memhrm.data.episodes.capacity import hashed
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.runs import contexts
from memhrm.runs.directory import RunDirectory
from memhrm.weights.restore import from_run
from tiny import call, train

WORDS = (
    "data=contexts", "data.alphabet=2", "data.length=2", "data.covers=false", "data.cue_symbols=300",
    "data.visits=3", "data.contexts=[1,2]", "data.test_contexts=3", "data.curve=[1,4]", "data.asks=all",
    "data.test_episodes=20", "data.train_size=2", "data.test_size=2", "validation_size=0", "eval_every=0",
    "steps=12", "optim.ema=0", "halting.halt_max_steps=1", "+memory=multicell", "memory.cells=4", "k=1",
    "memory.tokens=2", "memory.gate=all", "eval_batch_size=7",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("contexts") / "run"
    assert train(path, *WORDS) == 0
    return path


@pytest.fixture(scope="module")
def summary(run):
    return json.loads((run / "summary.json").read_text())


def test_scores_by_facet_are_those_of_the_answers(run, summary):
    restored = from_run(run)
    episodes = load_data(**restored.run.data).held_out()
    exact = np.zeros(episodes.best.shape)
    for moment in walk(restored.model, episodes, EvaluationSettings(steps=1)):
        exact[:, moment.at] = moment.answers.exact
    assert 0 < exact.mean() < 1 and set(episodes.facets) == {"visit", "gap"}
    for name, facet in episodes.facets.items():
        for numbers, key in ((exact, f"exact_accuracy_by_{name}"), (episodes.best, f"optimum_by_{name}")):
            sums: dict = {}
            for index, number in zip(facet.index.ravel(), numbers.ravel()):
                if index >= 0:
                    sums.setdefault(facet.values[index], []).append(number)
            assert summary[key] == pytest.approx({value: np.mean(all) for value, all in sums.items()})
    assert list(summary["exact_accuracy_by_visit"]) == ["1", "2", "3"]
    assert summary["exact_accuracy_by_position"] == pytest.approx(exact.mean(axis=0))


def test_the_log_counts_the_puzzles_of_the_training(run):
    """Six steps with one context and six with two, each of which is visited three times."""
    directory = RunDirectory(run)
    counts = [line["train/puzzles"] for line in directory.metrics() if "train/puzzles" in line]
    assert sum(counts) == directory.config()["batch_size"] * 6 * (1 + 2) * 3
    assert len(counts) > 1


def test_a_summary_says_what_is_held_by_the_number_of_contexts(run, summary):
    assert list(summary["series"]) == ["contexts=1", "contexts=4"]
    for one, count in ((summary, 3), *zip(summary["series"].values(), (1, 4))):
        first, second = (one["optimum_by_visit"][visit] for visit in "12")
        held = count * (one["exact_accuracy_by_visit"]["2"] - first) / (second - first)
        assert one["contexts"] == count and one["contexts_held"] == pytest.approx(held)
        assert one["bits_held"] == pytest.approx(held) and one["held_by_perfect"] == count
        assert one["held_by_hash"] == pytest.approx(count * hashed(4, count))


def test_the_command_that_evaluates_gives_the_same_and_other_numbers_of_contexts(run, summary, tmp_path):
    out = tmp_path / "scores.json"
    assert call("evaluate", f"run={run}", f"out={out}", "progress=false", "batch_size=7") == 0
    found = json.loads(out.read_text())
    for name in ("series", "contexts_held", "exact_accuracy_by_gap"):
        assert found[name] == summary[name]
    words = (f"run={run}", f"out={out}", "progress=false", "overwrite=true")
    assert call("evaluate", *words, "data.test_contexts=2", "data.test_episodes=5") == 0
    found = json.loads(out.read_text())
    assert found["contexts"] == 2 and found["episodes"] == 5
    assert call("evaluate", *words, "data.test_length=2") == 2


def test_a_table_and_a_figure_show_contexts_held_beside_the_references(run, summary, tmp_path, capsys):
    again = tmp_path / "again"
    assert train(again, *WORDS, "seed=1", "memory.cells=8", "data.curve=[2]") == 0
    capsys.readouterr()
    assert call("compare", str(run), str(again)) == 0
    text = capsys.readouterr().out
    held, exact = (
        {line[:27].strip(): line[27:].split() for line in part.splitlines() if line}
        for part in text.split("contexts held\n")[1].split(
            "exact accuracy at the second visit to a context\n"
        )
    )
    assert held["contexts of an episode"] == ["1", "2", "4"]
    assert held["best possible"] == ["1.0", "2.0", "4.0"] and exact["best possible"][0] == "100.0%"
    assert held["4 cells, by a hash"] == ["1.0", "2.2"] and held["8 cells, by a hash"] == ["1.8"]
    for name, at in (("run", ("contexts=1", "contexts=4")), ("again", ("contexts=2",))):
        told = json.loads((run if name == "run" else again).joinpath("summary.json").read_text())["series"]
        assert held[name] == [f"{told[one]['contexts_held']:z.1f}" for one in at]
        assert exact[name] == [f"{told[one]['exact_accuracy_by_visit']['2']:.1%}" for one in at]
    assert "puzzle of the episode" not in text
    pytest.importorskip("matplotlib")
    assert "4 cells, by a hash" in (run / "contexts.svg").read_text() and not (run / "episodes.svg").exists()
    out = tmp_path / "both.svg"
    assert call("compare", str(run), str(again), f"figure={out}") == 0
    assert all(f">{label}<" in out.read_text() for label in ("run", "again", "8 cells, one context each"))


def test_without_matplotlib_a_line_says_what_to_install(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    for name in [name for name in sys.modules if name.startswith("memhrm.report")]:
        monkeypatch.delitem(sys.modules, name)
    assert train(tmp_path / "run", *WORDS, "steps=1", "data.curve=[]") == 0
    said = capsys.readouterr().out
    assert (
        said.count("no figure: matplotlib is not installed; install it with pip install 'memhrm[probe]'") == 1
    )
    assert not list((tmp_path / "run").glob("*.svg"))
    assert list(contexts.test_sets(json.loads((tmp_path / "run" / "summary.json").read_text()))) == [3]
