"""Canvases and variants against slow versions, and what undoes each; a golden file by hand."""

import itertools

import numpy as np
import pytest

from made_arc import canvas_slowly, cropped_slowly, tasks, turned_slowly
from memhrm.data.arc import canvas
from memhrm.data.arc.tasks import ArcTask, Pair
from memhrm.data.arc.variants import (
    PERMUTATIONS,
    VARIANTS,
    Variants,
    codes_of,
    draw,
    identifiers_of,
    parted,
    published,
    undone,
    variants_of,
)

GRID = np.array([[1, 0, 2], [3, 0, 0]], np.uint8)

GOLDEN = """
3 2 4 1 0    0 0 0 0 0    0 0 0 0 0
5 2 2 1 0    0 0 0 0 0    0 4 2 1 0
1 1 1 0 0    0 3 2 4 1    0 2 2 1 0
0 0 0 0 0    0 5 2 2 1    0 3 5 1 0
0 0 0 0 0    0 1 1 1 0    0 1 1 0 0
"""
"""The grid at the top left of a canvas of 5; moved by (2, 1); turned left and moved by (1, 1)."""


def golden() -> np.ndarray:
    rows = [line.split() for line in GOLDEN.split("\n") if line]
    return np.array(rows, int).reshape(5, 3, 5).swapaxes(0, 1)


def same_colours(count: int) -> np.ndarray:
    return np.tile(np.arange(10), (count, 1))


def test_golden_canvases():
    still, moved, turned = golden()
    tokens = canvas.stacked([GRID], 5)
    assert (tokens[0] == still).all()
    assert (canvas.drawn(tokens, np.array([0]), same_colours(1), np.array([[2, 1]]))[0] == moved).all()
    assert (canvas.drawn(tokens, np.array([1]), same_colours(1), np.array([[1, 1]]))[0] == turned).all()


@pytest.mark.parametrize("side", [4, 7, 30])
def test_drawn_is_what_is_drawn_cell_by_cell(side):
    rng = np.random.default_rng(side)
    grids = [rng.integers(10, size=rng.integers(1, side + 1, size=2)).astype(np.uint8) for _ in range(60)]
    grids[0] = rng.integers(10, size=(side, side)).astype(np.uint8)  # No mark has room.
    symmetries = np.arange(60) % 8
    colours = np.stack([rng.permutation(10) for _ in grids])
    slow, places = [], []
    for grid, symmetry, own in zip(grids, symmetries, colours):
        image = own[turned_slowly(grid, symmetry)]
        places.append([rng.integers(side - length + 1) for length in image.shape])
        slow.append(canvas_slowly(image, side, *places[-1]))
    found = canvas.drawn(canvas.stacked(grids, side), symmetries, colours, np.array(places))
    assert (found == np.stack(slow)).all()


def test_a_grid_that_is_not_there_leaves_nothing():
    tokens = canvas.stacked([None, GRID], 5)
    found = canvas.drawn(tokens, np.array([3, 3]), same_colours(2), np.zeros((2, 2), int))
    assert not tokens[0].any() and not found[0].any() and found[1].any()


def test_cropped_is_the_largest_rectangle_at_the_top_left():
    rng = np.random.default_rng(1)
    noise = np.where(rng.random((200, 6, 6)) < 0.15, rng.integers(2, size=(200, 6, 6)), 4)
    odd = [np.zeros((6, 6), int), np.full((6, 6), 13), np.full((6, 6), 11)]
    for tokens, grid in zip((found := np.stack([*odd, *noise])), canvas.cropped(found)):
        slow = cropped_slowly(tokens)
        assert grid.shape == slow.shape and (grid == slow).all()
    assert canvas.cropped(np.zeros((1, 6, 6), int))[0].size == 0


def test_every_variant_has_a_number_and_is_undone():
    rng = np.random.default_rng(2)
    codes = rng.integers(VARIANTS, size=10_000)
    codes[:2] = 0, VARIANTS - 1
    variants = variants_of(codes)
    assert (codes_of(variants) == codes).all()
    assert (np.sort(variants.colours) == np.arange(10)).all() and (variants.colours[:, 0] == 0).all()
    for code, symmetry, colours in zip(codes.tolist(), *variants):
        grid = rng.integers(10, size=rng.integers(1, 31, size=2)).astype(np.uint8)
        image = colours[turned_slowly(grid, symmetry)]
        assert (canvas.turned(colours[grid], int(symmetry)) == image).all()
        back = undone(image, code)
        assert back.shape == grid.shape and (back == grid).all()
    in_order = list(itertools.islice(itertools.permutations(range(1, 10)), 3000))
    assert [tuple(row) for row in variants_of(np.arange(3000)).colours[:, 1:]] == in_order


def test_identifiers_name_the_task_and_the_variant():
    keys, codes = np.array([1, (1 << 41) - 1]), np.array([0, VARIANTS - 1])
    identifiers = identifiers_of(keys, codes)
    assert identifiers.dtype == np.int64 and (identifiers > 0).all()
    assert [part.tolist() for part in parted(identifiers)] == [keys.tolist(), codes.tolist()]


def coloured(*colours: int) -> ArcTask:
    """A task without symmetry in which these colours occur."""
    grid = np.resize(np.array([0, *colours], np.uint8), (4, 5))
    return ArcTask("made", "made", (Pair(grid, grid[:2]),), (Pair(grid[1:], None),))


def test_own_draw_is_of_the_task_and_the_seed_and_repeats_nothing():
    task = coloured(1, 2, 3, 4)
    codes = draw(task, 300, seed=0)
    assert len(codes) == 300 == len(set(codes.tolist())) and 0 not in codes
    assert (draw(task, 300, seed=0) == codes).all() and (draw(task, 300, seed=1) != codes).any()
    few = coloured(4)  # 9 colours it can have, in 8 symmetries, less the task itself.
    assert len(draw(few, 300, seed=0)) == 8 * 9 - 1
    symmetries, colours = variants_of(draw(few, 300, seed=0))
    assert len({(s, c[4]) for s, c in zip(symmetries, colours)}) == 71
    assert len(draw(task, 0, seed=0)) == 0


def published_slowly(sets, count: int, seed: int) -> dict[int, list[str]]:
    """The names that the published builders give, as their description says: one stream, all content kept."""
    stream = np.random.RandomState(seed)
    names: dict[int, list[str]] = {}
    for some in sets:
        listed = list(some)
        stream.shuffle(listed)
        for task in listed:
            pairs = [(p.input, np.zeros((1, 1), int) if p.output is None else p.output)
                     for p in (*task.demonstrations, *task.tests)]  # fmt: skip

            def content(change, pairs=pairs):
                return tuple(sorted((str(change(a).tolist()), str(change(b).tolist())) for a, b in pairs))

            seen, names[task.key] = {content(lambda grid: grid)}, []
            for _ in range(5 * count):
                symmetry = stream.randint(0, 8)
                colours = np.concatenate(
                    [np.arange(0, 1, dtype=np.uint8), stream.permutation(np.arange(1, 10, dtype=np.uint8))]
                )
                shown = content(lambda g, c=colours, s=symmetry: turned_slowly(c[g], s))
                if shown not in seen:
                    seen.add(shown)
                    names[task.key].append(f"{task.id}|||t{symmetry}|||{''.join(map(str, colours))}")
                if len(names[task.key]) >= count:
                    break
    return names


def variant_name(task: str, code: int) -> str:
    """The published name of a variant: ID, or ID|||tSYMMETRY|||COLOURS."""
    symmetries, colours = variants_of(np.array([code]))
    return f"{task}|||t{symmetries[0]}|||{''.join(map(str, colours[0]))}" if code else task


def test_published_draw():
    assert variant_name("abc", 0) == "abc"
    assert variant_name("abc", 3 * PERMUTATIONS + 1) == "abc|||t3|||0123456798"
    square = Pair(np.full((3, 3), 5, np.uint8), np.full((2, 2), 5, np.uint8))
    symmetric = ArcTask("symmetric", "one", (square, square), (square,))  # Nine variants, one of them itself.
    sets = [[*tasks("one"), symmetric], tasks("two", 1)]
    found = published(sets, 20, seed=42)
    slow = published_slowly(sets, 20, seed=42)
    assert found.keys() == slow.keys() and len(slow[symmetric.key]) == 8
    for some in sets:
        for task in some:
            names = [variant_name(task.id, code) for code in found[task.key].tolist()]
            assert names == slow[task.key]


def test_codes_of_no_variant():
    assert codes_of(Variants(np.zeros(0, int), np.zeros((0, 10), int))).tolist() == []
