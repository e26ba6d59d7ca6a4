"""Puzzles: tasks, sources, symmetries and batches."""

from memhrm.data.dataset import Dataset
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.examples import Examples
from memhrm.data.files import read_puzzles, read_questions
from memhrm.data.loading import load, load_test
from memhrm.data.maze.task import Maze
from memhrm.data.sampler import IGNORE, Sampler, evaluation_batches
from memhrm.data.sudoku.task import Sudoku
from memhrm.data.task import Task

__all__ = [
    "IGNORE",
    "Dataset",
    "Episodes",
    "Examples",
    "Maze",
    "Sampler",
    "Sudoku",
    "Task",
    "evaluation_batches",
    "load",
    "load_test",
    "read_puzzles",
    "read_questions",
]
