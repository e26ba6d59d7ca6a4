"""A rollout is the model called step by step; its subject is the run, as evaluation sees it."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from conftest import SHAPE
from memhrm.config.command import compose
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.data.sudoku.task import Sudoku
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.evaluation.rollout import Noise
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.probes.rollout import measured, rollout
from memhrm.probes.subject import Subject, examples, open_subject
from memhrm.runs import checkpoint
from memhrm.runs.build import make_dataset
from memhrm.runs.directory import RunDirectory
from memhrm.runs.loop import split
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.supervision import in_precision
from tiny import TINY, train

CELLS = ("+memory=multicell", "memory.cells=4", "memory.tokens=2", "k=2")
MEMORIES = {
    "none": (),
    "carry_add": ("+memory=carry_add",),
    "bicross": ("+memory=bicross",),
    "cells": CELLS,
    "random": (*CELLS, "memory.selector=random", "memory.shared_cell=true", "memory.gate=all"),
}
STEPS, N = 3, 5


def model_of(name: str) -> Reasoner:
    """A tiny model with random heads and puzzle rows, still in training mode."""
    run = parse(compose("train", [*TINY, *MEMORIES[name], "model.H_cycles=2"]))
    torch.manual_seed(0)
    model = Reasoner(run.model, SHAPE, run.memory)
    torch.nn.init.normal_(model.q_head.weight)
    assert model.puzzles is not None
    torch.nn.init.normal_(model.puzzles.weight)
    return model


@pytest.fixture
def subject(batch):
    """Makes subjects of random puzzles, of which most cells have no label."""

    def make(name: str = "cells", n: int = N, **changes) -> Subject:
        data = batch(rows=n)
        data["labels"][:, 2:] = -100
        values = {
            "name": name,
            "path": None,
            "model": model_of(name),
            "task": Sudoku(side=4),
            "groups": {"rating": np.arange(n)},
            "halt_max_steps": STEPS,
            "write": True,
            **{name: data[name] for name in ("inputs", "labels", "identifiers")},
        }
        return Subject(**{**values, **changes})

    return make


def by_hand(subject: Subject, row: int, steps: int, state=None, write=True, sigma=0.0, seed=0):
    """The same of one puzzle, alone: what each supervision step began with, what it gave, what it said."""
    model, place = subject.model.eval(), int(subject.numbered()[row])
    state = model.initial_state(1) if state is None else state
    identifier = subject.identifiers[row : row + 1]
    size = (steps, model.settings.H_cycles, model.H_module.noise_size)
    uniform = torch.from_numpy(np.random.default_rng((place, 0xE7A1)).random(size, dtype=np.float32))
    told = []
    for step in range(steps):
        noise = uniform[step][None] if model.H_module.noise_in_evaluation else None
        before = state
        if sigma:
            state = Noise(sigma=sigma, seed=seed).added(state, step + 1, [place])
        with torch.no_grad():
            rows, guide = model.puzzle_rows(identifier), Guide(noise, write=write)
            state, out = model(state, subject.inputs[row : row + 1], rows, guide)
        told.append((before, state, out))
    return told


def named(state):
    own = {"z_H": state.z_H, "z_L": state.z_L}
    return own | {f"memory_{name}" if name in own else name: m for name, m in state.memory.items()}


def assert_near(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-5)


@pytest.mark.parametrize("name", MEMORIES)
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_a_rollout_is_the_model_step_by_step_whatever_the_batches(subject, name, sigma):
    looked_at = subject(name)
    names = list(named(looked_at.initial_state()))
    said = rollout(looked_at, STEPS, noise=sigma, seed=3).tokens
    for row in range(2):  # Two are right after one step or another.
        looked_at.labels[row, :2] = torch.from_numpy(said[row, row, :2])
    seen = rollout(looked_at, STEPS, noise=sigma, seed=3, keep=names, batch_size=2)
    assert seen.exact.any() and not seen.exact.all()
    for row in range(N):
        told = by_hand(looked_at, row, STEPS, sigma=sigma, seed=3)
        labels = looked_at.labels[row].numpy()
        for step, (before, after, out) in enumerate(told):
            answer = out.logits[0].argmax(dim=-1).numpy()
            right = (answer == labels)[labels != -100]
            np.testing.assert_array_equal(seen.tokens[step, row], answer)
            assert seen.exact[step, row] == right.all()
            assert_near(seen.accuracy[step, row], right.mean())
            assert_near(seen.q_halt[step, row], out.q_halt)
            assert_near(seen.q_continue[step, row], out.q_continue)
            for h, trace in enumerate(out.traces):
                assert trace.keys() == seen.traces.keys()
                for key, value in trace.items():
                    assert_near(seen.traces[key][step, h, row], value[0])
            for key in names:
                x, y = named(before)[key][0].numpy(), named(after)[key][0].numpy()
                assert_near(seen.states[key][step, row], x)
                assert_near(seen.states[key][step + 1, row], y)
                if key == "usage":
                    assert key not in seen.residual and key not in seen.norm
                    continue
                size = np.sqrt((x**2).sum())
                moved = np.sqrt(((y - x) ** 2).sum()) / size if size else np.nan
                assert_near(seen.residual[key][step, row], moved)
                assert_near(seen.norm[key][step, row], np.sqrt((y**2).mean()))
    assert len(seen) == STEPS


def test_the_memory_of_carry_add_does_not_hide_the_state(subject):
    seen = rollout(subject("carry_add"), 2)
    assert list(seen.residual) == ["z_H", "z_L", "memory_z_H"]
    assert np.isnan(seen.residual["memory_z_H"][0]).all()  # It starts at zero.
    np.testing.assert_array_equal(seen.norm["memory_z_H"], seen.norm["z_H"])
    state = subject("carry_add").initial_state()
    assert measured(state)["z_H"] is state.z_H


@pytest.mark.parametrize("name", ["none", "random"])
@pytest.mark.parametrize("sigma", [0.0, 0.5])
def test_as_evaluation_counts(subject, name, sigma):
    n = 40
    looked_at = subject(name, n)
    labels = looked_at.labels.numpy().clip(min=0).astype(np.uint8)
    labels[:, 1:] = 0
    puzzles = examples_of(
        looked_at.inputs.numpy(),
        labels,
        np.arange(n),
        ["a", "b"] * (n // 2),
        identifiers=looked_at.identifiers.numpy(),
    )
    looked_at = replace(looked_at, **examples(each_alone(puzzles)))
    how = EvaluationSettings(steps=4, batch_size=7, noise=sigma, seed=5)
    scores = evaluate(
        looked_at.model, looked_at.task, each_alone(puzzles), how, Ranks(0, 1, torch.device("cpu"))
    )
    seen = rollout(looked_at, 4, noise=sigma, seed=5, batch_size=16)
    assert len(set(scores["exact_accuracy_by_step"])) > 1
    assert_near(seen.exact.mean(axis=1), scores["exact_accuracy_by_step"])
    assert_near(((seen.q_halt[-1] > 0) == seen.exact[-1]).mean(), scores["q_halt_accuracy"])
    assert looked_at.groups["rating"].tolist() == list(range(n))
    assert looked_at.groups["source"].tolist() == ["a", "b"] * (n // 2)
    alike = replace(puzzles, ratings=np.full(n, -1, np.int32))
    assert list(examples(each_alone(alike))["groups"]) == ["source"]
    for shared, told in ((n, False), (n // 2 + 1, False), (n // 2, True), (1, False)):
        own = np.minimum(np.arange(n), shared - 1).astype(str).astype(object)  # So many different ones.
        assert ("source" in examples(each_alone(replace(puzzles, sources=own)))["groups"]) == told
    one_label = replace(puzzles, labels=1 + np.arange(n, dtype=np.int32)[:, None] % 2)
    assert examples(each_alone(one_label))["groups"]["category"].tolist() == [1, 2] * (n // 2)


def test_selected_puzzles_keep_what_is_drawn_for_them(subject):
    looked_at = subject("random")
    memory = {name: torch.randn(N, *m.shape[1:]) for name, m in looked_at.initial_state().memory.items()}
    looked_at = replace(looked_at, memory=memory)
    whole = rollout(looked_at, STEPS, noise=0.3)
    for rows in ([3, 0], slice(1, 4), torch.tensor([3, 0]), np.array([False, True, True, False, True])):
        part = looked_at.select(rows)
        places = np.arange(N)[rows.numpy() if isinstance(rows, torch.Tensor) else rows]
        seen = rollout(part, STEPS, noise=0.3)
        assert_near(seen.q_halt, whole.q_halt[:, places])
        np.testing.assert_array_equal(seen.traces["indices"], whole.traces["indices"][:, :, places])
        assert part.groups["rating"].tolist() == places.tolist()
    twice = rollout(looked_at.select([4, 3]).select([1]), STEPS, noise=0.3)
    assert_near(twice.q_halt, whole.q_halt[:, [3]])


def test_noise_is_a_function_of_seed_and_restart(subject):
    looked_at = subject()

    def q(**changes):
        return rollout(looked_at, 2, **{"noise": 0.5, "seed": 1, "restart": 1, **changes}).q_halt

    np.testing.assert_array_equal(q(), q())
    for other in ({"seed": 2}, {"restart": 2}, {"noise": 0.4}):
        assert (np.abs(q() - q(**other)) > 1e-4).any(axis=1).all()  # From the first step on.


def test_what_was_seen_of_some_puzzles_is_what_they_show(subject):
    one = subject()
    seen = rollout(one, STEPS, keep=("z_H", "cells"))
    for rows in (slice(2), np.array([4, 1])):
        part, alone = seen.select(rows), rollout(one.select(rows), STEPS, keep=("z_H", "cells"))
        for name in ("tokens", "exact", "accuracy", "q_halt", "q_continue"):
            np.testing.assert_allclose(getattr(part, name), getattr(alone, name), rtol=1e-4, atol=1e-5)
        for name in ("residual", "norm", "traces", "states"):
            found, expected = getattr(part, name), getattr(alone, name)
            assert set(found) == set(expected)
            for key, values in expected.items():
                np.testing.assert_allclose(found[key], values, rtol=1e-3, atol=1e-4, err_msg=f"{name} {key}")


def test_more_steps_begin_with_the_same_ones(subject):
    looked_at = subject("random")
    np.testing.assert_array_equal(
        rollout(looked_at, 2, noise=0.1).tokens, rollout(looked_at, 5, noise=0.1).tokens[:2]
    )


def test_start_is_where_it_starts(subject):
    looked_at = subject()
    names = ["z_H", "z_L", "cells", "usage"]
    whole = rollout(looked_at, 4, keep=names)
    z_H, z_L, cells, usage = (torch.from_numpy(whole.states[name][2]) for name in names)
    middle = looked_at.initial_state()._replace(z_H=z_H, z_L=z_L, memory={"cells": cells, "usage": usage})
    rest = rollout(looked_at, 2, start=middle, batch_size=2)
    assert_near(rest.q_halt, whole.q_halt[2:])
    np.testing.assert_array_equal(rest.tokens, whole.tokens[2:])
    remembering = replace(looked_at, memory=middle.memory)
    begun = looked_at.initial_state()._replace(memory=middle.memory)
    np.testing.assert_array_equal(rollout(remembering, 2).q_halt, rollout(looked_at, 2, start=begun).q_halt)
    assert (np.abs(rollout(remembering, 2).q_halt - whole.q_halt[:2]) > 1e-4).any()


def test_an_intervention_is_asked_before_each_step_and_has_its_way(subject):
    looked_at = subject()
    plain = rollout(looked_at, 4, keep=["z_H", "cells"])
    asked = []

    def anew_at_two(step, state):
        asked.append((step, state))
        return looked_at.model.initial_state(len(state.z_H)) if step == 2 else state

    seen = rollout(looked_at, 4, intervene=anew_at_two, batch_size=3, keep=["z_H", "cells"])
    assert [step for step, _ in asked] == [0, 1, 2, 3] * 2
    assert [len(state.z_H) for _, state in asked] == [3] * 4 + [2] * 4
    for step, state in asked[:4]:
        assert_near(seen.states["z_H"][step, :3], state.z_H)
        assert_near(seen.states["cells"][step, :3], state.memory["cells"])
    for half in (slice(0, 2), slice(2, 4)):
        assert_near(seen.q_halt[half], plain.q_halt[:2])
    # The residual is of what the step did, not of the intervention.
    assert_near(seen.residual["z_H"][2], plain.residual["z_H"][0])
    # All rows of a batch are there to be mixed.
    rolled = rollout(
        looked_at, 1, batch_size=N, intervene=lambda _, state: state._replace(z_H=state.z_H.roll(1, dims=0))
    )
    start = looked_at.initial_state()
    assert_near(rolled.q_halt, rollout(looked_at, 1, start=start._replace(z_H=start.z_H.roll(1, 0))).q_halt)


def test_write(subject):
    for writes, asked in ((True, False), (False, None)):
        looked_at = subject(write=writes)
        seen = rollout(looked_at, STEPS, write=asked, keep=["cells"])
        np.testing.assert_array_equal(seen.states["cells"][-1], seen.states["cells"][0])
        assert (seen.residual["cells"] == 0).all()
        told = by_hand(looked_at, 1, STEPS, write=False)
        assert_near(seen.q_halt[:, 1], torch.cat([out.q_halt for _, _, out in told]))
    assert (rollout(subject(write=False), STEPS, write=True).residual["cells"] > 0).all()


def test_cells_can_be_preferred_for_all_or_row_by_row(subject):
    looked_at = subject()
    out = rollout(looked_at, 2, prefer=torch.tensor([-torch.inf, 0, 0, -torch.inf]))
    assert set(out.traces["indices"].ravel()) == {1, 2}
    each = torch.zeros(N, 4)
    each[range(N), [0, 1, 2, 3, 0]] = torch.inf
    seen = rollout(looked_at, 2, prefer=each, batch_size=2)
    np.testing.assert_array_equal(seen.traces["indices"][..., 0], np.broadcast_to([0, 1, 2, 3, 0], (2, 2, N)))
    np.testing.assert_array_equal(
        rollout(looked_at, 2, prefer=torch.zeros(4)).q_halt, rollout(looked_at, 2).q_halt
    )


def test_in_the_precision_of_the_run(subject):
    looked_at = subject(dtype=torch.bfloat16)
    seen = rollout(looked_at, 2, keep=["z_H"])
    model, state = looked_at.model, looked_at.model.initial_state(N, torch.bfloat16)
    run, rows = in_precision(model, torch.bfloat16), model.puzzle_rows(looked_at.identifiers)
    with torch.no_grad():
        for step in range(2):
            state, out = run(state, looked_at.inputs, rows, Guide())
            np.testing.assert_array_equal(seen.q_halt[step], out.q_halt.float())
            np.testing.assert_array_equal(seen.states["z_H"][step + 1], state.z_H.float())


def test_progress_counts_rows_and_steps(subject):
    done = []
    rollout(subject(), 3, batch_size=2, progress=done.append)
    assert done == [2] * 3 + [2] * 3 + [1] * 3


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("steps is 0; allowed: 1 or above", {"steps": 0}),
        ("batch_size is 0; allowed: 1 or above", {"batch_size": 0}),
        ("noise is -1; allowed: 0 or above", {"noise": -1}),
        ("keep is 'm'; allowed: z_H, z_L, cells, usage", {"keep": ["z_H", "m"]}),
        ("the shape of prefer is (3,); allowed: (4,) or (5, 4)", {"prefer": torch.zeros(3)}),
    ],
)
def test_refused(subject, words, change):
    with pytest.raises(ValueError) as error:
        rollout(subject(), **{"steps": 1, **change})
    assert str(error.value) == words


def test_refused_without_cells_or_puzzles(subject):
    with pytest.raises(ValueError, match="the memory has no cells"):
        rollout(subject("bicross"), 1, prefer=torch.zeros(0))
    with pytest.raises(ValueError, match=r"^puzzles is 0; allowed: 1 or above$"):
        rollout(subject().select([]), 1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "small"
    assert train(path, *CELLS, "model.H_cycles=2", "memory.write_in_evaluation=false") == 0
    return path


def test_a_run_is_opened_with_the_puzzles_that_it_is_tested_on(run):
    looked_at = open_subject(run)
    content = checkpoint.read(RunDirectory(run).last)
    chosen = parse(content["config"])
    validation, test = split(chosen, make_dataset(chosen))
    assert len(validation) == len(test) == len(looked_at) == 10
    np.testing.assert_array_equal(looked_at.inputs, test.inputs[:, 0])
    np.testing.assert_array_equal(looked_at.labels, test.labels[:, 0])
    assert looked_at.inputs.dtype == looked_at.labels.dtype == torch.int32
    assert (looked_at.name, looked_at.path, looked_at.halt_max_steps) == ("small", run, 3)
    assert not looked_at.write and not looked_at.model.training
    averaged = content["average"]["module.q_head.weight"]
    torch.testing.assert_close(looked_at.model.q_head.weight.detach(), averaged)
    raw = open_subject(str(run), puzzles=4, checkpoint="best", weights="raw")
    best = checkpoint.read(RunDirectory(run).best)
    torch.testing.assert_close(raw.model.q_head.weight.detach(), best["model"]["q_head.weight"])
    np.testing.assert_array_equal(raw.inputs, test.inputs[[0, 2, 5, 7], 0])  # Evenly spaced.
    assert raw.numbered().tolist() == [0, 2, 5, 7] and raw.judges
    assert (looked_at.step, raw.step) == (content["step"], best["step"])
    other = open_subject(run, data={"test_size": 6})
    assert len(other) == 6


def test_evaluation_of_the_run_says_the_same(run):
    summary = RunDirectory(run).summary()
    assert summary is not None
    seen = rollout(open_subject(run), 3)
    assert_near(seen.exact.mean(axis=1), summary["exact_accuracy_by_step"])
    assert_near(seen.accuracy[-1].mean(), summary["accuracy"])
    assert summary["accuracy"] > 0


def test_what_is_no_whole_run_is_refused(run, tmp_path):
    content = checkpoint.read(RunDirectory(run).last)

    def refused(path, **how):
        with pytest.raises(ValueError) as error:
            open_subject(path, **how)
        assert "\n" not in str(error.value)
        return str(error.value)

    assert refused(tmp_path / "none") == f"{tmp_path / 'none'} holds no run (no config.yaml in it)"
    half = RunDirectory(tmp_path / "half")
    half.begin(content["config"], {})
    assert refused(half.path) == f"{half.last}: there is no such checkpoint"
    half.last.parent.mkdir()
    half.last.write_bytes(RunDirectory(run).last.read_bytes()[:1000])
    assert "last.pt is damaged or not a checkpoint" in refused(half.path)
    checkpoint.write(half.last, {**content, "format": 99})
    assert "has checkpoint format 99, which another version of memhrm wrote" in refused(half.path)
    assert refused(run, puzzles=0) == "puzzles is 0; allowed: 1 or above"
    assert "validation_size" in refused_with_all_for_validation(content, tmp_path)


def refused_with_all_for_validation(content, tmp_path):
    """A run whose puzzles all serve for validation leaves none to look at."""
    empty = RunDirectory(tmp_path / "empty")
    config = {**content["config"], "validation_size": 20}
    empty.begin(config, {})
    checkpoint.write(empty.last, {**content, "config": config})
    with pytest.raises(ValueError) as error:
        open_subject(empty.path)
    return str(error.value)
