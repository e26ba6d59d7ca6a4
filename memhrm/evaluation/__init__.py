"""Answers and scores without gradient."""
