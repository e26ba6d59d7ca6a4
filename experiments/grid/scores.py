"""Rows put in order: by variant and seed, over seeds, and against a baseline."""

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.grid.results import Row
from experiments.grid.stats import Difference, Estimate, difference, estimate, holm

BySeed = dict[str, Row]


def tasks(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["task"] for row in rows))


def by_variant(rows: Sequence[Row], task: str) -> dict[str, BySeed]:
    """The task's runs, by variant and seed, in the order of the rows."""
    found: dict[str, BySeed] = {}
    for row in rows:
        if row["task"] == task:
            found.setdefault(row["variant"], {})[row["seed"]] = row
    return found


def has(runs: BySeed, name: str) -> bool:
    """Whether it is known of every seed."""
    return all(name in row for row in runs.values())


def over_seeds(runs: BySeed, name: str) -> Estimate:
    return estimate([row.number(name) for row in runs.values()])


def mean_of(runs: BySeed, name: str) -> float:
    return over_seeds(runs, name).mean


def curves(runs: BySeed, name: str) -> np.ndarray:
    """A list of numbers of each seed, (seeds, n)."""
    return np.array([row.numbers(name) for row in runs.values()])


def against(
    found: Mapping[str, BySeed], baselines: Mapping[str, str], name: str = "exact_accuracy"
) -> dict[str, Difference]:
    """Each variant less its baseline, over the seeds that both have; p corrected for their number (Holm)."""
    pairs = {}
    for variant, baseline in baselines.items():
        seeds = [seed for seed in found.get(variant, {}) if seed in found.get(baseline, {})]
        if seeds:
            after, before = ([found[one][seed].number(name) for seed in seeds] for one in (variant, baseline))
            pairs[variant] = difference(after, before)
    corrected = holm([pair.p for pair in pairs.values()])
    return {
        variant: Difference(pair.mean, pair.half, pair.n, p)
        for (variant, pair), p in zip(pairs.items(), corrected)
    }


def told(rows: Sequence[Row], task: str, score: str, *compared: Mapping[str, str]) -> dict[str, str]:
    """For the text: a score of each VARIANT, and by VARIANT/difference and VARIANT/p what `against` gives for
    each mapping of variants to baselines."""
    found = by_variant(rows, task)
    said = {variant: over_seeds(one, score).text() for variant, one in found.items()}
    for baselines in compared:
        for variant, pair in against(found, baselines, score).items():
            said |= {f"{variant}/difference": signed(pair), f"{variant}/p": p_value(pair.p)}
    return said


def signed(pair: Estimate) -> str:
    """A difference in points with its interval."""
    sign = "+" if pair.mean >= 0 else "−"
    text = f"{sign}{abs(100 * pair.mean):.1f}"
    return text if np.isnan(pair.half) else f"{text} ± {100 * pair.half:.1f}"


def p_value(p: float) -> str:
    return "" if np.isnan(p) else "<0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"
