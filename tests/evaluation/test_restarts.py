"""Restarts from disturbed states: the noise, the selection rules and evaluation, against slow references."""

import json
import math
from collections import Counter
from functools import lru_cache

import numpy as np
import pytest
import torch

from conftest import SHAPE, model_settings
from memhrm.config.command import compose
from memhrm.config.settings import SettingWarning
from memhrm.data import Examples, Sudoku
from memhrm.data.episodes.episodes import alone as each_alone
from memhrm.data.examples import examples_of
from memhrm.data.sampler import batch_of
from memhrm.evaluate import main
from memhrm.evaluation.answers import EvaluationSettings, answer
from memhrm.evaluation.evaluate import evaluate
from memhrm.evaluation.restarts import RULES, Attempts
from memhrm.evaluation.rollout import Noise
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.system.ranks import Ranks
from memhrm.training.losses import stablemax_cross_entropy
from tiny import command_line, train

CPU = Ranks(0, 1, torch.device("cpu"))
TASK = Sudoku(side=4)
PUZZLES, STEPS, K, SIGMA = 7, 3, 4, 2.0


# Rules.


def made(seed: int, restarts: int = 5, rows: int = 40) -> Attempts:
    """Return answers of two tokens out of two and q_halt out of three values, with ties of every kind."""
    rng = np.random.default_rng(seed)
    tokens = rng.integers(1, 3, (restarts, rows, 2))
    q, residual = (rng.integers(-1, 2, (restarts, rows)).astype(np.float32) for _ in range(2))
    return Attempts(tokens, q, residual, rng.random((restarts, rows)) < 0.2)


def by_hand(rule: str, one: Attempts) -> int:
    """Return the restart selected among K restarts of one puzzle, by sorting."""
    order = range(len(one.tokens))
    if rule == "q":
        return min(order, key=lambda k: (-one.q_halt[k], k))
    if rule == "residual":
        return min(order, key=lambda k: (one.residual[k], k))
    if rule == "oracle":
        return min([k for k in order if one.exact[k]], default=0)
    texts = [str(tokens) for tokens in one.tokens.tolist()]
    votes = Counter(texts)

    def merit(k: int):
        same = [float(one.q_halt[i]) for i in order if texts[i] == texts[k]]
        return -votes[texts[k]], -sum(same) / len(same), -one.q_halt[k], k

    return min(order, key=merit)


@pytest.mark.parametrize("rule", RULES)
def test_rules_choose_as_by_hand(rule):
    for seed in range(5):
        attempts = made(seed)
        chosen = RULES[rule](attempts)
        for row, found in enumerate(chosen.tolist()):
            assert found == by_hand(rule, Attempts(*(each[:, row] for each in attempts)))
    assert len(set(chosen.tolist())) > 2


@pytest.mark.parametrize(
    ("answers", "q", "best"),
    [
        ("ABBC", [9, 0, 1, 8], 2),  # The most frequent answer, from its most confident restart.
        ("ABAB", [0, 3, 4, 2], 3 - 2),  # A tie: B has the higher mean, 2.5 to 2, though A has the highest q.
        ("AABB", [1, 3, 2, 2], 1),  # A tie of means: the most confident.
        ("ABCD", [0, 5, 5, 1], 1),  # No two agree: the most confident, the first of equals.
        ("AAAB", [-9, -8, -7, 9], 2),
    ],
)
def test_majority_of_hand_made_answers(answers, q, best):
    tokens = np.array([[[ord(letter), 0]] for letter in answers])
    values = np.array(q, dtype=np.float32)[:, None]
    assert RULES["majority"](Attempts(tokens, values, values, values > 0)).tolist() == [best]


# Noise.


def test_noise_is_a_function_of_seed_restart_step_and_place():
    zero = torch.zeros(3, 5, 40)
    memory = {"m": torch.ones(3, 2)}

    def noise(seed=0, restart=1, step=1, places=(4, 9, 2), sigma=0.5) -> State:
        rows = len(places)
        memory_rows = {name: m[:rows] for name, m in memory.items()}
        noise = Noise(sigma=sigma, seed=seed, restart=restart)
        return noise.added(State(zero[:rows], zero[:rows], memory_rows), step, places)

    first = noise()
    assert torch.equal(first.z_H[1:2], noise(places=(9,)).z_H)
    assert torch.equal(first.z_L[2:3], noise(places=(2,)).z_L)
    assert torch.equal(first.memory["m"], memory["m"])
    assert torch.equal(noise(sigma=1.0).z_L, 2 * first.z_L)
    for other in (noise(seed=1), noise(restart=2), noise(step=2), noise(places=(5, 8, 1))):
        assert not (other.z_H == first.z_H).any() and not (other.z_L == first.z_L).any()
    assert not (first.z_H == first.z_L).any() and not (first.z_H[0] == first.z_H[1]).any()
    many = noise(places=(1, 2, 3))
    values = torch.cat((many.z_H.flatten(), many.z_L.flatten())).numpy()
    assert values.mean() == pytest.approx(0, abs=0.05) and values.std() == pytest.approx(0.5, rel=0.05)
    low = Noise(sigma=0.5, restart=1).added(State(zero.bfloat16(), zero.bfloat16(), {}), 1, (4, 9, 2))
    assert low.z_H.dtype == torch.bfloat16
    torch.testing.assert_close(low.z_H.float(), first.z_H, atol=0.01, rtol=0.01)


# Evaluation.


def puzzles_of(labels: np.ndarray | None = None) -> Examples:
    inputs = np.random.default_rng(0).integers(1, SHAPE.vocab_size, (PUZZLES, 16)).astype(np.uint8)
    return examples_of(inputs, inputs if labels is None else labels)


def tensors(puzzles: Examples) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in batch_of(puzzles).items()}


@torch.no_grad()
def alone(model, puzzles: Examples, place: int, settings: EvaluationSettings, restart: int, start=None):
    """Run one puzzle in one restart, step by step; return its last step and the answer after each step."""
    inputs = torch.from_numpy(puzzles.inputs[place : place + 1].astype(np.int32))
    puzzle_rows = model.puzzles(torch.zeros(1, dtype=torch.int32))
    state = model.initial_state(1) if start is None else start
    answers = []
    for step in range(1, settings.steps + 1):
        before = state
        if settings.noise and (settings.restarts == 1 or restart):
            noise = Noise(sigma=settings.noise, seed=settings.seed, restart=restart)
            state = noise.added(state, step, [place])
        state, out = model(state, inputs, puzzle_rows)
        answers.append(out.logits[0].argmax(dim=-1).numpy())
        if settings.threshold is not None and torch.sigmoid(out.q_halt) > settings.threshold:
            break
    residual = float((state.z_H - before.z_H).norm() / before.z_H.norm())
    return answers, float(out.q_halt), residual, state


def everything(model, puzzles: Examples, settings: EvaluationSettings) -> list[list]:
    return [
        [alone(model, puzzles, place, settings, restart) for place in range(PUZZLES)]
        for restart in range(settings.restarts)
    ]


@lru_cache
def planted(threshold: float | None = None) -> tuple[Reasoner, Examples, list[list]]:
    """Return a model that is sometimes confident, puzzles whose labels are answers of one of the restarts,
    and the results of all restarts."""
    torch.manual_seed(0)
    model = Reasoner(model_settings(), SHAPE).eval()
    torch.nn.init.normal_(model.q_head.weight)
    torch.nn.init.constant_(model.q_head.bias, -3.0)
    settings = EvaluationSettings(steps=STEPS, threshold=threshold, restarts=K, noise=SIGMA)
    runs = everything(model, puzzles_of(), settings)
    labels = np.stack([runs[place % K][place][0][-1] for place in range(PUZZLES)]).astype(np.uint8)
    labels[-1] = 1 + labels[-1] % 5  # No restart gives this answer.
    return model, puzzles_of(labels), runs


@pytest.mark.parametrize("threshold", [None, 0.5])
@pytest.mark.parametrize("select", RULES)
def test_evaluation_with_restarts_equals_one_puzzle_in_one_restart_at_a_time(select, threshold):
    model, puzzles, runs = planted(threshold)
    settings = EvaluationSettings(
        steps=STEPS, restarts=K, noise=SIGMA, select=select, threshold=threshold, batch_size=4
    )
    found = evaluate(model, TASK, each_alone(puzzles), settings, CPU)
    labels = puzzles.labels.astype(int)

    def right(tokens: np.ndarray, place: int) -> bool:
        return bool(((tokens == labels[place]) | (labels[place] == 0)).all())

    exact = np.array([[right(one[0][-1], place) for place, one in enumerate(run)] for run in runs])
    assert 0 < exact.any(axis=0).mean() < 1 and 0 < exact[0].mean() < exact.any(axis=0).mean()
    by_step, accuracy, q_right, steps = np.zeros(STEPS), [], [], []
    for place in range(PUZZLES):
        attempts = Attempts(
            np.stack([run[place][0][-1] for run in runs]),
            np.array([run[place][1] for run in runs]),
            np.array([run[place][2] for run in runs]),
            exact[:, place],
        )
        answers, q, *_ = runs[by_hand(select, attempts)][place]
        by_step += [right(answers[min(step, len(answers) - 1)], place) for step in range(STEPS)]
        labelled = labels[place] > 0
        accuracy.append((answers[-1] == labels[place])[labelled].mean())
        q_right.append((q > 0) == right(answers[-1], place))
        steps.append(len(answers))
    assert found["exact_accuracy_by_step"] == pytest.approx(by_step / PUZZLES)
    assert found["exact_accuracy"] == pytest.approx(by_step[-1] / PUZZLES)
    assert found["accuracy"] == pytest.approx(np.mean(accuracy))
    assert found["q_halt_accuracy"] == pytest.approx(np.mean(q_right))
    assert found["steps"] == pytest.approx(np.mean(steps))
    assert found["exact_accuracy_single"] == pytest.approx(exact.mean())
    assert found.get("upper_bound", False) == (select == "oracle")
    if threshold is not None:
        assert len({len(one[0]) for run in runs for one in run}) > 1  # Some stop early, some do not.


def test_no_rule_beats_the_oracle_and_the_batch_size_changes_nothing():
    model, puzzles, _ = planted()
    scores = {}
    for select in RULES:
        results = [
            evaluate(model, TASK, each_alone(puzzles), EvaluationSettings(
                steps=STEPS, restarts=K, noise=SIGMA, select=select, batch_size=size), CPU)
            for size in (3, 16)
        ]  # fmt: skip
        for name, value in results[1].items():
            assert value == pytest.approx(results[0][name], rel=1e-5), name
        scores[select] = results[0]["exact_accuracy"]
    assert max(scores.values()) == scores["oracle"] == pytest.approx(6 / 7)
    assert len(set(scores.values())) > 1


def test_of_several_restarts_the_first_has_no_noise_and_a_single_one_has():
    model, puzzles, _ = planted()

    def z_H(restarts: int, noise: float, seed: int = 0) -> torch.Tensor:
        settings = EvaluationSettings(
            steps=STEPS, restarts=restarts, noise=noise, seed=seed, select="q" if restarts == 1 else "oracle"
        )
        with torch.no_grad():  # The oracle takes the first restart of puzzle 6, which none solves.
            start = model.initial_state(PUZZLES)
            return answer(model, tensors(puzzles), settings, start, np.arange(PUZZLES)).state.z_H[6]

    plain = z_H(1, 0.0)
    assert torch.equal(z_H(K, SIGMA), plain)
    assert not torch.equal(z_H(1, SIGMA), plain)
    assert not torch.equal(z_H(1, SIGMA), z_H(1, SIGMA, seed=1))
    assert torch.equal(z_H(1, 0.0, seed=1), plain)


@pytest.mark.parametrize("restarts", [1, K])
def test_an_answer_begins_at_the_given_state_and_hands_back_each_rows_last_one(restarts):
    """This holds for rows that stop early and for the selected restart, too."""
    model, puzzles, _ = planted()
    generator = torch.Generator().manual_seed(1)
    size = model.initial_state(PUZZLES).z_H.shape
    start = State(torch.randn(size, generator=generator), torch.randn(size, generator=generator), {})
    with torch.no_grad():
        rows = model.puzzles(torch.zeros(PUZZLES, dtype=torch.int32))
        _, first = model(start, tensors(puzzles)["inputs"], rows)
    # A threshold between two rows in the middle: some stop at once, none is close to it.
    middle = torch.sigmoid(first.q_halt.sort().values[PUZZLES // 2 - 1 :][:2].mean()).item()
    settings = EvaluationSettings(
        steps=STEPS, threshold=middle, restarts=restarts, noise=SIGMA if restarts > 1 else 0.0
    )
    with torch.no_grad():
        found = answer(model, tensors(puzzles), settings, start, np.arange(PUZZLES))
    for place in range(PUZZLES):
        own = State(start.z_H[place : place + 1], start.z_L[place : place + 1], {})
        runs = [alone(model, puzzles, place, settings, restart, own) for restart in range(restarts)]
        answers, q, residual, state = max(runs, key=lambda run: run[1])
        for name in ("z_H", "z_L"):
            mine, other = getattr(found.state, name)[place], getattr(state, name)[0]
            torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)
        assert found.tokens[place].tolist() == answers[-1].tolist()
        assert found.steps[place] == len(answers)
        assert found.q_halt[place].item() == pytest.approx(q, rel=1e-4)
        assert found.residual[place].item() == pytest.approx(residual, rel=1e-4)
    assert restarts > 1 or len(set(found.steps.tolist())) > 1


def test_one_restart_without_noise_is_plain_evaluation():
    """The sums equal those of a loop over whole batches, with each loss taken where its row stops."""
    model, puzzles, _ = planted()
    settings = EvaluationSettings(steps=STEPS, threshold=0.9, batch_size=PUZZLES)
    found = evaluate(model, TASK, each_alone(puzzles), settings, CPU)
    assert 1 < found["steps"] < STEPS
    inputs, labels = (tensors(puzzles)[name] for name in ("inputs", "labels"))
    state, rows = model.initial_state(PUZZLES), torch.arange(PUZZLES)
    loss = torch.zeros((), dtype=torch.float64)
    for step in range(STEPS):
        puzzle_rows = model.puzzles(torch.zeros(len(rows), dtype=torch.int32))
        with torch.no_grad():
            state, out = model(state, inputs[rows], puzzle_rows)
        stop = (out.q_halt > math.log(0.9 / (1 - 0.9))) | (step == STEPS - 1)
        count = (labels[rows[stop]] > 0).sum(dim=-1, keepdim=True)
        loss += (stablemax_cross_entropy(out.logits[stop], labels[rows[stop]]) / count).sum(dim=-1).sum()
        rows, state = rows[~stop], State(state.z_H[~stop], state.z_L[~stop], {})
    assert found["lm_loss"] == pytest.approx((loss / PUZZLES).item(), rel=1e-12)
    assert "exact_accuracy_single" not in found and "upper_bound" not in found


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"restarts": 0}, "restarts is 0; allowed: 1 or above"),
        ({"noise": -0.1}, "noise is -0.1; allowed: 0 or above"),
        ({"noise": float("nan")}, "noise is nan; allowed: a finite number"),
        ({"restarts": 3}, "noise is 0.0; allowed: above 0, with restarts=3"),
        ({"select": "best"}, "select is 'best'; allowed: q, residual, majority, oracle"),
        ({"seed": -1}, "seed is -1; allowed: 0 or above"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError) as error:
        EvaluationSettings(steps=2, **values)
    assert str(error.value).startswith(message)


def test_a_choice_among_one_is_warned_of():
    with pytest.warns(SettingWarning, match="select=majority has no effect with restarts=1"):
        EvaluationSettings(steps=2, select="majority")


def test_the_command_says_what_restarts_gain(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "steps=2", "eval_every=0") == 0
    capsys.readouterr()
    given = [f"run={run}", "restarts=3", "noise=0.5", "select=oracle", "progress=false", "threads=1"]
    main(compose("evaluate", given))
    printed = capsys.readouterr().out
    assert "the best of 3 restarts by oracle, an upper bound: it sees the labels; a single one" in printed
    written = json.loads((run / "metrics.json").read_text())
    assert 0 <= written["exact_accuracy_single"] <= written["exact_accuracy"]
    assert written["upper_bound"] is True
    assert {name: written["settings"][name] for name in ("restarts", "noise", "select", "seed")} == {
        "restarts": 3, "noise": 0.5, "select": "oracle", "seed": 0}  # fmt: skip
    losses = set()
    quiet = ("overwrite=true", "progress=false", "threads=1")
    for seed in (0, 0, 1):
        main(compose("evaluate", [f"run={run}", "noise=0.5", f"seed={seed}", *quiet]))
        losses.add(json.loads((run / "metrics.json").read_text())["lm_loss"])
    assert len(losses) == 2


def test_a_q_that_was_not_trained_is_not_asked(tmp_path, capsys):
    assert train(tmp_path / "run", "loss.q_halt=0", "steps=1") == 0
    words = [f"run={tmp_path / 'run'}", "progress=false", f"out={tmp_path / 'scores.json'}"]
    untrained = "as Q was not trained (loss.q_halt=0)"
    assert command_line("evaluate", main, *words, "threshold=0.4", "sure=q") == 2
    assert f"sure is 'q'; allowed: confidence, {untrained}" in capsys.readouterr().err
    assert command_line("evaluate", main, *words, "restarts=2", "noise=0.1") == 2
    assert f"select is 'q'; allowed: residual, majority, oracle, {untrained}" in capsys.readouterr().err
    assert command_line("evaluate", main, *words, "threshold=0.4") == 0
    assert json.loads((tmp_path / "scores.json").read_text())["settings"]["sure"] == "confidence"
