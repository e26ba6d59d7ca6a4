"""python -m memhrm.solve run=DIR FILE: answer a file of puzzles that need not have answers.

FILE is CSV with a column question (or puzzle, or quizzes), .sdm, .sdk or .ss, or has a puzzle a line. Each
puzzle is answered by a line of CSV: the question, the answer, whether the answer keeps the givens, whether it
keeps the rules, and Q, how sure the model is that it is right.
"""

import csv
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from memhrm.config.command import command, console
from memhrm.config.settings import require

if TYPE_CHECKING:
    import numpy as np

    from memhrm.data import Task
    from memhrm.data.task import Verdict

HEADER = ["question", "answer", "keeps_givens", "keeps_rules", "q"]


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Read the puzzles, answer them, say what the answers are worth."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from memhrm.config.settings import build
    from memhrm.data import read_puzzles, read_questions
    from memhrm.memory.registry import trust
    from memhrm.runs.choice import SolveSettings
    from memhrm.runs.unused import refuse
    from memhrm.system.files import require_free, write_text
    from memhrm.system.ranks import choose_device
    from memhrm.weights.solver import load

    chosen = build(SolveSettings, config, "")
    if chosen.out is not None:
        require_free("out", Path(chosen.out), chosen.overwrite)
    if chosen.threads is not None:
        torch.set_num_threads(chosen.threads)
    trust(chosen.trust)
    if not Path(chosen.run).is_dir():
        for name in sorted({"checkpoint", "weights"} & given):
            refuse(True, name, getattr(chosen, name), "with an exported file")
    solver = load(chosen.run, chosen.checkpoint, chosen.weights).to(choose_device(chosen.device))
    task, examples = solver.task, []
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


def lines(
    task: "Task", inputs: "np.ndarray", answers: "np.ndarray", verdict: "Verdict", q: "np.ndarray"
) -> str:
    """Return the answers as CSV, one line a puzzle."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    yes = ("no", "yes")
    for question, answer, givens, rules, sure in zip(inputs, answers, *verdict, q):
        row = [task.decode(question), task.decode(answer), yes[int(givens)], yes[int(rules)], f"{sure:.4f}"]
        writer.writerow(row)
    return text.getvalue()


def summary(verdict: "Verdict", labels: "np.ndarray", answers: "np.ndarray") -> str:
    """Say how many answers can be right and, where the file has answers (labels above 0), how many agree."""
    possible, known = int((verdict.keeps_givens & verdict.keeps_rules).sum()), (labels > 0).all(axis=1)
    text = f"{possible:,} of {len(answers):,} answers keep the givens and the rules"
    if not known.any():
        return text
    agree = int((labels == answers).all(axis=1).sum())
    return f"{text}; {agree:,} are those of the file, which has {int(known.sum()):,}"


def with_file(words: Sequence[str]) -> list[str]:
    """Return the command line with its bare word, the file, made a setting.

    Raises:
        ValueError: there are several.
    """
    files = [word for word in words if word.startswith("file=") or not ("=" in word or word.startswith("-"))]
    require(len(files) <= 1, "file", " and ".join(files), "one file at a time")
    return [word if "=" in word or word.startswith("-") else f"file={word}" for word in words]


def _called() -> NoReturn:
    sys.argv[1:] = with_file(sys.argv[1:])
    command("solve", main)


if __name__ == "__main__":
    console.run(_called)
