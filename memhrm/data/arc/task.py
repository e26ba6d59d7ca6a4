"""ARC as a task: a grid in, a grid out, and an identifier that says of which task.

n examples, S the side of the canvas, s = S x S tokens.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

import numpy as np

from memhrm.data.arc.canvas import FIRST, TURNED, VOCABULARY, cropped, drawn, stacked
from memhrm.data.arc.draw import in_terminal, side_by_side, svg
from memhrm.data.arc.identity import OWNER, elsewhere, owners, pair_key
from memhrm.data.arc.tasks import MOST_SIDE, ArcTask, Pair, grid_of, read_tasks
from memhrm.data.arc.variants import PERMUTATIONS, identifiers_of, parted, variants_of
from memhrm.data.checks import PuzzleError, number
from memhrm.data.examples import Examples, examples_of, quantiles
from memhrm.data.task import Task

NO_VARIANTS = np.zeros(0, np.int64)


class Arc(Task):
    """Turn a grid into another, as the demonstrations of a task do.

    The examples of a set are pairs; those of one task form a group, share an identifier and have the task's
    name as their source. Their variants have identifiers of their own (`memhrm.data.arc.variants`).

    Args:
        canvas: the side of the canvas, S.
        translate: whether variants also lie at a random place of the canvas.
        identified: whether an identifier says of which task an example is; else all have 0.

    Attributes:
        variants: the numbers of the variants of each task, by its key.
        demonstrations: how many each task has, likewise.
        fitting_tasks: how many tasks of each set fit the canvas, for people.
        too_large: the tasks of the test sets that do not.
    """

    together = True
    classes = "pairs"

    def __init__(self, *, canvas: int, translate: bool = True, identified: bool = True) -> None:
        self.canvas = number("canvas", canvas, 1, MOST_SIDE)
        super().__init__(
            name=f"arc{canvas}",
            seq_len=canvas**2,
            vocab_size=VOCABULARY,
            num_identifiers=0 if identified else 1,
            layout=(canvas, canvas),
        )
        self.translate = translate
        if not identified:  # A told pair is one token for each cell of the two grids.
            self.answers, self.asks = VOCABULARY, False
        self.variants: dict[int, np.ndarray] = {}
        self.demonstrations: dict[int, int] = {}
        self.fitting_tasks = ""
        self.too_large: list[ArcTask] = []

    def examples(self, tasks: Sequence[ArcTask], *, demonstrations: bool, tests: bool) -> Examples:
        """Return pairs of tasks as examples, those of each task in their order.

        Args:
            tasks: the tasks, whose grids fit the canvas.
            demonstrations: whether their demonstrations are among them.
            tests: whether their tests are; where an output is not known the labels are 0.
        """
        pairs = [
            (group, pair)
            for group, task in enumerate(tasks)
            for pair in (*(task.demonstrations if demonstrations else ()), *(task.tests if tests else ()))
        ]
        told = [
            number < len(task.demonstrations)
            for task in tasks
            for number in range(len(task.demonstrations) + len(task.tests))
        ]
        groups = np.array([group for group, _ in pairs], np.int64)
        keys = np.array([task.key for task in tasks], np.int64)
        strict = self.num_identifiers == 1
        return examples_of(
            self._tokens([pair.input for _, pair in pairs]),
            self._tokens([pair.output for _, pair in pairs]),
            sources=[tasks[group].id for group in groups],
            identifiers=None if strict else identifiers_of(keys, 0)[groups],
            groups=groups,
            told=np.array(told, bool) if strict and demonstrations and tests else None,
        )

    def _tokens(self, grids: Sequence[np.ndarray | None]) -> np.ndarray:
        return stacked(grids, self.canvas).reshape(len(grids), self.seq_len)

    def encode(self, questions: Sequence[str], answers: Sequence[str] | None = None) -> Examples:
        """Return examples of grids written as JSON, such as "[[0, 1], [2, 3]]", of no known task."""
        labels = np.zeros((len(questions), self.seq_len), np.uint8)
        return examples_of(
            self._parsed("question", questions),
            labels if answers is None else self._parsed("answer", answers),
        )

    def _parsed(self, field: str, texts: Sequence[str]) -> np.ndarray:
        grids = []
        for row, text in enumerate(texts):
            try:
                grids.append(self.fitting(grid_of(json.loads(text), field), field))
            except (ValueError, RecursionError) as error:  # Brackets in brackets without end.
                raise PuzzleError(row, str(error)) from None
        return self._tokens(grids)

    def fitting(self, grid: np.ndarray, where: str) -> np.ndarray:
        """Return a grid that fits the canvas.

        Raises:
            ValueError: it does not.
        """
        if max(grid.shape) > self.canvas:
            size = " x ".join(map(str, grid.shape))
            raise ValueError(f"{where} has {size} cells; the canvas has room for {self.canvas} a side")
        return grid

    def decode(self, tokens: np.ndarray) -> str:
        """Return the grid at the top left of a canvas as JSON; [] if there is none."""
        return json.dumps(self.grid(tokens).tolist(), separators=(",", ":"))

    def grid(self, tokens: np.ndarray) -> np.ndarray:
        """Return the grid at the top left of a canvas ``(s,)``, of any tokens: colours."""
        return cropped(np.asarray(tokens).reshape(1, self.canvas, self.canvas))[0]

    def render(self, tokens: np.ndarray) -> str:
        """Return the grid of a canvas in colours, for a terminal, or as digits."""
        return in_terminal(self.grid(tokens))

    def exhibit(self, parts: Sequence[Examples], source: str | None = None) -> tuple[str, str | None]:
        """Return a task, the first or that of a name, drawn for a terminal and as SVG."""
        names = [str(name) for part in parts for name in part.sources]
        chosen = names[0] if source is None else source
        if chosen not in names:
            raise ValueError(f"show is {chosen!r}; allowed: the name of a task that is there")
        shown, others = self._of_name(parts, chosen)
        pairs = [[self._pair(part, row) for row in rows.tolist()] for part, rows in zip(parts, shown)]
        trained, tested = pairs[0], [pair for part in pairs[1:] for pair in part]
        lines = [f"task {chosen}"]
        lines += ["there are others of this name; data.sets says which sets are read"] if others else []
        for what, some in (("pair", trained), ("held out", tested)):
            for count, pair in enumerate(some, start=1):
                grids = [in_terminal(grid) for grid in (pair.input, pair.output) if grid is not None]
                lines += [f"{what} {count}:", indent(side_by_side(grids), "  ")]
        return "\n".join(lines), svg(ArcTask(chosen, "", tuple(trained), tuple(tested)))

    def _of_name(self, parts: Sequence[Examples], name: str) -> tuple[list[np.ndarray], bool]:
        """Return the rows of the first task of a name in each part, and whether others have the name.

        With identifiers the parts hold pairs of the same tasks; strictly a task is in one part alone.
        """
        named = [np.flatnonzero(part.sources == name) for part in parts]
        home = next(at for at, rows in enumerate(named) if len(rows))
        own = parts[home].identifiers[named[home][0]]
        found = []
        for at, (part, rows) in enumerate(zip(parts, named)):
            of_task = (part.identifiers[rows] == own) & (self.num_identifiers == 0 or at == home)
            same = rows[of_task]
            found.append(same[part.groups[same] == part.groups[same[:1]]])
        return found, sum(map(len, named)) > sum(map(len, found))

    def _pair(self, examples: Examples, row: int) -> Pair:
        output = examples.labels[row]
        return Pair(self.grid(examples.inputs[row]), self.grid(output) if output.any() else None)

    def describe(self, examples: Examples) -> str:
        """Return how many tasks there are, and how large their grids."""
        tasks = len(np.unique(examples.groups))
        grids = cropped(examples.inputs.reshape(-1, self.canvas, self.canvas))
        return f"{tasks:,} tasks; {quantiles('longest side', np.array([max(grid.shape) for grid in grids]))}"

    def read(self, path: Path, *, solve: bool = True) -> Examples:
        """Read the tests of the tasks of a file; `memhrm.data.arc.tasks.read_tasks` says which there are."""
        tasks = [self.checked_task(task, str(path)) for task in read_tasks(path)]
        return self.examples(tasks, demonstrations=False, tests=True)

    def checked_task(self, task: ArcTask, where: str) -> ArcTask:
        """Return a task whose grids fit the canvas.

        Raises:
            ValueError: they do not.
        """
        if task.side() > self.canvas:
            raise ValueError(
                f"{where}: task {task.id} has a grid of {task.side()} cells a side; "
                f"the canvas has room for {self.canvas}"
            )
        return task

    def augment(self, examples: Examples, rng: np.random.Generator) -> Examples:
        """Return each task's examples in one variant, drawn from those of the task and the task itself.

        With `translate` each pair lies at a random place, input and output at the same one; one pair of each
        task stays at the top left, as published.
        """
        _, first, member = np.unique(examples.groups, return_index=True, return_inverse=True)
        keys, _ = parted(examples.identifiers[first])
        listed = [self.variants.get(int(key), NO_VARIANTS) for key in keys]
        chosen = rng.integers([len(codes) + 1 for codes in listed])
        codes = np.array([codes[k - 1] if k else 0 for codes, k in zip(listed, chosen)], np.int64)
        return self.varied(examples, codes[member], self._places(examples, codes[member], member, rng))

    def _places(
        self, examples: Examples, codes: np.ndarray, member: np.ndarray, rng: np.random.Generator
    ) -> np.ndarray:
        """Return where the variant of each pair lies: row and column of its first cell, ``(n, 2)``."""
        n = len(examples)
        if not self.translate:
            return np.zeros((n, 2), np.int64)
        both = np.stack((examples.inputs, examples.labels)).reshape(2, n, self.canvas, self.canvas)
        sizes = np.stack([(both[..., 0] >= FIRST).sum(axis=2), (both[..., 0, :] >= FIRST).sum(axis=2)], -1)
        longest = sizes.max(axis=0)  # Of input and output, as rows and columns of the task itself.
        room = self.canvas - np.where(_swaps(codes)[:, None], longest[:, ::-1], longest)
        places = rng.integers(room + 1)
        # A random pair of each task stays: the first of the task's in a random order.
        order = rng.permutation(n)
        _, stays = np.unique(member[order], return_index=True)
        places[order[stays]] = 0
        return places

    def varied(self, examples: Examples, codes: np.ndarray, places: np.ndarray | None = None) -> Examples:
        """Return examples in given variants.

        Args:
            examples: of the tasks themselves.
            codes: the number of the variant of each, ``(n,)``.
            places: row and column of the first cell, ``(n, 2)``; None: the top left.
        """
        n = len(examples)
        places = np.zeros((n, 2), np.int64) if places is None else places
        symmetries, colours = variants_of(codes)
        both = (part.reshape(n, self.canvas, self.canvas) for part in (examples.inputs, examples.labels))
        images = (drawn(tokens, symmetries, colours, places) for tokens in both)
        inputs, labels = (image.reshape(n, self.seq_len) for image in images)
        keys, _ = parted(examples.identifiers)
        identifiers = examples.identifiers if self.num_identifiers else identifiers_of(keys, codes)
        return examples.having(inputs=inputs, labels=labels, identifiers=identifiers)

    def class_keys(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a key of each pair that it shares with its images under symmetries and other colours.

        It does not depend on the canvas.
        """
        both = (cropped(np.asarray(part).reshape(-1, self.canvas, self.canvas)) for part in (inputs, labels))
        return np.array([pair_key(*pair) for pair in zip(*both)], np.bytes_)

    def identities(self, inputs: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Return a hash of each pair, ``(n,)`` uint64, whose last bits name no task."""
        return super().identities(inputs, labels) & ~OWNER

    def trained_identities(self, examples: Examples) -> np.ndarray:
        """Return the identities of trained pairs; with identifiers a demonstration's names its task."""
        found = super().trained_identities(examples)
        if self.num_identifiers == 1:
            return found
        keys, _ = parted(examples.identifiers)
        _, first, member = np.unique(examples.groups, return_index=True, return_inverse=True)
        counts = np.array([self.demonstrations.get(int(key), 0) for key in keys[first]], np.int64)
        place = np.arange(len(examples)) - first[member]  # In the task, whose demonstrations come first.
        return np.where(place < counts[member], found | owners(keys), found)

    def were_used(self, examples: Examples, identities: np.ndarray, used: np.ndarray) -> np.ndarray:
        """Return which test pairs a run has used; with identifiers, not only as their own demonstrations."""
        if self.num_identifiers == 1:
            return np.isin(identities, used & ~OWNER)
        return elsewhere(identities, parted(examples.identifiers)[0], used)


def _swaps(codes: np.ndarray) -> np.ndarray:
    """Return whether variants make columns of rows, ``(n,)`` bool."""
    return TURNED[codes // PERMUTATIONS]
