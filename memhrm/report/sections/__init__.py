"""The sections of a report, in their order. A new one is a `Topic` and a place in `TOPICS`."""

from memhrm.report.sections import (
    answers,
    causal_tests,
    episodes,
    exchange,
    films,
    firmness,
    halting,
    learning,
    motion,
    selection,
)
from memhrm.report.sections.base import Looking, Seen, Topic, flat, small

TOPICS: tuple[Topic, ...] = (
    learning.TOPIC,
    answers.TOPIC,
    episodes.TOPIC,
    motion.TOPIC,
    halting.TOPIC,
    firmness.TOPIC,
    selection.TOPIC,
    exchange.TOPIC,
    causal_tests.TOPIC,
    films.TOPIC,
)

__all__ = ["TOPICS", "Looking", "Seen", "Topic", "flat", "small"]
