"""Published figures to stand beside ours, each with its protocol: other data, sizes and budgets."""

SUDOKU_EXTREME = (
    ["Sudoku-Extreme, 1,000 training puzzles", "parameters", "exact, %", "protocol", "source"],
    [
        ["feed-forward", "", "2.6", "one step", "2605.21488"],
        ["HRM", "27M", "55.0", "16 supervision steps; reproductions 45.8 to 57.5", "2506.21734"],
        ["TRM, attention", "7M", "74.7", "16 supervision steps; reproductions 73 to 78", "2510.04871"],
        ["TRM-MLP", "5M", "87.4", "16 supervision steps; reproductions 79 to 87", "2510.04871"],
        ["Attractor", "27M", "91.4", "", "2605.12466"],
        ["winner-take-all, K=4", "7M", "96.9 ± 0.6", "one forward pass; 6 h on an RTX 5090", "2601.19085"],
        ["Augmented HRM", "27M", "96.9", "augmentation, perturbation, bootstrapping", "2601.10679"],
        ["PTRM", "5 to 7M", "98.75", "TRM with noise, best Q of 100, not trained anew", "2605.19943"],
        ["EqR", "5M", "99.8", "64 supervision steps, 128 restarts, chosen by residual", "2605.21488"],
    ],
)
MAZE_HARD = (
    ["Maze-Hard, 1,000 training puzzles", "parameters", "exact, %", "protocol", "source"],
    [
        ["HRM", "27M", "74.5", "16 supervision steps", "2506.21734"],
        ["TRM, attention", "7M", "85.3", "16 supervision steps; reproductions 75 to 84", "2510.04871"],
        ["Attractor", "27M", "93.1", "", "2605.12466"],
    ],
)
"""Heads and rows of tables; sources are arXiv numbers."""
