"""The run that adapts a trained one to new ARC tasks: other data, and weights that stand still."""

import sys
from pathlib import Path
from typing import Any

from memhrm.config.settings import require
from memhrm.config.trust import trust
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.arc.tasks import read_tasks
from memhrm.data.settings import parse as parse_data
from memhrm.runs.checkpoint import read
from memhrm.runs.settings import RunSettings, parse
from memhrm.weights.restore import checkpoint_of


def adaptation(settings: Any) -> RunSettings:
    """Return the settings of the run that the settings of `memhrm.adapt` describe.

    Raises:
        ValueError: the run is none on ARC with identifiers, or there is no such run; or a task of the file is
            too large for the canvas.
    """
    trust(settings.trust)
    source = checkpoint_of(Path(settings.run), settings.checkpoint)
    values = read(source)["config"]
    data, optim = dict(values["data"]), dict(values["optim"])
    own = parse_data(data)
    transductive = isinstance(own, ArcSettings) and not own.strict
    require(transductive, "run", settings.run, "a run on ARC with data.protocol=transductive")
    assert isinstance(own, ArcSettings)
    place = Path(settings.file).expanduser().resolve()
    given = read_tasks(place)
    large = [task for task in given if task.side() > own.canvas]
    for task in large if not place.is_dir() else ():  # Of a folder those that fit are taken.
        own.task().checked_task(task, str(place))
    if large:
        left = f"{len(large):,} of {len(given):,} tasks in {place} are too large for the canvas"
        print(f"left out: {left} of {own.canvas} a side", file=sys.stderr)
    data |= {"path": str(place), "test_size": None}
    data |= parse_data(data).elsewhere()
    data |= {} if settings.variants is None else {"variants": settings.variants}
    changed = {
        "data": data,
        "optim": optim | {"freeze": True, "warmup": 0, "schedule": "constant"},
        "dir": settings.out or str(Path(settings.run) / "adapted" / place.stem),
        "init": str(source),
        "batch_size": settings.batch_size or values["batch_size"],
        "validation_size": 0,
        "eval_every": 0,
        "probe": "none",
    }
    same = ("steps", "seed", "device", "threads", "progress")
    return parse({**values, **changed, **{name: getattr(settings, name) for name in same}})
