"""Mazes: generator and task."""
