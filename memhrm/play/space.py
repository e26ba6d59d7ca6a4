"""The page as a folder for a Hugging Face Space, which holds all that it needs but its libraries."""

import re
import shutil
import sys
from collections.abc import Sequence
from importlib.metadata import requires, version
from pathlib import Path

from memhrm.config.defaults import CONFIGS
from memhrm.config.settings import require
from memhrm.play.choices import Choices
from memhrm.play.page import launch, library, page
from memhrm.play.turns import Turns
from memhrm.system.files import write_text
from memhrm.weights.opening import located
from memhrm.weights.restore import from_run, save, share

PACKAGE = Path(__file__).parents[1]
WITHOUT = ("wandb", "xformers")
"""Libraries that a page does not import, though the package asks for them."""
STEPS = 64
"""Supervision steps of an answer at most, for visitors."""

APP = '''\
"""The page of memhrm, for a Hugging Face Space; `python app.py` shows it on this machine."""

from pathlib import Path

from memhrm.play.space import serve

serve(Path(__file__).parent)
'''

README = """\
---
title: memhrm
sdk: gradio
sdk_version: {gradio}
python_version: "{python}"
app_file: app.py
license: apache-2.0
---
Small networks that refine an answer step by step. Made by `memhrm play space=DIR`, version {version}.
"""


def write_space(place: str, runs: Sequence[str]) -> None:
    """Write the folder of a Space: the package, the models, what must be installed.

    Args:
        place: the folder, which must not exist.
        runs: as `memhrm.load` takes them; those models are offered first.

    Raises:
        ValueError: the folder exists, or a run holds no model.
    """
    folder = Path(place).expanduser()
    require(not folder.exists(), "space", place, "a folder that does not exist yet")
    gradio = library().__version__
    choices = Choices(runs)
    models = folder / "models"
    models.mkdir(parents=True)
    for name, run in zip(choices.names, runs):
        _copy(located(run), models / f"{name}.safetensors")
    ignored = shutil.ignore_patterns("__pycache__", "configs")
    shutil.copytree(PACKAGE, folder / PACKAGE.name, ignore=ignored)
    shutil.copytree(CONFIGS, folder / PACKAGE.name / "configs")
    write_text(folder / "app.py", APP)
    python = ".".join(map(str, sys.version_info[:2]))
    readme = README.format(gradio=gradio, python=python, version=version("memhrm"))
    write_text(folder / "README.md", readme)
    write_text(folder / "requirements.txt", "".join(f"{one}\n" for one in needed()))
    size = sum(one.stat().st_size for one in folder.rglob("*") if one.is_file())
    print(f"written to {folder}: {size / 2**20:.1f} MiB; `python app.py` shows it, a Space serves it")


def needed() -> list[str]:
    """Return the libraries that the page needs, as pip takes them."""
    every = requires("memhrm") or []
    core = [one for one in every if "extra ==" not in one and re.split(r"[^\w.-]", one)[0] not in WITHOUT]
    extra = [one.split(";")[0].strip() for one in every if re.search(r"extra == .play.", one)]
    return core + [one for one in extra if not one.startswith("gradio")]  # A Space brings it along.


def serve(folder: Path) -> None:
    """Serve the page of a Space's folder to everybody, as a Space does."""
    choices = Choices([str(one) for one in sorted((folder / "models").glob("*.safetensors"))])
    turns = Turns(choices, STEPS)
    made = page(choices.names, lambda name, *given: getattr(turns, name)(*given), most_steps=STEPS)
    launch(made, host="0.0.0.0", port=None, show=False)


def _copy(run: Path, file: Path) -> None:
    """Copy an exported file, or export a run, for everybody to see."""
    if run.is_dir():
        save(from_run(run), file, shared=True)
    else:
        share(run, file)
