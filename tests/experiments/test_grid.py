"""The studies: their grids, launching, rows, statistics, and the files they make."""

import errno
import json
import math
import os
import re
import signal
import stat
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch.backends.cpu import get_cpu_capability

from experiments import cells, main_table, robustness, text
from experiments.grid import results
from experiments.grid.again import again, compare, spread
from experiments.grid.comparison import comparison, contrast_cells
from experiments.grid.job import _missing, _run
from experiments.grid.launch import held, launch
from experiments.grid.measures import addresses, depth, noisy
from experiments.grid.page import Page, Table, latex, plain
from experiments.grid.results import arrange, curves
from experiments.grid.run import ROOT, Run, Task, Variant, baselines, complete, grid, merge
from experiments.grid.stats import contrasts, differences, estimate, holm
from experiments.grid.study import PAPER, Study, main
from experiments.grid.tasks import MAZE, PUZZLES, SUDOKU4, SUDOKU6
from experiments.grid.variants import CONTROLS, MEMORIES, MODELS, equal, sized
from experiments.main_table import BASELINES
from experiments.tables import NAMES, QUOTING, RESULTS, files, paper, quote, stale, studies, typed, unmade
from memhrm.config.command import compose, given
from memhrm.cost.matching import cost
from memhrm.data.settings import parse as parse_data
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.probes.addresses import address_numbers
from memhrm.probes.subject import open_subject
from memhrm.runs.settings import parse
from planted import contexts
from tiny import TINY, train

WORDS = tuple(word for word in TINY if "progress" not in word and "threads" not in word)


def run_of(variant: str, *overrides: str, measures: tuple[str, ...] = ()) -> Run:
    return Run("tiny", variant, 3, (*WORDS, *overrides), measures)


# Grids.


def test_a_grid_is_every_variant_on_every_task_seed_by_seed():
    variants = [Variant("plain"), Variant("plain").change("more", "c=3", "d=4")]
    runs = grid(dict.fromkeys([Task("A", ("a=1",)), Task("B", ("a=2",))], variants), [0, 1])
    assert [(run.seed, run.task, run.variant) for run in runs[:3]] == [
        (0, "A", "plain"),
        (0, "A", "more"),
        (0, "B", "plain"),
    ]
    assert [run.seed for run in runs] == [0] * 4 + [1] * 4
    assert runs[3].settings == ("a=2", "c=3", "d=4")
    assert baselines(variants) == {"more": "plain"}


def test_studies_share_the_runs_that_both_ask_for(tmp_path):
    one, other = run_of("x", measures=("depth",)), run_of("x", measures=("inside", "depth"))
    merged = merge([one, other, run_of("x", "steps=9")], tmp_path)
    assert [run.measures for run in merged] == [("depth", "inside"), ()]
    assert len({run.folder(tmp_path) for run in merged}) == 2


THOROUGH = pytest.mark.thorough


def combinations(scale: str) -> list[tuple[str, ...]]:
    """Return the settings of all runs but for their seeds: those that have most words first."""
    scaled = [study for study in studies() if (study.name, scale) != ("recipes", "cpu")]
    every = {run.settings for study in scaled for run in study.runs(scale)}
    return sorted(every, key=lambda words: (-len(words), words))


def check(words):
    """Check settings as the training command does, which refuses those that change nothing."""
    parse(compose("train", words), given(words))


@pytest.fixture
def texts(tmp_path, monkeypatch):
    """Stand in a folder with files in the place of the texts that the user has: a text of each category."""
    (tmp_path / "runs/data/intent").mkdir(parents=True)
    for name, count in (("banking77", 77), ("clinc150", 150)):
        for part in ("train", "test"):
            lines = ["text,category", *(f"some text,category {number}" for number in range(count))]
            (tmp_path / f"runs/data/intent/{name}_{part}.csv").write_text("\n".join(lines))
    (tmp_path / "runs/data/text.txt").write_text("some text " * 99)
    for name in ("docs", "LICENSE"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)


@THOROUGH
@pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")
@pytest.mark.parametrize("scale", ["cpu", "smoke", "gpu"])
def test_every_setting_of_every_grid_is_known(scale, texts):
    """Each setting in one combination in which it stands."""
    seen: set[str] = set()
    for words in combinations(scale):
        if not seen.issuperset(words):
            seen |= {*words}
            check(words)


@THOROUGH
@pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")
@pytest.mark.parametrize("scale", ["cpu", "smoke", "gpu"])
def test_every_combination_of_settings_is_possible(scale, texts):
    for words in combinations(scale):
        check(words)


@pytest.mark.parametrize("scale", ["cpu", pytest.param("smoke", marks=THOROUGH)])
def test_every_run_on_texts_is_possible(scale, texts):
    """What is drawn from files, and what is not, differs from run to run."""
    every = {run.settings for run in text.STUDY.runs(scale)}
    assert len(every) > 9
    for words in every:
        check(words)


def test_every_memory_and_control_has_its_baseline():
    for scale in ("smoke", "cpu", "gpu"):
        runs = main_table.STUDY.runs(scale)
        present = {(run.task, run.variant, run.seed) for run in runs}
        pairs = [(run.task, BASELINES[run.variant], run.seed) for run in runs if run.variant in BASELINES]
        assert pairs and set(pairs) <= present
        for run in runs:  # With the memories' gradient window.
            if run.variant in BASELINES.values():
                assert "model.gradient_window={cycles:2}" in run.settings


def test_a_model_has_the_size_of_its_scale():
    HRM = Variant("HRM", None, ("model=hrm", "+memory=bicross"))
    variants = [HRM, HRM.change("replaced", "memory.placement=replace"), Variant("TRM", None, ("model=trm",))]
    assert [variant.overrides[-2:] for variant in sized(variants, "cpu")] == [
        ("model.L_layers=1", "model.H_layers=1"),
        ("model.L_layers=1", "model.H_layers=1"),
        ("model=trm", "model.L_layers=1"),
    ]


def test_the_longer_training_has_the_best_rates_that_were_tried():
    path = robustness.STUDY.results("cpu")
    if not path.exists():
        pytest.skip("no rows yet")
    assert robustness.chosen(results.arrange(results.read(path))["rates"]) == robustness.RATE


@pytest.mark.parametrize("task", [SUDOKU6, *(pytest.param(one, marks=THOROUGH) for one in (SUDOKU4, MAZE))])
def test_controls_of_equal_size_are_of_equal_size(task):
    """As many parameters, or FLOPs, as the mean of the model's memories after the level."""
    words = next(one.overrides for one in PUZZLES["cpu"] if one.name == task)

    def size(variant: Variant) -> np.ndarray:
        found = cost(compose("train", (*words, *variant.overrides)))
        return np.array([found.parameters, found.flops])

    beside = sized([one for one in MEMORIES if one.name.endswith("augment")], "cpu")
    for model in ("HRM", "TRM"):
        memories = np.mean([size(one) for one in beside if one.name.startswith(model)], axis=0)
        equally = np.stack([size(one) for one in equal(task, "cpu", [model])])
        assert equally.diagonal() == pytest.approx(memories, rel=0.07)


@pytest.mark.parametrize("task", PUZZLES["cpu"], ids=lambda task: task.name)
def test_memories_start_from_the_first_weights_of_their_baseline(task):
    def weights(variant: Variant) -> dict[str, torch.Tensor]:
        run = parse(compose("train", (*task.overrides, *variant.overrides)))
        torch.manual_seed(1)
        return Reasoner(run.model, puzzle_shape(parse_data(run.data).task()), run.memory).state_dict()

    first = {one.name: weights(one) for one in sized(MODELS, "cpu") if one.name in {*BASELINES.values()}}
    for memory in sized([*MEMORIES, *CONTROLS], "cpu"):
        before, own = first[memory.baseline or ""], weights(memory)
        shared = {name for name in own if name in before and not name.startswith("H_module.")}
        assert {"lm_head.weight", "q_head.weight", "H_init", "L_init"} <= shared
        assert [name for name in shared if not torch.equal(before[name], own[name])] == [], memory.name


def test_the_measure_of_addresses_is_that_of_the_probe():
    subject = contexts(2, by="cue")
    found, probe = addresses(subject), address_numbers(subject)
    assert all(np.ndim(value) == 0 for value in found.values())  # A column each.
    assert found["agreement"] == 1 and found["overwritten"] == probe["overwritten"]["value"] > 0
    assert found["information"] == probe["information"]["value"] <= np.log(2) + 1e-9
    assert {name for name in found if "low" in name} == {
        "information_null_low", *(f"retention_{gap}_low" for gap in probe["retention"])
    }  # fmt: skip
    assert found["retention_3-8"] == probe["retention"]["3-8"]["exact"]


def test_a_row_of_a_changed_tree_says_so():
    environment = {
        "git": {"commit": "0123456789abcdef", "changed": True},
        "device": "cpu",
        "packages": {"torch": "2"},
    }
    assert results.provenance(environment)["commit"] == "0123456789ab+"
    environment["git"]["changed"] = False
    assert results.provenance(environment)["commit"] == "0123456789ab"
    assert results.provenance({**environment, "git": None})["commit"] == ""


# Launching.


def test_a_grid_keeps_what_is_finished_and_names_what_fails(tmp_path, capfd):
    tmp_path /= "of Zoë, (1) [a]=b"
    runs = [run_of("good", "steps=2", measures=("depth",)), run_of("bad", "data.side=5")]
    good, bad = (run.folder(tmp_path) for run in runs)
    bad.mkdir(parents=True)
    (bad / "job.json").write_text('{"measures": ["inside"]}')  # Of a study that shares the run, and waits.
    wrong = launch(runs, tmp_path, "local", ["workers=2"])
    assert json.loads((bad / "job.json").read_text())["measures"] == ["inside"]
    assert list(wrong) == [bad] and "data.side is 5" in wrong[bad]
    assert complete(good, runs[0]) and not complete(bad, runs[1])
    bar = capfd.readouterr().err
    assert "1/2" in bar and "failed=1" in bar
    before = (good / "summary.json").stat().st_mtime_ns
    assert launch(runs[:1], tmp_path, "local", []) == {}
    assert (good / "summary.json").stat().st_mtime_ns == before
    restarted, deeper = noisy(subject := open_subject(good)), depth(subject)  # Of the same puzzles here.
    assert restarted["depth_times"] == deeper["times"] and restarted["depth_exact"] == deeper["exact"]
    assert restarted["depth_exact"][0] == restarted["q_1"][0]

    config = (good / "config.yaml").read_text()
    (good / "config.yaml").write_text(config.replace("warmup: 2", "warmup: 7"))
    assert "optim.warmup is 2, but the run" in launch(runs[:1], tmp_path, "local", [])[good]
    (good / "config.yaml").write_text(config)

    rows, _ = results.collect(runs, tmp_path)
    assert len(rows) == 1
    row = rows.iloc[0]
    summary = json.loads((good / "summary.json").read_text())
    assert float(row["exact_accuracy"]) == pytest.approx(summary["exact_accuracy"], rel=1e-5)
    assert row["commit"] and len(row["config"]) == 8
    assert row["device"].startswith("cpu") and row["device"].endswith(get_cpu_capability())
    assert curves(rows, "depth.times").tolist() == [[1, 2, 4, 8, 16]]
    assert curves(rows, "depth.exact")[0, 0] == pytest.approx(summary["exact_accuracy"], rel=1e-5)
    assert float(row["flops"]) > 1e4
    assert row["depth"] == "3 x 1 x 1" and row["trained_puzzles"] == "0"  # None has had its three steps.
    steps, exact = curves(rows, "curve_steps"), curves(rows, "curve_exact")
    assert steps[0, -1] == 2 and exact.shape == steps.shape
    assert float(row["over_training"]) == pytest.approx(exact.mean(), rel=1e-5)


def test_a_run_of_other_defaults_gives_no_row(tmp_path, monkeypatch, capsys):
    run = run_of("plain", "steps=2")
    path, file = run.folder(tmp_path / "smoke"), tmp_path / "out/experiments/results/some-smoke.csv"
    assert train(path, "steps=2", "seed=3") == 0
    study = Study("some", None, lambda found: Page({}), lambda scale: [run])
    words = ["some", "--tables", "--runs", str(tmp_path), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", words)

    def rows() -> int:
        with pytest.raises(SystemExit, match="0"):
            main(study)
        return len(results.read(file))

    for name, now, before, why in (
        ("config.yaml", "warmup: 2", "warmup: 7", "optim.warmup is 2, but the run"),
        ("summary.json", '"step": 2,', '"step": 1,', "steps is 2; allowed: those of"),
    ):
        assert rows() == 1 and "left out" not in capsys.readouterr().err
        text = (path / name).read_text()
        (path / name).write_text(text.replace(now, before))
        assert rows() == 0
        said = capsys.readouterr().err
        assert f"left out: 1 run of other defaults than today's; the first: {why}" in said
        (path / name).write_text(text)


def test_what_killed_a_job_is_said(tmp_path, monkeypatch):
    (tmp_path / "dying.py").write_text(
        "import os, sys\nprint('a warning', flush=True)\nos.kill(os.getpid(), int(sys.argv[1]))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for number, said in ((9, "SIGKILL: often out of memory"), (11, "Segmentation fault")):
        with open(tmp_path / "output.txt", "a") as output:
            error = _run(["dying", str(number)], output, output.fileno())
        assert error == f"killed by signal {number} ({said}); its last line: a warning"


@pytest.mark.parametrize("lost", ["summary.json", "measure-depth.json"])
def test_a_measure_of_earlier_weights_is_done_again(lost, tmp_path):
    run = Run("T", "v", 0, ("s",), ("depth", "noisy"))
    job = {"settings": ["s"], "measures": run.measures}
    for time_ns, name in enumerate(("summary.json", "measure-depth.json", "measure-noisy.json")):
        (tmp_path / name).write_text("{}")
        os.utime(tmp_path / name, ns=(time_ns, time_ns))
    assert complete(tmp_path, run) and not list(_missing(tmp_path, job))
    (tmp_path / lost).unlink()
    asked = []
    for module, *words in _missing(tmp_path, job):
        asked.append(words[0] if module.endswith("measures") else "training")
        (tmp_path / "summary.json").touch()  # Newer than all measures.
    assert asked == (["training", "depth", "noisy"] if lost == "summary.json" else ["depth", "noisy"])
    assert not complete(tmp_path, run)


@pytest.mark.thorough
def test_rows_that_run_again_are_equal(tmp_path):
    runs = [run_of("good", "steps=2")]
    file, place = tmp_path / "some-cpu.csv", (1, 0, "local", ["workers=1"])
    with pytest.raises(ValueError, match="there are no results in"):
        again(runs, file, tmp_path / "again", *place)
    assert launch(runs, tmp_path, "local", []) == {}
    results.write(file, results.collect(runs, tmp_path)[0])
    table, failures, verdicts = again(runs, file, tmp_path / "again", *place)
    assert verdicts[0].passed and not failures
    assert table.rows[0][:3] == ["tiny", "good", "3"] and table.rows[0][-1] == "equal"
    results.write(file, results.read(file).assign(lm_loss="9"))
    table, _, verdicts = again(runs, file, tmp_path / "again", *place)
    assert not verdicts[0].passed and table.rows[0][-1] == "differs: lm_loss"
    with pytest.raises(ValueError, match="--rows is 2; allowed: 1 to 1"):
        again(runs, file, tmp_path / "again", 2, *place[1:])


@pytest.mark.parametrize("changed", [False, True, None])
def test_rows_run_again_with_the_code_of_today(changed, tmp_path, monkeypatch, capsys):
    """A run that another commit left is not taken, nor one of a tree that may have changed since."""
    run = Run("T", "some", 0, ("s",))
    where = {"commit": "before", "device": "cpu", "torch": "2"}
    rows = results.frame([a_row("some", 0, 0.5, **where, steps="1")])
    code = {"git": None, "device": "cpu", "packages": {"torch": "2"}}
    launched = []

    def launch(runs, root, launcher, settings):
        path = run.folder(root)
        launched.append((root, launcher, settings, path.exists()))
        path.mkdir(parents=True, exist_ok=True)
        return {}

    monkeypatch.setattr("experiments.grid.again.launch", launch)
    monkeypatch.setattr("experiments.grid.again.environment", lambda device: code)
    monkeypatch.setattr(
        "experiments.grid.again.collect", lambda runs, root: (rows.assign(device="other"), rows)
    )
    words = ["some", "--rows", "1", "--launcher", "slurm", "a=b"]
    monkeypatch.setattr(sys, "argv", [*words, "--runs", str(tmp_path), "--out", str(tmp_path)])
    results.write(tmp_path / "experiments/results/some-smoke.csv", rows)
    for commit in ("one", "two", "two"):
        code["git"] = None if changed is None else {"commit": commit, "changed": changed}
        with pytest.raises(SystemExit, match="0"):
            main(Study("some", None, lambda found: Page({}), lambda scale: [run]))
        assert capsys.readouterr().out.endswith("1 passed, 0 differ, 0 not judged\n")
    other = rows.assign(device="other", exact_accuracy="0.9")
    monkeypatch.setattr("experiments.grid.again.collect", lambda runs, root: (other, rows))
    with pytest.raises(SystemExit, match="1"):  # Nothing is known to be right.
        main(Study("some", None, lambda found: Page({}), lambda scale: [run]))
    assert capsys.readouterr().out.endswith("0 passed, 0 differ, 1 not judged\n")
    assert [there for *_, there in launched[:3]] == [False, False, changed is False]
    assert len({root for root, *_ in launched}) == (1 if changed is None else 2)
    assert {(launcher, *settings) for _, launcher, settings, _ in launched} == {("slurm", "a=b")}


def rows_of(*of_variants: list[float], **more: str) -> list[dict[str, str]]:
    """Return the rows of a task, by variant and seed, made on one processor."""
    place = {"task": "T", "settings": "s", "device": "cpu A", "torch": "2", "parameters": "5", **more}
    return [
        {**place, "variant": f"v{number}", "seed": f"{seed}", "exact_accuracy": f"{exact:.4g}", "loss": "1"}
        for number, of_seeds in enumerate(of_variants)
        for seed, exact in enumerate(of_seeds)
    ]


def test_a_row_must_be_equal_on_its_machine():
    old, *_ = rows = rows_of([0.5])
    assert str(compare(old, old | {"seconds": "9", "new": "1"}, rows)) == "equal"
    for changed in (old | {"loss": "1.0001", "new": "1"}, {n: c for n, c in old.items() if n != "loss"}):
        verdict = compare(old, changed, rows)
        assert str(verdict) == "differs: loss" and not verdict.passed


def test_a_row_lies_within_the_spread_of_seeds_on_another_machine():
    """Also where its variant has one seed, as the others' spread counts too."""
    rows = rows_of([0.85, 0.91, 0.88], [0.52, 0.47, 0.51], [0.95, 0.97, 0.91], [0.7])
    for old in (rows[0], rows[-1]):
        noise = {"device": "cpu B", "loss": "7"}
        for more, said in (
            ({"exact_accuracy": f"{float(old['exact_accuracy']) - 0.04:.4g}"}, "within the spread of seeds"),
            ({"exact_accuracy": "0"}, "differs: exact_accuracy"),
            ({"parameters": "6"}, "differs: parameters"),
            ({"parameters": "6", "exact_accuracy": "0"}, "differs: parameters"),
        ):
            verdict = compare(old, old | noise | more, rows)
            assert str(verdict) == said and verdict.passed == said.startswith("within")
        lost = {name: cell for name, cell in (old | noise).items() if name != "exact_accuracy"}
        assert str(compare(old, lost, rows)) == "differs: exact_accuracy"
        wrong = old | {"exact_accuracy": "0"}  # The committed one, which must not make the spread larger.
        assert not compare(wrong, old | noise, [wrong if row is old else row for row in rows]).passed


@pytest.mark.parametrize(
    ("column", "cell", "judged"),
    [
        ("positions.kept", "0.05 0.9 0.95", True),
        ("depth.exact", "0.9 0.95", True),
        ("noisy.q_0.25", "0.9 0.95", True),
        ("by_depth.2.exact_accuracy_by_hops.4", "0.5", True),
        ("series.contexts=32.contexts_held", "31.4", True),
        ("exact_accuracy_by_gap.33+", "0.9", True),
        ("addresses.agreement", "0.9", True),
        ("inside.zero_change", "-0.4", True),
        ("optimum_by_position", "0.05 0.94", True),  # From the data alone.
        ("noisy.restarts", "1 2", True),  # From the settings.
        ("exact_accuracy_by_gap.0", "1", False),  # Of a handful of answers.
        ("cells.usage", "0 0.7 0.3", False),  # The order of the cells is arbitrary.
        ("best.step", "150", False),
        ("samples.text", "once upon a time", False),
    ],
)
def test_what_the_tables_show_is_judged_on_another_machine(column, cell, judged):
    rows = rows_of([0.85, 0.91, 0.88], [0.52, 0.47, 0.51], **{column: cell})
    new = rows[0] | {"device": "cpu B"}
    assert str(compare(rows[0], new | {column: "0"}, rows)) == (
        f"differs: {column}" if judged else "within the spread of seeds"
    )
    assert str(compare(rows[0], {n: c for n, c in new.items() if n != column}, rows)) == f"differs: {column}"


def test_columns_that_differ_in_a_number_are_one_score():
    """So many would otherwise be judged that each might be nearly anything."""
    hops = {
        f"by_depth.{depth}.exact_accuracy_by_hops.{hops}": "0.9" for depth in "124" for hops in "12345678"
    }
    rows = rows_of([0.5, 0.6, 0.55], [0.52, 0.47, 0.51], **hops)
    new = rows[0] | {"device": "cpu B", "exact_accuracy": "0"}
    verdict = compare(rows[0], new | dict.fromkeys(hops, "0.8"), rows)
    assert {*verdict.beyond} == {"exact_accuracy", "by_depth.*.exact_accuracy_by_hops.*"}


def test_a_variant_that_diverges_widens_its_own_interval_alone():
    calm = ([0.9, 0.93, 0.88, 0.91], [0.85, 0.86, 0.83, 0.86], [0.7, 0.73, 0.71, 0.68])
    rows = rows_of([0.95, 0.1, 0.9, 0.2], *calm, [0.5])
    for place, score, passed in ((0, 0.2, True), (4, 0.6, False), (4, 0.85, True), (-1, 0.1, False)):
        new = rows[place] | {"device": "cpu B", "exact_accuracy": f"{score}"}
        assert compare(rows[place], new, rows).passed == passed


def test_a_row_is_not_judged_where_no_spread_is_known():
    for rows in (rows_of([0.5], [0.9]), rows_of([0.5, 0.6, 0.55], [0.9, 0.8])):
        new = rows[0] | {"device": "cpu B", "exact_accuracy": "0"}
        verdict = compare(rows[0], new, rows)
        assert str(verdict) == "not judged" and not (verdict.passed or verdict.beyond)
        assert str(compare(rows[0], new | {"parameters": "6"}, rows)) == "differs: parameters"


def test_two_seeds_differ_by_more_than_the_spread_as_often_as_it_says():
    """Of 1,000 rows, each with three normal seeds of its variant and nine of others, 5 % at 95 %."""
    rng, outside = np.random.default_rng(0), 0
    for draw in 10 + rng.normal(size=(1000, 14)):
        rows = rows_of(*draw[2:].reshape(4, 3).tolist())
        most = spread(rows, "v0", ["exact_accuracy"], 0.95)
        assert most is not None
        outside += abs(draw[0] - draw[1]) > most
    assert outside / 1000 == pytest.approx(0.05, abs=0.025)


@pytest.mark.parametrize("how", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=THOROUGH)])
def test_a_grid_that_is_interrupted_stops_its_runs_and_goes_on(how, tmp_path):
    run = run_of("long", "steps=100000", "eval_every=0", "checkpoint_every=100000")
    code = (
        "from test_grid import *; from memhrm.config.console import run as command;"
        "signal.signal(signal.SIGINT, signal.default_int_handler);"  # A shell's background job ignores it.
        f"command(lambda: launch([{run!r}], Path({str(tmp_path)!r}), 'local', ['workers=1']) and 1)"
    )
    around = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}:{ROOT / 'tests/experiments'}"}
    process = subprocess.Popen([sys.executable, "-c", code], env=around, stderr=subprocess.PIPE, text=True)
    path = run.folder(tmp_path)
    while not (path / "metrics.jsonl").exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(how)
    assert "interrupted" in process.communicate()[1] and process.returncode == 130
    deadline = time.monotonic() + 60
    while held(path):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert (path / "checkpoints/last.pt").exists() and not complete(path, run)


SBATCH = """#!{python}
# A cluster of one machine: notes the script of a job, and runs its command at once.
import os, subprocess, sys
text = open(sys.argv[-1]).read()
open("{log}", "a").write(text)
command = [line for line in text.splitlines() if line.startswith("srun")][0].replace("%j", "77")
around = dict(os.environ, SUBMITIT_EXECUTOR="slurm", SLURM_JOB_ID="77", SLURM_NTASKS="1", SLURM_PROCID="0",
              SLURM_LOCALID="0", SLURM_NODEID="0", SLURM_JOB_NUM_NODES="1", SLURM_JOB_NODELIST="here")
job = subprocess.Popen(command[command.index("{python}"):].split(), env=around, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
open("{log}.pid", "w").write(str(job.pid))
print("Submitted batch job 77")
"""


@pytest.mark.thorough
def test_a_slurm_cluster_gets_its_jobs(tmp_path, monkeypatch):
    pytest.importorskip("hydra_plugins.hydra_submitit_launcher")
    tools = tmp_path / "bin"
    tools.mkdir()
    log = tmp_path / "submitted.txt"
    (tools / "sbatch").write_text(SBATCH.format(python=sys.executable, log=log))
    (tools / "srun").write_text("#!/bin/sh\n")
    state = f"kill -0 $(cat {log}.pid) && state=RUNNING || state=COMPLETED"
    (tools / "sacct").write_text(
        f"#!/bin/sh\n{state}\necho 'JobID|State|NodeList'\necho \"77|$state|here\"\n"
    )
    for tool in tools.iterdir():
        tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    run = run_of("slurm", "steps=1")
    assert (
        launch([run], tmp_path, "slurm", ["hydra.launcher.partition=fast", "hydra.launcher.gpus_per_node=0"])
        == {}
    )
    assert complete(run.folder(tmp_path), run)
    text = log.read_text()
    assert (
        "#SBATCH --partition=fast" in text and "#SBATCH --cpus-per-task=8" in text and "--time=1440" in text
    )


def test_ray_is_configured():
    pytest.importorskip("hydra_plugins.hydra_ray_launcher")
    command = [sys.executable, "-m", "experiments.grid.job", "launcher=ray", "job=x", "--cfg", "hydra"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "RayLauncher" in done.stdout and "num_gpus: 1" in done.stdout


# Statistics.


def test_intervals_and_paired_tests_are_students():
    after, before = np.array([0.9, 0.8, 0.95, 0.7, 0.85]), np.array([0.85, 0.8, 0.9, 0.72, 0.7])
    found = estimate(after)
    low, high = stats.t.interval(0.95, 4, loc=np.mean(after), scale=stats.sem(after))
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
    assert estimate(after - before).p == pytest.approx(stats.ttest_rel(after, before).pvalue)
    assert math.isnan(estimate([0.5]).half) and math.isnan(estimate([0.5]).p)
    assert estimate([0.5]).text() == "50.0" and found.text() == f"84.0 ± {100 * found.half:.1f}"
    assert (estimate([0.5]).text("+"), estimate([-0.5]).text("+")) == ("+50.0", "−50.0")


def test_a_difference_without_spread_has_no_test():
    """Also where rounding has made one: 0.8 - 0.7 is not 0.6 - 0.5."""
    assert estimate([0.0, 0.0]).p == 1.0
    for sample in ([0.5, 0.5], np.array([0.6, 0.8]) - np.array([0.5, 0.7])):
        found = estimate(sample)
        assert found.half == 0.0 and math.isnan(found.p) and math.isnan(found.detectable())
        assert contrast_cells(found)[1:] == ["", ""]
    assert contrast_cells(estimate([0.5, 0.5])) == ["+50.0 ± 0.0", "", ""]


@pytest.mark.parametrize("sample", [(-1.2, 0.3, 0.9), (-1.2, 0.4, 0.9, -0.6, 0.5)])
def test_a_difference_of_the_detectable_size_is_found_as_often_as_it_says(sample):
    """Of 100,000 samples of three or five with that mean and deviation, four in five have p < 0.05."""
    n = len(sample)
    shift, spread = estimate(sample).detectable(), np.std(sample, ddof=1)
    draws = np.random.default_rng(0).normal(shift, spread, (100_000, n))
    t = draws.mean(axis=1) / (draws.std(axis=1, ddof=1) / np.sqrt(n))
    assert (abs(t) > stats.t.ppf(0.975, n - 1)).mean() == pytest.approx(0.8, abs=0.004)


def test_nothing_is_detectable_with_one_seed():
    assert math.isnan(estimate([0.5]).detectable())
    assert contrast_cells(estimate([0.5])) == ["+50.0", "", ""]


def test_p_values_are_corrected_for_their_number():
    assert holm([0.01, 0.04, 0.03, math.nan]) == pytest.approx([0.03, 0.06, 0.06, math.nan], nan_ok=True)
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def a_row(variant: str, seed: int, exact: float, **more: str) -> dict[str, object]:
    return {"task": "T", "variant": variant, "seed": seed, "settings": "s", "exact_accuracy": exact, **more}


def test_differences_are_of_the_seeds_that_both_have():
    rows = [a_row("base", s, e) for s, e in enumerate([0.5, 0.6, 0.7])]
    rows += [a_row("new", s, e) for s, e in ((0, 0.6), (2, 0.9), (5, 0.0))]
    pairs = differences(arrange(results.frame(rows)), {"new": "base", "absent": "base"})
    assert list(pairs) == ["T"] and list(pairs["T"]) == ["new"]
    assert (pairs["T"]["new"].n, pairs["T"]["new"].mean) == (2, pytest.approx(0.15))


def test_all_tasks_of_a_study_are_corrected_together():
    exact = {"base": [0.5, 0.6, 0.7, 0.4], "a": [0.6, 0.65, 0.9, 0.45], "b": [0.5, 0.7, 0.6, 0.41]}
    rows = [
        a_row(name, s, x) | {"task": task}
        for task in "TU"
        for name, of in exact.items()
        for s, x in enumerate(of)
    ]
    pairs = differences(arrange(results.frame(rows)), {"a": "base", "b": "base"})
    alone = {name: stats.ttest_rel(exact[name], exact["base"]).pvalue for name in "ab"}
    assert alone["a"] < alone["b"]
    assert pairs["T"]["a"].p == pytest.approx(4 * alone["a"]) == pairs["U"]["a"].p
    assert pairs["T"]["b"].p == pytest.approx(max(4 * alone["a"], min(2 * alone["b"], 1)))


def test_a_contrast_is_of_the_mean_of_its_variants():
    exact = {"base": [0.5, 0.6, 0.7], "a": [0.6, 0.65, 0.9], "b": [0.5, 0.7, 0.6]}
    rows = [a_row(name, s, x) for name, of in exact.items() for s, x in enumerate(of)]
    found = arrange(results.frame(rows))
    pairs = contrasts(found, {"both": (["a", "b", "absent"], "base"), "none": (["absent"], "base")})["T"]
    mean = np.mean([exact["a"], exact["b"]], axis=0)
    assert list(pairs) == ["both"]
    assert pairs["both"].mean == pytest.approx(np.mean(mean - exact["base"]))
    assert pairs["both"].p == pytest.approx(stats.ttest_rel(mean, exact["base"]).pvalue)


# Rows and files.


def test_rows_survive_their_file_and_their_run_directories(tmp_path):
    path = tmp_path / "some.csv"
    runs = [Run("T", name, 0, ("s",)) for name in ("a", "b", "c")]
    results.write(
        path, results.frame([a_row("a", 0, 0.5, curve="1 2.5"), a_row("b", 0, 0.25), a_row("gone", 0, 0.1)])
    )
    found = arrange(results.read(path))["T"]
    assert curves(found["a"], "curve").tolist() == [[1.0, 2.5]] and "curve" not in found["b"]
    none = results.frame([])
    assert results.update(path, results.frame([a_row("b", 0, 0.75)]), runs, none) == 1
    rows = results.read(path)
    assert list(zip(rows["variant"], rows["exact_accuracy"])) == [("a", "0.5"), ("b", "0.75")]
    before = path.read_bytes()
    assert results.update(path, none, runs, none) == 0
    assert path.read_bytes() == before
    assert results.missing(path, runs) == [runs[2]]
    measured = replace(runs[1], measures=("depth",))
    assert results.missing(path, [measured]) == [measured]
    results.update(path, results.frame([{**a_row("b", 0, 0.75), "depth.times": "1 2"}]), runs, none)
    assert results.missing(path, [measured]) == []
    assert results.missing(tmp_path / "none.csv", runs) == runs
    with pytest.raises(ValueError, match="there are no results in"):
        results.read(tmp_path / "none.csv")


def test_rows_of_outdated_runs_leave_the_file(tmp_path):
    """A row of the same run that was computed elsewhere, or at another commit, stays."""
    path, runs = tmp_path / "some.csv", [Run("T", name, 0, ("s",)) for name in ("a", "b", "c", "d")]
    where = {"commit": "c", "device": "cpu", "torch": "2"}
    rows = [a_row(name, 0, 0.5, **where) for name in "abc"] + [a_row("d", 0, 0.5, **where | {"commit": ""})]
    results.write(path, results.frame(rows))
    old = [
        a_row("a", 0, 0.5, **where),
        a_row("b", 0, 0.5, **where | {"commit": "e"}),
        a_row("d", 0, 0.5, **where | {"commit": ""}),  # Outside of a repository.
    ]
    assert results.update(path, results.frame([]), runs, results.frame(old)) == 0
    assert results.read(path)["variant"].tolist() == ["b", "c"]


def test_rows_are_written_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "some.csv"
    results.write(path, results.frame([a_row("a", 0, 0.5)]))
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        results.write(path, results.frame([a_row("a", 0, 0.75)]))
    assert path.read_bytes() == before


@pytest.mark.parametrize("path", sorted(results.FOLDER.glob("*.csv")), ids=lambda path: path.stem)
def test_committed_rows_are_written_as_they_are_read(path, tmp_path):
    results.write(tmp_path / "again.csv", pd.read_csv(path, **results.AS_TEXT))
    assert (tmp_path / "again.csv").read_bytes() == path.read_bytes()


def test_every_committed_row_is_of_a_run_of_its_grid():
    for study in studies():
        file = study.results("cpu")
        if study.measure is None and file.exists():
            rows = results.read(file)
            runs = {(run.task, run.variant, str(run.seed)) for run in study.runs("cpu")}
            assert set(zip(rows["task"], rows["variant"], rows["seed"])) <= runs, study.name


def test_a_test_of_the_memory_that_can_show_nothing_has_an_empty_cell():
    """With a single H-step, whether or not it was measured; and where a question writes nothing."""
    changes = {f"inside.{test}_change": -0.5 for test in cells.TESTS}
    meaningful = {f"inside.{test}_change": -0.5 for test in ("zero", "shuffle")}
    several = "experiment=recall +memory=bicross model.H_cycles=2 halting.halt_max_steps=2"
    kinds = {
        "one": (several.partition(" model")[0], changes),
        "new": (several.partition(" model")[0], meaningful),
        "several": (several, changes),
        "told": (f"{several} memory.write_when=told", changes),
    }
    rows = [
        {"task": "recall", "variant": name, "seed": seed, "settings": settings, **found}
        for name, (settings, found) in kinds.items()
        for seed in (0, 1)
    ]
    page = cells.render(arrange(results.frame(rows)))
    one, every = "−50.0 ± 0.0", ["zero", "freeze", "shuffle", "swap"]
    shown = {
        row[0]: [test for test, cell in zip(every, row[2:]) if cell == one]
        for row in page.tables["effects"].rows
    }
    assert shown == {
        "recall": [],
        "one": ["zero", "shuffle"],
        "new": ["zero", "shuffle"],
        "several": every,
        "told": ["zero", "shuffle", "swap"],
    }
    figure = Figure()
    page.figures["effects"][0](figure)
    (axes,) = figure.axes
    assert [len(drawn.lines[0].get_xdata()) for drawn in axes.containers] == [4, 1, 4, 2]  # Of each test.


def test_a_table_is_the_same_in_every_form():
    base = Variant("base")
    rows = [a_row("base", 0, 0.5), a_row("base", 1, 0.6)]
    rows += [a_row("new & better", 0, 0.6), a_row("new & better", 1, 0.75)]
    groups = {"models": [base, base.change("new & better"), Variant("absent")]}
    found = arrange(results.frame(rows))
    pairs = differences(found, baselines(groups["models"]))["T"]
    table = comparison(found["T"], groups, ["seeds", "exact, %", "steps"], pairs)
    assert table.head == ["", "seeds", "exact, %", "less its baseline", "p"]  # No row says its steps.
    assert table.rows[2][3] == "+12.5 ± 31.8"
    assert r"new \& better & 2 & 67.5 $\pm$ 95.3 & +12.5 $\pm$ 31.8" in table.tabular()
    assert "| *models* |" in table.markdown() and table.comma_separated().startswith(",seeds,")


def test_files_carry_no_date_and_are_the_same_twice():
    def draw(figure, values):
        figure.subplots().plot(values, values)

    page = Page({"": Table(["a"], [["1"]])}, numbers={"x/y": "50 %"})
    page.add_figure("line", draw, [0, 1], size=(5.5, 3.0))
    first, again = page.files("some", "cpu"), page.files("some", "cpu")
    assert first == again
    assert sorted(first) == [
        *("figures/some-cpu-line.pdf", "figures/some-cpu-line.svg", "tables/some-cpu-numbers.tex"),
        *("tables/some-cpu.csv", "tables/some-cpu.md", "tables/some-cpu.tex"),
    ]
    assert rb"\setresult{x/y}{50 \%}" in first["tables/some-cpu-numbers.tex"]
    assert b"CreationDate" not in first["figures/some-cpu-line.pdf"]


@pytest.mark.parametrize("drawn", [False, pytest.param(True, marks=pytest.mark.thorough)])
def test_the_paper_is_what_the_results_give(drawn, monkeypatch):
    """Byte for byte, without a run; figures take half of the time."""
    if not drawn:
        monkeypatch.setattr("experiments.grid.page._pdf", lambda draw, size: b"")
        drawing = SimpleNamespace(file=lambda: "")
        monkeypatch.setattr("experiments.grid.page.figures.draw", lambda *_: drawing)
    made = files()
    assert made, "no results are committed"
    assert [name for name in stale(made, PAPER) if drawn or not name.startswith("figures/")] == []
    for page in QUOTING:
        text = page.read_text()
        assert quote(text, made) == text, page
    sources, bibliography = paper()
    assert unmade(sources, made, bibliography) == []
    for page in (*RESULTS, *PAPER.glob("*.tex")):
        assert typed(page.read_text()) == [], page


def test_a_stale_file_is_named(tmp_path):
    made = {"tables/a.tex": b"1", "tables/b.tex": b"2"}
    for name, content in {"tables/a.tex": b"1", "tables/b.tex": b"old", "figures/c.pdf": b""}.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    assert stale(made, tmp_path) == ["figures/c.pdf", "tables/b.tex"]


def test_a_text_quotes_tables_as_they_are_made():
    made = {"tables/a.md": b"new\n", "tables/b.md": b"B\n"}
    text = "x\n<!-- paper/tables/a.md -->\nold\n<!-- end -->\ny\n<!-- paper/tables/b.md -->\n<!-- end -->\n"
    now = quote(text, made)
    assert now == text.replace("old", "new").replace("b.md -->\n", "b.md -->\nB\n") == quote(now, made)
    with pytest.raises(ValueError, match=r"tables/c\.md is quoted and made by no result"):
        quote("<!-- paper/tables/c.md -->\n<!-- end -->", made)


def test_a_text_quotes_numbers_as_they_are_made():
    made = {"tables/a-cpu-numbers.tex": rb"\setresult{a/one, M=2}{$-$3.1 $\pm$ 0.2 \%}" + b"\n"}
    text = "It holds <!-- result: a/one, M=2 -->4.0<!-- end --> of"
    assert quote(text, made) == "It holds <!-- result: a/one, M=2 -->−3.1 ± 0.2 %<!-- end --> of"
    with pytest.raises(ValueError, match="a/two is quoted and made by no result"):
        quote("<!-- result: a/two --><!-- end -->", made)
    small = {"tables/a-cpu-numbers.tex": rb"\setresult{a/p}{$<$0.001}" + b"\n"}
    text = "p <!-- result: a/p -->0.026<!-- end -->, p <!-- result: a/p -->0.5<!-- end -->"
    now = quote(text, small)
    assert now == re.sub(r"0[.\d]+", "<0.001", text) and typed(now) == []
    larger = {"tables/a-cpu-numbers.tex": rb"\setresult{a/p}{0.5}" + b"\n"}
    assert quote(now, larger) == re.sub("0.026", "0.5", text)


@pytest.mark.parametrize("signs", ["50 %", "a_b", "−1.5 ± 0.3", "3.4 × 10⁻⁶", "~ ^ \\ { }"])
def test_latex_is_plain_text_again(signs):
    assert plain(latex(signs)) == signs


def test_a_measured_number_that_is_typed_by_hand_is_named():
    quoted = "<!-- paper/tables/a.md -->\n| 98.1 |\n<!-- end -->\n<!-- result: a/b -->99.2<!-- end --> points"
    fine = [
        *("Means with 95 % intervals: 3", "`python -m experiments.hops` gives 3.1 points", quoted),
        *("```bash\nlr=0.9\n\nnoise=0.5\n```", "`loss=0.1`", "[HRM 1.0](https://arxiv.org/abs/2506.21734)"),
        *(
            "Python 3 and 4 hops",
            r"it is $p<0.05$ and \result{a/b 1.5}\,\% of them",
            r"% 3.3 \% of a comment",
        ),
    ]
    assert typed("\n\n".join(fine)) == []
    wrong = [
        "Means with 95 % intervals: 31.4 of 32",
        "98 % of them",
        "worse by 3 points",
        r"about 97\,\% of \result{a}",
    ]
    assert typed("\n\n".join([*fine, *wrong])) == ["31.4", "98 %", "3 points", r"97\,\%"]


def test_the_paper_cites_what_is_made():
    made = {
        "tables/a-cpu-numbers.tex": rb"\setresult{a/one, M=2/3}{4 \%}",
        "tables/a.tex": b"",
        "figures/a.pdf": b"",
    }
    text = r"""\newcommand{\wide}[1]{\input{tables/#1}}
    \input{tables/a-cpu-numbers} \input{other}
    \result{a/one,
    M=2/3}\,\% \wide{a} \includegraphics[width=\linewidth]{figures/a} % \result{commented}
    """.replace("\n    ", "\n")
    assert unmade(text, made) == []
    assert unmade(text.replace("-numbers}", "-other}"), made)[-1] == r"\result{a/one, M=2/3}"
    works = "@article{someone2020,\n@misc{other2021,"
    cites = r"\cite{someone2020, other2021} \label{tab:a} \ref{tab:a}"
    assert unmade(cites, made, works) == []
    assert unmade(cites.replace("2021", "2022"), made, works) == [r"\cite{someone2020, other2022}"]
    assert unmade(r"\ref{tab:b}", made) == [r"\ref{tab:b}"]
    short = "\\input{tables/a-cpu-numbers}\\newcommand{\\short}[2]{\\result{a/#1, M=#2/3}}\n"
    assert unmade(rf"{short} \short{{one}}{{2}}", made) == []
    assert unmade(rf"{short} \short{{two}}{{2}}", made) == [r"\result{a/two, M=2/3}"]
    wrong = [r"\result{a/two}", r"\wide{b}", r"\input{tables/c}", r"\includegraphics{figures/d}"]
    assert unmade(" ".join([text, *wrong]), made) == wrong


def test_each_study_has_its_module():
    assert {path.stem for path in Path(ROOT, "experiments").glob("*.py")} >= set(NAMES)
