"""Puzzles: tasks, sources, symmetries and batches."""

from memhrm.data.episodes import Episodes
from memhrm.data.maze import Maze
from memhrm.data.puzzle import PuzzleSet, Task
from memhrm.data.puzzle_files import read_puzzles, read_questions
from memhrm.data.sampler import IGNORE, Sampler, evaluation_batches
from memhrm.data.sources import Dataset, load, load_test
from memhrm.data.sudoku import Sudoku

__all__ = [
    "IGNORE",
    "Dataset",
    "Episodes",
    "Maze",
    "PuzzleSet",
    "Sampler",
    "Sudoku",
    "Task",
    "evaluation_batches",
    "load",
    "load_test",
    "read_puzzles",
    "read_questions",
]
