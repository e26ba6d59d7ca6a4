"""Every command refuses given settings that change nothing; sizes, numbers and types."""

import json
from pathlib import Path

import pytest

from memhrm import evaluate, probe
from memhrm.config.command import compose, given
from memhrm.config.settings import MOST, build, convert
from memhrm.data import load as load_data
from memhrm.memory.exchange import ExchangeSettings
from memhrm.memory.none import NO_MEMORY
from memhrm.models.settings import ModelSettings
from memhrm.runs.settings import RunSettings, parse
from memhrm.train import main
from memhrm.training.halting import Halting
from memhrm.training.optim import OptimSettings
from memhrm.training.supervision import LossSettings
from tiny import call, command_line, said, train, write_set

pytestmark = pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")

GIVEN = {
    "optim.muon_lr=0.1": "optim.muon_lr is 0.1, which changes nothing with optim=adam_atan2; leave it out",
    "loss.q_continue=1": "loss.q_continue is 1, which changes nothing with halting.rule=sigmoid;",
    "+memory=multicell k=2 memory.selector=all": "k is 2, which changes nothing with memory.selector=all",
    "probe_every=5": "probe_every is 5, which changes nothing with probe=none",
    "data.test_file=x.csv": "data.test_file is x.csv, which changes nothing with data.path=null",
    "+memory=bicross memory.rate=0.5": "memory.rate is 0.5, which changes nothing with memory.lifetime",
    "+memory=bicross memory.expansion=2.0": "memory.expansion is 2.0, which changes nothing with model."
    "expansion=1.0: the inner width is 256 with both",
    "+memory=bicross memory.placement=replace model.H_net=own model.H_layers=1 model.L_layers=0 "
    "model.L_cycles=0 model.positions=axial_rope": "model.positions is axial_rope, which changes nothing "
    "beside axial",
    "model.gradient_window=whole": "model.gradient_window is whole, which changes nothing with model.H",
    "data=arc data.path=x data.augment=false data.variants=9": "data.variants is 9, which changes nothing "
    "with data.augment=false",
    "data=arc data.path=x data.augment=false data.test_size=null data.seed=1": "data.seed is 1, which "
    "changes nothing with data.augment=false and no size",
    "data=arc data.path=x data.draw=published data.test_size=null data.seed=1": "data.seed is 1, which "
    "changes nothing with data.draw=published and no size",
}


@pytest.mark.parametrize("words", GIVEN)
def test_a_given_setting_without_effect_is_refused_in_one_line(words, tmp_path, capsys):
    assert train(tmp_path / "run", *words.split()) == 2
    assert said(capsys).startswith(GIVEN[words])
    assert not (tmp_path / "run").exists()


def test_what_a_file_sets_or_says_that_it_is_off_is_not_refused():
    config = compose("train", ["+memory=multicell", "memory.selector=all", "optim.muon_lr=0.1"])
    assert parse(config).optim.muon_lr == 0.1
    off = "loss.policy=0", "memory.shared_cell=false", "memory.decay=0", "k=8"
    given = frozenset(word.partition("=")[0] for word in off)
    parse(compose("train", ["+memory=multicell", "memory.selector=all", *off]), given)


USED_BESIDE = {
    "model.H_cycles=1 model.L_cycles=1 model.gradient_window=": ("last_cycle", "{cycles:1}"),
    "model.H_cycles=1 model.L_cycles=2 model.gradient_window=": ("one_step",),
    "+memory=bicross model.hidden_size=256 memory.expansion=2.0 ": ("memory.tokens=9",),
    "data=arc data.path=x data.seed=1 ": ("data.variants=9", "data.draw=published data.test_size=9"),
    "+memory=multicell memory.score_scale=none ": (
        *("k=2", "k=1 memory.gate=all", "k=1 loss.information=0.1", "k=1 memory.load_bias=0.1"),
        *("k=1 memory.score_noise=0.1", "k=1 memory.straight_through=read", "k=1 memory.selector=policy"),
        "k=1 memory.projections=2 memory.combine=logsumexp",
    ),
}


@pytest.mark.parametrize(
    "words", [f"{one}{more}" for one, several in USED_BESIDE.items() for more in several]
)
def test_what_has_an_effect_beside_the_others_is_not_refused(words):
    parse(compose("train", words.split()), given(words.split()))


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("evaluated") / "run"
    assert train(path) == 0
    return path


EVALUATED = {
    "select=oracle": "select is oracle, which changes nothing with restarts=1",
    "seed=3": "seed is 3, which changes nothing with noise=0",
    "write=false": "write is false, which changes nothing with a run without memory",
    "threshold=0.5 halt_max_steps=1": "threshold is 0.5, which changes nothing with halt_max_steps=1",
    "data.test_length=3": "data.test_length is 3, which changes nothing with a run that has no episodes",
    "data.test_contexts=3": "data.test_contexts is 3, which changes nothing with a run that has no episodes",
    "data.test_episodes=3": "data.test_episodes is 3, which changes nothing with a run that has no episodes",
}


@pytest.mark.parametrize("words", EVALUATED)
def test_evaluation_refuses_what_changes_nothing(words, run, capsys):
    assert command_line("evaluate", evaluate.main, f"run={run}", *words.split()) == 2
    assert said(capsys).startswith(EVALUATED[words])


USED = {  # Settings of evaluation, and the effect of each on its scores.
    "halt_max_steps=1": "exact_accuracy_by_step", "threshold=0.0001": "steps", "noise=5": "lm_loss",
    "weights=raw": "lm_loss", "precision=bfloat16": "lm_loss", "data.test_size=5": "puzzles",
    "noise=5 seed=1": "lm_loss", "noise=5 restarts=2": "exact_accuracy_single",
    "noise=5 restarts=2 select=oracle": "upper_bound",
}  # fmt: skip


def test_what_evaluation_is_given_shows_in_its_scores(run, tmp_path, capsys):
    def scores(words: str) -> dict:
        out = tmp_path / "scores.json"
        given = [f"run={run}", f"out={out}", "overwrite=true", "progress=false", "device=cpu", *words.split()]
        assert command_line("evaluate", evaluate.main, *given) == 0, capsys.readouterr().err
        return json.loads(out.read_text())

    found = {words: scores(words) for words in ("", *USED)}
    for words, name in USED.items():
        without = words.rpartition(" ")[0]
        before = found.get(without, found[""])
        assert found[words][name] != before.get(name), words


def test_probing_refuses_what_changes_nothing(run, capsys):
    for words, message in (
        ("restarts=1 noise=0.3", "noise is 0.3, which changes nothing with restarts=1"),
        ("causal_puzzles=9", "causal_puzzles is 9, which changes nothing with runs that write no memory"),
        ("shuffles=9", "shuffles is 9, which changes nothing with runs without memory cells"),
    ):
        assert command_line("probe", probe.main, f"run={run}", "progress=false", *words.split()) == 2
        assert said(capsys).startswith(message)
    assert not (run / "probe").exists()


def test_probing_refuses_restarts_of_a_run_that_learned_no_q(tmp_path, capsys):
    run = tmp_path / "run"
    assert train(run, "steps=1", "loss.q_halt=0") == 0
    for word in ("restarts=2", "noise=0.3"):
        assert command_line("probe", probe.main, f"run={run}", "progress=false", word) == 2
        name, _, value = word.partition("=")
        assert said(capsys).startswith(f"{name} is {value}, which changes nothing with runs whose Q-head")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["match=flops"], "match is flops, which changes nothing without target"),
        (["target=model=trm", "vs=seed=1"], "vs is seed=1, which changes nothing with target"),
        (["target=model=trm", "optim.lr=1"], "optim.lr is 1, which changes nothing with target"),
        (["eval_every=3"], "eval_every is 3, which changes nothing of what is measured"),
        (["vs=data.seed=3"], "data.seed is 3, which changes nothing of what is measured"),
        (["vs=optim.muon_lr=3"], "optim.muon_lr is 3, which changes nothing with optim=adam_atan2"),
    ],
)
def test_measuring_refuses_what_changes_nothing(words, message, capsys):
    assert call("bench", *words) == 2
    assert said(capsys).startswith(message)


def test_files_of_any_size_need_no_other_setting(tmp_path, capsys):
    """The sizes in the files are the generator's; validation takes at most half of the held-out puzzles."""
    kinds = {"name": "s", "kind": "sudoku", "side": 4, "max_clues": 8}
    write_set(tmp_path / "own", load_data(**kinds, train_size=20, test_size=12))
    words = f"data.path={tmp_path / 'own'}", "steps=1", "validation_size=null"
    given = frozenset({"data.path", "steps"})
    small = [
        "model.hidden_size=16",
        "batch_size=2",
        "threads=1",
        "progress=false",
        "eval_every=0",
        "device=cpu",
    ]
    config = compose("train", [*small, f"dir={tmp_path / 'run'}", *words])
    assert main(config, given) == 0
    assert json.loads((tmp_path / "run/summary.json").read_text())["puzzles"] == 6
    run = parse({**config, "data": {**config["data"], "test_size": 4}}, given | {"data.test_size"})
    assert (run.data["test_size"], run.data["train_size"], run.validation_size) == (4, None, 2)

    (tmp_path / "own/test.csv").unlink()
    again = f"data.path={tmp_path / 'own'} data.test_size=null validation_size=2".split()
    capsys.readouterr()
    assert train(tmp_path / "alone", *again) == 2
    assert "train.csv alone leaves nothing to test on; or give data.holdout=N" in said(capsys)
    assert train(tmp_path / "alone", again[0], "data.holdout=6", "validation_size=2") == 0


def test_files_without_a_folder_are_trained_on(tmp_path, monkeypatch, capsys):
    """They are found again from any folder; what a generator would need is refused."""
    kinds = {"name": "s", "kind": "sudoku", "side": 4, "max_clues": 8}
    write_set(tmp_path / "own", load_data(**kinds, train_size=30, test_size=24))
    monkeypatch.chdir(tmp_path / "own")
    files, sizes = ["data.train_file=./train.csv", "data.test_file=./test.csv"], ["data.test_size=null"]
    assert train(tmp_path / "run", *files, *sizes, "validation_size=4") == 0
    assert json.loads((tmp_path / "run/summary.json").read_text())["puzzles"] == 20
    whole = parse(compose("train", files), frozenset({"data.train_file", "data.test_file"}))
    assert (whole.data["train_size"], whole.data["test_size"]) == (None, None)

    capsys.readouterr()
    for word, message in (
        (
            "data.max_clues=7",
            f"changes nothing with data.train_file={tmp_path}/own/train.csv: nothing is gen",
        ),
        ("data.seed=3", "data.seed is 3, which changes nothing with data.train_file="),
        ("data.holdout=5", "data.test_file is ./test.csv, which changes nothing with data.holdout=5"),
    ):
        assert train(tmp_path / "other", *files, *sizes, word) == 2
        assert message in said(capsys)
    assert train(tmp_path / "other", files[0]) == 2
    assert said(capsys).startswith(
        "data.train_file is ./train.csv, which changes nothing with data.path=null"
    )
    assert train(tmp_path / "held", files[0], "data.holdout=9", "validation_size=4") == 0

    monkeypatch.chdir(tmp_path)
    assert command_line("evaluate", evaluate.main, "run=run", "progress=false") == 0
    moved = ["data.train_file=own/train.csv", "data.test_file=own/test.csv"]
    assert train(tmp_path / "run", *moved, *sizes, "validation_size=4", "steps=9") == 0


@pytest.mark.parametrize("name", ["sudoku4", "sudoku6", "sudoku9", "maze", "recall", "episodes"])
def test_the_validation_set_of_a_shipped_set_is_what_it_was(name):
    assert parse(compose("train", [f"data={name}"])).validation_size == 100


NUMBERS = {
    "model.expansion=inf": ["model.expansion is inf", "a finite number"],
    "model.expansion=1e300": ["model.expansion is 1e+300", "a number above 0, up to"],
    "optim.lr=inf": ["optim.lr is inf", "a finite number"],
    "loss.lm=nan": ["loss.lm is nan", "a finite number"],
    "optim.clip=inf": ["optim.clip is inf", "a finite number or null"],
    f"batch_size={10**30}": ["batch_size is 1", "below 2**63"],
    f"batch_size={10**12}": ["batch_size is 1", f"1 to {MOST:,}"],
    f"steps={10**12}": ["steps is 1", f"1 to {MOST:,}"],
    f"model.hidden_size={10**18}": ["model.hidden_size is 1", f"1 to {MOST:,}"],
    f"optim.lr={10**400}": ["optim.lr is 1", "a finite number"],
    "threads=0": ["threads is 0", "1 or above"],
    f"data.seed={10**30}": ["data.seed is 1", "below 2**63"],
}


@pytest.mark.parametrize("words", NUMBERS, ids=lambda words: words[:30])
def test_numbers_that_overflow_are_refused_by_name(words, tmp_path, capsys):
    assert train(tmp_path / "run", words) == 2
    message = said(capsys)
    assert all(part in message for part in NUMBERS[words]), message


def test_wrong_types_from_python_are_value_errors():
    model = {
        "hidden_size": 16,
        "num_heads": 2,
        "L_layers": 1,
        "H_net": "shared",
        "H_cycles": 1,
        "L_cycles": 1,
    }
    made = parse(compose("train", []))
    calls = [
        lambda: ModelSettings.of(**{**model, "hidden_size": "wide"}),
        lambda: ModelSettings.of(**{**model, "H_net": None}),
        lambda: Halting.of(rule="sigmoid", threshold="0.5"),
        lambda: OptimSettings.of(name="adamw", betas=0.9),
        lambda: LossSettings.of(lm=None),
        lambda: ExchangeSettings.of(name="m", module="m", tokens="8"),  # pyright: ignore[reportArgumentType]
        lambda: RunSettings(**{**vars(made), "steps": "3"}),
        lambda: RunSettings(**{**vars(made), "model": None}),
        lambda: build(ModelSettings, None, "model"),  # pyright: ignore[reportArgumentType]
        lambda: build(ModelSettings, [1], ""),  # pyright: ignore[reportArgumentType]
        lambda: build(ModelSettings, {3: 1}, "model"),  # pyright: ignore[reportArgumentType]
        lambda: build(Halting, {None: 1}, ""),  # pyright: ignore[reportArgumentType]
        lambda: parse(None),  # pyright: ignore[reportArgumentType]
        lambda: parse({**compose("train", []), "memory": "bicross"}),
        lambda: parse({**compose("train", []), "model": "trm"}),
        lambda: convert(float("nan"), float, "x"),
        lambda: convert(float("-inf"), float | None, "x"),
    ]
    for number, make in enumerate(calls):
        with pytest.raises(ValueError) as error:
            make()
        assert "\n" not in str(error.value), number
    assert ModelSettings.of(**{**model, "expansion": 4}).expansion == 4.0
    assert made.memory == NO_MEMORY.within(False)
