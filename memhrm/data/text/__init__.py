"""Texts: what is written in files, as tokens without a download."""
