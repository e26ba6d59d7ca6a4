"""probe=light: training logs what its cells do, and is the same run with and without."""

import json

import pytest

from memhrm.runs.directory import RunDirectory
from tiny import train

EPISODES = """
    data=recall data.test_size=20 data.lengths=[2,3] data.test_length=4 data.test_episodes=20
    halting.halt_max_steps=1 validation_size=10
""".split()  # noqa: SIM905 (written as on a command line)


@pytest.mark.parametrize("data", [[], EPISODES], ids=["puzzles", "episodes"])
def test_a_run_that_is_looked_at_is_the_same_run(tmp_path, data):
    memory = ["+memory=multicell", "k=3", "model.gradient_window=last_cycle", "memory.horizon=2", *data]
    assert train(tmp_path / "plain", *memory) == 0
    assert train(tmp_path / "seen", *memory, "probe=light", "probe_every=4") == 0
    plain, seen = (RunDirectory(tmp_path / name) for name in ("plain", "seen"))
    looks = [line for line in seen.metrics() if any(name.startswith("probe/") for name in line)]
    assert [line["step"] for line in looks] == [4, 8]
    assert {"probe/usage_entropy", "probe/null_corrected_information", "probe/cosine_cls",
            "probe/exact_accuracy_unwritten"} <= set(looks[0])  # fmt: skip
    before, after = ({k: v for k, v in run.summary().items() if k != "seconds"} for run in (plain, seen))  # pyright: ignore
    assert json.dumps(before) == json.dumps(after)


def test_a_run_without_cells_is_looked_at_as_far_as_there_is_something(tmp_path):
    assert train(tmp_path / "run", "probe=light", "probe_every=8") == 0
    look = RunDirectory(tmp_path / "run").metrics()[-2]
    assert set(look) == {"step", "probe/exact_accuracy", "probe/accuracy"}


def test_bad_settings_are_named(tmp_path, capsys):
    assert train(tmp_path / "run", "probe=heavy") == 2
    assert "probe is 'heavy'; allowed: none, light" in capsys.readouterr().err
