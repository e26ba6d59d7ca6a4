"""The tasks of the grids at each scale, and the seeds.

`cpu` is sized so that the main table takes about five hours on two cores (experiments/LOG.md has the trials
that chose the sizes): 4x4 Sudoku, 6x6 Sudoku with 16 clues, and 5x5 mazes with a single shortest path. `gpu`
takes the published recipes; `smoke` shows in seconds a run that everything works.
"""

from experiments.grid.run import Task

SEEDS = {"smoke": (0, 1), "cpu": (0, 1, 2, 3, 4), "gpu": (0, 1, 2, 3, 4)}
FEWER_SEEDS = {"smoke": (0, 1), "cpu": (0, 1, 2), "gpu": (0, 1, 2)}
"""For grids with many variants and no claim."""

MLP = ("model.mixer=mlp", "model.positions=none")
ATTENTION = ("model.mixer=attention", "model.positions=learned")
_TINY = ("model.hidden_size=16", "model.expansion=1.0")
SMALL = (
    *(*_TINY, "model.L_layers=1", "model.H_cycles=2", "model.L_cycles=1", "halting.halt_max_steps=2"),
    *("batch_size=4", "steps=2", "eval_every=1", "validation_size=4", "data.test_size=12"),
)
_SHORT = ("batch_size=32", "eval_every=25", "checkpoint_every=100", "optim.lr=4e-3")
_SMALL_MAZE = ("data=maze", "data.side=5", "data.min_length=4", "data.train_size=20")
_MAZE = (
    *("data=maze", "data.side=5", "data.min_length=5", "data.min_walls=0.38", "data.max_walls=0.5"),
    *("data.unique=true", "data.test_size=400"),
)

_SUDOKU6 = ("data=sudoku6", "data.min_clues=16", *MLP, *_SHORT, "steps=400")
SUDOKU4, SUDOKU6, MAZE = "Sudoku 4x4", "Sudoku 6x6", "Maze 5x5"
SUDOKU_EXTREME, MAZE_HARD = "Sudoku-Extreme", "Maze-Hard"
DATA = {
    SUDOKU_EXTREME: "data.path=runs/data/sudoku_extreme",
    MAZE_HARD: "data.path=runs/data/maze_hard",
}
"""Where `python -m memhrm.data download NAME out=DIR` has put what is not generated."""

PUZZLES = {
    "smoke": [
        Task(SUDOKU4, ("data=sudoku4", *MLP, *SMALL)),
        Task(MAZE, (*_SMALL_MAZE, *ATTENTION, *SMALL)),
    ],
    "cpu": [
        Task(SUDOKU4, ("data=sudoku4", *MLP, *_SHORT, "steps=200")),
        Task(SUDOKU6, _SUDOKU6),
        Task(MAZE, (*_MAZE, *MLP, *_SHORT, "steps=600")),
    ],
    "gpu": [
        Task(SUDOKU_EXTREME, ("experiment=trm_mlp_sudoku_extreme", *MLP, DATA[SUDOKU_EXTREME])),
        Task(MAZE_HARD, ("experiment=trm_maze_hard", DATA[MAZE_HARD])),
    ],
}
"""The tasks of the main table.

cpu: an MLP mixes the tokens, as in the TRM that is best on Sudoku; with attention these models have not begun
to learn mazes in this time (experiments/LOG.md).
"""
ANALYSED = {"smoke": PUZZLES["smoke"][:1], "cpu": PUZZLES["cpu"][1:2], "gpu": PUZZLES["gpu"][:1]}
"""The task of the ablations, of the cells and of the scaling figure."""
CHEAPEST = {scale: tasks[:1] for scale, tasks in PUZZLES.items()}
"""The task of the memory table."""

RATES = {
    "smoke": {"half the rate": "optim.lr=2e-3", "twice the rate": "optim.lr=8e-3"},
    "cpu": {"half the rate": "optim.lr=2e-3", "twice the rate": "optim.lr=8e-3"},
    "gpu": {"half the rate": "optim.lr=5e-5", "twice the rate": "optim.lr=2e-4"},
}
"""Half and twice the learning rate of all variants, to see whether it favours some of them."""

FIXED, LONG, NINE = "fixed halting", "three times as long", "Sudoku 9x9"
_FIXED = ("halting.rule=sigmoid", "halting.threshold=0.999999", "halting.halt_exploration_prob=0.0")
"""Every puzzle takes all steps; HRM's own rule, by Q-learning, has no threshold."""
_NINE = (
    "data=sudoku9",
    "data.min_clues=32",
    "data.max_clues=36",
    "data.train_size=1000",
    "data.test_size=400",
)
OTHERWISE = {
    "smoke": {
        FIXED: Task(FIXED, ("data=sudoku4", *MLP, *SMALL, *_FIXED)),
        LONG: Task(LONG, ("data=sudoku4", *MLP, *SMALL, "steps=3")),
        NINE: Task(NINE, ("data=sudoku4", *MLP, *SMALL, "data.min_clues=5")),
    },
    "cpu": {
        FIXED: Task(FIXED, (*_SUDOKU6, *_FIXED)),
        LONG: Task(LONG, (*_SUDOKU6, "steps=1200", "eval_every=50")),
        NINE: Task(NINE, (*_NINE, *MLP, *_SHORT, "steps=1500", "eval_every=50")),
    },
    "gpu": {FIXED: Task(FIXED, ("experiment=trm_mlp_sudoku_extreme", *MLP, DATA[SUDOKU_EXTREME], *_FIXED))},
}
"""Other trainings, by what is other.

cpu: 6x6 Sudoku where every puzzle takes all supervision steps, and where the curve ends; and 9x9 Sudoku of a
difficulty that is learned in this time, but not wholly.
"""

LONGER = {
    "smoke": {SUDOKU4: ("steps=4",), MAZE: ("steps=4",)},
    "cpu": {
        task: (f"steps={steps}", "optim.lr=2e-3")
        for task, steps in ((SUDOKU4, 1000), (SUDOKU6, 2000), (MAZE, 3000))
    },
    "gpu": {},
}
"""What attention needs to learn what an MLP has learned (experiments/LOG.md): five times the steps."""

_SMALL_EPISODES = (
    *(*_TINY, "batch_size=4", "steps=3", "validation_size=0"),
    *("data.test_episodes=6", "data.test_length=4", "data.lengths=[2,3]"),
)
_OWN_TEST = "data.seed=${seed}"
"""Test episodes, and what is held out, differ by seed, so that intervals hold the sampling of the test."""
RECALL, SUDOKUS, RECURSIVE, NEW_RULES = "recall", "sudoku4", "recursive recall", "recall of new rules"
EPISODES = {
    scale: {
        task.name: Task(task.name, (*task.overrides, *(_SMALL_EPISODES if scale == "smoke" else ())))
        for task in (
            Task(RECALL, ("experiment=recall", _OWN_TEST)),
            Task(
                RECURSIVE,
                (
                    *("experiment=recall", _OWN_TEST, "model.H_cycles=2", "model.L_cycles=2"),
                    "halting.halt_max_steps=2",
                ),
            ),
            Task(NEW_RULES, ("experiment=recall", _OWN_TEST, "data.alphabet=5", "data.held_out_rules=0.2")),
            Task(
                SUDOKUS,
                ("experiment=episodes", _OWN_TEST, *(("data.test_size=60",) if scale == "smoke" else ())),
            ),
        )
    }
    for scale in ("smoke", "cpu", "gpu")
}
"""Recall; the same with recursion, and with rules that training has not seen; and Sudoku."""
_RECALL_SETTINGS = {
    "retention": ("data.shows=first",),
    "accumulation": ("data.shows=part", "data.reveal=2"),
    # An episode of two puzzles would change its rule before the second and teach nothing.
    "revision": ("data.revises=true", "data.lengths=[3,3,3,3,5,8]"),
    "families": ("data.rules=[shift,mirror,swap]",),
}
RECALL_KINDS = {
    scale: [Task(name, (*tasks[RECALL].overrides, *more)) for name, more in _RECALL_SETTINGS.items()]
    for scale, tasks in EPISODES.items()
}
"""Other kinds of recall."""

_SMALL_CONTEXTS = (
    *(*_TINY, "batch_size=4", "steps=3"),
    *("data.test_episodes=4", "data.test_contexts=4", "data.contexts=[1,2]", "data.curve=[2,4]"),
)
CONTEXTS = {
    scale: Task(
        "contexts", ("experiment=contexts", _OWN_TEST, *(_SMALL_CONTEXTS if scale == "smoke" else ()))
    )
    for scale in ("smoke", "cpu", "gpu")
}
OPEN_CUES = "open cues"
_RECURSION = ("memory.write_when=told", "model.told_cycles=1", "model.H_cycles=2", "model.L_cycles=2")
"""A question that writes at each H-step keeps recursion from beginning (experiments/LOG.md)."""
_REVISION = ("data.revises=true", "data.revises_from=1")
"""From a single context whose rule changes, two seeds of three learn nothing (experiments/LOG.md)."""
_CONTEXT_SETTINGS = {
    OPEN_CUES: (
        *("data.cue_length=2", "data.cue_symbols=16", "data.held_out_cues=0.25"),
        "model.positions=learned",  # Rotary positions do not tell the query which symbol comes first.
    ),
    "revision": _REVISION,
    "held-out rules": ("data.alphabet=5", "data.length=6", "data.held_out_rules=0.2"),
    "recursion": _RECURSION,
    "recursion, with a revision": (*_RECURSION, *_REVISION),
    "recursion, two steps": (*_RECURSION, "halting.halt_max_steps=2"),
}
CONTEXT_KINDS = {
    scale: [Task(name, (*task.overrides, *more)) for name, more in _CONTEXT_SETTINGS.items()]
    for scale, task in CONTEXTS.items()
}
"""Harder kinds of contexts, and more recursion."""

_SMALL_HOPS = (
    *(*_TINY, "batch_size=4", "steps=3", "validation_size=0", "model.H_cycles=2"),
    *("data.hops=[1,2]", "data.cycles=[1,2]", "data.test_hops=2", "data.test_depths=[1,2]"),
    *("data.test_episodes=4", "data.questions=2"),
)
HOPS = {
    scale: Task("hops", ("experiment=hops", _OWN_TEST, *(_SMALL_HOPS if scale == "smoke" else ())))
    for scale in ("smoke", "cpu", "gpu")
}
_CHANGES = (
    *("data.changes=true", "data.changes_from=5"),
    *("data.hops=[1,1,2,3,4,4,4,4]", "data.cycles=[1,1,2,3,4,4,4,4]", "steps=1600"),
)
"""First composing is learned, then what a change does to it: both at once are not, in this time."""
_SMALL_CHANGES = ("data.changes=true", "data.changes_from=1")
_AT_ONCE = ("data.tells=once", "data.early=false", "data.early_hops=null")
HOPS_KINDS = {
    scale: [
        Task("changed facts", (*task.overrides, *(_SMALL_CHANGES if scale == "smoke" else _CHANGES))),
        Task("told at once", (*task.overrides, *_AT_ONCE)),
    ]
    for scale, task in HOPS.items()
}
"""Facts that change in mid-episode, and the control in which a function can be composed while it is told."""

_SMALL_RULES = (
    *("data.kinds=[colours,turns]", "data.shares=null", "data.held_out_kinds=[colours+turns]"),
    *("data.test_episodes=6", "batch_size=4", "steps=3", "validation_size=0", *_TINY, "model.L_layers=1"),
)
ARC_RULES = {
    scale: Task(
        "generated rules", ("experiment=arc_rules", _OWN_TEST, *(_SMALL_RULES if scale == "smoke" else ()))
    )
    for scale in ("smoke", "cpu", "gpu")
}
IDENTIFIERS, STRICT = "real tasks, identifiers", "real tasks, strict"
_REAL = ("experiment=arc_small", "data.path=runs/data/arc", "data.sets=[training,evaluation]")
ARC_TASKS: dict[str, list[Task]] = {
    "smoke": [],
    "cpu": [
        Task(IDENTIFIERS, _REAL),
        Task(STRICT, (*_REAL, "data.protocol=strict")),
    ],
    "gpu": [Task(IDENTIFIERS, ("experiment=trm_arc1", "data.path=runs/data/arc"))],
}
"""Real tasks, which the user has: `python -m memhrm.data build arc` puts them there (docs/arc.md)."""

_INTENTS = ("experiment=intent", "data.path=runs/data/intent", "steps=1000")
_BANKING = ("data.train_file=banking77_train.csv", "data.test_file=banking77_test.csv")
_CLINC = ("data.train_file=clinc150_train.csv", "data.test_file=clinc150_test.csv")
_SHORT_TEXTS = "data.length=20"
"""All words of all but one text of CLINC150 in 200."""
_SAMPLE = ("experiment=intent", "data.path=docs/texts.csv", "data.holdout=12", *_TINY, "steps=3")
_FEW = ("steps=600", "batch_size=64", "data.dropout=0.6", _OWN_TEST)
"""With few texts more dropout gains some points (experiments/LOG.md)."""
BANKING, CLINC, TEN, FIVE, FEW_SHOT, PROSE = (
    *("BANKING77", "CLINC150", "BANKING77, 10 texts each", "BANKING77, 5 texts each"),
    *("few-shot episodes", "prose"),
)
TEXTS: dict[str, dict[str, Task]] = {
    scale: {task.name: task for task in tasks}
    for scale, tasks in {
        "smoke": [
            Task(BANKING, _SAMPLE),
            Task(CLINC, (*_SAMPLE, "data.oos=texts.csv")),
            Task(TEN, (*_SAMPLE, "data.shots=4", _OWN_TEST)),
            Task(
                FEW_SHOT,
                (
                    *("experiment=intent_episodes", "data.path=docs", "data.train_file=texts.csv"),
                    *("data.test_file=texts.csv", "data.held_out_categories=0.5", "data.test_episodes=6"),
                    *("data.ways=[2]", "data.test_ways=[2]", _OWN_TEST, *_TINY, "steps=3"),
                ),
            ),
            Task(PROSE, ("experiment=text", "data.path=LICENSE", "data.length=32", *_TINY, "steps=3")),
        ],
        "cpu": [
            Task(BANKING, (*_INTENTS, *_BANKING)),
            Task(CLINC, (*_INTENTS, *_CLINC, _SHORT_TEXTS, "data.oos=clinc150_oos_test.csv")),
            Task(TEN, (*_INTENTS, *_BANKING, "data.shots=10", *_FEW)),
            Task(FIVE, (*_INTENTS, *_BANKING, "data.shots=5", *_FEW)),
            Task(
                FEW_SHOT,
                ("experiment=intent_episodes", "data.path=runs/data/intent", *_CLINC, _OWN_TEST),
            ),
            Task(
                PROSE,
                ("experiment=text", "data.path=runs/data/text.txt", "steps=1500", "batch_size=16"),
            ),
        ],
        "gpu": [],
    }.items()
}
"""Texts, which the user has: docs/text.md says where they are. smoke: what the repository holds."""
FEW_SHOT_BANK: dict[str, list[Task]] = {
    "smoke": [
        Task(
            FEW_SHOT,
            (
                *("experiment=intent", "data.path=docs", "data.train_file=texts.csv", "data.holdout=12"),
                *("data.left_out=2", _OWN_TEST, *_TINY, "steps=3"),
            ),
        )
    ],
    "cpu": [Task(FEW_SHOT, (*_INTENTS, *_CLINC, _SHORT_TEXTS, "data.left_out=45", _OWN_TEST))],
    "gpu": [],
}
"""The other categories, each text for itself: what trains a bank that then holds what an episode tells."""
LEFT_OUT = {"smoke": 1, "cpu": 15, "gpu": 0}
"""Categories that a bank learns after training: a tenth, one at least (`experiments.grid.texts.left_out`)."""

COSTS = {
    "smoke": ("data=sudoku4", "model=trm", "batch_size=4", *SMALL),
    "cpu": (
        *("data=sudoku9", "model=trm", "model.hidden_size=256", "model.num_heads=8"),
        *("batch_size=8", "optim=adamw"),
    ),
    "gpu": ("experiment=trm_sudoku_extreme",),
}
CONTEXT_COSTS = {
    scale: (*task.overrides, f"data.contexts=[{2 if scale == 'smoke' else 8}]")
    for scale, task in CONTEXTS.items()
}
"""Training episodes of eight contexts, where the cells of a memory are told from one another."""
REPEAT = {"smoke": 1, "cpu": 5, "gpu": 9}
"""How often each configuration is measured."""
