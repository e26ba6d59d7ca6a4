"""Weights of the published HRM and TRM, and records of what they compute."""
