"""Models as tools: the SDK's own client asks a server in this process, over pipes, and over HTTP."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import anyio
import pytest
from mcp import Client, StdioServerParameters

import memhrm
from memhrm import train as command
from memhrm.weights.server import LENGTH, Limits, Served, server
from tiny import call, command_line, train

PUZZLE = "1.34" + "." * 12
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("served")
    recall = ["data=recall", "data.lengths=[2,3]", "data.test_length=4", "data.test_episodes=20"]
    cells = ["+memory=multicell", "memory.cells=3", "k=1", "memory.tokens=2", "memory.gate=all"]
    assert train(folder / "plain") == 0
    assert train(folder / "recall", *recall, *cells) == 0
    texts = ["experiment=intent", f"data.path={ROOT / 'docs'}", "data.train_file=texts.csv"]
    texts += ["data.holdout=12", "data.buckets=100", "data.length=20", "model.hidden_size=16", "steps=3"]
    texts += ["batch_size=4", "progress=false", "threads=1", "+memory=retrieval", "k=2"]
    assert command_line("train", command.main, *texts, f"dir={folder / 'texts'}") == 0
    return {name: folder / name for name in ("plain", "recall", "texts")}


def asked(made, *calls: tuple[str, dict]) -> list:
    """What a client gets that calls tools one after the other: the value of each, or its error."""

    async def talk() -> list:
        async with Client(made) as client:
            results = [await client.call_tool(name, words) for name, words in calls]
            return [one.structured_content if not one.is_error else one.content[0].text for one in results]

    return [one["result"] if isinstance(one, dict) and list(one) == ["result"] else one
            for one in anyio.run(talk)]  # fmt: skip


def tools(made) -> dict[str, dict]:
    async def talk() -> dict:
        async with Client(made) as client:
            return {one.name: one.input_schema for one in (await client.list_tools()).tools}

    return anyio.run(talk)


def test_a_server_has_the_tools_that_its_model_can_do(runs):
    found = {name: tools(server(memhrm.load(path), Limits())) for name, path in runs.items()}
    assert sorted(found["plain"]) == ["about", "explain", "solve"]
    assert sorted(found["recall"]) == ["about", "explain", "forget", "remember", "solve"]
    assert sorted(found["texts"]) == ["about", "classify", "explain", "forget", "remember"]
    assert found["plain"]["solve"]["required"] == ["questions"]
    assert found["texts"]["forget"]["required"] == ["question"]  # Others have made the bank.
    assert "required" not in found["recall"]["forget"]


def test_answers_are_those_of_the_solver(runs):
    solver = memhrm.load(runs["plain"])
    about, solved, seen = asked(
        server(solver, Limits()),
        ("about", {}),
        ("solve", {"questions": [PUZZLE, "." * 16], "steps": 2}),
        ("explain", {"question": PUZZLE}),
    )
    assert about["task"] == "sudoku4" and about["seq_len"] == 16 and about["alphabet"] == ".1234"
    assert [one["answer"] for one in solved] == solver.solve([PUZZLE, "." * 16], steps=2)
    assert {"keeps_givens", "keeps_rules", "sure"} <= solved[0].keys()
    assert [one["answer"] for one in seen] == [one.answer for one in solver.follow(PUZZLE)]


def test_a_model_is_taught_by_example_until_it_forgets(runs):
    solver = memhrm.load(runs["recall"])
    one, two = "1" * solver.task.seq_len, "2" * solver.task.seq_len
    before, first, known, taught, seen, none, again = asked(
        server(solver, Limits()),
        ("explain", {"question": one}),
        ("solve", {"questions": [one]}),
        ("remember", {"question": one, "answer": two}),
        ("solve", {"questions": [one]}),
        ("explain", {"question": one}),
        ("forget", {}),
        ("solve", {"questions": [one]}),
    )
    assert (known, none) == (1, 0) and first == again
    assert taught[0]["answer"] == seen[-1]["answer"] == solver.solve([one], examples=[(one, two)])[0]
    assert seen[0]["moved"] != before[0]["moved"] and seen[0]["cells_read"]


def test_a_bank_is_edited_and_says_what_answers_rest_on(runs):
    solver = memhrm.load(runs["texts"])
    before = sum(map(bool, solver.bank))
    text = "is the museum open on Mondays?"
    known, said, found, after = asked(
        server(solver, Limits()),
        ("remember", {"question": text, "answer": "leisure"}),
        ("explain", {"text": text}),
        ("classify", {"texts": [text], "top": 2}),
        ("forget", {"question": text}),
    )
    assert (known, after) == (before + 1, before)
    assert text in [one["text"] for one in said["examples"]] and len(found[0]["categories"]) == 2


BAD = {
    "letters": ("solve", {"questions": ["x" * 16]}, "question has 'x' at character 1"),
    "none": ("solve", {"questions": []}, "questions is '0 texts'; allowed: 1 to 2"),
    "many": ("solve", {"questions": [PUZZLE] * 3}, "questions is '3 texts'; allowed: 1 to 2"),
    "long": ("solve", {"questions": ["." * (LENGTH + 1)]}, "allowed: up to 10,000"),
    "deep": ("solve", {"questions": [PUZZLE], "steps": 9}, "steps is 9; allowed: null, or 1 to 4"),
    "type": ("solve", {"questions": "abc"}, "questions"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_is_said_to_the_client(name, runs):
    tool, words, message = BAD[name]
    (said,) = asked(server(memhrm.load(runs["plain"]), Limits(questions=2, steps=4)), (tool, words))
    assert message in said


def test_a_call_that_takes_too_long_is_given_up(runs, monkeypatch):
    monkeypatch.setattr(Served, "about", lambda self: time.sleep(0.5))
    (said,) = asked(server(memhrm.load(runs["plain"]), Limits(seconds=0.05)), ("about", {}))
    assert "it took longer than 0.05 seconds; ask for less" in said


def test_a_call_that_was_given_up_does_nothing(runs, monkeypatch):
    solver = memhrm.load(runs["recall"])
    one, slow = "1" * solver.task.seq_len, 0.2
    monkeypatch.setattr(Served, "explain", lambda self, *_: time.sleep(slow))
    made = server(solver, Limits(seconds=slow / 2))

    async def talk() -> list:
        async with Client(made) as client:
            async with anyio.create_task_group() as both:  # The second waits until the first has ended.
                both.start_soon(client.call_tool, "explain", {"question": one})
                both.start_soon(client.call_tool, "remember", {"question": one, "answer": one})
            await anyio.sleep(slow)
            return (await client.call_tool("forget", {})).structured_content

    monkeypatch.setattr(Served, "forget", lambda self, _: len(self.told))
    assert anyio.run(talk) == {"result": 0}


def test_what_is_told_again_replaces_what_was_told(runs):
    solver = memhrm.load(runs["recall"])
    one, two, three = (digit * solver.task.seq_len for digit in "123")
    served = Served(solver, Limits(questions=4))
    assert [served.remember(*told) for told in ((one, two), (two, one), (one, three))] == [1, 2, 2]
    assert served.told == [(two, one), (one, three)]


def test_an_answer_that_takes_too_long_stops(runs):
    solver = memhrm.load(runs["plain"])
    with pytest.raises(ValueError, match="the answer takes too long; ask for less"), solver.within(0.05):
        for _ in range(1000):
            solver.solve([PUZZLE], steps=256)
    with pytest.raises(ValueError, match="takes too long"), solver.within(0):
        raise AssertionError
    assert solver.solve([PUZZLE])


ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.thorough
def test_a_client_starts_a_server_and_talks_over_its_pipes(runs):
    words = ["-m", "memhrm", "serve", f"run={runs['plain']}", "threads=1"]
    (solved,) = asked(
        StdioServerParameters(command=sys.executable, args=words, env=ENVIRONMENT),
        ("solve", {"questions": [PUZZLE]}),
    )
    assert solved[0]["answer"] == memhrm.load(runs["plain"]).solve([PUZZLE])[0]


@pytest.mark.thorough
def test_a_server_listens_on_this_machine(runs):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    words = [sys.executable, "-m", "memhrm", "serve", f"run={runs['plain']}", "threads=1", f"http={port}"]
    process = subprocess.Popen(words, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    try:
        late = time.monotonic() + 60
        while time.monotonic() < late:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None
                time.sleep(0.1)
        (solved,) = asked(f"http://127.0.0.1:{port}/mcp", ("solve", {"questions": [PUZZLE]}))
        assert json.dumps(solved[0]["answer"]) == json.dumps(memhrm.load(runs["plain"]).solve([PUZZLE])[0])
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_settings_that_cannot_be_are_said(runs, capsys):
    assert call("serve", f"run={runs['plain']}", "http=0") == 2
    assert "http is 0; allowed: null, or 1 to 65535" in capsys.readouterr().err
    assert call("serve", f"run={runs['plain']}", "seconds=0") == 2
    assert "seconds is 0.0; allowed: above 0, up to 86400" in capsys.readouterr().err
