"""This package computes what the published HRM, TRM and TRM-MLP compute."""

from pathlib import Path

import numpy as np
import pytest

from memhrm.published.replay import replay
from tiny import call

RECORDS = sorted((Path(__file__).parents[1] / "parity").glob("*.npz"))


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.stem)
def test_published_record_replays_within_tolerance(path):
    deviations = replay(path)
    assert len(deviations) > 90
    assert [d for d in deviations if not d.within] == []


def altered(tmp_path: Path, change) -> Path:
    with np.load(RECORDS[0]) as archive:
        arrays = {name: archive[name].copy() for name in archive.files}
    change(arrays)
    path = tmp_path / "altered.npz"
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize(
    "key",
    ["train/step0/grad/lm_head.weight", "eval/step2/z_L", "train/step5/loss_total", "train/step3/steps"],
)
def test_a_deviation_is_seen_and_the_command_fails(tmp_path, capsys, key):
    path = altered(
        tmp_path, lambda arrays: arrays.update({key: arrays[key] + (1 if "steps" in key else 0.05)})
    )
    assert key in [d.quantity for d in replay(path) if not d.within]
    assert call("parity", str(path)) == 1
    assert "EXCEEDED" in capsys.readouterr().out


def test_a_record_that_lacks_a_part_is_refused_by_key(tmp_path):
    path = altered(tmp_path, lambda arrays: arrays.pop("state/q_head.bias"))
    with pytest.raises(ValueError, match=r"altered.npz.*q_head.bias"):
        replay(path)
    path = altered(tmp_path, lambda arrays: arrays.pop("eval/step1/logits"))
    with pytest.raises(ValueError, match="eval/step1/logits"):
        replay(path)


def test_a_file_that_is_no_record_is_refused(tmp_path):
    path = tmp_path / "text.npz"
    path.write_text("no record")
    with pytest.raises(ValueError, match="not a parity record"):
        replay(path)
