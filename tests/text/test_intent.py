"""Labelled texts: files, tokens of words, padding that changes nothing, categories that are remembered."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

import memhrm
from conftest import model_settings
from memhrm import export, train
from memhrm.config.command import compose
from memhrm.data import Sampler, load, load_test
from memhrm.data.episodes.episodes import alone
from memhrm.data.sampler import IGNORE
from memhrm.data.settings import parse as parse_data
from memhrm.data.text.files import read_labelled
from memhrm.data.text.intent import Intent
from memhrm.data.text.tokens import Characters, Grams, learn, words_of
from memhrm.evaluation.answers import EvaluationSettings, walk
from memhrm.evaluation.evaluate import evaluate
from memhrm.memory import registry
from memhrm.models.reasoner import Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.probes.rollout import rollout
from memhrm.probes.subject import open_subject
from memhrm.report.page import worded
from memhrm.report.run import ProbedRun
from memhrm.report.settings import ReportSettings
from memhrm.runs.build import label_weights, make_dataset, make_learner, make_model
from memhrm.runs.settings import parse
from memhrm.system.ranks import Ranks
from memhrm.training.losses import softmax_cross_entropy
from memhrm.weights.solver import Solver
from tiny import TINY, call, command_line

GRAMS = Grams(length=8, bag=6, least=2, most=3, buckets=50)
WORDS = {"weather": "rain sun wind snow", "money": "bank card cash coin", "food": "bread soup rice cake"}


def write(folder: Path, part: str, count: int, seed: int) -> None:
    """Write a CSV of texts that their words tell apart; one text has a comma, one spans lines."""
    rng = np.random.default_rng(seed)
    lines = ["text,category"]
    for number in range(count):
        category = list(WORDS)[number % 3]
        words = " ".join(rng.choice(WORDS[category].split(), 3))
        own = f"{seed}{number}"
        text = {0: f'"{words}, please {own}"', 1: f'"{words}\nnow {own}"'}.get(number, f"{words} {own}")
        lines.append(f"{text},{category}")
    (folder / f"{part}.csv").write_text("\r\n".join(lines) + "\r\n", encoding="utf-8")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    place = tmp_path_factory.mktemp("texts")
    write(place, "train", 40, 1)
    write(place, "test", 20, 2)
    return place


def dataset_values(folder: Path, **changes):
    usual = {"kind": "intent", "name": "texts", "path": str(folder), "length": 8, "bag": 6, "buckets": 200}
    return {**usual, **changes}


def loaded(folder: Path, **changes):
    return load(**dataset_values(folder, **changes))


def test_texts_without_a_label_use_cells_too():
    task, cells = Intent(GRAMS, ["a", "b"]), {"name": "", "module": "memhrm.memory.multicell.MultiCell"}
    texts = task.encode(["rain and snow", "sun", "bank card", "cash"], ["a", "a", "b", "b"])
    torch.manual_seed(0)
    model = Reasoner(model_settings(), puzzle_shape(task), registry.parse(cells))
    how, found = EvaluationSettings(steps=2, loss="softmax"), []
    for known in (4, 1):
        texts.labels[known:] = 0
        found.append(evaluate(model, task, alone(texts), how, Ranks(0, 1, torch.device("cpu"))))
    every, few = found
    assert (every["puzzles"], few["puzzles"]) == (4, 1)
    assert few["cells"] == every["cells"] and sum(every["cells"]["usage"]) == pytest.approx(2)


def test_words_are_letters_and_digits_or_one_other_character():
    assert words_of("It's 20 €, ÜBER-Fall!", 20) == (
        ["it", "'", "s", "20", "€", ",", "über", "-", "fall", "!"],
        False,
    )
    assert words_of("one two three", 2) == (["one", "two"], True)
    assert words_of("x" * 100_000, 3) == (["x" * 64], False)


def test_tokens_of_a_word_are_those_of_its_n_grams():
    tokens, longer = GRAMS.encode(["ab", "a b c d e f g h i"])
    first = tokens[0].reshape(8, 6)
    assert longer.tolist() == [False, True]
    assert (first[1:] == 0).all() and first[0].tolist() == list(GRAMS.of_word("ab"))
    assert len(GRAMS.of_word("ab")) == 6  # Itself; <a, ab, b>; <ab, ab>.
    alike = set(GRAMS.of_word("card")) & set(GRAMS.of_word("cards"))
    assert len(alike) >= 3 and max(GRAMS.of_word("zebra")) <= 50 and min(GRAMS.of_word("zebra")) >= 1
    assert GRAMS.of_word("Card".lower()) == GRAMS.of_word("card")


def test_files_are_read_as_they_are(folder):
    dataset = loaded(folder)
    assert dataset.task.categories == ("food", "money", "weather")
    assert (
        len(dataset.train) == 40
        and ", please" in dataset.train.sources[0]
        and "\n" in dataset.train.sources[1]
    )
    names = [dataset.task.decode_answer(labels) for labels in dataset.train.labels]
    assert names[:3] == list(WORDS)
    assert dataset.task.bag == 6 and dataset.train.mask.shape == (40, 8)
    assert (dataset.train.mask == (dataset.train.inputs.reshape(40, 8, 6) > 0).any(axis=2)).all()


BAD = {
    "no column": ("texts,category\na,b\n", ":1: no column text; the header has texts, category"),
    "nothing": ("", ":1: no column text; the header has nothing"),
    "no texts": ("text,category\n", ": no texts after the header"),
    "too few fields": ("text,category\na,b\nc\n", ":3: 1 fields; the header has 2"),
    "empty text": ('text,category\na,b\n" ",b\n', ":3: the text is empty"),
    "empty category": ("text,category\na,b\nc,\n", ":3: the category is empty"),
    "stray quote": (
        'text,category\na,b\n"c" d,b\n"e,b\n',
        """:3: no CSV (',' expected after '"', in the record that begins here)""",
    ),
    "open quote": (
        'text,category\n"a,b\nc,b\n',
        ":2: no CSV (unexpected end of data, in the record that begins here)",
    ),
    "quote in the header": (
        'text,"cat"egory\n',
        """:1: no CSV (',' expected after '"', in the record that begins here)""",
    ),
    "a column twice": ("text,category,Text\na,b,c\n", ":1: 2 columns text; allowed: one"),
    "after lines": ('text,category\n"a\nb",c\n,c\n', ":4: the text is empty"),
}


@pytest.mark.parametrize("name", BAD)
def test_faults_of_a_file_are_said_with_the_line(name, tmp_path):
    content, message = BAD[name]
    (tmp_path / "train.csv").write_text(content)
    with pytest.raises(ValueError) as error:
        loaded(tmp_path)
    assert str(error.value) == f"{tmp_path}/train.csv{message}"


def test_what_is_no_utf8_and_categories_that_are_new_are_said(folder, tmp_path):
    (tmp_path / "train.csv").write_bytes(b"text,category\na,b\n\xc3\xa4,c\n\xff,b\n")
    with pytest.raises(ValueError, match=r"train.csv:4: not a text file in UTF-8$"):
        loaded(tmp_path)
    write(tmp_path, "train", 9, 3)
    for line, message in (
        ("hello,greeting", "category is 'greeting', which no training text has"),
        ("hello,", "the category is empty"),
    ):
        (tmp_path / "test.csv").write_text(f"text,category\nrain,weather\ncash,money\nsoup,food\n{line}\n")
        for left_out in (0, 1):  # Those that are left out are known, too.
            with pytest.raises(ValueError, match=rf"test.csv:5: {message}$"):
                loaded(tmp_path, left_out=left_out)
    write(tmp_path, "test", 6, 3)
    assert len(loaded(tmp_path, left_out=1).test) == 4


def test_texts_that_are_held_out_stand_beside_those_of_no_category(folder, tmp_path):
    """And a few texts of each category are drawn out of the others."""
    (tmp_path / "texts.csv").write_bytes((folder / "train.csv").read_bytes())
    (tmp_path / "oos.csv").write_text("text\nwhat is the meaning of life\nxyzzy\n")
    usual = {"path": str(tmp_path / "texts.csv"), "holdout": 12}
    plain, dataset = loaded(tmp_path, **usual), loaded(tmp_path, **usual, oos="oos.csv", shots=4)
    assert dataset.test.sources.tolist() == [*plain.test.sources, "what is the meaning of life", "xyzzy"]
    assert dataset.test.labels[:12].all() and not dataset.test.labels[12:].any()
    assert np.bincount(dataset.train.labels[:, 0]).tolist() == [0, 4, 4, 4]
    assert set(dataset.train.sources) < set(plain.train.sources)
    for size, count in ((4, 4), (9, 6)):  # What has a label chooses.
        choosing, scored = dataset.episodes.pools(dataset.test, size)
        assert len(choosing) == count and dataset.test.labels[choosing].all()
        assert sorted([*choosing, *scored]) == list(range(14))
    other = load_test(**dataset_values(folder, oos=str(tmp_path / "oos.csv"), shots=4))
    assert len(other.test) == 22 and not other.test.labels[20:].any()


def test_texts_that_choose_a_checkpoint_are_drawn_from_a_sorted_file(folder, tmp_path):
    write(tmp_path, "train", 9, 3)
    lines = [f"{name} {number},{category}\n" for category, name in WORDS.items() for number in range(20)]
    (tmp_path / "test.csv").write_text("".join(["text,category\n", *lines]))
    parts = {}
    for seed in (0, 0, 1):
        dataset = loaded(tmp_path, seed=seed)
        parts.setdefault(seed, []).append(dataset.episodes.pools(dataset.test, 20)[0].tolist())
        for part in dataset.episodes.parts(dataset.test, 20):
            assert len(np.unique(part.labels)) == 3
    assert parts[0][0] == parts[0][1] != parts[1][0] and len(set(parts[0][0])) == 20


def test_a_long_text_is_cut_and_it_is_said(folder, tmp_path):
    write(tmp_path, "train", 9, 3)
    (tmp_path / "test.csv").write_text(f"text,category\n{'rain ' * 20_000},weather\n")
    with pytest.warns(UserWarning, match="1 of 1 texts are longer than data.length=8"):
        dataset = loaded(tmp_path)
    assert dataset.test.mask.all()


def test_dropout_leaves_words_and_tokens_out_but_never_all(folder):
    dataset = loaded(folder, dropout=0.5)
    batch = Sampler(dataset.train, dataset.task, batch_size=400, seed=0, augment=True).batch(0)
    rows = Sampler(dataset.train, dataset.task, batch_size=400, seed=0, augment=True).rows(0)
    before, mask = dataset.train.inputs[rows].reshape(400, 8, 6), dataset.train.mask[rows]
    after, kept = batch["inputs"].reshape(400, 8, 6), batch["mask"]
    assert ((after == before) | (after == 0)).all() and (kept <= mask).all()
    assert kept.any(axis=1).all() and (after[kept] > 0).any(axis=1).all() and not after[~kept].any()
    assert 0.4 < kept.sum() / mask.sum() < 0.75
    plain = loaded(folder, dropout=0.0)
    same = Sampler(plain.train, plain.task, batch_size=40, seed=0, augment=True).batch(0)
    assert (same["inputs"] == plain.train.inputs[same["groups"]]).all()


def test_the_vector_of_a_word_is_the_sum_of_its_tokens():
    torch.manual_seed(0)
    model = Reasoner(model_settings(), puzzle_shape(Intent(GRAMS, ["a", "b"])))
    tokens = torch.from_numpy(GRAMS.encode(["ab cde", "f"])[0])
    x = model.embed(tokens, None)
    for row, place in ((0, 0), (0, 1), (1, 0)):
        own = tokens[row].view(8, 6)[place]
        own = own[own > 0].long()
        expected = model.settings.hidden_size**0.5 * model.embed.tokens[own].sum(0) / len(own) ** 0.5
        torch.testing.assert_close(x[row, place], expected)
    assert not x[1, 1:].any() and x.shape == (2, 8, model.settings.hidden_size)


@pytest.mark.parametrize("mixer", ["attention", "mlp"])
def test_padding_changes_no_logit(mixer):
    """The same text read to eight words or to twelve, with eight or twelve tokens a word."""
    logits = []
    for words, tokens in ((8, 8), (12, 8), (8, 12)):
        grams = Grams(length=words, bag=tokens, least=2, most=3, buckets=50)
        if mixer == "mlp" and words == 12:
            continue  # Its weights belong to places.
        torch.manual_seed(0)
        extra = {"mixer": "mlp", "positions": "none"} if mixer == "mlp" else {}
        model = Reasoner(model_settings(**extra), puzzle_shape(Intent(grams, ["a", "b", "c"])))
        torch.nn.init.normal_(model.lm_head.weight)
        task = Intent(grams, ["a", "b", "c"])
        examples = task.encode(["abc de", "f gh i j"])
        _, output = model(
            model.initial_state(2),
            torch.from_numpy(examples.inputs.astype(np.int32)),
            model.puzzle_rows(torch.zeros(2, dtype=torch.int64)),
            mask=torch.from_numpy(examples.mask),
        )
        logits.append(output.logits)
    for other in logits[1:]:
        torch.testing.assert_close(other, logits[0], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("positions", "memory"),
    [("rope", ()), ("learned", ()), ("rope", ("+memory=bicross", "model.H_cycles=2"))],
)
def test_texts_are_read_no_further_than_the_longest_of_their_length(positions, memory, folder):
    """As if each was read alone and to the end."""
    words = [*SMALL, "data=intent", f"data.path={folder}", "data.length=30", "data.bag=6", *memory]
    run = parse(compose("train", [*words, f"model.positions={positions}", "validation_size=0"]))
    dataset = make_dataset(run)
    model = make_model(run, dataset).eval()
    torch.nn.init.normal_(model.lm_head.weight)
    solver = Solver(model, dataset.task, 2, parse_data(run.data))
    texts = [" ".join(["rain", "card", "soup", "x"][: 1 + i % 4] * (1 + i % 7)) for i in range(40)]
    asked = dataset.task.encode(texts)
    logits, _ = solver._read(asked, None)
    for row in range(0, 40, 7):
        one = asked.select(np.array([row]))
        last = solver.last_step(one.inputs, 2, one.mask)
        torch.testing.assert_close(last.output.logits[0], logits[row], rtol=1e-4, atol=1e-4)
    assert model.shortened(5).shape.num_tokens == (30 if memory else 5) and model.shape.num_tokens == 30


def test_balanced_weights_make_all_categories_count_the_same(folder, tmp_path):
    write(tmp_path, "train", 9, 3)
    write(tmp_path, "test", 6, 4)
    with open(tmp_path / "train.csv", "a") as file:
        file.write("".join(f"rain and snow {number},weather\r\n" for number in range(12)))
    words = ["data=intent", f"data.path={tmp_path}", "data.length=8", "data.bag=6", "validation_size=0"]
    run = parse(compose("train", [*SMALL, *words, "loss.kind=softmax", "loss.class_weights=balanced"]))
    dataset, alone = make_dataset(run), Ranks(0, 1, torch.device("cpu"))
    weights = label_weights(run, dataset, alone)
    counts = np.bincount(dataset.train.labels[:, 0], minlength=4)[1:]
    assert counts.tolist() == [3, 3, 15] and weights is not None and weights[0] == 0
    np.testing.assert_allclose(weights[1:].numpy() * counts, 7.0)
    learner = make_learner(run, make_model(run, dataset), alone, dataset)
    logits, labels = torch.randn(3, 1, 4), torch.tensor([[1], [3], [IGNORE]])
    loss = learner.supervise.cross_entropy(logits, labels)
    plain = softmax_cross_entropy(logits, labels)
    torch.testing.assert_close(loss, plain * torch.tensor([[7 / 3], [7 / 15], [0.0]]))
    run = parse(compose("train", [*TINY, "loss.class_weights=balanced"]))
    with pytest.raises(ValueError, match="class_weights is 'balanced'; allowed: none with data=sudoku4"):
        label_weights(run, make_dataset(run), alone)


SMALL = [word for word in TINY if not word.startswith(("data", "validation_size", "steps", "eval_every"))]
QUICK = [*SMALL, "data.length=8", "data.bag=6", "data.buckets=200", "validation_size=0", "loss.kind=softmax"]


@pytest.fixture(scope="module")
def run(folder, tmp_path_factory) -> Path:
    """A run that has learned the categories, tested with two texts that belong to none."""
    (folder / "oos.csv").write_text("text\nwhat is the meaning of life\nxyzzy qwerty\n")
    place = tmp_path_factory.mktemp("runs") / "run"
    words = [*QUICK, "data=intent", f"data.path={folder}", "data.oos=oos.csv", "steps=120", "optim.ema=0"]
    assert command_line("train", train.main, *words, f"dir={place}") == 0
    return place


def test_a_classifier_is_trained_evaluated_and_exported(run, tmp_path):
    summary = json.loads((run / "summary.json").read_text())
    assert summary["exact_accuracy"] > 0.8 and summary["puzzles"] == 20 and summary["out_of_scope"] == 2
    assert summary["macro_f1"] > 0.8 and summary["oos_auroc"] > 0.6
    file = tmp_path / "model.safetensors"
    assert command_line("export", export.main, f"run={run}", f"out={file}") == 0
    answers = [memhrm.load(one).solve(["some rain and snow", "card, cash"]) for one in (run, file)]
    assert answers[0] == answers[1] and set(answers[0]) <= set(WORDS)
    first = memhrm.load(file).classify(["some rain and snow", "card, cash"], top=3)
    assert [one[0][0] for one in first] == answers[0]
    for one in first:
        shares = [share for _, share in one]
        assert {name for name, _ in one} == set(WORDS) and shares == sorted(shares, reverse=True)
        assert sum(shares) == pytest.approx(1, abs=1e-4)


def test_texts_without_a_label_are_not_probed(run):
    """They are at the end of the test; the others are evenly spaced."""
    summary = json.loads((run / "summary.json").read_text())
    subject = open_subject(run)
    assert (len(subject), subject.unlabelled) == (summary["puzzles"], summary["out_of_scope"])
    assert rollout(subject, subject.halt_max_steps).exact[-1].mean() == pytest.approx(
        summary["exact_accuracy"]
    )
    assert list(subject.groups) == ["category"]  # Each text is its own source.
    few = open_subject(run, puzzles=5)
    assert len(few) == 5 and few.numbered().tolist() == [0, 4, 8, 12, 16]
    numbers = {"about": {"path": "", "name": "text", "position": None}}
    report = ProbedRun(0, "mine", few, ReportSettings.of(), [], numbers)
    caption = worded("overview", runs=[report])["caption"]
    assert "Of mine, 2 examples without a label are left out." in caption


def test_a_memory_serves_a_classifier_too(folder, tmp_path):
    words = [*QUICK, "data=intent", f"data.path={folder}", "steps=60", "+memory=bicross", "model.H_cycles=2"]
    assert command_line("train", train.main, *words, "optim.ema=0", f"dir={tmp_path}/run") == 0
    assert json.loads((tmp_path / "run/summary.json").read_text())["exact_accuracy"] > 0.6


def test_a_file_of_texts_is_classified(run, tmp_path, capsys):
    file = tmp_path / "new.csv"
    file.write_text('text,category\n"snow, sun",weather\n"bank\ncoin",nonsense\nsoup,food\n')
    assert call("solve", f"run={run}", str(file), f"out={tmp_path}/answers.csv") == 0
    rows = (tmp_path / "answers.csv").read_text().split("\n")
    assert rows[0] == "text,category,probability" and rows[1].startswith('"snow, sun",weather,0.')
    assert "3 texts classified; 2 as in the file, which has the category of 2" in capsys.readouterr().err
    with pytest.raises(ValueError, match="text is empty"):
        memhrm.load(run).classify([" "])
    assert memhrm.load(run).classify([]) == []


def test_it_halts_when_it_is_sure(run):
    """Against the steps by hand: the first after which the probability exceeds the threshold."""
    solver = memhrm.load(run)
    episodes = loaded(Path(solver.data.path)).held_out()
    by_step = []
    for steps in (1, 2, 3):
        (moment,) = walk(solver.model, episodes, EvaluationSettings(steps=steps, loss="softmax"))
        by_step.append(moment.answers)
    sure = torch.stack([one.confidence for one in by_step])
    threshold = float(sure[0].median())
    settings = EvaluationSettings(steps=3, loss="softmax", threshold=threshold, sure="confidence")
    (moment,) = walk(solver.model, episodes, settings)
    first = torch.where(sure[0] > threshold, 1, torch.where(sure[1] > threshold, 2, 3))
    assert torch.equal(moment.answers.steps, first) and 1 < first.float().mean() < 3
    torch.testing.assert_close(moment.answers.confidence, sure.gather(0, first[None] - 1)[0])


def test_labels_that_say_nothing_are_not_learned_and_the_input_holds_none(folder, tmp_path):
    """The leak check: what is seen of a text does not depend on its category, and chance is what is left."""
    dataset = loaded(folder)
    texts = dataset.test.sources
    for answers in (["food"] * len(texts), None):
        again = dataset.task.encode(texts, answers)
        assert (again.inputs == dataset.test.inputs).all() and (again.mask == dataset.test.mask).all()
    rng, lines = np.random.default_rng(0), ["text,category"]
    for number in range(90):
        words = " ".join(rng.choice(" ".join(WORDS.values()).split(), 3))
        lines.append(f"{words} {number},{list(WORDS)[number % 3]}")
    (tmp_path / "train.csv").write_text("\n".join(lines) + "\n")
    write(tmp_path, "test", 300, 5)
    words = [*QUICK, "data=intent", f"data.path={tmp_path}", "steps=60", "optim.ema=0", f"dir={tmp_path}/run"]
    assert command_line("train", train.main, *words) == 0
    exact = json.loads((tmp_path / "run/summary.json").read_text())["exact_accuracy"]
    assert abs(exact - 1 / 3) < 0.15


def test_a_character_is_a_position():
    tokens, longer = Characters(length=4).encode(["aÄ", "abcde"])
    assert tokens[0].tolist()[:1] == [1 + ord("a")] and 129 <= tokens[0][1] < 257
    assert tokens[0, 2:].tolist() == [0, 0] and longer.tolist() == [False, True]


@pytest.mark.parametrize("tokens", ["characters", "learned"])
def test_other_tokens_are_learned_from(tokens, folder, tmp_path):
    own = ["data.vocabulary_size=100"] if tokens == "learned" else []
    words = [*SMALL, "data=intent", f"data.path={folder}", f"data.tokens={tokens}", "data.length=40", *own]
    words += ["validation_size=0", "steps=3", f"dir={tmp_path}/run"]
    assert command_line("train", train.main, *words) == 0
    answers = [memhrm.load(tmp_path / "run").classify(["rain, snow"])]
    if tokens == "learned":  # What was learned is part of the run: it does not look at the texts again.
        solver = memhrm.load(tmp_path / "run")
        parts = solver.data.vocabulary
        assert 60 <= len(parts) <= 100 and "rain" in parts and solver.task.vocab_size == len(parts) + 1
        ids = solver.task.encode(["rain zzz"]).inputs[0]
        assert parts[ids[0] - 1] == "rain" and ids[1] > 0
    folder_moved = folder.rename(folder.parent / "elsewhere")
    try:
        answers.append(memhrm.load(tmp_path / "run").classify(["rain, snow"]))
    finally:
        folder_moved.rename(folder)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("changes", [{"holdout": 30}, {"left_out": 1}, {"shots": 1}])
def test_a_vocabulary_is_learned_from_the_training_texts_alone(changes, folder):
    dataset = loaded(folder, tokens="learned", vocabulary_size=100, length=40, **changes)
    texts = dataset.train.sources.tolist()
    every = [one.text for one in read_labelled(folder / "train.csv")]
    assert dataset.task.tokens.vocabulary == learn(texts, 100) != learn(every, 100)


UNUSED = {
    "data.tokens=learned data.vocabulary=['[UNK]',a] data.vocabulary_size=200": "data.vocabulary_size is 200",
    "data.tokens=characters data.bag=3": "data.bag is 3, which changes nothing with data.tokens=characters",
    "data.vocabulary_size=300": "data.vocabulary_size is 300, which changes nothing with data.tokens=ngrams",
    "data.augment=false data.dropout=0.1": "data.dropout is 0.1, which changes nothing with data.augment=fal",
    "validation_size=0 data.seed=3": "data.seed is 3, which changes nothing with data.path=",
}


@pytest.mark.parametrize("words", UNUSED)
def test_settings_that_change_nothing_are_refused(words, folder):
    given = [*SMALL, "data=intent", f"data.path={folder}", *words.split()]
    names = frozenset(word.partition("=")[0] for word in words.split())
    with pytest.raises(ValueError) as error:
        parse(compose("train", given), names)
    assert str(error.value).startswith(UNUSED[words])


@pytest.mark.parametrize("words", ["data.shots=3", "data.left_out=1", "data.holdout=9"])
def test_a_seed_that_draws_texts_is_used(words, folder):
    given = [*SMALL, "data=intent", f"data.path={folder}", words]
    names = frozenset({"data.path", "data.seed", words.partition("=")[0]})
    drawn = [
        make_dataset(parse(compose("train", [*given, f"data.seed={seed}"]), names)).train.sources.tolist()
        for seed in (0, 1, 2)
    ]
    assert drawn[0] != drawn[1] or drawn[0] != drawn[2]
