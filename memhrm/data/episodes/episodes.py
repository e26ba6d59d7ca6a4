"""Episodes: examples in a row, with feedback between them; one that stands alone is an episode of length one.

n episodes, p examples of each, s tokens, l labels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import numpy as np

from memhrm.data.examples import Examples
from memhrm.data.sampler import arrays


class Course(NamedTuple):
    """What is done with each of the p examples of an episode; the same in all episodes of a batch.

    Attributes:
        asked: whether it is answered, in the supervision steps of an example.
        told: whether its feedback is shown, after them, in one step. A fact is told without being asked.
    """

    asked: tuple[bool, ...]
    told: tuple[bool, ...]

    def moments(self, steps: int) -> Iterator[tuple[int, bool]]:
        """Yield the supervision steps of an episode in order, as (example, whether its feedback is shown).

        Args:
            steps: supervision steps of an example that is asked.
        """
        for at, (asked, told) in enumerate(zip(self.asked, self.told, strict=True)):
            if asked:
                for _ in range(steps):
                    yield at, False
            if told:
                yield at, True


def telling(told: Sequence[bool]) -> Course:
    """Return the course in which some examples are told, and all others asked."""
    return Course(asked=tuple(not one for one in told), told=tuple(told))


def usual_course(length: int) -> Course:
    """Return the course in which every example is asked, and told but the last, which nobody would use."""
    return Course((True,) * length, (True,) * (length - 1) + (False,))


@dataclass(frozen=True)
class Facet:
    """A property of the examples of ``n`` episodes, by whose values accuracy is reported.

    Attributes:
        values: what the property can be, for people.
        index: ``(n, p)`` the number of each example's value; -1 where it has none.
    """

    values: tuple[str, ...]
    index: np.ndarray

    def at(self, places: np.ndarray) -> "Facet":
        """Return the property of the examples at some places of the episodes."""
        return replace(self, index=self.index[:, places])

    def means(self, numbers: np.ndarray) -> dict[str, float]:
        """Return the mean of numbers ``(n, p)`` over the examples of each value that occurs."""
        has = self.index >= 0
        index, length = self.index[has], len(self.values)
        counts = np.bincount(index, minlength=length)
        sums = np.bincount(index, weights=numbers[has], minlength=length)
        return {value: float(sums[i] / counts[i]) for i, value in enumerate(self.values) if counts[i]}


@dataclass(frozen=True)
class Episodes:
    """``n`` episodes of ``p`` examples.

    Attributes:
        inputs: ``(n, p, s)`` tokens.
        labels: ``(n, p, l)`` labels; 0 where there is none.
        feedback: ``(n, p - 1, s)`` tokens that are shown after each example but the last.
        mask: ``(n, p, s)`` bool, False at padding; None where nothing is padded.
        identifiers: ``(n, p)`` int32.
        groups: ``(n, p)`` int32, as in `Examples`.
        rules: ``(n, p)`` int32, the number of the rule in force (`Rules.permutations`).
        families: ``(n,)`` int32, the number of the family of the first rule.
        ratings: ``(n, p)`` int32.
        sources: ``(n, p)`` str objects.
        best: ``(n, p)`` the best possible probability of an exact answer to each example, given what its
            episode has shown before; nan where it is not known.
        course: which examples are asked, and which told.
        address: ``(n, p, 2)`` int32, the number of the example's context within its episode, in the order of
            first visits, and the number of the context's cue among all cues; None without contexts.
        facets: properties of the examples, by name.
        blind: ``(n, p)``, as `best`, without memory; None: as at the first example.
    """

    inputs: np.ndarray
    labels: np.ndarray
    feedback: np.ndarray
    mask: np.ndarray | None
    identifiers: np.ndarray
    groups: np.ndarray
    rules: np.ndarray
    families: np.ndarray
    ratings: np.ndarray
    sources: np.ndarray
    best: np.ndarray
    course: Course
    address: np.ndarray | None = None
    facets: dict[str, Facet] = field(default_factory=dict)
    blind: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def length(self) -> int:
        """Return the number of examples of an episode, p."""
        return self.inputs.shape[1]

    @property
    def answered(self) -> np.ndarray:
        """Return the places of an episode that are asked, in order."""
        return np.flatnonzero(self.course.asked)

    @property
    def optimum(self) -> np.ndarray:
        """Return the best possible exact accuracy at each place that is asked, in order; nan if not known."""
        best = self.best[:, self.answered]
        first = best[:1]
        return (first + (best - first).mean(axis=0))[0]  # Where all are equal, exactly what they are.

    @property
    def optimum_without_memory(self) -> float:
        """Return the best possible exact accuracy without memory; nan if it is not known."""
        if self.blind is None:
            return float(self.optimum[0])
        return float(self.blind[:, self.answered].mean())

    def select(self, rows: np.ndarray | slice) -> "Episodes":
        """Return the episodes at ``rows`` (indices, a boolean mask or a slice), in that order."""
        values = {one.name: getattr(self, one.name) for one in fields(self)}
        chosen: dict[str, Any] = {
            name: array[rows] for name, array in values.items() if isinstance(array, np.ndarray)
        }
        facets = {name: replace(facet, index=facet.index[rows]) for name, facet in self.facets.items()}
        return replace(self, **chosen, facets=facets)

    def batch(self, at: int, feedback: bool = False) -> dict[str, np.ndarray]:
        """Return what one supervision step on example ``at``, or on the feedback to it, is given.

        Returns:
            As `Sampler.batch`; a feedback stands in the question's place and has no labels.
        """
        inputs, labels = self.inputs[:, at], self.labels[:, at]
        if feedback:
            inputs, labels = self.feedback[:, at], np.zeros_like(labels)
        mask = None if self.mask is None else self.mask[:, at]
        address = None if self.address is None else self.address[:, at]
        return arrays(inputs, labels, self.identifiers[:, at], self.groups[:, at], mask, address)


def alone(examples: Examples) -> Episodes:
    """Return each example as an episode of its own."""
    count = len(examples)
    return Episodes(
        inputs=examples.inputs[:, None],
        labels=examples.labels[:, None],
        feedback=examples.inputs[:, None][:, :0],
        mask=None if examples.mask is None else examples.mask[:, None],
        identifiers=examples.identifiers[:, None],
        groups=examples.groups[:, None],
        rules=np.zeros((count, 1), np.int32),
        families=np.zeros(count, np.int32),
        ratings=examples.ratings[:, None],
        sources=examples.sources[:, None],
        best=np.ones((count, 1)),
        course=usual_course(1),
    )


def milestones(length: int) -> list[int]:
    """Return positions in an episode for a table, from 1: dense early on, where most is learned."""
    return [at for at in (1, 2, 3, 4, 8, 16, 32, 64) if at <= length]
