"""Put the tests of ARC to the vote of a trained model, task by task, and go on where it stopped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from memhrm.config.settings import require
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask
from memhrm.data.arc.votes import Candidate, Voted
from memhrm.data.examples import Examples
from memhrm.data.settings import parse
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.votes import Ballot
from memhrm.runs.held_out import Scored, with_other
from memhrm.runs.settings import DTYPES
from memhrm.system.files import named
from memhrm.system.ranks import Ranks
from memhrm.weights.poll import HeldOut, Poll
from memhrm.weights.restore import Restored
from memhrm.weights.scores import WAYS, other_data
from memhrm.weights.tensors import checksum


def tasks_of(restored: Restored, what: Scored, settings: Any) -> list[HeldOut] | None:
    """Return the tasks of ARC that are held out, and which of their tests are scored; None without ARC.

    Those that are too large for the canvas are among them, unless data.test_size draws some of the others.

    Args:
        restored: the model and its run.
        what: what it is scored on, whose task then knows the variants of the tasks.
        settings: those of `memhrm.evaluate`.
    """
    data = parse(with_other(restored.run.data, other_data(settings)))
    if not isinstance(data, ArcSettings):
        return None
    arc = what.dataset.task
    assert isinstance(arc, Arc) and data.path is not None
    drawn, left = set(what.test.sources), set(_rows(what.dataset.test))
    every = data.tasks(arc, Path(data.path).expanduser())
    tasks = [task for task in every if task.set in data.test_sets and task.id in drawn]
    scored = (row in left for row in _rows(arc.examples(tasks, demonstrations=False, tests=True)))
    large = arc.too_large if data.test_size is None else []
    return [
        *(HeldOut(task, tuple(islice(scored, len(task.tests)))) for task in tasks),
        *(HeldOut(task, (False,) * len(task.tests), fits=False) for task in large),
    ]


def _rows(examples: Examples) -> list[tuple[str, bytes, bytes]]:
    """Return what tells each pair from all others: its task, its input and its output."""
    both = zip(examples.sources, examples.inputs, examples.labels)
    return [(source, given.tobytes(), output.tobytes()) for source, given, output in both]


def vote(
    restored: Restored,
    what: Scored,
    tasks: Sequence[HeldOut],
    settings: Any,
    evaluation: EvaluationSettings,
    place: Path,
    record: Mapping[str, Any],
    ranks: Ranks,
) -> Poll | None:
    """Put tasks to the vote; what the same evaluation found before is not asked again.

    Args:
        restored: the model and its run.
        what: what it is scored on.
        tasks: the tasks.
        settings: those of `memhrm.evaluate`.
        evaluation: how the model is run.
        place: the folder in which the votes are kept, a line for each task.
        record: what tells this evaluation from others.
        ranks: the processes that share the work.

    Returns:
        The votes; None if this process is not the first.

    Raises:
        ValueError: the model knows none of the tasks.
    """
    arc, dtype = what.dataset.task, DTYPES[settings.precision or restored.run.precision]
    assert isinstance(arc, Arc)
    ballot = Ballot(
        restored.model.to(ranks.device), arc, what.dataset.episodes, evaluation, settings.votes, dtype
    )
    asked = [one.asked() for one in tasks if any(one.scored)]
    known = [task for task in asked if len(ballot.codes(task))]
    allowed = "a run that was trained on demonstrations of these tasks; `memhrm.adapt` trains identifiers"
    require(len(known) > 0, "run", settings.run, allowed)
    record = {name: value for name, value in record.items() if name not in WAYS}
    of = {"puzzles": what.dataset.digest(), "weights": checksum(restored.model.state_dict(), {})}
    record = json.loads(json.dumps(record | of))
    if ranks.first:
        for file in place.glob("votes*.jsonl"):
            if _header(file) != record:  # No vote goes from one evaluation to another.
                file.unlink()
    ranks.wait()
    before = _read(place, known)
    ranks.wait()
    left = [task for task in known if task.id not in before][ranks.rank :: ranks.size]
    total = sum(len(task.tests) * len(ballot.codes(task)) for task in left)
    bar = tqdm(total=total, desc="vote", unit="answer", disable=not (settings.progress and ranks.first))
    file = place / ("votes.jsonl" if ranks.first else f"votes-{ranks.rank}.jsonl")
    with bar, _appended(file, record) as write:
        for voted in ballot.votes(left, bar.update):
            write(_line(voted))
    ranks.wait()
    if not ranks.first:
        return None
    found = _read(place, known)
    return Poll(tasks, [found[task.id] for task in known])


@contextmanager
def _appended(path: Path, record: Mapping[str, Any]) -> Iterator[Any]:
    """Yield what appends a line to a file of votes, which begins with the record."""
    with named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        cut = path.exists() and not path.read_bytes().endswith(b"\n")
        with open(path, "a", encoding="utf-8") as file:

            def write(line: Mapping[str, Any]) -> None:
                file.write(json.dumps(line, separators=(",", ":")) + "\n")
                file.flush()

            if cut:
                file.write("\n")  # A crash cut the last line short, which then says nothing.
            if not file.tell():
                write(record)
            yield write


def _header(file: Path) -> Any:
    with open(file, encoding="utf-8") as lines:
        return _json(lines.readline())


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


def _line(voted: Voted) -> dict[str, Any]:
    tests = [
        [{"grid": one.grid.tolist(), "votes": one.votes, "q": one.q} for one in found]
        for found in voted.candidates
    ]
    return {"task": voted.task.id, "variants": voted.variants, "tests": tests}


def _read(folder: Path, tasks: Sequence[ArcTask]) -> dict[str, Voted]:
    """Return the votes that are kept in a folder, by the name of the task."""
    by_name = {task.id: task for task in tasks}
    found: dict[str, Voted] = {}
    for file in sorted(folder.glob("votes*.jsonl")):
        with open(file, encoding="utf-8") as lines:
            next(lines, None)
            for line in map(_json, lines):
                if line is not None and line["task"] in by_name:
                    task = by_name[line["task"]]
                    found[task.id] = Voted(
                        task, [_candidates(test) for test in line["tests"]], line["variants"]
                    )
    return found


def _candidates(test: Sequence[Mapping[str, Any]]) -> list[Candidate]:
    return [Candidate(np.array(one["grid"], np.uint8), one["votes"], one["q"]) for one in test]
