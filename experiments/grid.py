"""Grids of runs: named variants by seeds, launched as processes of `memhrm.train`.

A finished run is kept, an interrupted one goes on, a failed one is named and does not stop the others.
"""

import argparse
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


class Grid(dict[str, list[str]]):
    """Named variants, each a list of settings that are added to those of the grid."""

    def __init__(self, settings: str, **variants: str):
        super().__init__({name: [*settings.split(), *text.split()] for name, text in variants.items()})


def folder(name: str) -> str:
    """A variant's name as a name of files."""
    return re.sub(r"[^a-z0-9_]+", "-", name.lower())


def launch(path: Path, settings: list[str]) -> str | None:
    """Run to the end, or from where it stopped to the end; returns what went wrong."""
    path.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "memhrm.train", *settings, "threads=1", "progress=false", f"dir={path}"]
    with open(path / "output.txt", "w") as file:
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, env=environment)
    if done.returncode:
        said = (path / "output.txt").read_text().strip().splitlines()
        return said[-1] if said else f"ended with code {done.returncode} and said nothing"
    return None


def run(
    grids: dict[str, Grid], root: Path, module: str, about: str | None
) -> tuple[str, dict[str, list[Path]]]:
    """Read the command line, launch what is missing, and return the grid's name and its runs by variant.

    Raises:
        ValueError: the command line names a variant that there is not.
    """
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog=f"python -m {module}", description=about, formatter_class=form)
    parser.add_argument("grid", choices=grids)
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--only", action="append", help="a variant; may be given several times")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="runs at once, one thread each")
    parser.add_argument("--table", action="store_true", help="launch nothing")
    args = parser.parse_args()
    grid = grids[args.grid]
    names = args.only or list(grid)
    for name in names:
        if name not in grid:
            raise ValueError(f"--only names {name!r}; allowed: {', '.join(grid)}")
    seeds = [int(seed) for seed in args.seeds.split(",")]
    paths = {name: [root / args.grid / f"{folder(name)}-seed{seed}" for seed in seeds] for name in names}
    # Seed by seed, so that an interrupted grid has every variant.
    runs = [
        (paths[name][number], [*grid[name], f"seed={seed}"])
        for number, seed in enumerate(seeds)
        for name in names
    ]
    if not args.table:
        with ThreadPoolExecutor(args.workers) as pool:
            results = pool.map(lambda one: launch(*one), runs)
            for number, ((path, _), wrong) in enumerate(zip(runs, results), 1):
                print(f"{number}/{len(runs)} {path.name}" + (f": {wrong}" if wrong else ""), flush=True)
    return args.grid, paths
