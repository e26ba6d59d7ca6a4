"""The recursion and the model around it."""
