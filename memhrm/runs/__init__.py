"""The life of a run: data, loop, log, directory, checkpoints."""
