"""ARC: tasks of coloured grids, each told by a few demonstrations."""
