"""Retrieval: a bank of labelled texts that every H-step asks, and that can be edited without training."""

import copy
import json
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.func import functional_call

import memhrm
from conftest import model_settings
from memhrm import bank, export, train
from memhrm.data.text.intent import Intent
from memhrm.data.text.tokens import Grams
from memhrm.evaluation.rollout import rollout
from memhrm.memory import retrieval
from memhrm.memory.index import Exact, Graph, recall
from memhrm.memory.registry import parse
from memhrm.memory.retrieval import NOTHING, Retrieval
from memhrm.models.reasoner import Guide, Reasoner
from memhrm.models.settings import puzzle_shape
from memhrm.probes.causal import effects
from memhrm.probes.monitor import monitor_numbers
from memhrm.probes.rollout import measured
from memhrm.probes.stability import relabelled
from memhrm.probes.subject import open_subject
from memhrm.report.run import ProbedRun
from memhrm.report.sections import SECTIONS
from memhrm.report.settings import ReportSettings
from memhrm.runs import bank as runs_bank
from memhrm.runs.bank import Entry, read_bank
from memhrm.weights import edits, tensors
from memhrm.weights.restore import FORMAT, MADE_BY, from_run, save, with_bank
from memhrm.weights.tensors import read_tensors
from tiny import TINY, call, command_line

GRAMS = Grams(length=8, bag=6, least=2, most=3, buckets=50)
TEXTS = ["rain and snow", "sun", "bank card", "cash", "wind", "coin", "snow"]
NAMES = ["weather", "weather", "money", "money", "weather", "money", "weather"]
TASK = Intent(GRAMS, ["money", "weather"])
BANK = TASK.encode(TEXTS, NAMES)


def arrays(examples):
    return examples.inputs, examples.labels, examples.groups


def made(k: int = 3, **changes) -> Reasoner:
    settings = {"k": k, "width": 16, "fixed": 0, "candidates": 5, "dropout": 0.0, **changes}
    module = {"name": "retrieval", "module": "memhrm.memory.retrieval.Retrieval", **settings}
    torch.manual_seed(0)
    memory = parse(module)
    model = Reasoner(model_settings(H_cycles=2), puzzle_shape(TASK), memory)
    torch.nn.init.normal_(model.lm_head.weight)
    if model.H_module.ask is not None:
        torch.nn.init.normal_(model.H_module.ask.weight, std=0.3)
    model.H_module.learn_from(*arrays(BANK))
    return model


def asked(model: Reasoner, texts: list[str], **guide):
    examples = TASK.encode(texts)
    rows = model.puzzle_rows(torch.zeros(len(texts), dtype=torch.int64))
    mask = torch.from_numpy(examples.mask)
    return model(
        model.initial_state(len(texts)), torch.from_numpy(examples.inputs).int(), rows, Guide(**guide), mask
    )


def test_an_H_step_finds_what_matches_its_question_best_and_the_answer_may_rest_on_it():
    """Against the last H-step by hand, from its question on."""
    model = made().eval()
    memory = model.H_module
    assert isinstance(memory, Retrieval)
    seen = []
    original = memory._search
    memory._search = lambda queries, groups: seen.append(queries) or original(queries, groups)  # pyright: ignore
    with torch.no_grad():
        state, output = asked(model, ["snow", "card cash"])
        head = model.logits(state.z_H, mask=torch.from_numpy(TASK.encode(["snow", "card cash"]).mask))
        vectors, weights = memory.encode.vectors, memory.encode.weights
        keys = []
        for row in BANK.inputs:
            tokens = row[row > 0].tolist()
            key = sum(vectors[t] * weights[t].exp() for t in tokens) @ memory.encode.out.weight.T
            keys.append(key / key.norm())
        assert len(seen) == 2 and not torch.allclose(seen[0], seen[1])  # Each H-step asks anew.
        for row in range(2):
            match = torch.stack([key @ seen[1][row] for key in keys]) * memory.sharpness.exp()
            best = match.argsort(descending=True)[:3]
            assert state.memory["found"][row].tolist() == best.tolist()
            torch.testing.assert_close(state.memory["match"][row], match[best])
            for label in (1, 2):
                own = [match[i].exp() for i in best if BANK.labels[i, 0] == label]
                wanted = (head[row, 0, label].exp() + sum(own)).log()
                torch.testing.assert_close(output.logits[row, 0, label], wanted)


def test_a_query_of_the_text_alone_is_the_same_in_each_H_step():
    model, other = made(query="text"), made()
    assert model.H_module.ask is None
    model.load_state_dict({name: w for name, w in other.state_dict().items() if ".ask." not in name})
    torch.nn.init.zeros_(other.H_module.ask.weight)
    texts = ["rain", "cash and coin"]
    state, output = asked(model, texts)
    assert torch.equal(output.logits, asked(other, texts)[1].logits)
    examples, rows = TASK.encode(texts), model.puzzle_rows(torch.zeros(2).long())
    inputs, mask = torch.from_numpy(examples.inputs).int(), torch.from_numpy(examples.mask)
    again, _ = model(state, inputs, rows, Guide(), mask)
    assert torch.equal(again.memory["match"], state.memory["match"])  # Whatever its state is.
    assert not torch.equal(again.z_H, state.z_H)


def test_a_part_of_a_key_is_not_trained():
    """It is half of a match, the same in every model, and another than the trained one."""
    model, other, without = made(fixed=24), made(fixed=24, width=8), made()
    tokens, trained = torch.from_numpy(BANK.inputs).int(), without.H_module.encode
    keys = model.H_module.encode(tokens)
    assert keys.shape == (7, 40) and torch.allclose(keys.norm(dim=1), torch.ones(7))
    vectors = model.H_module.encode.fixed
    fixed = torch.stack([vectors[row[row > 0].long()].sum(dim=0) for row in tokens])
    fixed = torch.nn.functional.normalize(fixed, dim=1)
    torch.testing.assert_close(keys @ keys.T, (trained(tokens) @ trained(tokens).T + fixed @ fixed.T) / 2)
    assert torch.equal(other.H_module.encode.fixed, vectors) and len(vectors.unique()) > 1000
    names = {name for name, _ in without.named_parameters()}
    assert {name for name, _ in model.named_parameters()} == names
    assert not {*model.state_dict()} - {*without.state_dict()}  # Nothing more is kept.
    nothing = torch.zeros(1, 4, dtype=torch.int32)
    assert not model.H_module.encode(nothing).any()


def test_in_training_a_text_does_not_find_itself_and_what_is_found_is_trained():
    model = made(candidates=7).train()
    memory = model.H_module
    memory.schedule(3, 9)
    groups = torch.from_numpy(BANK.groups[:3])
    state, output = asked(model, TEXTS[:3], groups=groups)
    assert not (state.memory["found"] == torch.arange(3)[:, None]).any()
    output.logits[:, 0, 1].sum().backward()
    for name in ("encode.vectors", "encode.weights", "encode.out.weight", "ask.weight", "sharpness"):
        assert memory.get_parameter(name).grad.abs().sum() > 0, name
    drawn = made(candidates=5)
    rows = []
    for step in (1, 2, 1):
        drawn.H_module.schedule(step, 9)
        rows.append(drawn.H_module.candidates[0].tolist())
    assert rows[0] == rows[2] != rows[1] and len(set(rows[0])) == 5  # A function of the step.


@pytest.mark.parametrize("index", ["exact", "graph"])
def test_the_bank_is_edited_without_training(index):
    model = made(index=index).eval()
    memory = model.H_module

    def answers(texts):
        with torch.no_grad():
            return asked(model, texts)

    before = answers(["snow", "thunder"])
    memory.add(*arrays(TASK.encode(["thunder storm"], ["weather"]))[:2])
    after = answers(["snow", "thunder"])
    assert 7 in after[0].memory["found"][1].tolist()
    again = made(index=index).eval()  # The same bank at once.
    again.H_module.learn_from(*arrays(TASK.encode([*TEXTS, "thunder storm"], [*NAMES, "weather"])))
    with torch.no_grad():
        fresh = asked(again, ["snow", "thunder"])
    torch.testing.assert_close(fresh[1].logits, after[1].logits)
    memory.relabel(torch.tensor([7]), torch.tensor([0]))
    torch.testing.assert_close(answers(["snow", "thunder"])[1].logits, before[1].logits)
    memory.relabel(torch.tensor([7]), torch.tensor([3]))  # A label that was not trained.
    if index == "exact":
        memory._indexed = None
    wide = answers(["snow", "thunder"])[1].logits
    assert wide.shape[-1] == 4 and (wide[1, 0, 3] > NOTHING / 2 or index == "graph")


@pytest.mark.parametrize("size", [0, 1, 2])
def test_a_bank_with_fewer_texts_than_are_read(size):
    model = made(k=3).eval()
    with pytest.warns(UserWarning, match="k=3 is more than the 1 ") if size == 1 else np.errstate():
        if size < 2:
            model.H_module.learn_from(*arrays(BANK.select(np.arange(size))))
    if size == 2:
        model.H_module.relabel(torch.arange(2, 7), torch.zeros(5, dtype=torch.int64))
    with torch.no_grad():
        state, output = asked(model, ["snow"])
    assert (state.memory["match"] > NOTHING / 2).sum() == size and output.logits[:, :, 1:].isfinite().all()
    if not size:
        head = model.logits(state.z_H, mask=torch.from_numpy(TASK.encode(["snow"]).mask))
        torch.testing.assert_close(output.logits[:, :, 1:], head[:, :, 1:])


def evaluated(model: Reasoner, dtype: torch.dtype, steps: int = 2) -> torch.Tensor:
    """How well what is found matches, after each supervision step of a rollout, (steps, b, k)."""
    examples = TASK.encode(["snow", "card cash"])
    data = {"inputs": torch.from_numpy(examples.inputs).int(), "mask": torch.from_numpy(examples.mask),
            "identifiers": torch.zeros(2, dtype=torch.int64)}  # fmt: skip
    seen = rollout(model, data, model.initial_state(2, dtype), steps, dtype=dtype)
    return torch.stack([step.state.memory["match"] for step in seen])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bank_is_asked_with_the_weights_as_they_are(dtype):
    """Against an index that is made anew for each."""
    model = made().eval()
    memory, weights, found = model.H_module, [], []
    assert isinstance(memory, Retrieval)
    optimiser = torch.optim.AdamW(memory.encode.parameters(), lr=0.1, fused=True)
    for number in range(8):
        found.append(evaluated(model, dtype))
        weights.append(copy.deepcopy(memory.encode.state_dict()))
        if number < 4:
            with torch.no_grad():
                memory.encode.vectors.neg_()
        else:  # A fused optimiser changes weights that keep their version.
            memory.schedule(number, 9)
            for p in memory.encode.parameters():
                p.grad = torch.randn(p.shape, generator=torch.Generator().manual_seed(number))
            optimiser.step()
    for one, match in zip(weights, found, strict=True):
        memory.encode.load_state_dict(one)
        memory._indexed = None
        assert torch.equal(match, evaluated(model, dtype))


def test_a_copy_of_new_weights_in_the_place_of_an_old_one_is_not_taken_for_it():
    model = made().eval()
    memory, inputs = model.H_module, torch.from_numpy(TASK.encode(["snow"]).inputs).int()
    weights = {name: p for name, p in model.named_parameters() if ".encode." in name}
    given = model.initial_state(1), inputs, model.puzzle_rows(torch.zeros(1, dtype=torch.int64))

    @torch.no_grad()
    def match(copies: dict[str, torch.Tensor]) -> torch.Tensor:
        state, _ = functional_call(model, copies, given)
        return state.memory["match"]

    copies, changed = {name: p.detach().bfloat16() for name, p in weights.items()}, "H_module.encode.vectors"
    old, place = match(copies), copies.pop(changed).data_ptr()
    tried = [weights[changed].detach().roll(1, dims=0).bfloat16() for _ in range(50)]
    copies[changed] = next((one for one in tried if one.data_ptr() == place), tried[0])
    found = match(copies)
    memory._indexed = None
    assert torch.equal(found, match(copies)) and not torch.equal(found, old)


def test_what_is_added_has_a_key_in_the_precision_of_the_others():
    model = made().eval()
    memory = model.H_module
    assert isinstance(memory, Retrieval)
    evaluated(model, torch.bfloat16)
    memory.add(*arrays(TASK.encode(["snow card"], ["weather"]))[:2])
    found = evaluated(model, torch.bfloat16)
    memory._indexed = None
    assert torch.equal(found, evaluated(model, torch.bfloat16))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_bank_is_indexed_once_while_the_weights_stand_still(monkeypatch, dtype):
    model, indexed, original = made().eval(), [], retrieval.made
    monkeypatch.setattr(retrieval, "made", lambda *given: indexed.append(1) or original(*given))
    for _ in range(3):
        evaluated(model, dtype)
    assert len(indexed) == 1


def test_a_graph_finds_nearly_all_of_the_nearest():
    keys = torch.nn.functional.normalize(torch.randn(3000, 16, generator=torch.Generator().manual_seed(0)))
    queries = keys[:50] + 0.1
    exact, graph = Exact(keys[:2000]), Graph(keys[:2000])
    for one in (exact, graph):
        one.add(keys[2000:])
        one.drop(torch.tensor([0, 2500]))
    brute = (queries @ keys.T).masked_fill(torch.isin(torch.arange(3000), torch.tensor([0, 2500])), -9)
    assert torch.equal(exact.nearest(queries, 8), brute.topk(8).indices)
    assert not torch.isin(graph.nearest(queries, 8), torch.tensor([0, 2500])).any()
    assert recall(Graph(keys), Exact(keys), queries, 8) > 0.95 and recall(graph, exact, queries, 8) > 0.95
    assert recall(Exact(keys), Exact(keys), queries, 8) == 1


@pytest.mark.parametrize("left", [2, 5])
def test_a_graph_of_which_little_is_left_finds_all_of_it(left):
    keys = torch.nn.functional.normalize(torch.randn(2000, 16, generator=torch.Generator().manual_seed(0)))
    rows = torch.arange(0, 2000, 2000 // left)[1:left]  # Row 0 is gone, too.
    gone = torch.ones(2000, dtype=torch.bool)
    gone[rows] = False
    graph, exact = Graph(keys), Exact(keys)
    for one in (graph, exact):
        one.drop(torch.nonzero(gone).flatten())
    k = min(4, len(rows))
    assert torch.equal(graph.nearest(keys[:50], k), exact.nearest(keys[:50], k))


def test_a_graph_without_its_library_is_refused_before_the_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(ValueError, match=r"memory.index=graph needs an extra; install it with `pip install"):
        made(index="graph")


def test_the_recall_of_a_bank_is_of_what_is_in_it(monkeypatch):
    model = made(k=3, index="graph")
    memory, asked = model.H_module, torch.from_numpy(TASK.encode(["snow and rain", "cash"]).inputs).int()
    memory.relabel(torch.tensor([0]), torch.tensor([0]))
    keys, graph = memory.indexed()
    assert memory.recall(asked) == 1  # Of few examples a graph misses none.
    nearest = (memory.encode(asked) @ keys.T).masked_fill(torch.arange(7) == 0, -9).topk(3).indices
    missed = nearest.clone()
    missed[0, 2] = 0
    monkeypatch.setattr(graph, "nearest", lambda queries, k: missed)
    assert memory.recall(asked) == pytest.approx(5 / 6)


WORDS = {"weather": "rain sun wind snow", "money": "bank card cash coin", "food": "bread soup rice cake"}
SMALL = [word for word in TINY if not word.startswith(("data", "validation_size", "steps", "eval_every"))]


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A run that has learned weather and money, with a bank."""
    folder = tmp_path_factory.mktemp("texts")
    for part, count, seed in (("train", 40, 1), ("test", 20, 2)):
        rng = np.random.default_rng(seed)
        lines = ["text,category"]
        for number in range(count):
            name = ("weather", "money")[number % 2]
            lines.append(f"{' '.join(rng.choice(WORDS[name].split(), 3))} {seed}{number},{name}")
        (folder / f"{part}.csv").write_text("\n".join(lines) + "\n")
    place = tmp_path_factory.mktemp("runs") / "run"
    words = [*SMALL, "data=intent", f"data.path={folder}", "data.length=8", "data.bag=6", "data.buckets=400"]
    words += ["loss.kind=softmax", "+memory=retrieval", "k=4", "memory.width=16", "optim.ema=0", "steps=60"]
    assert command_line("train", train.main, *words, "validation_size=0", f"dir={place}") == 0
    return place


def test_a_run_keeps_its_bank_and_so_does_an_export(run, tmp_path, capsys):
    assert json.loads((run / "summary.json").read_text())["exact_accuracy"] > 0.8
    assert len(read_bank(run)) == 40
    file = tmp_path / "model.safetensors"
    assert command_line("export", export.main, f"run={run}", f"out={file}") == 0
    texts = ["snow and rain", "coin, card"]
    one, other = (memhrm.load(place).classify(texts, top=2) for place in (run, file))
    assert one == other and [best[0][0] for best in one] == ["weather", "money"]
    with pytest.raises(ValueError, match="steps is 0; allowed"):
        memhrm.load(file).classify(texts, steps=0)
    restored = from_run(run)
    long = [Entry("/rain " * 40_000, "weather"), *restored.bank]  # Beyond what one field of CSV may hold.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        save(with_bank(restored, long), tmp_path / "long.safetensors", shared=True)
        assert memhrm.load(tmp_path / "long.safetensors").bank == long
    explained = memhrm.load(file).explain(texts)
    for found, best in zip(explained, one):
        assert (found.category, found.probability) == best[0] and len(found.examples) == 3
        assert sum(share for *_, share in found.examples) <= 1 and found.examples[0][1] == found.category


def test_a_model_with_a_bank_is_probed(run):
    subject = open_subject(run, puzzles=6)
    assert list(measured(subject.initial_state())) == ["z_H", "z_L", "match"]  # Places have no size.
    # What is found is found anew at each H-step, and the bank is not in the state.
    assert set(monitor_numbers(subject)) == {"exact_accuracy", "accuracy"} and effects(subject) == []
    report = ProbedRun(0, "", subject, ReportSettings.of(), [])
    assert SECTIONS["causal"].compute(report) is None
    wrong = replace(subject, labels=3 - subject.labels)
    assert relabelled(wrong, tries=2) is None  # A variant of a text lacks some of its tokens.
    assert SECTIONS["stability"].compute(replace(report, subject=wrong)) is None


def test_a_category_that_is_added_is_answered_at_once_and_a_label_is_put_right(run):
    solver = memhrm.load(run)
    for text in ("soup and bread", "rice cake", "bread soup rice"):
        solver.remember(text, "food")
    (best,) = solver.classify(["soup, rice and bread"])
    assert best[0][0] == "food"
    solver.remember("soup, rice and bread", "money")
    (found,) = solver.explain(["soup, rice and bread"], top=1)
    assert found.examples[0][:2] == ("soup, rice and bread", "money")
    solver.remember("soup, rice and bread", "food")
    assert solver.explain(["soup, rice and bread"], top=1)[0].examples[0][1] == "food"
    solver.forget("soup, rice and bread")
    assert solver.explain(["soup, rice and bread"], top=1)[0].examples[0][0] != "soup, rice and bread"
    with pytest.raises(ValueError, match="text is 'no such'; allowed: one of the 43 texts of the bank"):
        solver.forget("no such")
    with pytest.raises(ValueError, match="category is ' '; allowed: a name"):
        solver.remember("x", " ")
    with pytest.raises(ValueError, match=r"^text is 3; allowed: a text"):
        solver.remember(3, "x")  # pyright: ignore


def test_examples_stand_in_for_the_bank_in_one_answer(run):
    solver, other = memhrm.load(run), memhrm.load(run)
    told = [("soup and bread", "food"), ("a train to the coast", "travel"), ("rice cake", "food")]
    asked = ["bread soup", "the train", "rain and snow"]
    before = solver.classify(asked, top=9)
    found = solver.classify(asked, top=9, examples=told)
    assert [one[0][0] for one in found[:2]] == ["food", "travel"]
    assert all({name for name, _ in one} == {"food", "travel"} for one in found)
    assert all(sum(share for _, share in one) == pytest.approx(1, abs=1e-5) for one in found)
    assert solver.classify(asked, top=9) == before and solver.task.categories == other.task.categories
    for entry in other.bank:  # The same, with the bank emptied and the examples put in.
        other.forget(entry.text)
    for text, name in told:
        other.remember(text, name)
    for one, all_of_them in zip(found, other.classify(asked, top=9), strict=True):
        shares = {name: share for name, share in all_of_them if name in ("food", "travel")}
        total = sum(shares.values())
        assert dict(one) == pytest.approx({name: share / total for name, share in shares.items()}, abs=1e-4)
    steps = solver.classify_by_step(asked[0], 9, examples=told)
    assert [dict(steps[-1])] == [pytest.approx(dict(found[0]), abs=1e-5)]
    with pytest.raises(ValueError, match="examples"):
        solver.classify(asked, examples=[("text",)])
    with pytest.raises(ValueError, match="text is empty"):
        solver.classify(asked, examples=[("", "food")])


def test_a_file_is_classified_by_examples_in_the_place_of_the_bank(run, tmp_path, capsys):
    examples = [("soup and bread", "food"), ("a train to the coast", "travel"), ("rice cake", "food")]
    lines = [f"{text},{category}\n" for text, category in examples]
    (told := tmp_path / "told.csv").write_text("".join(["text,category\n", *lines]))
    (asked := tmp_path / "asked.csv").write_text(
        "text,category\nbread soup,food\nthe train,travel\nrain,weather\n"
    )
    words = [f"run={run}", str(asked), f"examples={told}", f"out={tmp_path / 'out.csv'}", "progress=false"]
    assert call("solve", *words) == 0
    assert "3 texts classified; 2 as in the file, which has the category of 2" in capsys.readouterr().err
    expected = memhrm.load(run).classify(["bread soup", "the train", "rain"], examples=examples)
    rows = [row.split(",") for row in (tmp_path / "out.csv").read_text().splitlines()[1:]]
    assert [row[1] for row in rows] == [one[0][0] for one in expected]
    assert [float(row[2]) for row in rows] == pytest.approx([one[0][1] for one in expected], abs=1e-5)


def test_the_command_edits_the_bank(run, tmp_path, capsys):
    before = (run / "bank.csv").read_text()
    new = tmp_path / "new.csv"
    new.write_text("text,category\nsoup and bread,food\nrice cake,food\n" + before.splitlines()[1].replace(
        "weather", "food") + "\n")  # fmt: skip
    bank.main(["add", f"run={run}", str(new)])
    assert "2 texts added, 1 with another category; the bank has 42 texts of 3" in capsys.readouterr().out
    assert memhrm.load(run).classify(["bread and soup"])[0][0][0] == "food"
    bank.main(["show", f"run={run}"])
    assert "      3  food" in capsys.readouterr().out
    bank.main(["show", f"run={run}", str(new)])
    assert "  food: soup and bread" in capsys.readouterr().out
    bank.main(["remove", f"run={run}", str(new)])
    assert "3 texts removed; the bank has 39 texts of 2 categories" in capsys.readouterr().out
    for words, message in (
        (["remove", f"run={run}", str(new)], "FILE is .*; allowed: a file with texts of the bank"),
        (["add", f"run={run}"], "FILE is missing; add needs a CSV file of texts"),
        (["show", f"run={tmp_path}"], "holds no run"),
    ):
        with pytest.raises(ValueError, match=message):
            bank.main(words)
    (run / "bank.csv").write_text(before)


@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
def test_what_an_answer_rests_on_are_parts_of_its_probability(run, loss):
    """A part of its category's logit for each example, and the rest for the head."""
    solver = memhrm.load(run)
    solver.loss = loss
    texts = ["snow and rain", "coin, card", "wind"]
    logits, memory = solver._read(solver.task.encode(texts), None)
    chances = [dict(found) for found in solver.classify(texts, top=9)]
    for row, found in enumerate(solver.explain(texts, top=4)):
        assert len(found.examples) == 4
        for (_, category, share), match in zip(found.examples, memory["match"][row]):
            label = 1 + solver.task.categories.index(category)
            part = float((match - logits[row, 0, label]).exp())
            assert share == pytest.approx(chances[row][category] * part, abs=2e-6)
        for category, chance in chances[row].items():
            assert sum(share for _, name, share in found.examples if name == category) <= chance + 1e-5
    assert found.probability == pytest.approx(max(chances[-1].values()))


def test_the_graph_says_what_it_finds(run, tmp_path, capsys):
    new = tmp_path / "new.csv"
    new.write_text("text,category\nsnow and rain,weather\ncoin,money\n")
    bank.main(["show", f"run={run}", str(new)])
    assert "the graph finds" not in capsys.readouterr().out
    solver = memhrm.load(run)
    solver.model.H_module.settings = replace(solver.model.H_module.settings, index="graph")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edits, "load", lambda path: solver)
        bank.main(["show", f"run={run}", str(new)])
    assert capsys.readouterr().out.endswith("the graph finds 100% of the k=4 nearest that the bank has\n")


def test_a_text_that_the_bank_has_is_not_scored(run, tmp_path, capsys):
    before = (run / "bank.csv").read_text()
    tests = (Path(memhrm.load(run).data.path) / "test.csv").read_text().splitlines()
    out = tmp_path / "scores.json"
    words = [f"run={run}", f"out={out}", "overwrite=true", "progress=false", "threads=1"]
    try:
        assert call("evaluate", *words) == 0 and json.loads(out.read_text())["puzzles"] == 20
        new = tmp_path / "new.csv"
        new.write_text("\n".join(tests[:9]).replace(",weather", ",money"))  # Whatever label it has.
        bank.main(["add", f"run={run}", str(new)])
        assert call("evaluate", *words) == 0
        scores = json.loads(out.read_text())
        assert scores["puzzles"] == 12 and scores["left_out"] == 8
        assert command_line("export", export.main, f"run={run}", f"out={tmp_path / 'm.safetensors'}") == 0
        _, used = read_tensors(tmp_path / "m.safetensors").about(FORMAT, MADE_BY)
        assert len(used.trained) == 48
        new.write_text("\n".join(tests))
        bank.main(["add", f"run={run}", str(new)])
        capsys.readouterr()
        assert call("evaluate", *words) == 2
        assert "none of the 20 test puzzles of intent can be scored" in capsys.readouterr().err
    finally:
        (run / "bank.csv").write_text(before)


def test_a_bank_is_encoded_in_chunks(run, monkeypatch):
    """And is the same as at once."""
    whole, encode, sizes = from_run(run).model.H_module.bank, Intent.encode, []
    monkeypatch.setattr(runs_bank, "CHUNK", 7)
    monkeypatch.setattr(Intent, "encode", lambda *a: sizes.append(len(a[1])) or encode(*a))
    restored = from_run(run)
    assert max(sizes) == 7 and len(restored.used.trained) == 40
    for part in ("tokens", "labels"):
        assert torch.equal(getattr(restored.model.H_module.bank, part), getattr(whole, part))


def test_a_bank_is_no_part_of_a_header_and_older_files_are_read(run, tmp_path):
    """The header of a file of safetensors has an end."""
    restored, (new, old) = from_run(run), (tmp_path / f"{name}.safetensors" for name in ("new", "old"))
    save(restored, new)
    file = read_tensors(new)
    assert restored.bank[0].text not in file.metadata["about"] and "bank" not in file.tensors
    about, used = file.about(FORMAT, MADE_BY)
    assert [tuple(one) for one in about["bank"]] == list(restored.bank)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tensors, "LONG", "none")
        tensors.write_tensors(old, file.tensors, FORMAT, about, used)
    assert memhrm.load(old).bank == memhrm.load(new).bank == list(restored.bank)


def test_what_the_bank_holds_is_shown_and_edited_without_the_model(run, tmp_path, monkeypatch):
    monkeypatch.delattr(edits, "load")
    (new := tmp_path / "new.csv").write_text("text,category\nsoup,food\n")
    assert edits.added(run, new).startswith("1 texts added")
    assert "1  food" in edits.shown(run, None) and edits.removed(run, new).startswith("1 texts removed")


def test_a_bank_may_be_empty(run):
    restored = with_bank(from_run(run), [])
    assert restored.bank == () and len(restored.used.trained) == 40


def test_a_run_that_takes_a_memory_keeps_its_bank(run, tmp_path):
    file, out = tmp_path / "memory.safetensors", tmp_path / "out"
    assert call("transfer", "export", f"run={run}", f"out={file}") == 0
    assert call("transfer", "import", f"run={run}", f"from={file}", f"out={out}") == 0
    assert read_bank(out) == read_bank(run)


def test_a_bank_that_is_lost_is_not_taken_for_an_empty_one(run, tmp_path):
    (tmp_path / "bank.csv").write_text("text,category\n")
    assert read_bank(tmp_path) == []
    lost = (run / "bank.csv").rename(tmp_path / "lost.csv")
    try:
        with pytest.raises(ValueError, match=r"bank.csv is 'missing'; allowed: .*text,category alone"):
            memhrm.load(run)
    finally:
        lost.rename(run / "bank.csv")
