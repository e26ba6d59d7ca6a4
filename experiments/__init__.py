"""Experiments on the package, each run as `python -m experiments.NAME`."""
