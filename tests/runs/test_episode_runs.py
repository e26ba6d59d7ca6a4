"""Commands on runs trained on episodes."""

import json

import numpy as np
import pytest
import torch

import memhrm
from memhrm import prune
from memhrm.data import Episodes
from memhrm.data import load as load_data
from memhrm.data.__main__ import main as data_main
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.runs.summary import positions
from memhrm.weights.restore import from_run
from tiny import call, command_line, train

WORDS = (
    "data=recall", "data.lengths=[2]", "data.test_length=4", "data.test_episodes=6", "data.test_size=40",
    "validation_size=2", "steps=2", "batch_size=4", "model=trm", "model.hidden_size=16", "model.num_heads=2",
    "model.L_layers=1", "model.H_cycles=2", "halting.halt_max_steps=2", "+memory=multicell",
    "memory.shared_cell=false", "memory.cells=4",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("episodes") / "run"
    assert train(path, *WORDS) == 0
    return path


def test_a_chart_has_the_best_possible_where_it_is_known():
    found = {"exact_accuracy_by_position": [0.25, 1.0]}
    text = "\n".join(positions({"a": found}))
    assert " o a" in text and "best" not in text
    text = "\n".join(positions({"a": {**found, "optimum_without_memory": 0.5}}))
    assert "- best without memory  o a" in text and "best with memory" not in text


def test_a_solver_is_shown_examples_as_an_episode_shows_them(run):
    solver, restored = memhrm.load(run), from_run(run)
    episodes = load_data(**restored.run.data).held_out()
    assert isinstance(episodes, Episodes)
    expected = [
        moment.answers.tokens for moment in walk(restored.model, episodes, EvaluationSettings(steps=2))
    ]
    for row in range(3):
        questions, answers = (
            [solver.task.decode(tokens) for tokens in part[row]]
            for part in (episodes.inputs, episodes.labels)
        )
        for known in range(4):
            examples = list(zip(questions, answers))[:known]
            assert solver.solve([questions[known]], examples=examples) == [
                solver.task.decode(expected[known][row].numpy())
            ]
    logits = [solver.last_step(episodes.inputs[:1, 0], n).output.logits for n in (1, 2)]
    assert not torch.equal(*logits)  # The number of supervision steps matters.


def test_examples_are_for_models_of_episodes(tmp_path):
    assert train(tmp_path / "plain", "steps=1") == 0
    solver = memhrm.load(tmp_path / "plain")
    with pytest.raises(
        ValueError, match=r"examples is .*; allowed: none, as the training was not on episodes"
    ):
        solver.solve(["." * 16], examples=[("." * 16, "1" * 16)])


def test_cells_are_pruned_by_what_they_do_in_episodes(run, tmp_path, capsys):
    out = tmp_path / "pruned"
    assert (
        command_line("prune", prune.main, f"run={run}", "keep=3", f"out={out}", "puzzles=8", "progress=false")
        == 0
    )
    assert "usage on 8 training puzzles" in capsys.readouterr().out
    origin = json.loads((out / "origin.json").read_text())
    assert origin["puzzles"] == 8 and origin["validation"]["before"]["episodes"] == 2
    usage = np.array(origin["usage"])
    assert usage.sum() == pytest.approx(2) and origin["kept"] == sorted(np.argsort(-usage, kind="stable")[:3])


def test_runs_of_several_tasks_have_charts_of_their_own(run, tmp_path, capsys):
    other = tmp_path / "other"
    assert train(other, *WORDS, "data.alphabet=3") == 0
    capsys.readouterr()
    assert call("compare", str(run), str(other)) == 0
    text = capsys.readouterr().out
    assert text.count("exact accuracy by puzzle of the episode") == 2
    best = [line.split()[3:] for line in text.splitlines() if line.startswith("best with memory ")]
    summaries = [json.loads((path / "summary.json").read_text()) for path in (run, other)]
    assert best == [[f"{share:.1%}" for share in one["optimum_by_position"]] for one in summaries]
    assert (
        len(positions({"one": summaries[0], "same": summaries[0]}))
        < len(positions({"one": summaries[0]})) + 2
    )


def test_inspect_says_what_is_possible_in_an_episode(tmp_path, capsys):
    data_main(["inspect", "recall", "test_length=3"])
    text = capsys.readouterr().out
    assert "recall: 1 x 6 tokens out of 5, a label per token" in text and "in episodes of 3 puzzles" in text
    assert "exact at best 4.7% without memory; with it 4.7% at puzzle 1, 94.5% at puzzle 2, 99.9% at" in text
    assert "different digits: " in text
    data_main(["build", "recall", f"out={tmp_path}", "train_size=10", "test_size=5", "length=5"])
    with pytest.raises(ValueError, match="its first question has 5 cells; allowed: square grids"):
        data_main(["inspect", f"path={tmp_path}"])


def test_the_figure_has_a_curve_of_each_run_and_the_best_possible(run, tmp_path):
    pytest.importorskip("matplotlib")
    assert "best with memory" in (run / "episodes.svg").read_text()
    again = tmp_path / "again"
    assert train(again, *WORDS, "seed=5") == 0
    out = tmp_path / "new" / "both.svg"
    assert call("compare", str(run), str(again), f"figure={out}") == 0
    drawn = out.read_text()
    assert all(f">{label}<" in drawn for label in ("run", "again", "best with memory", "best without memory"))
