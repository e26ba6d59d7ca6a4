"""A path is the text that was typed, flags stand anywhere, and a word that cannot be read is said plainly."""

import random
from pathlib import Path

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from memhrm import evaluate
from memhrm.config.command import compose, given
from memhrm.config.words import named, quote, quoted, sorted_out, split, values
from memhrm.data.__main__ import main as data_main
from memhrm.runs.summary import labels
from tiny import call, command_line, said, variations

HOME = str(Path.home())

TYPED = {
    "~/x": f"{HOME}/x",
    "runs/lr=1e-3": "runs/lr=1e-3",
    "my runs/a b": "my runs/a b",
    "übung/日本/🙂": "übung/日本/🙂",
    "a#b": "a#b",
    "it's": "it's",
    'say "a"': 'say "a"',
    "a[1]{2}(3)": "a[1]{2}(3)",
    "a,b": "a,b",
    "2024": "2024",
    "1e-3": "1e-3",
    "true": "true",
    "c:\\data\\": "c:\\data\\",
    "a\\'b": "a\\'b",
    "'quoted ~, already'": "quoted ~, already",
    '"and, so"': "and, so",
    "x~y": "x~y",
    "$HOME": "$HOME",
    "a;b&c|d!e*?<>%": "a;b&c|d!e*?<>%",
    " a ": " a ",
    "null": None,
    "runs/${seed}-${model.name}": "runs/0-trm_mlp",
}


@pytest.mark.parametrize("text", variations(TYPED, 3))
@pytest.mark.parametrize("name", ["dir", "data.path", "data.cache"])
def test_path_is_the_text_that_was_typed(text, name):
    config = compose("train", [f"{name}={text}"])
    for part in name.split("."):
        config = config[part]
    assert config == TYPED[text]


def test_path_on_the_command_lines_of_both_kinds(monkeypatch, tmp_path):
    seen = []
    for text in ("~/a b,c=[1]#é", "2024"):
        assert command_line("evaluate", lambda config, _: seen.append(config["run"]), f"run={text}") == 0
        seen.append(values([f"run={text}"])["run"])
    assert seen == [f"{HOME}/a b,c=[1]#é"] * 2 + ["2024"] * 2


def test_any_text_comes_back_from_its_quotes():
    parser, draw = OverridesParser.create(), random.Random(0)
    for _ in range(500):
        text = "".join(draw.choice("ab '\"\\\\,=[]{}()#é~$\n\t:*") for _ in range(draw.randint(1, 8)))
        assert parser.parse_override(f"dir={quote(text)}").value() == text


def test_runs_of_the_command_line(tmp_path):
    wanted = ["A", "B c", "d,e"]
    for words in (["run=A", "run=B c", "run=d,e"], ["run=[A,B c,'d,e']"], ["run=[A,B c]", "run=d,e"]):
        assert compose("probe", [*words, "puzzles=4"])["run"] == wanted
    assert compose("probe", ["run=A"])["run"] == "A"
    assert compose("probe", ["run=[~/x]"])["run"] == [f"{HOME}/x"]


def test_commas_are_a_sweep_with_m_only(capsys):
    seen = []

    def body(config, _given):
        seen.append((config["dir"], config["seed"]))

    assert command_line("train", body, "dir=~/a b,'c,d',2024", "-m") == 0
    assert command_line("train", body, "dir=a,b") == 0
    assert seen == [(f"{HOME}/a b", 0), ("c,d", 0), ("2024", 0), ("a,b", 0)]


def test_flags_stand_anywhere(tmp_path, capsys):
    for words in (
        ["model=hrm", "-m", "seed=0,1"],
        ["-m", "model=hrm", "seed=0,1"],
        ["model=hrm", "seed=0,1", "-m"],
    ):
        seen = []
        body = lambda config, _, seen=seen: seen.append((config["model"]["name"], config["seed"]))  # noqa: E731
        assert command_line("train", body, *words) == 0
        assert seen == [("hrm", 0), ("hrm", 1)]
    capsys.readouterr()
    assert command_line("train", body, "seed=3", "--cfg", "job", "steps=7") == 0
    assert "seed: 3\nsteps: 7\n" in capsys.readouterr().out
    assert sorted_out(["a=1", "--info", "b=2", "-cd=x"]) == (["--info=all", "-cd", "x"], ["a=1", "b=2"])


FORMS = {
    "foo": ["'foo' is not of the form setting=value", "seed=1"],
    "=3": ["'=3' does not name its setting"],
    "3=4": ["'3=4'", "no name of a setting"],
    "a==b": ["'a==b' cannot be read", "\"a='=b'\""],
    "logger.project='x": ["cannot be read", "quotes must be closed"],
    "data.lengths=[1,2": ["'data.lengths=[1,2' cannot be read", "brackets"],
    "logger.project=été": ["cannot be read", "\"logger.project='été'\""],
    "steps=" + "[" * 3000: ["cannot be read"],
    "dir=": ["dir is empty"],
    "data.path=": ["data.path is empty"],
    "seed=0,1": ["seed is 0,1", "several values", "-m"],
    "model=null": ["model is null; allowed: feedforward, hrm"],
    "--mltirun": ["--mltirun is unknown; did you mean --multirun?"],
    "--cfg": ["--cfg is ''", "job, hydra, all"],
}


@pytest.mark.parametrize("word", FORMS, ids=lambda word: word[:20])
def test_word_that_cannot_be_read(word, capsys):
    assert command_line("train", lambda *_: None, word) == 2
    message = said(capsys)
    assert [part for part in FORMS[word] if part not in message] == [], message
    if not word.startswith(("--", "model")):
        with pytest.raises(ValueError) as error:
            values([word])
        assert str(error.value) == message or word.startswith("seed")


GROUPLESS = {
    "model=trm": "model is unknown; allowed: H_cycles, batch_size, ",
    "+model=trm": "model is unknown; allowed: H_cycles, batch_size, ",
    "experiment=recall": "experiment is unknown; allowed: H_cycles, batch_size, ",
    "model.x=1": "model.x is unknown; allowed: H_cycles, batch_size, ",
    "++x.y=2": "x.y is unknown; allowed: H_cycles, batch_size, ",
    "data.pth=1": "data.pth is unknown; did you mean path? allowed: path, ",
    "run.x=1": "run.x is unknown: run has no settings of its own",
    "~run": "~run would take the setting away; give it a value, as run=...",
    "model/x=1": "model/x is unknown; allowed: H_cycles, batch_size, ",
}


@pytest.mark.parametrize("word", GROUPLESS)
def test_setting_of_another_command_is_refused_at_once(word, capsys, monkeypatch):
    monkeypatch.setattr("hydra.main", None)  # It is not even asked.
    assert command_line("evaluate", evaluate.main, "run=x", word) == 2
    assert said(capsys).startswith(GROUPLESS[word])
    with pytest.raises(ValueError, match=r"is unknown|away"):
        compose("evaluate", ["run=x", word])


@pytest.mark.parametrize("name", ["probe", "export", "prune", "compare", "transfer"])
def test_every_command_without_groups_refuses_them(name, capsys):
    assert command_line(name, lambda *_: None, "run=x", "model=trm") == 2
    assert said(capsys).startswith("model is unknown; ")


OWN = {
    "tab": ("memory:\n\tname: x\n", ["tab.yaml:2: found character '\\t'", "not with a TAB"]),
    "colon": ("memory\n  name x\n", ["colon.yaml:1: ", "is a colon missing?"]),
    "line": ("memory:\n  name: x\n  module y\n", ["line.yaml:4: ", "colon"]),
    "list": ("- a\n", ["list.yaml:1: ", "`name: value`"]),
    "twice": ("memory:\n  name: x\n  name: y\n", ["twice.yaml", "duplicate key name"]),
    "tag": ("a: !!python/object:os.x 1\n", ["tag.yaml:1: ", "could not determine a constructor"]),
    "builds": ("defaults:\n  - nope\nmemory:\n  name: x\n", ["builds.yaml builds on memory/nope"]),
}


@pytest.mark.parametrize("name", OWN)
def test_own_file_that_is_broken(name, tmp_path, capsys):
    (tmp_path / "memory").mkdir()
    (tmp_path / f"memory/{name}.yaml").write_text(OWN[name][0])
    assert command_line("train", lambda *_: None, "--config-dir", str(tmp_path), f"+memory={name}") == 2
    message = said(capsys)
    assert [part for part in OWN[name][1] if part not in message] == [], message


def test_setting_of_an_own_file_is_known(tmp_path, capsys):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/mine.yaml").write_text("name: mine\ndecay: 0.5\n")
    words = ["--config-dir", str(tmp_path), "+memory=mine"]
    assert command_line("train", lambda *_: None, *words, "memory.decoy=1") == 2
    assert said(capsys) == "memory.decoy is unknown; did you mean decay? allowed: decay, name"
    assert command_line("train", lambda *_: None, "-m", "+memory=multicell,bicross", "memory.tokns=1") == 2
    assert "memory.tokns is unknown; did you mean tokens?" in said(capsys)


def test_own_file_in_another_encoding(tmp_path, capsys):
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/wide.yaml").write_text("memory:\n  name: x\n", encoding="utf-16")
    assert command_line("train", lambda *_: None, f"--config-dir={tmp_path}", "+memory=wide") == 2
    assert said(capsys) == f"{tmp_path}/memory/wide.yaml is no text in UTF-8; save it as UTF-8"


def test_data_reads_the_same_words():
    for word, part in (("sied=4", "sied is unknown"), ("=3", "its setting"), ("seed=1,2", "several values")):
        with pytest.raises(ValueError, match=part):
            data_main(["inspect", "sudoku4", word])
    with pytest.raises(ValueError, match=r"did you mean side\?"):
        data_main(["inspect", "sudoku4", "sied=4"])
    with pytest.raises(ValueError, match=r"the command 'inspct' is unknown; did you mean inspect\?"):
        data_main(["inspct"])
    with pytest.raises(ValueError, match=f"path is '{HOME}/nowhere é'"):
        data_main(["inspect", "path=~/nowhere é"])


def test_words_without_a_name(capsys):
    """They give one setting of the command; of `file`, `run` and `trust` there may be several."""
    known = ["run", "file", "out"]
    assert named(["a/lr=1", "b c=2"], "run", None, known) == ["run=a/lr=1", "run=b c=2"]
    assert named(["a.txt", "out=b", "run=c"], "file", None, known) == ["file=a.txt", "out=b", "run=c"]
    assert quoted(named(["a", "b c"], "run", None, known)) == ["run=['a','b c']"]
    assert quoted(["trust=a.B", "run=x", "trust=c.D"]) == ["run='x'", "trust=['a.B','c.D']"]
    assert named(["seed=1", "~out", "+memory=x"], "file", None, known) == ["seed=1", "~out", "+memory=x"]
    assert call("transfer", "exprot", "run=x") == 2
    assert said(capsys) == "direction is 'exprot'; allowed: export, import"


def test_words_of_another_command_are_taken_as_they_are(capsys):
    others = ["model=trm", "data.lengths=[1,'a b']", "+memory=bicross"]
    words = named([*others[:2], "out=x", others[2]], None, "settings", ["out"])
    assert compose("bench", words)["settings"] == others
    assert compose("bench", words)["out"] == "x"
    assert call("bench", "repaet=3") == 2
    assert said(capsys).startswith("repaet is unknown; ")


def test_names_of_what_was_given():
    words = quoted(["model=trm", "dir=a=b", "+memory=multicell", "++loss.lm=2", "~k", "data.path=x"])
    assert given(words) == {"dir", "loss.lm", "k", "data.path"}
    assert split("a,[b,c],'d,e',f(g,h)") == ["a", "[b,c]", "'d,e'", "f(g,h)"]
    assert labels([Path("x/a"), Path("x/b")]) == ["a", "b"]
