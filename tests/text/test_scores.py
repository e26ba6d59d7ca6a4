"""The scores of a classifier against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from memhrm.data.text.scores import auroc, calibration_error, classified, confusions, macro_f1

RNG = np.random.default_rng(0)
RIGHT, GIVEN = RNG.integers(1, 6, 300), RNG.integers(1, 6, 300)
SURE = RNG.random(300).round(2)  # With ties.


def test_macro_f1_is_that_of_the_library():
    assert macro_f1(RIGHT, GIVEN) == pytest.approx(f1_score(RIGHT, GIVEN, average="macro"))
    few = RIGHT <= 2  # Answers may name categories that the test lacks.
    assert macro_f1(RIGHT[few], GIVEN[few]) == pytest.approx(
        f1_score(RIGHT[few], GIVEN[few], labels=[1, 2], average="macro")
    )
    assert macro_f1(RIGHT, RIGHT) == 1.0


def test_auroc_is_that_of_the_library():
    inside, outside = SURE[:200], SURE[200:] * 0.7
    truth = np.repeat([1, 0], [200, 100])
    assert auroc(inside, outside) == pytest.approx(roc_auc_score(truth, np.concatenate((inside, outside))))
    assert auroc(np.array([1.0]), np.array([0.0])) == 1.0 and auroc(inside, inside) == pytest.approx(0.5)


def test_calibration_error_by_hand():
    correct = np.array([True, False, True, True])
    sure = np.array([0.9, 0.9, 0.5, 1.0])  # Bins of 0.9: half right; 0.5: right; 1.0: right.
    assert calibration_error(correct, sure) == pytest.approx((2 * 0.4 + 0.5 + 0) / 4)


def test_confusions_are_counted():
    found = confusions(np.array([1, 1, 2, 2, 2]), np.array([1, 2, 1, 1, 2]), ["a", "b"])
    assert found == [["b", "a", 2], ["a", "b", 1]]


def test_texts_out_of_scope_count_for_nothing_else():
    outside = np.zeros(100, int)
    alone = classified(RIGHT, GIVEN, SURE, "abcde")
    found = classified(
        np.concatenate((RIGHT, outside)), np.concatenate((GIVEN, outside + 1)),
        np.concatenate((SURE, np.full(100, 0.1))), "abcde",
    )  # fmt: skip
    assert {name: found[name] for name in alone} == alone and found["out_of_scope"] == 100
    threshold = np.quantile(SURE[RIGHT == GIVEN], 0.05)
    assert found["oos_threshold"] == pytest.approx(threshold)
    assert found["oos_recall"] == float(threshold > 0.1)
    assert found["oos_auroc"] == pytest.approx((SURE > 0.1).mean() + (SURE == 0.1).mean() / 2)
