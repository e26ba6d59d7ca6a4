"""The models that come with the package: each is its recipe's, scores what its card says, and is small."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import memhrm
from experiments.zoo import RECIPES
from memhrm.config.command import compose
from memhrm.evaluation.answers import EvaluationSettings
from memhrm.evaluation.evaluate import evaluate
from memhrm.runs.held_out import scored
from memhrm.runs.recipe import DERIVED, UNSAID
from memhrm.runs.settings import parse
from memhrm.system.ranks import ranks
from memhrm.weights import zoo
from memhrm.weights.restore import FORMAT, MADE_BY
from memhrm.weights.tensors import read_tensors
from tiny import call

MOST = 5 * 2**20
"""Bytes of all models together."""


def test_the_models_are_small_and_each_has_a_card_and_a_recipe():
    assert zoo.names() and set(zoo.names()) <= set(RECIPES)
    assert sum(path.stat().st_size for path in zoo.ZOO.iterdir()) <= MOST
    kinds = {path.suffix for path in zoo.ZOO.iterdir()}
    assert kinds == {".safetensors", ".md"}
    for name in zoo.names():
        card = zoo.path_of(name).with_suffix(".md").read_text()
        assert f'memhrm.load("{name}")' in card and "with changes" not in card and "at commit" in card


@pytest.mark.parametrize("name", zoo.names())
def test_a_model_tells_no_path_of_a_machine(name):
    about, _ = read_tensors(zoo.path_of(name)).about(FORMAT, MADE_BY)
    assert '"/' not in json.dumps(about)


@pytest.mark.parametrize("name", zoo.names())
def test_a_model_has_the_settings_of_its_recipe(name):
    about, _ = read_tensors(zoo.path_of(name)).about(FORMAT, MADE_BY)
    recipe = compose("train", RECIPES[name])
    files = {key.removeprefix("data.") for key in ("data.path", *DERIVED)} & recipe["data"].keys()
    recipe["data"] |= {key: about["config"]["data"][key] for key in files}  # They may not be here.
    own, recipe = (
        {key: value for key, value in parse(config).config().items() if key not in UNSAID}
        for config in (about["config"], recipe)
    )
    assert own == recipe


ASKED = {
    "will it rain in oslo tomorrow": "weather",
    "wake me up at seven": "alarm",
    "how do you say good night in french": "translate",
    "what is the meaning of frugal": "definition",
    "please play some jazz": "play_music",
    "how many calories does a banana have": "calories",
    "what is fifteen times four": "calculator",
    "flip a coin for me": "flip_coin",
    "are you a real person": "are_you_a_bot",
    "tell me something funny": "tell_joke",
}
"""Texts, and their categories among those of CLINC150."""


def test_the_model_of_intents_tells_what_was_asked():
    found = memhrm.load("intents").classify(list(ASKED))
    assert sum(best == right for ((best, _), *_), right in zip(found, ASKED.values(), strict=True)) >= 8


@pytest.mark.thorough
@pytest.mark.filterwarnings("ignore:left out 2 of 2,750")
@pytest.mark.parametrize("name", zoo.names())
def test_a_model_scores_what_its_card_says(name):
    about, used = read_tensors(zoo.path_of(name)).about(FORMAT, MADE_BY)
    run, solver, said = parse(about["config"]), memhrm.load(name), zoo.described(name)
    if (path := compose("train", RECIPES[name])["data"]["path"]) is not None:
        if not Path(path).exists():
            pytest.skip(f"its data are not in {path}")
        run = replace(run, data=run.data | {"path": path})
    what = scored(run, used, None, {})
    how = EvaluationSettings(
        steps=run.halting.halt_max_steps, write=run.memory.write_in_evaluation, loss=run.loss.kind
    )
    with ranks("cpu") as alone:
        found = evaluate(solver.model, what.dataset.task, what.episodes, how, alone)
    assert found["puzzles"] == said.examples
    assert 100 * found["exact_accuracy"] == pytest.approx(said.exact, abs=0.15)  # Another processor.


def test_models_are_listed_and_shown(capsys):
    assert call("models") == 0
    listed = capsys.readouterr().out
    assert all(name in listed for name in zoo.names()) and "95 % interval" in listed
    first = zoo.names()[0]
    assert call("models", first) == 0
    assert capsys.readouterr().out == zoo.path_of(first).with_suffix(".md").read_text()
    assert call("models", "nothing") == 2
    assert "no file nothing; the model 'nothing' is unknown; allowed: " in capsys.readouterr().err


def test_a_file_of_that_name_comes_first(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    name = zoo.names()[0]
    assert memhrm.load(name).model.settings == memhrm.load(zoo.path_of(name)).model.settings
    Path(name).write_text("no weights")
    with pytest.raises(ValueError, match=f"{name} cannot be opened as safetensors"):
        memhrm.load(name)
    with pytest.raises(ValueError, match="no file sudoku44; the model 'sudoku44' is unknown; did you mean"):
        memhrm.load("sudoku44")


def test_a_recipe_that_is_none_is_said():
    done = subprocess.run(
        [sys.executable, "-m", "experiments.zoo", "nothing"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "NAME is 'nothing'; allowed: sudoku4, " in done.stderr
