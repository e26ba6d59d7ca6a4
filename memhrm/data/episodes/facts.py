"""What episodes that tell a function are made of."""

from dataclasses import dataclass
from typing import Literal

from memhrm.data.episodes.episodes import Course, telling


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What an episode is made of.

    Attributes:
        tells: whether the facts are told one by one, in random order, or all at once.
        questions: questions of an episode that come once everything is told.
        hops: the most hops of a question in each part of the training.
        cycles: H-cycles of a question in each part of the training; None: as many as the model has.
        test_hops: the most hops of a question in the test.
        early: whether a question also follows each piece but the last, about a symbol whose image is told,
            and each that is told again, about one of these; with several hops the answer to the former may
            depend on what is not told.
        test_depths: the depths with which a trained model answers the questions of the test as well.
        early_hops: the most hops of such a question; None: as of the others.
        changes: whether after half of the questions two random symbols exchange their images; both are told
            again.
        changes_from: the first part of the training, from 0, in which they do; in those before, two symbols
            are told again as they were.
    """

    tells: Literal["pieces", "once"]
    questions: int
    hops: tuple[int, ...]
    test_hops: int
    cycles: tuple[int, ...] | None = None
    test_depths: tuple[int, ...] = ()
    early: bool = False
    early_hops: int | None = None
    changes: bool = False
    changes_from: int = 0

    @property
    def asks_early(self) -> bool:
        """Whether questions follow single pieces."""
        return self.early and self.tells == "pieces"

    def course(self, symbols: int) -> Course:
        """Return which examples of an episode are asked, and which told."""
        pieces, changed = (symbols, 2) if self.tells == "pieces" else (1, 1)
        told = [True, *([False, True] if self.asks_early else [True]) * (pieces - 1)]
        half = self.questions // 2 if self.changes else 0
        told += [False] * half
        told += ([True, False] if self.asks_early else [True]) * changed if self.changes else []
        told += [False] * (self.questions - half)
        return telling(told)
