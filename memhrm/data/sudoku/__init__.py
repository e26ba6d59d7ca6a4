"""Sudokus: generator, solver, symmetries and task."""
