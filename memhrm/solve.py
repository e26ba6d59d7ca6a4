"""python -m memhrm.solve run=DIR FILE: answer a file of puzzles that need not have answers.

FILE is CSV with a column question (or puzzle, or quizzes), .sdm, .sdk or .ss, or has a puzzle a line. Each puzzle is
answered with a line of CSV: the question, the answer, whether the answer keeps the givens, whether it keeps the rules,
and Q, how sure the model is.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass

HEADER = ["question", "answer", "keeps_givens", "keeps_rules", "q"]


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Read the puzzles, answer them, say what the answers are worth."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from memhrm.data import read_puzzles, read_questions
    from memhrm.files import require_free, write_text
    from memhrm.memory.choice import trust
    from memhrm.pretrained import load
    from memhrm.settings import build, require
    from memhrm.training.choice import SolveSettings
    from memhrm.training.ranks import choose_device

    chosen = build(SolveSettings, config, "")
    if chosen.out is not None:
        require_free("out", Path(chosen.out), chosen.overwrite)
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    trust(chosen.trust)
    solver = load(chosen.run, chosen.checkpoint, chosen.weights).to(choose_device(chosen.device))
    task = solver.task
    examples = []
    if chosen.examples is not None:
        require(task.answers > 0, "examples", chosen.examples, "null, as the training was not on episodes")
        shown = read_puzzles(Path(chosen.examples), task)
        examples = list(zip(shown.inputs, shown.labels))
    questions = read_questions(Path(chosen.file), task)
    starts = range(0, len(questions.inputs), chosen.batch_size)
    parts = [
        solver.answer(questions.inputs[start : start + chosen.batch_size], chosen.halt_max_steps, examples)
        for start in tqdm(starts, desc="solve", unit="batch", disable=not chosen.progress)
    ]
    answers, q = np.concatenate([part.tokens for part in parts]), np.concatenate([part.q for part in parts])
    verdict = task.verdict(questions.inputs, answers)
    table = lines(task, questions.inputs, answers, verdict, q)
    if chosen.out is None:
        print(table, end="")
    print(summary(verdict, questions.labels, answers), file=sys.stderr)
    if chosen.out is not None:
        write_text(Path(chosen.out), table)
        print(f"written to {chosen.out}")
