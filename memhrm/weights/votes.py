"""Put the tests of ARC to the vote of a trained model, task by task, and go on where it stopped."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from memhrm.config.settings import require
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask
from memhrm.data.arc.votes import Candidate, Voted, controls, pass_rates, place_of, submission
from memhrm.data.settings import parse
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.votes import Ballot
from memhrm.runs.held_out import Scored
from memhrm.runs.settings import DTYPES
from memhrm.system.files import named, to_json, write_text
from memhrm.system.ranks import Ranks
from memhrm.weights.restore import Restored
from memhrm.weights.scores import WAYS, other_data


@dataclass(frozen=True)
class Poll:
    """The votes on all test tasks.

    Attributes:
        voted: of each task that was put to the vote.
        unknown: tasks of which the run knows no variant; they count as not solved.
    """

    voted: list[Voted]
    unknown: list[ArcTask]

    def scores(self) -> dict[str, Any]:
        """Return the pass rates over all tasks whose outputs are known, those of the controls, and counts."""
        places: dict[str, list[int | None]] = {
            one.task.id: [
                None if pair.output is None else place_of(found, pair.output)
                for pair, found in zip(one.task.tests, one.candidates)
            ]
            for one in self.voted
            if _solved(one.task)
        }
        places |= {task.id: [None] * len(task.tests) for task in self.unknown if _solved(task)}
        known = [task for task in (*(one.task for one in self.voted), *self.unknown) if _solved(task)]
        counts = {"tasks": len(known), "tests": sum(map(len, places.values())), "unknown": len(self.unknown)}
        return {**pass_rates(places), **controls(known), **counts}

    def about(self) -> str:
        """Say how many tasks there are, and how many variants of each voted."""
        counts = [one.variants for one in self.voted]
        lost = f"; {len(self.unknown):,} more are unknown to the run" if self.unknown else ""
        return f"{len(counts):,} tasks, {min(counts):,} to {max(counts):,} variants of each voted{lost}"

    def tell(self) -> None:
        """Print the pass rates."""
        scores = self.scores()
        print(f"{table(scores)}\n{self.about()}" if scores["tasks"] else self.about())

    def write(self, place: Path, page: str) -> None:
        """Write the submission and the page into a folder."""
        for name, text in (("submission.json", to_json(self.submission()) + "\n"), ("arc.html", page)):
            write_text(place / name, text)
            print(f"written to          {place / name}")

    def submission(self) -> dict[str, Any]:
        """Return what Kaggle takes, of all tasks."""
        found = {one.task.id: [[each.grid for each in test] for test in one.candidates] for one in self.voted}
        return submission(found | {task.id: [[] for _ in task.tests] for task in self.unknown})


def _solved(task: ArcTask) -> bool:
    return all(pair.output is not None for pair in task.tests)


def tasks_of(restored: Restored, what: Scored, settings: Any) -> list[ArcTask] | None:
    """Return the tasks of ARC that are put to the vote, all of whose tests are scored; None without ARC.

    Args:
        restored: the model and its run.
        what: what it is scored on, whose task then knows the variants of the tasks.
        settings: those of `memhrm.evaluate`.
    """
    data = parse({**restored.run.data, **other_data(settings)})
    if not isinstance(data, ArcSettings):
        return None
    arc = what.dataset.task
    assert isinstance(arc, Arc) and data.path is not None
    names, counts = np.unique(what.dataset.test.sources.astype(str), return_counts=True)
    left = dict(zip(names.tolist(), counts.tolist()))
    return [
        task
        for task in data.tasks(arc, Path(data.path).expanduser())
        if task.set in data.test_sets and left.get(task.id) == _examples(data, task)
    ]


def _examples(settings: ArcSettings, task: ArcTask) -> int:
    return len(task.tests) + (len(task.demonstrations) if settings.strict else 0)


def vote(
    restored: Restored,
    what: Scored,
    tasks: Sequence[ArcTask],
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
    known = [task for task in tasks if len(ballot.codes(task))]
    allowed = "a run that was trained on demonstrations of these tasks; `memhrm.adapt` trains identifiers"
    require(len(known) > 0, "run", settings.run, allowed)
    record = {name: value for name, value in record.items() if name not in WAYS}
    record = json.loads(json.dumps(record | {"puzzles": what.dataset.digest()}))
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
    return Poll([found[task.id] for task in known], [task for task in tasks if task.id not in found])


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


def table(scores: Mapping[str, Any]) -> str:
    """Return the pass rates for people: of tests, as TRM reports them, and of whole tasks, as HRM does."""
    passes = [name.removeprefix("pass@") for name in scores if name.startswith("pass@") and "_" not in name]
    lines = [
        f"{'pass@':<18}" + "".join(f"{most:>8}" for most in passes),
        f"{'tests':<18}" + "".join(f"{scores[f'pass@{most}']:>8.1%}" for most in passes),
        f"{'whole tasks':<18}" + "".join(f"{scores[f'pass@{most}_whole_task']:>8.1%}" for most in passes),
        f"of {scores['tasks']:,} tasks with {scores['tests']:,} tests; a copy of the input solves "
        f"{scores['copy']:.1%}, one colour {scores['one_colour']:.1%}",
    ]
    return "\n".join(lines)
