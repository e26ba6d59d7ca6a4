"""Which memory cells each question of an episode and its feedback read and write.

n episodes, p puzzles of each, N cells that compete: a cell that is always active is none of them, and is
left out.
"""

from dataclasses import dataclass

import numpy as np

from memhrm.config.settings import require
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.rollout import Step
from memhrm.probes.subject import Subject

QUESTION, FEEDBACK = False, True


@dataclass(frozen=True)
class Taken:
    """Which cells the puzzles of n episodes take.

    Attributes:
        first: the first choice of each question at its first H-step, (n, p), counted among the N cells that
            compete.
        read: the cells that a question reads, and those that its feedback reads, at any H-step: (n, p, N)
            bool each, by `QUESTION` and `FEEDBACK`.
        written: the cells that they write, likewise.
        exact: whether the answer is exact, (n, p) bool.
        apart: cells that are always active, the first ones of the memory.
    """

    first: np.ndarray
    read: dict[bool, np.ndarray]
    written: dict[bool, np.ndarray]
    exact: np.ndarray
    apart: int

    @property
    def cells(self) -> int:
        """Return the number of cells that compete, N."""
        return self.written[FEEDBACK].shape[2]


def remembers_by_cell(subject: Subject) -> bool:
    """Return whether the subject has cells that go on from puzzle to puzzle of its episodes."""
    module, episodes = subject.model.H_module, subject.episodes
    return (
        module.cells > module.always_active
        and module.settings.lasts
        and subject.write
        and episodes is not None
        and episodes.length > 1
    )


def cells_taken(subject: Subject) -> Taken:
    """Return which cells the puzzles of the subject's episodes take, in one walk.

    Raises:
        ValueError: it has no episodes, or no cells that go on in them.
    """
    fits = remembers_by_cell(subject)
    allowed = "a run on episodes whose memory has cells with lifetime=episode or global"
    require(fits, "subject", subject.name, allowed)
    model, episodes, module = subject.model, subject.episodes, subject.model.H_module
    assert episodes is not None
    shape = len(episodes), episodes.length, module.cells
    first, exact = np.full(shape[:2], -1), np.zeros(shape[:2], bool)
    read, written = ({one: np.zeros(shape, bool) for one in (QUESTION, FEEDBACK)} for _ in range(2))
    noted = {"read_cells": read, "written_cells": written}

    def look(at: int, told: bool, step: Step) -> None:
        rows = step.rows.cpu().numpy()
        for trace in step.output.traces:
            chosen = trace["indices"].cpu().numpy()
            if not told:
                known = first[rows, at]
                first[rows, at] = np.where(known < 0, chosen[:, module.always_active], known)
            for name, masks in noted.items():
                if name == "read_cells" or told or subject.writes_at_questions:
                    cells = trace[name].cpu().numpy() if name in trace else chosen
                    masks[told][rows[:, None], at, cells] = True

    how, numbers = EvaluationSettings(steps=subject.halt_max_steps), subject.numbered() // episodes.length
    for moment in walk(model, episodes, how, first=numbers, look=look,
                       device=model.H_init.device, dtype=subject.dtype):  # fmt: skip
        exact[:, moment.at] = moment.answers.exact.cpu().numpy()
    apart = module.always_active
    read, written = ({one: mask[:, :, apart:] for one, mask in masks.items()} for masks in (read, written))
    return Taken(first - apart, read, written, exact, apart)
