"""Planted memories: their selection or rule is made by hand, so that every probe has a known result."""

from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import numpy as np
import torch

from memhrm.config.command import compose
from memhrm.data.episodes.episodes import Episodes
from memhrm.data.examples import examples_of
from memhrm.data.sudoku.task import Sudoku
from memhrm.memory.base import HModule, HShape, MemorySettings
from memhrm.memory.selection import choose
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import ModelSettings, puzzle_shape
from memhrm.probes.subject import Subject, subject_of
from memhrm.runs import build as parts
from memhrm.runs.settings import parse

FIRST = 2
"""The token that asks for cell 0; the next token asks for cell 1, and so on."""
FROM_MEMORY = 12
"""The number of positions whose answer comes from the memory; the other 4 repeat the question."""
UNTOUCHED = 4 / 16
"""The share of correct positions if everything from the memory is wrong."""


@dataclass(frozen=True, kw_only=True)
class PlantedSettings(MemorySettings):
    """Settings of `Planted`.

    Attributes:
        rule: the first cell selected, the next k - 1 cells follow it. token: the cell that the first token
            asks for; clock: cell c at H-step c.
        notes: whether the cells start empty, see `Planted`.
    """

    name: str = "planted"
    module: str = "planted.Planted"
    cells: int = 4
    k: int = 1
    rule: Literal["token", "clock"] = "token"
    notes: bool = False


class Planted(HModule):
    """A memory whose answer is the content of the first selected cell.

    Without notes, cell i holds the token that asks for it, and no write changes it. With notes, the cells
    start empty, and the first selected cell, if it is still empty, is written with the second token of the
    puzzle after it was read; it never changes again. The CLS tokens of the cells are orthogonal.
    """

    Settings = PlantedSettings
    settings: PlantedSettings
    needs_level = False

    def __init__(self, settings: PlantedSettings, shape: HShape):
        super().__init__(settings, shape)
        self.cells = settings.cells
        eye = torch.eye(shape.width)
        contents = eye[FIRST : FIRST + self.cells] * (not settings.notes)
        self.remember("cells", torch.stack((eye[: self.cells], contents), dim=1))
        self.remember("clock", torch.zeros(1))

    def forward(self, z_H, z_L, memory, context):
        s, cells, rows = self.settings, memory["cells"], torch.arange(len(z_H))
        token, clock = z_L[:, 0].argmax(dim=-1) - FIRST, memory["clock"][:, 0].long()
        first = token if s.rule == "token" else clock
        wanted = (first[:, None] + torch.arange(s.k)) % self.cells
        scores = -0.01 * torch.arange(self.cells).expand(len(z_H), -1)  # Breaks ties in favour of the first.
        scores = scores.scatter_add(1, wanted, torch.arange(s.k, 0, -1).float().expand(len(z_H), -1))
        indices = choose(scores, s.k, context.prefer)
        alpha = scores.gather(1, indices).softmax(dim=-1)

        content = cells[rows, indices[:, 0], 1]
        z_H = torch.cat((content[:, None].expand(-1, FROM_MEMORY, -1), z_L[:, FROM_MEMORY:]), dim=1)
        if s.notes:
            empty = (content == 0).all(dim=-1, keepdim=True)
            cells = cells.clone()
            cells[rows, indices[:, 0], 1] = torch.where(empty, z_L[:, 1], content)
        trace = {"indices": indices, "alpha": alpha, "scores": scores}
        return z_H, {"cells": cells, "clock": memory["clock"] + 1}, trace


def planted(
    asked: list[int],
    answers: list[int],
    *,
    notes: list[int] | None = None,
    H_cycles: int = 1,
    steps: int = 2,
    groups: dict[str, np.ndarray] | None = None,
    **memory: Any,
) -> Subject:
    """Return a model with a `Planted` memory, and puzzles for it.

    Args:
        asked: the cell that each puzzle asks for.
        answers: the token that is each puzzle's label.
        notes: the second token of each puzzle; None: memory without notes.
        H_cycles: H-steps of a supervision step.
        steps: supervision steps.
        groups: groups of the puzzles.
        memory: other settings of the memory.
    """
    task = Sudoku(side=4)
    model = Reasoner(
        ModelSettings.of(
            hidden_size=8, num_heads=1, L_layers=0, H_layers=1, H_net="own", H_cycles=H_cycles, L_cycles=0,
            gradient_window="last_cycle", positions="none", puzzle_emb_ndim=0, expansion=1.0,
        ),
        puzzle_shape(task),
        PlantedSettings.of(notes=notes is not None, **memory),
    )  # fmt: skip
    with torch.no_grad():  # Tokens are embedded as unit vectors and read from unit vectors.
        model.embed.tokens.copy_(torch.eye(task.vocab_size, 8) / 8**0.5)
        model.lm_head.weight.copy_(torch.eye(task.vocab_size, 8))
    n = len(asked)
    inputs = torch.randint(1, task.vocab_size, (n, 16), generator=torch.Generator().manual_seed(0))
    inputs[:, 0] = torch.tensor(asked) + FIRST
    if notes is not None:
        inputs[:, 1] = torch.tensor(notes)
    labels = torch.cat(
        (torch.tensor(answers)[:, None].expand(-1, FROM_MEMORY), inputs[:, FROM_MEMORY:]), dim=1
    )
    return Subject(
        name="planted",
        path=None,
        model=model.eval(),
        task=task,
        inputs=inputs.int(),
        labels=labels.int(),
        identifiers=torch.zeros(n, dtype=torch.int32),
        groups=groups or {},
        halt_max_steps=steps,
        write=True,
    )


@dataclass(frozen=True, kw_only=True)
class RulebookSettings(MemorySettings):
    """Settings of `Rulebook`.

    Attributes:
        digits: the number of digits of the task, a; they are the last tokens of its vocabulary.
        vocabulary: the number of tokens.
    """

    name: str = "rulebook"
    module: str = "planted.Rulebook"
    digits: int
    vocabulary: int


class Rulebook(HModule):
    """A memory that holds the image of each digit as a unit vector, (a, a); at first each is its own image.

    The answer maps the digits of the question to their images. A feedback overwrites the images it shows.
    """

    Settings = RulebookSettings
    settings: RulebookSettings
    needs_level = False

    def __init__(self, settings: RulebookSettings, shape: HShape):
        super().__init__(settings, shape)
        self.remember("rule", torch.eye(settings.digits))

    def forward(self, z_H, z_L, memory, context):
        z_H, rule = looked_up(z_L, memory["rule"], self.settings)
        return z_H, {"rule": rule}, {}


@dataclass(frozen=True, kw_only=True)
class PigeonholesSettings(RulebookSettings):
    """Settings of `Pigeonholes`.

    Attributes:
        cells: the number of cells, N.
        by: the cell of a puzzle is the number of its context or of its cue, modulo N; or always cell 1.
        stray: whether a feedback is kept in the cell after that of its question.
    """

    name: str = "pigeonholes"
    module: str = "planted.Pigeonholes"
    cells: int
    by: Literal["context", "cue", "constant"] = "context"
    stray: bool = False


class Pigeonholes(HModule):
    """A `Rulebook` in each of N cells, of which an example reads and writes one."""

    Settings = PigeonholesSettings
    settings: PigeonholesSettings
    needs_level = False

    def __init__(self, settings: PigeonholesSettings, shape: HShape):
        super().__init__(settings, shape)
        self.cells, self.logged = settings.cells, ()
        self.remember("rules", torch.eye(settings.digits).expand(self.cells, -1, -1).clone())

    def forward(self, z_H, z_L, memory, context):
        s, rows = self.settings, torch.arange(len(z_H))
        assert context.address is not None and context.feedback is not None
        number, cue = context.address.long().unbind(dim=1)
        number = {"context": number, "cue": cue, "constant": torch.ones_like(cue)}[s.by]
        cell = (number + s.stray * context.feedback) % s.cells
        z_H, rule = looked_up(z_L, memory["rules"][rows, cell], s)
        rules = memory["rules"].clone()
        rules[rows, cell] = rule
        scores = torch.nn.functional.one_hot(cell, s.cells).float()
        trace = {"indices": cell[:, None], "alpha": torch.ones(len(rows), 1), "scores": scores}
        return z_H, {"rules": rules}, trace


def looked_up(z_L, rule, settings: RulebookSettings):
    """Return the answers z_H by a rule, (b, a, a), and the rule with the images that z_L shows."""
    v, a = settings.vocabulary, settings.digits
    asked, shown = z_L[..., v - a : v].round(), z_L[..., v : v + a].round()  # (b, t, a) each
    z_H = torch.zeros_like(z_L)
    z_H[..., v - a : v] = asked @ rule
    seen = (asked.transpose(1, 2) @ shown).clamp(max=1)  # (b, a, a)
    return z_H, torch.where(seen.sum(dim=-1, keepdim=True) > 0, seen, rule)


def rulebook(task, memory: RulebookSettings | None = None, **model: Any) -> Reasoner:
    """Return a model for a task's episodes that knows the rule once feedback has shown every digit."""
    v, a = task.vocab_size, task.answers
    memory = memory or RulebookSettings.of(lifetime="episode", digits=a, vocabulary=v)
    reasoner = Reasoner(
        ModelSettings.of(
            hidden_size=16, num_heads=1, L_layers=0, H_layers=1, H_net="own", H_cycles=1, L_cycles=0,
            gradient_window="last_cycle", positions="none", puzzle_emb_ndim=0, expansion=1.0, **model,
        ),
        puzzle_shape(task),
        memory,
    )  # fmt: skip
    eye = torch.eye(16)
    with torch.no_grad():
        reasoner.embed.tokens.copy_(eye[:v] / 4)
        assert reasoner.embed.pairs is not None
        reasoner.embed.pairs.copy_(eye[v : v + a].repeat(v, 1) / 4)
        reasoner.lm_head.weight.copy_(eye[v - len(reasoner.lm_head.weight) : v])
    return reasoner.eval()


def right(asked: list[int]) -> list[int]:
    """Return the answers that the cells hold for puzzles that ask for the cells `asked`."""
    return [cell + FIRST for cell in asked]


def small(memory: MemorySettings | None, n: int = 6, H_cycles: int = 1, **model: Any) -> Subject:
    """Return a tiny model with random weights and a real memory, and `n` puzzles.

    The labels are the answers of the model after two steps: undisturbed, it solves all puzzles.
    """
    task = Sudoku(side=4)
    torch.manual_seed(3)
    values: dict[str, Any] = {
        "hidden_size": 16, "num_heads": 2, "L_layers": 1, "H_net": "shared",
        "H_cycles": H_cycles, "L_cycles": 1, "gradient_window": "last_cycle", "puzzle_emb_len": 1,
        "expansion": 1.0, **model,
    }  # fmt: skip
    more = () if memory is None else (memory,)
    reasoner = Reasoner(ModelSettings.of(**values), puzzle_shape(task), *more).eval()
    inputs = torch.randint(1, task.vocab_size, (n, 16), generator=torch.Generator().manual_seed(1)).int()
    numbers = torch.zeros(n, dtype=torch.int32)
    with torch.no_grad():
        if reasoner.puzzles is not None:
            reasoner.puzzles.weight.normal_()
        noise = reasoner.H_module.noise_in_evaluation
        state, out = reasoner.initial_state(n), None
        for _ in range(0 if noise else 2):
            state, out = reasoner(state, inputs, reasoner.puzzle_rows(numbers))
    labels = inputs if out is None else out.logits.argmax(dim=-1).int()
    return Subject(
        name="small",
        path=None,
        model=reasoner,
        task=task,
        inputs=inputs,
        labels=labels,
        identifiers=numbers,
        groups={},
        halt_max_steps=2,
        write=True,
    )


EPISODES, LENGTH = 40, 5
RECALL = f"""
    data=recall data.alphabet=3 data.length=4 data.train_size=1 data.test_size=80 data.lengths=[2,3]
    data.test_length={LENGTH} data.test_episodes={EPISODES} model=trm model.hidden_size=16 model.num_heads=1
    halting.halt_max_steps=1 +memory=bicross
""".split()


def recall(*changes: str, whole: bool = True) -> Subject:
    """Return the planted rulebook and strings of three digits; with `whole`, strings with every digit."""
    run = parse(compose("train", [*RECALL, *changes]))
    dataset = parts.make_dataset(run)
    tokens = np.array([s for s in product((1, 2, 3), repeat=4) if len(set(s)) == 3 or not whole])
    strings = examples_of(tokens, tokens, np.zeros(len(tokens)), ["x"] * len(tokens))
    dataset = replace(dataset, test=strings)
    episodes = dataset.held_out()
    assert isinstance(episodes, Episodes)
    return subject_of(rulebook(dataset.task), run, dataset, episodes, name="planted")


CONTEXTS = """
    data=contexts data.alphabet=3 data.length=4 data.cue_symbols=6 data.contexts=[2] data.test_contexts=4
    data.curve=[] data.test_episodes=30 data.test_size=9 model=trm model.hidden_size=16 model.num_heads=1
    halting.halt_max_steps=1 +memory=bicross
""".split()  # noqa: SIM905


def contexts(cells: int, *changes: str, by: str = "context", stray: bool = False) -> Subject:
    """Return planted pigeonholes, and episodes of 4 contexts with 6 cues and 3 digits."""
    run = parse(compose("train", [*CONTEXTS, *changes]))
    dataset = parts.make_dataset(run)
    task = dataset.task
    memory: Any = PigeonholesSettings.of(
        lifetime="episode", digits=task.answers, vocabulary=task.vocab_size, cells=cells, by=by, stray=stray
    )
    return subject_of(rulebook(task, memory), run, dataset, dataset.held_out(), name="planted")
