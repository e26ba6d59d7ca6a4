"""ARC as data: what is trained and what is held out, batches, variants, and tasks that were trained on."""

from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest

from made_arc import tasks, turned_slowly, write_combined
from memhrm.config.command import compose
from memhrm.data import Sampler, load
from memhrm.data.__main__ import main as data_command
from memhrm.data.arc.canvas import cropped
from memhrm.data.arc.draw import in_terminal, svg, visible
from memhrm.data.arc.task import Arc
from memhrm.data.arc.tasks import ArcTask, Pair
from memhrm.data.arc.variants import draw, parted, variants_of
from memhrm.data.dataset import Dataset
from memhrm.data.sampler import batch_of
from memhrm.runs.build import make_dataset
from memhrm.runs.settings import parse
from memhrm.runs.used import identities, unused

SETS = {
    "training": tasks("training", 1),
    "evaluation": tasks("evaluation", 2),
    "concept": tasks("concept", 3),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return write_combined(tmp_path_factory.mktemp("arc"), SETS)


def loaded(folder: Path, **changes) -> Dataset:
    return load(
        **{"kind": "arc", "name": "arc", "path": str(folder), "canvas": 10, "variants": 20, **changes}
    )


def keys(examples) -> set[int]:
    return set(parted(examples.identifiers)[0].tolist())


def test_what_is_trained_and_what_is_held_out(folder):
    dataset = loaded(folder)
    pairs = {name: sum(len(t.demonstrations) + len(t.tests) for t in some) for name, some in SETS.items()}
    tests = sum(len(task.tests) for task in SETS["evaluation"])
    assert len(dataset.train) == sum(pairs.values()) - tests and len(dataset.test) == tests == 5
    assert keys(dataset.test) == {task.key for task in SETS["evaluation"]} < keys(dataset.train)
    assert len(loaded(folder, sets=["evaluation"]).train) == pairs["evaluation"] - tests
    strict = loaded(folder, protocol="strict")
    assert len(strict.train) == pairs["training"] + pairs["concept"]
    assert len(strict.test) == pairs["evaluation"] and strict.episodes.count(strict.test) == tests
    assert not strict.train.identifiers.any() and strict.task.num_identifiers == 1


def test_identifiers_do_not_depend_on_what_is_read_beside_the_task(folder):
    every, few = loaded(folder), loaded(folder, sets=["evaluation"], canvas=30)
    for row, source in enumerate(few.test.sources):
        (same,) = np.flatnonzero(
            (every.test.sources == source) & (cropped_rows(every) == cropped_rows(few)[row])
        )
        assert every.test.identifiers[same] == few.test.identifiers[row]
    shared = few.task.variants.keys() & every.task.variants.keys()
    assert all((few.task.variants[key] == every.task.variants[key]).all() for key in shared) and shared


def cropped_rows(dataset: Dataset) -> np.ndarray:
    return np.array([dataset.task.decode(row) for row in dataset.test.inputs], object)


def test_tasks_that_do_not_fit_the_canvas_are_left_out_and_counted(folder, capsys):
    assert isinstance((task := loaded(folder).task), Arc)
    assert task.fitting_tasks == "concept 4, evaluation 4, training 4"
    data_command(["inspect", "arc", f"path={folder}", "canvas=4"])
    said = capsys.readouterr().out
    fit = {name: sum(task.side() <= 4 for task in some) for name, some in SETS.items()}
    assert 0 < fit["evaluation"] < 4
    assert (
        f"tasks that fit the canvas: concept {fit['concept']} of 4, evaluation {fit['evaluation']} of 4"
        in said
    )


def test_a_batch_holds_whole_tasks_each_in_one_of_its_variants(folder):
    dataset = loaded(folder, translate=False)
    task, sampler = dataset.task, Sampler(dataset.train, dataset.task, batch_size=16, seed=0, augment=True)
    groups = np.concatenate([sampler.batch(index)["groups"] for index in range(len(dataset.train) // 16)])
    changes = int((np.diff(groups) != 0).sum())
    assert changes == len(set(groups.tolist())) - 1  # Each group comes once, all of it together.
    batch, rows = sampler.batch(3), sampler.rows(3)
    names = {task.key: task for some in SETS.values() for task in some}
    for row, identifier, tokens, labels in zip(rows, batch["identifiers"], batch["inputs"], batch["labels"]):
        key, code = (int(part[0]) for part in parted(np.array([identifier])))
        assert code == 0 or code in task.variants[key]
        symmetries, colours = variants_of(np.array([code]))
        original = [
            cropped(part[row].reshape(1, 10, 10))[0] for part in (dataset.train.inputs, dataset.train.labels)
        ]
        found = [cropped(np.maximum(part, 0).reshape(1, 10, 10))[0] for part in (tokens, labels)]
        for before, after in zip(original, found):
            assert (colours[0][turned_slowly(before, symmetries[0])] == after).all()
        assert names[key].key == key
    for group in set(batch["groups"].tolist()):
        assert len(set(batch["identifiers"][batch["groups"] == group].tolist())) == 1


def test_a_task_that_comes_again_in_a_batch_is_drawn_again(folder):
    """One task in a large batch, as in adaptation; within an epoch nothing else is drawn than without."""
    dataset = loaded(folder)
    task, train = dataset.task, dataset.train
    own = train.select(train.groups == train.groups[0])
    batch = Sampler(own, task, batch_size=8 * len(own), seed=0, augment=True).batch(0)
    visits = batch["identifiers"].reshape(8, len(own))
    assert (visits == visits[:, :1]).all() and len(set(visits[:, 0].tolist())) > 1
    assert (batch["groups"] == own.groups[0]).all()
    tokens = batch["inputs"].reshape(8, len(own), -1)
    assert (tokens[:, :, 0] > 1).any(axis=1).all()  # A pair of each visit is at the top left.
    sampler = Sampler(train, task, batch_size=len(train), seed=0, augment=True)
    rng = np.random.Generator(np.random.Philox(key=[0, 1], counter=[0, 0, 0, 1]))
    alone = batch_of(task.augment(train.select(sampler.rows(1)), rng))
    assert all((sampler.batch(1)[name] == values).all() for name, values in alone.items())


def test_translation_moves_both_grids_alike_and_leaves_one_pair_of_a_task(folder):
    dataset = loaded(folder)
    batch = Sampler(dataset.train, dataset.task, batch_size=200, seed=0, augment=True).batch(0)
    tokens, labels = (np.maximum(batch[name], 0).reshape(-1, 10, 10) for name in ("inputs", "labels"))
    corners = [
        np.stack([(part > 1).any(axis=axis).argmax(axis=1) for axis in (2, 1)], axis=1)
        for part in (tokens, labels)
    ]
    assert (corners[0] == corners[1]).all() and (corners[0] > 0).any()
    still = (corners[0] == 0).all(axis=1)
    identifiers, groups = batch["identifiers"], batch["groups"]
    assert all(
        still[(groups == group) & (identifiers == one)].any() for group, one in zip(groups, identifiers)
    )
    assert 0.05 < still.mean() < 0.6
    unmoved = Sampler(dataset.train, dataset.task, batch_size=200, seed=0, augment=False).batch(0)
    assert (parted(unmoved["identifiers"])[1] == 0).all()


OTHER = np.array([0, 3, 1, 2, 9, 8, 7, 4, 5, 6])
"""Other colours."""


def image(pair: Pair, symmetry: int = 3, colours: np.ndarray = OTHER) -> Pair:
    """The pair turned and recoloured."""
    return Pair(
        *(colours[turned_slowly(grid, symmetry)].astype(np.uint8) for grid in (pair.input, pair.output))
    )


def changed(task: ArcTask, symmetry: int, colours: np.ndarray) -> ArcTask:
    """The task under another name, turned and recoloured, its pairs in another order."""
    some = [image(pair, symmetry, colours) for pair in (*task.demonstrations, *task.tests)][::-1]
    return ArcTask(f"new-{task.id}", "training", tuple(some[1:]), tuple(some[:1]))


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_a_task_that_is_trained_under_another_guise_is_not_scored(protocol, tmp_path):
    evaluation = SETS["evaluation"]
    known = [
        *SETS["training"],
        changed(evaluation[0], 3, OTHER),
        replace(evaluation[1], id="copy", set="training"),
    ]
    folder = write_combined(tmp_path / "arc", {"training": known, "evaluation": evaluation})
    words = [
        "data=arc",
        f"data.path={folder}",
        "data.canvas=10",
        "data.variants=3",
        f"data.protocol={protocol}",
    ]
    with pytest.warns(UserWarning, match="left out"):
        left = make_dataset(parse(compose("train", [*words, "validation_size=0"]))).test
    assert set(left.sources) == {task.id for task in evaluation[2:]}


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_a_test_that_is_an_image_of_its_own_demonstration_is_scored(protocol, tmp_path):
    """It was not trained on: with identifiers, tasks are told by what is trained of them."""
    first, *others = SETS["evaluation"]
    first = replace(first, tests=(image(first.demonstrations[0]),))
    folder = write_combined(tmp_path / "arc", {"training": SETS["training"], "evaluation": [first, *others]})
    dataset = loaded(folder, protocol=protocol)
    assert unused(dataset, identities(dataset.train, dataset.task)) == (dataset, 0)


GUISES = {
    "a demonstration of another task": lambda task: replace(
        SETS["training"][0], demonstrations=(image(task.tests[0]), *SETS["training"][0].demonstrations)
    ),
    "a test of a task of the same demonstrations": lambda task: replace(task, id="twin", set="training"),
}


@pytest.mark.parametrize("guise", GUISES)
def test_that_test_is_left_out_if_another_task_trains_it(guise, tmp_path):
    first, *others = SETS["evaluation"]
    first = replace(first, tests=(image(first.demonstrations[0]), others[0].demonstrations[0]))
    folder = write_combined(
        tmp_path / "arc", {"training": [GUISES[guise](first)], "evaluation": [first, *others]}
    )
    dataset = loaded(folder)
    left, count = unused(dataset, identities(dataset.train, dataset.task))
    assert count == 2  # The second is a demonstration of the next task.
    assert set(left.test.sources) == {task.id for task in others}


def test_what_was_trained_with_identifiers_is_not_asked_strictly(folder):
    trained, strict = loaded(folder), loaded(folder, protocol="strict")
    used = identities(trained.train, trained.task)
    assert (strict.test_used(used) == strict.test.told).all()
    with pytest.raises(ValueError, match="none of the 17 test puzzles of arc can be scored"):
        unused(strict, used)


def test_pairs_are_known_again_on_another_canvas(folder):
    large, small = loaded(folder, canvas=30), loaded(folder)
    used = identities(small.train, small.task)
    assert (used == identities(large.train, large.task)).all()
    assert loaded(folder, canvas=30, test_sets=["training"]).test_used(used).all()


def test_every_image_of_a_pair_has_its_class_key():
    arc, rng = Arc(canvas=10), np.random.default_rng(0)
    pairs = [pair for some in SETS.values() for task in some for pair in task.demonstrations]
    tokens = arc.examples(SETS["training"], demonstrations=True, tests=True)
    own = arc.class_keys(tokens.inputs, tokens.labels)
    assert len(set(own.tolist())) > len(own) * 0.8 and len(pairs) == 36
    for symmetry in range(8):
        codes = symmetry * 362880 + rng.integers(362880, size=len(tokens))
        varied = arc.varied(tokens, codes)
        assert (arc.class_keys(varied.inputs, varied.labels) == own).all()


BAD = {
    "canvas": ({"canvas": 31}, "data.canvas is 31; allowed: numbers from 1 to 30"),
    "too small": (
        {"canvas": 1},
        "data.test_sets is ['evaluation']; allowed: sets with tasks that fit data.canvas=1",
    ),
    "no such set": (
        {"sets": ["training", "test"], "test_sets": ["test"]},
        "has no set 'test'; allowed: concept",
    ),
    "not read": ({"sets": ["training"]}, "data.test_sets is ['evaluation']; allowed: sets out of data.sets"),
    "not there": (
        {"test_sets": ["evaluation2"]},
        "data.test_sets is ['evaluation2']; allowed: sets with tasks",
    ),
    "no sets": ({"sets": []}, "data.sets is (); allowed: a list of different names of sets"),
    "variants": ({"variants": 2903040}, "data.variants is 2903040; allowed: numbers up to 2,903,039"),
    "holdout": ({"holdout": 3}, "data.holdout is 3; allowed: 0; data.test_sets says"),
    "train_size": ({"train_size": 3}, "data.train_size is 3; allowed: null; data.sets says"),
    "demonstrations": ({"demonstrations": 0}, "data.demonstrations is 0; allowed: 1 to 10"),
    "no path": ({"path": None}, "data.path is null; allowed: the folder, or the file, of the tasks of arc"),
}


@pytest.mark.parametrize("name", BAD)
def test_settings_that_do_not_fit_are_refused(name, folder):
    changes, message = BAD[name]
    with pytest.raises(ValueError) as error:
        loaded(folder, **changes)
    assert message in str(error.value) and "\n" not in str(error.value)


def test_published_draw_is_of_the_files_in_their_order(folder):
    dataset = loaded(folder, draw="published", sets=["training", "evaluation"])
    own = loaded(folder, sets=["training", "evaluation"])
    key = SETS["evaluation"][0].key
    assert (
        len(dataset.task.variants[key]) == 20 and (dataset.task.variants[key] != own.task.variants[key]).any()
    )
    assert (own.task.variants[key] == draw(SETS["evaluation"][0], 20, 0)).all()


def test_a_task_is_drawn_for_a_terminal_and_as_a_picture(folder, tmp_path, capsys):
    words = ["inspect", "arc", f"path={folder}", "canvas=10", "show=first-evaluation"]
    data_command([*words, f"out={tmp_path}/task.svg"])
    said = capsys.readouterr().out
    pair = SETS["evaluation"][3].demonstrations[0]
    assert "task first-evaluation\npair 1:\n" in said and "held out 1:\n" in said
    assert "".join(map(str, pair.input[0])) in said
    picture = (tmp_path / "task.svg").read_text()
    assert picture.startswith("<svg") and picture.count("<g ") == 8 and "demonstration 3" in picture
    with pytest.raises(ValueError, match="show is 'none'; allowed: the name of a task that is there"):
        data_command([*words[:-1], "show=none"])
    with pytest.raises(ValueError, match="nothing, as there is no picture of sudoku4"):
        data_command(["inspect", "sudoku4", "train_size=5", "test_size=5", f"out={tmp_path}/x.svg"])


@pytest.mark.parametrize("protocol", ["transductive", "strict"])
def test_of_two_tasks_of_one_name_one_is_drawn(protocol, tmp_path):
    task, twin, *others = SETS["evaluation"]
    twin = replace(twin, id=task.id)
    sets = {"training": [*SETS["training"], twin], "evaluation": [task, *others]}
    found = []
    for number, some in enumerate((sets, sets | {"concept": [task]})):
        dataset = loaded(write_combined(tmp_path / str(number), some), protocol=protocol)
        text, picture = dataset.task.exhibit([dataset.train, dataset.test], task.id)
        assert "there are others of this name; data.sets says which" in text
        found.append((text.count("\npair "), text.count("\nheld out ")))
        assert str(picture).count("<g ") == 2 * sum(found[-1])
    assert found == [(5, 0), (4, int(protocol == "transductive"))]
    text, _ = dataset.task.exhibit([dataset.train, dataset.test], others[0].id)
    assert "there are others" not in text


def test_names_in_pictures_and_colours_in_a_terminal(monkeypatch):
    assert "<title>ARC task &lt;b&gt;&amp;</title>" in svg(replace(SETS["training"][0], id="<b>&"))
    grid = np.array([[1, 0]])
    assert in_terminal(grid) == "10"
    monkeypatch.setattr("sys.stdout", Mock(isatty=lambda: True))
    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured = in_terminal(grid)
    assert coloured == "\x1b[48;2;0;116;217m  \x1b[48;2;0;0;0m  \x1b[0m" and visible(coloured) == 4
    monkeypatch.setenv("NO_COLOR", "1")
    assert in_terminal(grid) == "10"


def test_a_strict_size_counts_what_is_asked(folder):
    dataset = loaded(folder, protocol="strict", test_size=4)
    assert dataset.episodes.count(dataset.test) in (4, 5)
    with pytest.raises(ValueError, match=r"data.test_size is 6; allowed: at most the 5 puzzles there are"):
        loaded(folder, protocol="strict", test_size=6)


def test_strict_episodes_hold_pairs_of_one_task_in_one_variant(folder):
    dataset = loaded(folder, protocol="strict", demonstrations=4)
    episodes = dataset.episodes.draw(dataset.train, 40, 5, np.random.default_rng(0))
    assert episodes.course == ((False,) * 4 + (True,), (True,) * 4 + (False,))
    assert not episodes.labels[:, :-1].any() and episodes.labels[:, -1].any(axis=1).all()
    assert (episodes.groups == episodes.groups[:, :1]).all()
    told = episodes.feedback.astype(int) - 12
    assert (told // 12 == episodes.inputs[:, :-1]).all()
    for group, questions in zip(
        episodes.groups[:, 0], episodes.inputs
    ):  # Three or four others: one comes twice.
        assert len({row.tobytes() for row in questions[:-1]}) == min(
            4, (dataset.train.groups == group).sum() - 1
        )
        assert questions[-1].tobytes() not in {row.tobytes() for row in questions[:-1]}
    test = dataset.held_out()
    assert len(test) == 5 and test.labels[:, -1].any(axis=1).all()
    choosing, scored = dataset.episodes.pools(dataset.test, 2)
    assert not set(dataset.test.groups[choosing]) & set(dataset.test.groups[scored])
