"""Every given setting is used or refused: another value changes something observable, or it raises.

A refused setting is also let through, to check that it would have changed nothing.
"""

import contextlib
import copy
import hashlib
import io
import itertools
import json
import re
import shutil
import string
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from made_arc import tasks
from memhrm.config.command import compose
from memhrm.data import load as load_data
from memhrm.data.arc.tasks import write_tasks
from memhrm.data.episodes.episodes import Facet
from memhrm.models import recursion
from memhrm.runs import checkpoint, loop
from memhrm.runs import train as life
from memhrm.runs.batches import Batches
from memhrm.runs.build import make_dataset
from memhrm.runs.settings import parse
from memhrm.system import ranks
from memhrm.train import main
from memhrm.training import supervision
from pages import ROOT
from tiny import write_set

pytestmark = pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")

BASE = (
    "data=sudoku4 data.train_size=20 data.test_size=4 validation_size=1 eval_every=9 log_every=1 steps=2 "
    "batch_size=2 model.hidden_size=8 model.num_heads=2 model.expansion=0.5 model.H_cycles=2 "
    "model.L_cycles=1 threads=1 halting.halt_max_steps=2 halting.threshold=0.001 checkpoint_every=9 "
    "eval_batch_size=1 progress=false "
    "optim.warmup=1 optim.puzzle_lr=0.1 model.puzzle_emb_len=1"
)
MODELS = {
    "trm": "model=trm model.L_layers=1",
    "two L-steps": "model=trm model.L_layers=1 model.L_cycles=2",
    "trm_mlp": "model=trm_mlp model.L_layers=1",
    "hrm": "model=hrm model.L_layers=1 model.H_layers=1",
    "transformer": "model=transformer model.H_layers=1 model.L_cycles=0",
    "feedforward": "model=feedforward model.H_layers=1 model.L_cycles=0 halting.halt_max_steps=1",
}
CELLS = f"{MODELS['trm']} +memory=multicell memory.cells=3 memory.tokens=2"
ON_CONTEXTS = (
    f"{CELLS} data=contexts data.contexts=[2] data.test_contexts=2 data.test_episodes=2 data.curve=[] "
    "data.test_size=9 memory.shared_cell=false steps=3"
)
ADDRESSED = (
    *("memory.pooling", "memory.center", "memory.score_norm", "memory.scorer_start", "memory.fresh"),
    *("memory.own_projections", "memory.score_scale", "memory.score_noise", "memory.load_bias"),
    *("memory.hold", "memory.cls", "memory.straight_through", "memory.reads", "memory.writes"),
    *("memory.written", "memory.k_stages", "memory.gate", "memory.selector"),
)
TRAINED = {  # The overrides of each context, and the groups of settings tried in it; "": the top level.
    **{name: (words, ("model", "halting")) for name, words in MODELS.items()},
    "everything": (f"{MODELS['trm']} eval_every=2 checkpoint_every=1 steps=3", ("", "loss", "optim")),
    "no table": (f"{MODELS['trm']} model.puzzle_emb_ndim=0", ("optim.puzzle_lr", "model.puzzle_emb_len")),
    "no validation": (f"{MODELS['trm']} validation_size=0", ("eval_every",)),
    "q_learning": (MODELS["hrm"], ("loss.q_continue",)),
    "softmax": (
        f"{MODELS['trm']} loss.kind=softmax loss.label_smoothing=0.1",
        ("loss.kind", "loss.label_smoothing"),
    ),
    "adamw": (f"{MODELS['trm']} optim=adamw optim.schedule=cosine optim.lr_min_ratio=0.5", ("optim",)),
    "muon": (f"{MODELS['trm']} optim=muon", ("optim",)),
    "linear": (
        f"{MODELS['trm']} optim=adamw optim.schedule=linear optim.decay_from=0.4 steps=5",
        ("optim.schedule", "optim.decay_from"),
    ),
    "long warm-up": (f"{MODELS['trm']} optim=muon optim.warmup=9", ("optim.schedule",)),
    "wandb": (f"{MODELS['trm']} logger=wandb", ("logger",)),
    "probe": (f"{MODELS['trm']} probe=light probe_every=1", ("probe", "probe_every")),
    "none": (f"{MODELS['trm']} +memory=none", ("memory",)),
    "carry_add": (f"{MODELS['trm']} +memory=carry_add", ("memory",)),
    "tokens": (f"{MODELS['trm']} +memory=tokens", ("memory",)),
    "bicross": (f"{MODELS['trm_mlp']} +memory=bicross", ("memory", "model.num_heads", "model.attention")),
    "multicell": (CELLS, ("memory", "k", "loss")),
    "replace": (
        f"{MODELS['transformer']} +memory=multicell memory.cells=3 memory.tokens=2 memory.expansion=0.5 "
        "memory.placement=replace",
        ("model",),
    ),
    "aggregate": (
        CELLS.replace("multicell", "aggregate"),
        ("memory.name", "memory.module", "memory.placement", "memory.aggregation"),
    ),
    "all": (
        f"{CELLS} memory.selector=all k=3",
        (
            "k",
            "memory.shared_cell",
            "memory.decay",
            "memory.usage_average",
            "memory.gate",
            "memory.selector",
            "loss.diverse",
            "loss.balance",
            "loss.information",
        ),
    ),
    "random": (
        f"{CELLS} memory.selector=random memory.gate=none memory.projections=2",
        ("memory.projections", "memory.combine", "memory.score_scale", "memory.pooling", "memory.gate"),
    ),
    "one": (f"{CELLS} k=1", ("loss.self_sup", "memory.gate", "memory.score_scale")),
    "recipe": (
        f"{ON_CONTEXTS} k=1 memory.cls=key memory.score_norm=layer memory.fresh=[0.5] memory.hold=feedback "
        "memory.straight_through=both memory.gate=none memory.center=0.5 memory.pooling=attend "
        "memory.scorer_start=identity",
        ("memory",),
    ),
    "oracle": (f"{ON_CONTEXTS} memory.selector=oracle memory.gate=none", ADDRESSED),
    "hash": (f"{ON_CONTEXTS} k=1 memory.selector=hash memory.cls=key", ADDRESSED),
    "every cell": (f"{ON_CONTEXTS} k=3 memory.selector=all memory.gate=none", ADDRESSED),
    "told": (f"{ON_CONTEXTS} memory.write_when=told memory.cls=key", ("memory.cls", "memory.hold")),
    "decay": (f"{CELLS} memory.decay=0.5", ("memory.usage_average",)),
    "retrieval": (
        f"{MODELS['trm']} data=intent data.path={ROOT}/docs/texts.csv data.holdout=7 data.length=8 "
        "data.train_size=null data.test_size=null +memory=retrieval k=3 memory.candidates=20",
        ("memory", "k"),
    ),
    "classes": (
        f"{MODELS['trm']} data=intent data.path={ROOT}/docs/texts.csv data.holdout=7 data.length=8 "
        "data.train_size=null data.test_size=null",
        ("loss.class_weights",),
    ),
    "global": (f"{CELLS} memory.lifetime=global", ("memory.rate",)),
    "policy": (
        f"{CELLS} memory.selector=policy",
        ("loss.policy", "loss.entropy", "loss.reward", "loss.returns", "loss.baseline", *ADDRESSED),
    ),
    "returns": (
        f"{ON_CONTEXTS} memory.selector=policy loss.returns=episode",
        ("loss.returns", "loss.discount"),
    ),
    "no policy": (
        f"{CELLS} memory.selector=policy loss.policy=0",
        ("loss.returns", "loss.discount", "loss.baseline"),
    ),
    "lowest_loss": (f"{CELLS} memory.selector=lowest_loss", ("loss.imitation",)),
    "episodes": (
        f"{MODELS['trm']} data=recall data.lengths=[2] data.test_length=2 data.test_episodes=2 "
        "data.test_size=99 data.train_size=20 +memory=bicross",
        (
            "halting.threshold",
            "halting.halt_exploration_prob",
            "memory.lifetime",
            "memory.horizon",
            "memory.write_when",
            "model.told_cycles",
        ),
    ),
}
SILENT = {
    "init": "the weights come from another run; tests of its own",
    "data": "walked below",
    ("hrm", "halting.halt_exploration_prob"): "a Q-head that has learned nothing never stops early",
    ("transformer", "halting.halt_exploration_prob"): "the same",
    ("retrieval", "memory.index"): "of few examples a graph finds the same",
    ("hash", "memory.gate"): "a cell that is read alone weighs 1",
    ("recipe", "memory.addressing"): "all that it could stand for is given",
    **{
        (context, "memory.own_projections"): "more numbers are drawn, and the cells start elsewhere"
        for context in ("oracle", "every cell")
    },
    **{
        ("replace", f"model.{name}"): "a level is drawn and left out, so that the rest starts as with it"
        for name in ("mixer", "expansion")
    },
}
OTHER = {
    "precision": "bfloat16", "validation_size": 2, "probe": ("light", "none"), "dir": "elsewhere",
    "device": "cpu", "threads": 2, "batch_size": 4, "noise": 0.5,
    "loss.diverse": 0.01, "loss.balance": 0.01, "loss.information": 0.01, "loss.self_sup": 0.01,
    "loss.policy": 0.3, "loss.entropy": 0.02, "loss.imitation": 0.3,
    "loss.class_weights": "balanced", "loss.kind": ("softmax", "stablemax"), "loss.reward": "exact",
    "loss.baseline": "none",
    "halting.rule": ("sigmoid", "q_learning"), "halting.q_target": "reuse", "halting.threshold": 0.5,
    "halting.halt_exploration_prob": 1.0, "halting.halt_max_steps": 3,
    "optim.name": ("adamw", "adam_atan2"), "optim.betas": [0.5, 0.7],
    "optim.schedule": ("cosine", "constant"),
    "optim.clip": 0.01, "optim.eps": 0.1,
    "logger.name": "none", "logger.project": "mine", "logger.entity": "we", "logger.mode": "offline",
    "model.name": "mine", "model.mixer": ("mlp", "attention"), "model.hidden_size": 16, "model.num_heads": 1,
    "model.expansion": 100.0, "model.H_net": ("own", "shared"),
    "model.gradient_window": ({"cycles": 2}, {"cycles": 1}),
    "model.positions": ("axial_rope", "axial", "learned", "rope"), "model.puzzle_emb_ndim": 3,
    "model.attention": "xformers", "model.unit": "normed", "model.puzzle_emb_len": 2,
    "memory.name": "mine", "memory.module": "no.Such", "memory.lifetime": ("global", "episode"),
    "memory.horizon": 2, "memory.write_when": "told", "model.told_cycles": 1, "memory.rate": 0.5,
    "memory.placement": ("augment", "replace"), "loss.returns": ("episode", "step"), "loss.discount": 0.5,
    "memory.k_stages": [3, 2], "memory.scorer_start": ("identity", "random"),
    "memory.score_norm": ("layer", "none"), "memory.score_noise": 100.0, "memory.center": (0.5, 0.1),
    "memory.load_bias": 100.0, "memory.fresh": [1.0], "memory.contents_start": ("same", "own"),
    "memory.straight_through": ("both", "none"),
    "memory.reads": "all", "memory.writes": "all", "memory.written": 1, "memory.cls": ("key", "frozen"),
    "memory.hold": ("example", "none"), "memory.addressing": ("learned", "formula"),
    "memory.state_norm": ("none", "rms"), "memory.positions": "both", "memory.num_heads": 1,
    "memory.expansion": 100.0, "memory.selector": ("random", "topk"), "memory.combine": "max",
    "memory.score_scale": "none", "memory.pooling": "first", "memory.gate": ("none", "all"),
    "memory.query": "text", "memory.width": 8, "memory.candidates": 9, "memory.sharpness": 3.0,
    "memory.index": "graph",
    "memory.shared_cell": True, "memory.usage_average": 0.3, "memory.aggregation": "concat", "k": (2, 1),
}  # fmt: skip
"""The values to try for a setting: of several, the first that differs from the current one."""
BESIDE = {
    ("model.H_net", "own"): {"model.H_layers": 1},
    ("model.H_net", "shared"): {"model.H_layers": 0},
}
"""Other settings that must be given with a value, since they are only valid together."""


def walked(config: dict, groups: tuple[str, ...]) -> list[str]:
    """Return the dotted names of the settings of some groups, or of single settings."""
    names = []
    for group in groups:
        if group in ("", *config) and isinstance(config.get(group, config), dict):
            inner = config if group == "" else config[group]
            names += [f"{group}.{name}".lstrip(".") for name, value in inner.items()
                      if group or not isinstance(value, dict)]  # fmt: skip
        else:
            names.append(group)
    return names


def changed(config: dict, name: str) -> dict:
    """Return the configuration with another value of a setting."""
    made = copy.deepcopy(config)
    *parents, last = name.split(".")
    node = made
    for part in parents:
        node = node[part]
    old = node.get(last)  # A loss whose weight the memory says is absent.
    choices = 0.5 if old is None and name.startswith("loss.") else OTHER.get(name)
    if choices is None:
        choices = not old if isinstance(old, bool) else old + 1 if isinstance(old, int) else old / 3 + 0.01
    choices = choices if isinstance(choices, tuple) else (choices,)
    node[last] = next(value for value in choices if value != old)
    for beside, value in BESIDE.get((name, str(node[last])), {}).items():
        group, key = beside.split(".")
        made[group][key] = value
    return made


class Watch:
    """Everything observable that a training command does."""

    def __init__(self, patch: pytest.MonkeyPatch, folder: Path):
        self.patch, self.folder, self.numbers = patch, folder, itertools.count()
        self.seen: dict = {}
        patch.setattr(life, "environment", lambda device: {})  # It calls git, which takes time.
        patch.setattr(checkpoint.os, "fsync", lambda file: None)
        for owner, name in ((checkpoint, "write"), (recursion, "checkpoint"), (ranks, "choose_device"),
                            (loop, "evaluate"), (supervision.SupervisionStep, "compile")):  # fmt: skip
            self.count(owner, name)
        wandb = types.SimpleNamespace(
            init=lambda **words: self.note("wandb", [words[name] for name in ("project", "entity", "mode")]),
            Settings=lambda **words: None,
        )
        patch.setitem(sys.modules, "wandb", wandb)

    def count(self, owner, name: str) -> None:
        original = getattr(owner, name)

        def noted(*args, **words):
            plain = [a for a in args if isinstance(a, str)] + [
                a.batch_size for a in args if hasattr(a, "restarts")
            ]
            self.note(name, plain)
            return None if name == "compile" else original(*args, **words)

        self.patch.setattr(owner, name, noted)

    def note(self, name: str, what) -> types.SimpleNamespace:
        self.seen.setdefault(name, []).append(what)
        return types.SimpleNamespace(log=lambda *a, **w: None, finish=lambda: None, summary={})

    def train(self, config: dict) -> dict:
        """Return everything observable of a run except its configuration and times."""
        self.seen = {}
        place = self.folder / str(next(self.numbers))
        place.mkdir()
        self.patch.chdir(place)
        torch.use_deterministic_algorithms(False)
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
                assert main(copy.deepcopy(config), frozenset()) == 0
            self.seen["threads"] = torch.get_num_threads()
            self.seen["deterministic"] = torch.are_deterministic_algorithms_enabled()
        finally:
            torch.set_num_threads(1)
            torch.use_deterministic_algorithms(False)
        self.seen["bar"] = "step" in said.getvalue()
        last = next(place.rglob("last.pt"))
        where = last.parent.parent
        self.seen["where"] = re.sub(r"-seed\d+-\w+$", "", str(where.relative_to(place)))
        lines = [json.loads(line) for line in (where / "metrics.jsonl").read_text().splitlines()]
        self.seen["metrics"] = [{k: v for k, v in line.items() if "second" not in k} for line in lines]
        content = torch.load(last, weights_only=True)
        self.seen["weights"] = [
            (part, name, tensor.shape, digest(tensor.float().numpy()))
            for part in ("model", "average") for name, tensor in content[part].items()
        ]  # fmt: skip
        return self.seen


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def told(config: dict, name: str) -> tuple[dict, str | None]:
    """Return the effect of a configuration with a given setting, or the error, which must name it."""
    try:
        return parse(config, frozenset([name])).config(), None
    except ValueError as error:
        assert named(error, config, name), (name, str(error))
        return config, str(error)


def named(error: ValueError, config: dict, name: str) -> bool:
    """Return whether a message names a setting, or the file that the setting gives."""
    files = ("data.path", "data.train_file", "data.test_file")
    value = config["data"][name.removeprefix("data.")] if name in files else name.split(".")[-1]
    return str(value) in str(error) or re.search(rf"\b{name.split('.')[-1]}\b", str(error)) is not None


ADDRESS = re.compile(r"store\.(scorer|query|bias)|(written|asked_\w+)_init")
"""Tensors that say which cells are chosen."""


def without_what_is_unused(seen: dict, name: str) -> dict:
    """Return what was seen without what a refused setting may change, since nothing depends on it.

    That is the log's column of a loss, and where no score is used what makes the scores, and the figure of
    the cell that scores best.
    """
    unused = {f"train/{name.removeprefix('loss.')}_loss"} if name.startswith("loss.") else set()
    weights, metrics = seen.get("weights", []), seen.get("metrics", [])
    if name.startswith("memory."):
        unused, weights = {"train/self_sup"}, [one for one in weights if not ADDRESS.search(one[1])]
    metrics = [{key: v for key, v in line.items() if key not in unused} for line in metrics]
    return {**seen, **{key: v for key, v in (("weights", weights), ("metrics", metrics)) if key in seen}}


def walk(config: dict, names: list[str], look, context: str) -> None:
    """Give each setting another value: it must change something, or be refused and change nothing."""
    config = parse(config).config()
    before = look(config)
    wrong = []
    for name in names:
        if name in SILENT or (context, name) in SILENT:
            continue
        other, why = told(changed(config, name), name)
        if why is not None and "changes nothing" not in why:
            continue  # A value that the other settings do not allow.
        try:
            after = look(other)
        except ValueError as error:  # Refused only where the parts of the run are made.
            assert named(error, other, name), (name, str(error))
            continue
        base = before
        if why is not None:
            if (name, other["model"]["positions"]) == ("model.positions", "axial_rope"):
                axial = {**config["model"], "positions": "axial"}  # What it adds is used, its turns are not.
                base = look({**config, "model": axial})
            base, after = (without_what_is_unused(one, name) for one in (base, after))
        if (after == base) != (why is not None):
            where = [key for key in after if after[key] != base.get(key)]
            wrong.append(
                f"{context}: {name} {'is refused but changes ' + str(where) if why else 'is silent'}"
            )
    assert not wrong, "\n".join(wrong)


USUAL = ("recall", "files")
"""Contexts that are always tried; the others are variations."""


def parted(contexts: dict) -> list:
    """Return the contexts as parameters of a test, with the variations marked thorough."""
    marks = {True: (), False: pytest.mark.thorough}
    return [pytest.param(name, marks=marks[name in USUAL], id=name) for name in contexts]


DATA = {
    "sudoku4": "data=sudoku4 data.train_size=20 data.test_size=6",
    "sudoku6": "data=sudoku6 data.train_size=5 data.test_size=3 data.min_clues=12",
    "maze": "data=maze data.side=5 data.min_length=4 data.train_size=8 data.test_size=3",
    "recall": "data=recall data.train_size=30 data.test_size=9 data.lengths=[3] data.test_length=3 "
    "data.test_episodes=4 data.favour=0.5",
    "part": "data=recall data.train_size=30 data.test_size=9 data.shows=part "
    "data.lengths=[2,2] data.test_length=2",
    "episodes": "data=episodes data.train_size=20 data.test_size=9 data.lengths=[3] data.test_length=3 "
    "data.test_episodes=4",
    "contexts": "data=contexts data.train_size=30 data.test_size=9 data.contexts=[3] data.test_contexts=3 "
    "data.test_episodes=4 data.curve=[2] data.cue_length=2 data.cue_symbols=8",
    "contexts, revised": "data=contexts data.train_size=30 data.test_size=9 data.contexts=[2,2] "
    "data.test_contexts=3 data.test_episodes=4 data.curve=[2] data.cue_length=2 data.cue_symbols=8 "
    "data.revises=true",
    "hops": "data=hops data.symbols=5 data.train_size=40 data.test_size=9 data.hops=[1,2] data.test_hops=3 "
    "data.questions=4 data.test_episodes=9",
    "hops, early": "data=hops data.symbols=5 data.train_size=40 data.test_size=9 data.hops=[2,4] "
    "data.test_hops=3 data.questions=1 data.early=true data.early_hops=1",
    "hops, changed": "data=hops data.symbols=5 data.train_size=40 data.test_size=60 data.hops=[2,2] "
    "data.tells=once data.changes=true data.questions=4",
    "arc": "data=arc data.path=a data.canvas=10 data.variants=3 data.train_size=null data.test_size=null",
    "arc, strict": "data=arc data.path=a data.canvas=10 data.variants=3 data.protocol=strict "
    "data.train_size=null data.test_size=null",
    "arc_rules": "data=arc_rules data.side=4 data.shift=1 data.kinds=[shifts,turns] "
    "data.held_out_kinds=[mirrors] data.held_out_rules=0.5 data.test_episodes=4 data.train_size=null "
    "data.test_size=null",
    "arc_rules, none shifts": "data=arc_rules data.side=4 data.kinds=[gravity,turns] "
    "data.held_out_kinds=[mirrors] data.test_episodes=4 data.train_size=null data.test_size=null",
    **{
        f"texts, {tokens}": f"data=intent data.path=a data.train_file=texts.csv data.test_file=asked.csv "
        f"data.length=20 data.bag=9 data.tokens={tokens} data.train_size=null data.test_size=null"
        for tokens in ("ngrams", "characters", "learned")
    },
    "texts, drawn": "data=intent data.path=a data.train_file=texts.csv data.test_file=asked.csv "
    "data.length=20 data.bag=9 data.shots=5 data.left_out=1 data.train_size=null data.test_size=null",
    "texts, held out": "data=intent data.path=a/texts.csv data.holdout=9 data.length=20 data.bag=9 "
    "data.shots=2 data.oos=asked.csv data.train_size=null data.test_size=null",
    **{
        f"prose, {tokens}": f"data=text data.path=a/prose.txt data.length=9 data.tokens={tokens} "
        "data.train_size=null data.test_size=null data.masked=[0.5,0.2]"
        for tokens in ("characters", "learned")
    },
    "few shots": "data=intent_episodes data.path=a data.train_file=texts.csv data.test_file=asked.csv "
    "data.length=9 data.bag=9 data.ways=[2] data.test_ways=[2] data.shots=2 data.held_out_categories=0.5 "
    "data.test_episodes=3 data.train_size=null data.test_size=null",
    "held out": "data=sudoku4 data.train_size=20 data.test_size=6 data.holdout=5",
    "files": "data=sudoku4 data.path=a data.train_size=null data.test_size=null",
    "files, drawn": "data=sudoku4 data.path=a data.test_size=3 data.train_size=4",
    "files, held out": "data=sudoku4 data.path=a data.holdout=3 data.train_size=null data.test_size=null",
    "downloaded": "data=sudoku_extreme data.side=4 data.path=a data.train_size=4 data.test_size=null",
}
OTHER |= {
    "data.kind": "none", "data.side": (5, 6), "data.path": ("b", "a"), "data.train_file": "more.csv",
    "data.test_file": "more.csv", "data.train_size": (5, 6), "data.test_size": 2, "data.holdout": 2,
    "data.cache": "elsewhere", "data.min_clues": 8, "data.max_clues": 9, "data.min_guesses": 1,
    "data.max_guesses": 0, "data.min_walls": 0.4, "data.max_walls": 0.35, "data.min_length": 6,
    "data.alphabet": 3, "data.length": (5, 6), "data.lengths": [4], "data.rules": ["shift"],
    "data.shows": "first", "data.favour": 1.0, "data.hints": 0.0, "data.name": "mine",
    "data.download": "other", "optim.decay_from": 0.7,
    "data.test_length": 5, "data.contexts": [2], "data.curve": [1], "data.held_out_cues": 0.3,
    "data.held_out_rules": 0.3, "data.asks": "all", "data.order": ("two_phase", "interleaved"),
    "data.test_order": ("two_phase", "interleaved"), "data.symbols": 6, "data.tells": ("once", "pieces"),
    "data.hops": [3, 2], "data.cycles": [1, 2], "data.early_hops": 2, "data.changes_from": 1,
    "data.test_depths": [5], "data.revises_from": 1,
    "data.canvas": 5, "data.sets": ["evaluation", "concept"], "data.test_sets": ["training"],
    "data.draw": "published", "data.protocol": ("strict", "transductive"),
    "data.kinds": ["turns"], "data.held_out_kinds": ["masks"], "data.colours": 3,
    "data.shares": [1, 5], "data.masked": [0.5], "data.trained": 0.5,
    "data.tokens": ("characters", "learned", "ngrams"), "data.grams": [1, 3], "data.vocabulary_size": 150,
    "data.vocabulary": ["[UNK]", *string.ascii_lowercase, *(f"##{x}" for x in string.ascii_lowercase)],
    "data.oos": "outside.csv", "data.shots": 3, "data.ways": [2, 2], "data.test_ways": [2, 2],
    "data.categories": ["elsewhere", "garden", "kitchen", "transport", "weather"],
}  # fmt: skip
MUTE = {
    **{("hops, changed", name): "of few functions, two seldom differ in two images alone"
       for name in ("data.test_size", "data.holdout")},
    # Settings, in contexts where no cheap value changes anything.
    ("sudoku4", "data.max_guesses"): "4x4 sudokus with so few clues need no guess",
    ("sudoku4", "data.min_guesses"): "the same",
    ("sudoku6", "data.max_guesses"): "the first puzzles that are generated need none",
    ("texts, learned", "data.vocabulary_size"): "the vocabulary is there",
    ("arc, strict", "data.protocol"): "what stands beside it is for episodes",
    **{("arc, strict", name): "variants vote in evaluation; all there are, in training"
       for name in ("data.variants", "data.draw", "data.seed")},
    **{(context, f"data.{bound}"): "as sudoku4" for context in ("held out", "episodes")
       for bound in ("min_clues", "max_clues", "min_guesses", "max_guesses")},
}  # fmt: skip


@pytest.mark.parametrize("context", parted(DATA))
def test_a_setting_of_the_data_is_used_or_refused(context, tmp_path, monkeypatch):
    """The test compares all that training uses: both sets and their parts, the batches, the cache."""
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("a", 1), ("b", 2)):
        puzzles = load_data(
            name="s", kind="sudoku", side=4, max_clues=8, train_size=9, test_size=7, seed=seed
        )
        write_set(tmp_path / folder, puzzles)
        sets = [
            tasks(name, seed + number) for number, name in enumerate(("training", "evaluation", "concept"))
        ]
        write_tasks(tmp_path / folder / "arc.json", [task for some in sets for task in some])
    asked = (ROOT / "docs/texts.csv").read_text().splitlines()
    for name, lines in (("texts", asked[:33]), ("asked", [asked[0], *asked[33:]]), ("outside", asked[::9])):
        (tmp_path / f"a/{name}.csv").write_text("\n".join(lines))
    for folder, part in (("a", slice(None)), ("b", slice(7, None))):
        (tmp_path / folder / "prose.txt").write_text((ROOT / "README.md").read_text()[part])
    for folder, other in (("a", "b"), ("b", "a")):
        shutil.copy(f"{other}/train.csv", f"{folder}/more.csv")
    config = compose(
        "train", [*BASE.split(), *MODELS["trm"].split(), "+memory=bicross", *DATA[context].split()]
    )
    names = [name for name in walked(config, ("data",)) if (context, name) not in MUTE]

    def look(config: dict) -> dict:
        made = parse(config)
        data = make_dataset(made)
        batches = Batches(made, data, ranks.Ranks(0, 1, torch.device("cpu")), 0)
        held_out, part = data.held_out(), {name: vars(getattr(data, name)) for name in ("train", "test")}
        drawn = [batches.take(step)[0] for step in range(made.steps)]
        series = {name: vars(one) for name, one in data.episodes.series(data.test).items()}
        cycles = [batches.take(step)[3] for step in range(made.steps)]
        seen = {**part, "held out": vars(held_out), "series": series, "drawn": drawn, "name": data.name,
                "depths": data.episodes.depths, "cycles": cycles,
                "pools": data.episodes.pools(data.test, min(made.validation_size or 0, len(data.test) // 2)),
                "cache": sorted(map(str, tmp_path.glob("elsewhere*")))}  # fmt: skip
        shutil.rmtree("elsewhere", ignore_errors=True)  # Each look has its own.
        return {name: described(value) for name, value in seen.items()}

    walk(config, names, look, context)


def described(value) -> object:
    """Replace arrays by their hashes, in nested containers too."""
    if isinstance(value, np.ndarray | torch.Tensor):
        array = np.asarray(value)
        return array.shape, digest(array) if array.dtype != object else array.tolist()
    if isinstance(value, Facet):
        value = vars(value)
    if isinstance(value, dict):
        return {name: described(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [described(one) for one in value]
    return value


@pytest.mark.parametrize("context", parted(TRAINED))
def test_a_setting_of_training_is_used_or_refused(context, tmp_path, monkeypatch):
    words, groups = TRAINED[context]
    config = compose("train", [*BASE.split(), *words.split()])
    watch = Watch(monkeypatch, tmp_path)
    walk(config, walked(config, groups), watch.train, context)
