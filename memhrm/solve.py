"""python -m memhrm.solve run=DIR FILE: answer a file of puzzles that need not have answers.

FILE is CSV with a column question (or puzzle, or quizzes), .sdm, .sdk or .ss, or has a puzzle a line; for a
task of your own, a file that it reads. Each puzzle is answered by a line of CSV: the question, the answer,
whether the answer keeps the givens and whether it keeps the rules (where the task can tell), and Q, how sure
the model is that it is right.
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


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Read the puzzles, answer them, say what the answers are worth."""
    import numpy as np
    import torch
    from tqdm import tqdm

    from memhrm.config.settings import build
    from memhrm.config.trust import trust
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
        shown = task.read(Path(chosen.examples))
        examples = list(zip(shown.inputs, shown.labels))
    questions = task.require(task.read(Path(chosen.file), solve=False))
    starts = range(0, len(questions), chosen.batch_size)
    batches = (questions.select(slice(start, start + chosen.batch_size)) for start in starts)
    parts = [
        solver.answer(
            batch.inputs, chosen.halt_max_steps, examples, identifiers=batch.identifiers, mask=batch.mask
        )
        for batch in tqdm(batches, total=len(starts), desc="solve", unit="batch", disable=not chosen.progress)
    ]
    answers, q = np.concatenate([part.tokens for part in parts]), np.concatenate([part.q for part in parts])
    verdict = task.verdict(questions.inputs, answers)
    table = lines(task, questions.inputs, answers, verdict, q)
    if chosen.out is None:
        print(table, end="")
    print(summary(task, verdict, questions.labels, answers), file=sys.stderr)
    if chosen.out is not None:
        write_text(Path(chosen.out), table)
        print(f"written to {chosen.out}")


def lines(
    task: "Task", inputs: "np.ndarray", answers: "np.ndarray", verdict: "Verdict | None", q: "np.ndarray"
) -> str:
    """Return the answers as CSV, one line a puzzle."""
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    known = {} if verdict is None else verdict._asdict()
    writer.writerow(["question", "answer", *known, "q"])
    for row, (question, answer, sure) in enumerate(zip(inputs, answers, q)):
        said = ["yes" if values[row] else "no" for values in known.values()]
        writer.writerow([task.decode(question), task.decode_answer(answer), *said, f"{sure:.4f}"])
    return text.getvalue()


def summary(task: "Task", verdict: "Verdict | None", labels: "np.ndarray", answers: "np.ndarray") -> str:
    """Say how many answers can be right and, where the file has answers (labels above 0), how many agree."""
    from memhrm.data.score import score

    text = f"{len(answers):,} answers; {task.name} cannot tell by its rules whether they are right"
    if verdict is not None:
        possible = int((verdict.keeps_givens & verdict.keeps_rules).sum())
        text = f"{possible:,} of {len(answers):,} answers keep the givens and the rules"
    known = int((labels > 0).any(axis=1).sum())
    if not known:
        return text
    agree = int(score(labels > 0, answers, labels).exact.sum())
    return f"{text}; {agree:,} are those of the file, which has {known:,}"


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
