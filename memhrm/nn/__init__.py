"""Layers; they know nothing of the recursion."""
