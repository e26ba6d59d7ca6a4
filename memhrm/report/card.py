"""A model card: what a run's model is, how it was made, what it scores, and where it ends."""

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from memhrm.config.console import plural
from memhrm.config.settings import require
from memhrm.data.settings import USUAL
from memhrm.memory.none import NO_MEMORY
from memhrm.runs.directory import RunDirectory, mapping
from memhrm.runs.identity import own_classes
from memhrm.runs.recipe import words_of
from memhrm.runs.settings import RunSettings, parse
from memhrm.runs.summary import finished
from memhrm.system.files import read_json

_MADE_BY = {"prune": "memhrm.prune", "import": "memhrm.transfer"}

LICENCE = "apache-2.0"
"""Of the weights that a run on generated data has: that of this package."""


def card(
    path: Path,
    name: str,
    load: str,
    *,
    step: int | None = None,
    licence: str | None = None,
    attribution: str | None = None,
) -> str:
    """Return the card of a finished run in Markdown, with a head that the Hugging Face hub reads.

    Args:
        path: the run directory.
        name: what the model is called.
        load: what `memhrm.load` is given to open it.
        step: of the weights that the card is for; None: those of the end.
        licence: of the weights, as the hub names it; None: that of the package if the data are generated,
            and left out if they are files.
        attribution: where files that it was trained on come from, as a sentence without its full stop.

    Raises:
        ValueError: there is no run; it is not finished; its scores are of other weights; or an attribution is
            given of generated data.
    """
    directory = RunDirectory(path)
    run, summary = parse(directory.config()), directory.summary()
    allowed = f"a finished run, which has a summary.json of its steps={run.steps}"
    require(finished(directory, run.steps), "run", str(path), allowed)
    assert summary is not None
    allowed = f"one of step {summary['step']}, whose weights the run's scores are of"
    require(step in (None, summary["step"]), "checkpoint", f"one of step {step}", allowed)
    environment = mapping(path / "environment.json", read_json(path / "environment.json"))
    generated = run.generated
    allowed = "null where the package generates the data"
    require(attribution is None or not generated, "attribution", attribution, allowed)
    licence = licence or (LICENCE if generated else None)
    licensed = [f"license: {licence}"] if licence else []
    head = ["library_name: memhrm", *licensed, "tags:", "- recursive-reasoning", f"- {run.model.name}"]
    index = yaml.safe_dump({"model-index": [_index(name, run, summary)]}, sort_keys=False).rstrip()
    parts = [
        "\n".join(["---", *head, index, "---"]),
        f"# {name}",
        _filled(_what(run, summary)),
        f'```python\nimport memhrm\n\nsolver = memhrm.load("{load}")\n```',
        "## How it was made",
        f"```bash\n{_command(run)}\n```",
        *filter(None, [_filled(_unsaid(run, path))]),
        _filled(_made(run, summary, environment, attribution)),
        "## What it scores",
        _table(summary),
        "## Limits",
        _filled(_limits(run, summary, generated)),
    ]
    return "\n\n".join(parts) + "\n"


def _filled(text: str) -> str:
    return textwrap.fill(text, 110, break_long_words=False, break_on_hyphens=False)


def _what(run: RunSettings, summary: Mapping[str, Any]) -> str:
    memory = "no memory" if run.memory.module == NO_MEMORY.module else f"the memory {run.memory.name}"
    steps, cycles = run.halting.halt_max_steps, run.model.H_cycles
    return (
        f"A small recursive network ({run.model.name}) with {memory} and {summary['parameters']:,} "
        f"parameters, trained on {_data(run)}. An answer takes {plural(steps, 'supervision step')} of "
        f"{plural(cycles, 'H-cycle')}."
    )


def _data(run: RunSettings) -> str:
    categories = run.data.get("categories")
    return f"texts of {len(categories)} categories" if categories else run.data["name"]


def _command(run: RunSettings) -> str:
    placed = {"data.path": "data.path=DIR"}  # No path of this machine is told.
    placed |= {f"data.{name}": f"data.{name}=FILE" for name in USUAL if Path(run.data[name]).is_absolute()}
    words = [placed.get(word.partition("=")[0], word) for word in words_of(run)]
    return textwrap.fill(
        " ".join(["python -m memhrm.train", *words]),
        100,
        break_long_words=False,
        break_on_hyphens=False,
        subsequent_indent="  ",
    ).replace("\n", " \\\n")


def _unsaid(run: RunSettings, path: Path) -> str:
    """Return what the command does not say: classes that it needs, and what the run was begun from."""
    said = [f"The command needs {name}, which is not of the package." for name in own_classes(run)]
    if run.init is not None:
        said.append(f"The run began from the weights {Path(run.init).name}, which the command lacks (init=).")
    file = path / "origin.json"
    origin = mapping(file, read_json(file)) if file.exists() else None
    while origin:
        what = _MADE_BY.get(origin["command"], origin["command"])
        said.append(
            f"Before its last training {what} made it from step {origin['step']:,} of the run "
            f"{Path(origin['run']).name}, which the command does not repeat."
        )
        origin = origin.get("origin")
    return " ".join(said)


def _made(
    run: RunSettings, summary: Mapping[str, Any], environment: Mapping[str, Any], attribution: str | None
) -> str:
    git = environment.get("git") or {}
    commit = git.get("commit", "")[:12] + (", with changes" if git.get("changed") else "")
    packages = environment["packages"]
    if run.generated:
        data = "The data are generated by the package"
    else:
        data = attribution or "The data are files of the trainer's"
    return (
        f"{data}. Seed {run.seed}; {summary['step']:,} optimiser steps of {run.batch_size} examples; "
        f"{summary['seconds']:.0f} seconds on {environment['device']}, "
        f"{plural(environment['threads'], 'thread')}; memhrm "
        f"{packages['memhrm']}{f' at commit {commit}' if commit else ''}, PyTorch {packages['torch']}."
    )


def _index(name: str, run: RunSettings, summary: Mapping[str, Any]) -> dict[str, Any]:
    """Return the score on the test as the hub reads it (https://huggingface.co/docs/hub/model-cards)."""
    count, exact = summary["puzzles"], summary["exact_accuracy"]
    about = {"examples": count, "interval": [round(100 * one, 1) for one in _interval(exact, count)]}
    metrics = [{"type": "exact_accuracy", "name": "exact, %", "value": round(100 * exact, 1), "args": about}]
    if best := _best(summary):
        metrics.append({"type": "best_possible", "name": "best possible, %", "value": float(best)})
    dataset = {"type": run.data["kind"], "name": run.data["name"]}
    return {"name": name, "results": [{"task": {"type": "other"}, "dataset": dataset, "metrics": metrics}]}


def _table(summary: Mapping[str, Any]) -> str:
    """Return a line for each test: how many it has, and how many are exact, with its interval.

    Of episodes also how many the best possible model answers; of contexts, how many are held; of texts, how
    well the answers' probabilities tell texts of no category.
    """
    tests = {"held out": summary, **summary.get("series", {})}
    more = {
        "best possible, %": [_best(scores) for scores in tests.values()],
        "contexts held": [_number(scores.get("contexts_held")) for scores in tests.values()],
        "AUROC out of scope": [_share(scores.get("oos_auroc")) for scores in tests.values()],
    }
    more = {name: values for name, values in more.items() if any(values)}
    head = ["test", "examples", "exact, %", "95 % interval", "labels right, %", *more]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for at, (name, scores) in enumerate(tests.items()):
        count, exact = scores["puzzles"], scores["exact_accuracy"]
        low, high = _interval(exact, count)
        between, right = f"{100 * low:.1f} to {100 * high:.1f}", f"{100 * scores['accuracy']:.1f}"
        cells = [name, f"{count:,}", f"{100 * exact:.1f}", between, right]
        cells += [values[at] for values in more.values()]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _best(scores: Mapping[str, Any]) -> str:
    """Return the share that the best possible model answers, in %, as text; empty where nothing limits it."""
    best = scores.get("optimum_by_position")
    return _number(100 * sum(best) / len(best) if best else None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _interval(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share of so many cases (`memhrm.evaluation.intervals.wilson`)."""
    import numpy as np

    from memhrm.evaluation.intervals import wilson

    low, high = wilson(np.array([share]), count)
    return float(low[0]), float(high[0])


def _limits(run: RunSettings, summary: Mapping[str, Any], generated: bool) -> str:
    best = summary.get("optimum_without_memory")
    sure = " Q says how sure the model is, and is no proof of an answer." if run.loss.judges else ""
    floor = "" if best is None else f" Without memory {100 * best:.1f} % are possible at best."
    files = "" if generated else " The licence of the files it was trained on holds for it too."
    return (
        f"It answers examples of {_data(run)} and of no other kind or size. One seed was trained: "
        f"another one scores otherwise. The interval takes the examples of the test for independent.{sure}"
        f"{floor}{files}"
    )
