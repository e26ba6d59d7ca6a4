"""python -m memhrm.probe run=DIR [run=DIR2 ...]: look inside trained models; writes numbers and a report."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from memhrm.config.command import command

if TYPE_CHECKING:
    from memhrm.report.page import Section, Table
    from memhrm.report.sections import Looking, Seen


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    from dataclasses import asdict

    import torch
    from tqdm import tqdm

    from memhrm.config.settings import build
    from memhrm.config.trust import trust
    from memhrm.probes.settings import ProbeSettings
    from memhrm.probes.subject import open_subject
    from memhrm.report import figures
    from memhrm.report.page import page
    from memhrm.report.sections import TOPICS, Looking, Seen
    from memhrm.runs.directory import RunDirectory, locked
    from memhrm.runs.unused_commands import refuse_unused_probe
    from memhrm.system.files import require_new_folder, write_text

    how = build(ProbeSettings, config)
    trust(how.trust)
    figures.ready()  # Before anything is computed.
    if how.threads is not None:
        torch.set_num_threads(how.threads)
    torch.set_flush_denormal(True)
    lookings = []
    for path in map(Path, how.paths()):  # All are opened first, so that a missing run fails at once.
        subject = open_subject(path, puzzles=how.puzzles, checkpoint=how.checkpoint, weights=how.weights)
        lookings.append(Looking(subject, how, RunDirectory(path).metrics()))
    refuse_unused_probe(how, [one.subject.model.H_module.settings for one in lookings], given)
    out = Path(how.out) if how.out else Path(how.paths()[0]) / "probe"
    require_new_folder("out", out, how.overwrite)

    runs: list[Seen] = []
    names = labels([Path(path) for path in how.paths()])
    total = len(lookings) * len(TOPICS) + 1
    with locked(out), tqdm(total=total, desc="probe", disable=not how.progress) as bar:
        for index, (label, looking) in enumerate(zip(names, lookings)):
            numbers = {"about": about(looking)}
            for topic in TOPICS:
                bar.set_postfix_str(f"{label}: {topic.name}")
                found = topic.look(looking)
                if found is not None:
                    numbers[topic.name] = found
                bar.update()
            runs.append(Seen(index, label, looking, numbers))
            # Save after every run so that a later failure loses nothing.
            write_numbers(out, runs, asdict(how))
        bar.set_postfix_str("report")
        sections = []
        for topic in TOPICS:
            found = [run for run in runs if topic.name in run.numbers]
            if found:
                sections.append(topic.show(found))
        title = f"Inside {' and '.join([', '.join(names[:-1]), names[-1]] if len(names) > 1 else names)}"
        write_figures(out, sections)
        report = out / "report.html"
        write_text(report, page(title, [overview(runs)], summary(runs), sections))
        bar.update()
    print(f"written to {report}, with figures/ and numbers.json, .npz beside it")


def labels(paths: Sequence[Path]) -> list[str]:
    """Name the runs by their directories, with as many parents as make the names unique."""
    parts = [path.resolve().parts for path in paths]
    deepest = max(len(part) for part in parts)
    for depth in range(1, deepest + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"run is {', '.join(map(str, paths))}; allowed: each run once")


def about(looking: "Looking") -> dict[str, Any]:
    """Return what was probed: the run's model, its size and the puzzles, with its scores on them."""
    from memhrm.models.reasoner import count_parameters

    model, subject = looking.subject.model, looking.subject
    return {
        "path": str(subject.path),
        "task": subject.task.name,
        "model": model.settings.name,
        "memory": model.H_module.settings.name,
        "parameters": count_parameters(model),
        "step": looking.metrics[-1]["step"] if looking.metrics else None,
        "halt_max_steps": subject.halt_max_steps,
        "puzzles": len(subject),
        "position": looking.position,
        "exact_accuracy": float(looking.near.exact[-1].mean()),
        "accuracy": float(looking.near.accuracy[-1].mean(dtype=float)),
    }


def overview(runs: Sequence["Seen"]) -> "Table":
    from memhrm.report.page import Table
    from memhrm.report.sections.base import percent

    rows = []
    for run in runs:
        a = run.numbers["about"]
        scores = percent(a["exact_accuracy"]), percent(a["accuracy"])
        counts = f"{a['parameters']:,}", "" if a["step"] is None else f"{a['step']:,}", f"{a['puzzles']:,}"
        rows.append(
            [run.label, a["model"], a["memory"], a["task"], *counts, str(a["halt_max_steps"]), *scores]
        )
    head = (
        "run",
        "model",
        "memory",
        "task",
        "parameters",
        "optimiser steps",
        "puzzles",
        "training depth",
        "exact accuracy",
        "token accuracy",
    )
    says = (
        "The probed runs, with exact and token accuracy on held-out puzzles at the training depth: the "
        "number of supervision steps used in training."
    )
    places = sorted({place for run in runs if (place := run.looking.position) is not None})
    if places:
        says += (
            f" In episodes, these scores and all sections but the one on episodes are for puzzle "
            f"{' or '.join(map(str, places))} of each episode, with the memory that the earlier ones left."
        )
    return Table("", head, rows, says, marks=[run.index for run in runs])


def summary(runs: Sequence["Seen"]) -> list[tuple[str, list[str]]]:
    """Return the sentences of all sections, by the name of the run."""
    from memhrm.report.sections import TOPICS

    return [
        (run.label, [s for topic in TOPICS if topic.name in run.numbers for s in topic.say(run)])
        for run in runs
    ]


def write_numbers(out: Path, runs: Sequence["Seen"], how: dict[str, Any]) -> None:
    """Write numbers.npz, with every array as RUN/SECTION/NAME, and numbers.json, with the small ones."""
    import numpy as np

    from memhrm.report.sections import flat, small
    from memhrm.system.files import write_text

    found = {run.label: run.numbers for run in runs}
    np.savez_compressed(out / "numbers.npz", **flat(found))  # pyright: ignore[reportArgumentType]
    text = json.dumps({"settings": how, "runs": small(found)}, indent=1, allow_nan=False)
    write_text(out / "numbers.json", text + "\n")


def write_figures(out: Path, sections: Sequence["Section"]) -> None:
    """Write figures/, and remove the figures of an earlier report."""
    folder = out / "figures"
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for section in sections:
        for drawing in section.drawings():
            (folder / f"{drawing.name}.svg").write_text(drawing.file(), encoding="utf-8")


if __name__ == "__main__":
    command("probe", main)
