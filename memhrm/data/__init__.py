"""Examples: tasks, sets, variants and batches."""

from memhrm.data.dataset import Dataset
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.examples import Examples, examples_of
from memhrm.data.grid import GridTask
from memhrm.data.loading import load, load_test
from memhrm.data.maze.task import Maze
from memhrm.data.sampler import IGNORE, Sampler
from memhrm.data.settings import DataSettings
from memhrm.data.sudoku.task import Sudoku
from memhrm.data.task import Task

__all__ = [
    "IGNORE",
    "DataSettings",
    "Dataset",
    "Episodes",
    "Examples",
    "GridTask",
    "Maze",
    "Sampler",
    "Sudoku",
    "Task",
    "examples_of",
    "load",
    "load_test",
]
