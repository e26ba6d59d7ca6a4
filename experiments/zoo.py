"""The small models that come with the package: train, export, and write their cards.

    python -m experiments.zoo                    # all that are missing
    python -m experiments.zoo sudoku4 --again    # this one, anew

Run it from a clean checkout: a card names the commit.
"""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from experiments.grid.run import ROOT
from memhrm.config import console
from memhrm.report.card import card
from memhrm.system.files import write_text
from memhrm.weights.restore import from_run, save
from memhrm.weights.zoo import ZOO


class Files(NamedTuple):
    """What a card tells of the files that a model was trained on; see `memhrm.report.card.card`."""

    licence: str | None = None
    attribution: str | None = None


RECIPES: dict[str, tuple[str, ...]] = {
    "sudoku4": ("steps=300",),
    "sudoku4-multicell": ("+memory=multicell", "k=2", "steps=300"),
    "sudoku6": ("data=sudoku6", "data.min_clues=16", "batch_size=32", "optim.lr=4e-3", "steps=1200"),
    "maze5": (
        *("data=maze", "data.side=5", "data.min_length=5", "data.min_walls=0.38", "data.max_walls=0.5"),
        *("data.unique=true", "batch_size=32", "optim.lr=4e-3", "steps=1000"),
    ),
    "recall": ("experiment=recall", "+memory=bicross"),
    "contexts": ("experiment=contexts", "+memory=multicell", "memory.cells=32", "k=1"),
    "hops": ("experiment=hops", "+memory=bicross", "memory.write_when=told"),
    "intents": (
        *("experiment=intent", "data.path=runs/data/intent", "data.train_file=clinc150_train.csv"),
        *("data.test_file=clinc150_test.csv", "data.oos=clinc150_oos_test.csv"),
        *("data.buckets=4096", "steps=1000"),
    ),
}
"""What each model is trained with."""

FILES = {
    "intents": Files(
        "cc-by-3.0",
        "The data are CLINC150's training texts, with half of its test: Stefan Larson et al., An Evaluation "
        "Dataset for Intent Classification and Out-of-Scope Prediction, EMNLP-IJCNLP 2019; CC BY 3.0",
    ),
}
"""Where the files come from that a model was trained on; the others were trained on generated data."""


def make(name: str, runs: Path) -> None:
    """Train a model, or go on with it, and write its weights and its card.

    Args:
        name: one of `RECIPES`.
        runs: the folder of the runs.
    """
    run = runs / name
    words = [*RECIPES[name], "threads=1", "progress=false", f"dir={run}"]
    subprocess.run([sys.executable, "-m", "memhrm.train", *words], check=True, cwd=ROOT)
    # Half the size; a test scores the model as it is kept.
    save(from_run(run), ZOO / f"{name}.safetensors", "float16", shared=True)
    licence, attribution = FILES.get(name, Files())
    write_text(ZOO / f"{name}.md", card(run, name, name, licence=licence, attribution=attribution))


def main() -> None:
    """Make the models that the command line names."""
    parser = console.Parser(prog="python -m experiments.zoo", description=__doc__)
    parser.add_argument("name", nargs="*", help="models; all that are missing if none is given")
    parser.add_argument("--again", action="store_true", help="train anew what is there")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "zoo", help="where the runs are")
    args = parser.parse_args()
    for name in args.name:
        if name not in RECIPES:
            raise ValueError(f"NAME is {name!r}; allowed: {', '.join(RECIPES)}")
    for name in args.name or RECIPES:
        if args.again:
            shutil.rmtree(args.runs / name, ignore_errors=True)
        if args.again or args.name or not (ZOO / f"{name}.safetensors").exists():
            make(name, args.runs.resolve())


if __name__ == "__main__":
    console.run(main)
