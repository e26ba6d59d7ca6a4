"""Trained weights in files, and their use from Python."""
