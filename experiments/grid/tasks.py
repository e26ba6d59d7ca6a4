"""The tasks of the grids at each scale, by name, and the seeds.

`cpu` is sized so that the main table ends within about five hours on two cores (experiments/LOG.md has the
trials that chose the sizes): 4x4 Sudoku, 6x6 Sudoku with 16 clues, and 5x5 mazes with a single shortest
path. `gpu` takes the published recipes; `smoke` shows in seconds a run that everything works.
"""

SEEDS = {"smoke": (0, 1), "cpu": (0, 1, 2, 3, 4), "gpu": (0, 1, 2, 3, 4)}
FEWER = {"smoke": (0, 1), "cpu": (0, 1, 2), "gpu": (0, 1, 2)}
"""Of grids with many variants and no claim."""

MLP, ATTENTION = "model.mixer=mlp model.positions=none", "model.mixer=attention model.positions=learned"
SMALL = (
    "model.hidden_size=16 model.expansion=1.0 model.L_layers=1 model.H_cycles=2 "
    "model.L_cycles=1 halting.halt_max_steps=2 batch_size=4 steps=2 eval_every=1 validation_size=4 "
    "data.test_size=12"
)
SHORT = "batch_size=32 eval_every=25 checkpoint_every=100 optim.lr=4e-3"

SUDOKU4, SUDOKU6, MAZE = "Sudoku 4x4", "Sudoku 6x6", "Maze 5x5"
SUDOKU_EXTREME, MAZE_HARD = "Sudoku-Extreme", "Maze-Hard"
DATA = {
    SUDOKU_EXTREME: "data.path=runs/data/sudoku_extreme",
    MAZE_HARD: "data.path=runs/data/maze_hard",
}
"""Where `python -m memhrm.data download NAME out=DIR` has put what is not generated."""

PUZZLES = {
    "smoke": {
        SUDOKU4: f"data=sudoku4 {MLP} {SMALL}",
        MAZE: f"data=maze data.side=5 data.min_length=4 data.train_size=20 {ATTENTION} {SMALL}",
    },
    "cpu": {
        SUDOKU4: f"data=sudoku4 {MLP} {SHORT} steps=200",
        SUDOKU6: f"data=sudoku6 data.min_clues=16 {MLP} {SHORT} steps=400",
        MAZE: "data=maze data.side=5 data.min_length=5 data.min_walls=0.38 data.max_walls=0.5 "
        f"data.unique=true data.test_size=400 {MLP} {SHORT} steps=600",
    },
    "gpu": {
        SUDOKU_EXTREME: f"experiment=trm_mlp_sudoku_extreme {MLP} {DATA[SUDOKU_EXTREME]}",
        MAZE_HARD: f"experiment=trm_maze_hard {DATA[MAZE_HARD]}",
    },
}
"""Of the main table. cpu: an MLP mixes the tokens, as in the TRM that is best on Sudoku; with attention these
models have not begun to learn mazes in this time (experiments/LOG.md)."""

RATES = {
    scale: {"half the rate": f"optim.lr={half}", "twice the rate": f"optim.lr={twice}"}
    for scale, (half, twice) in {
        "smoke": ("2e-3", "8e-3"),
        "cpu": ("2e-3", "8e-3"),
        "gpu": ("5e-5", "2e-4"),
    }.items()
}
"""Half and twice the learning rate that all variants have, to see whether it favours some of them."""

LONGER = {
    "smoke": {SUDOKU4: "steps=4", MAZE: "steps=4"},
    "cpu": {
        task: f"steps={steps} optim.lr=2e-3"
        for task, steps in ((SUDOKU4, 1000), (SUDOKU6, 2000), (MAZE, 3000))
    },
    "gpu": {},
}
"""What attention needs to learn what an MLP has learned (experiments/LOG.md): five times the steps."""

LOOKED_AT = {
    "smoke": {SUDOKU4: PUZZLES["smoke"][SUDOKU4]},
    "cpu": {SUDOKU6: PUZZLES["cpu"][SUDOKU6]},
    "gpu": {SUDOKU_EXTREME: PUZZLES["gpu"][SUDOKU_EXTREME]},
}
"""Of the cells and the scaling figure."""

CHANGES = {
    scale: {name: words for name, words in PUZZLES[scale].items() if name in (SUDOKU4, SUDOKU_EXTREME)}
    for scale in PUZZLES
}
"""Of the memory table: the task that is cheapest."""

_SMALL_EPISODES = (
    "model.hidden_size=16 model.expansion=1.0 batch_size=4 steps=3 validation_size=0 "
    "data.test_episodes=6 data.test_length=4 data.lengths=[2,3]"
)
EPISODES = {
    "smoke": {
        "recall": f"experiment=recall {_SMALL_EPISODES}",
        "sudoku4": f"experiment=episodes {_SMALL_EPISODES} data.test_size=60",
    },
    "cpu": {"recall": "experiment=recall", "sudoku4": "experiment=episodes"},
    "gpu": {"recall": "experiment=recall", "sudoku4": "experiment=episodes"},
}
VARIANTS = {
    scale: {
        "retention": f"{words['recall']} data.shows=first",
        "accumulation": f"{words['recall']} data.shows=part data.reveal=2",
        # An episode of two puzzles would change its rule before the second and teach nothing.
        "revision": f"{words['recall']} data.revises=true data.lengths=[3,3,3,3,5,8]",
        "families": f"{words['recall']} data.rules=[shift,mirror,swap]",
    }
    for scale, words in EPISODES.items()
}
"""Of recall."""

COSTS = {
    "smoke": f"data=sudoku4 model=trm batch_size=4 {SMALL}",
    "cpu": "data=sudoku9 model=trm model.hidden_size=256 model.num_heads=8 batch_size=8 optim=adamw",
    "gpu": "experiment=trm_sudoku_extreme",
}
REPEAT = {"smoke": 1, "cpu": 5, "gpu": 9}
"""How often each configuration is measured."""
