"""Cards say what runs are; the hub's own library sends them to a hub on this machine, and fetches them."""

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import memhrm
from memhrm import train as command
from memhrm.config.command import compose
from memhrm.data import load
from memhrm.report.card import card
from memhrm.runs import checkpoint
from memhrm.runs.directory import RunDirectory
from memhrm.runs.settings import parse
from tiny import call, command_line, train, write_set

PUZZLE = "1.34" + "." * 12
COMMIT = "c" * 40


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("hub") / "run"
    assert train(path) == 0
    return path


class Hub(BaseHTTPRequestHandler):
    """As much of the hub as a push and a load ask for; its files are those of the server."""

    server: "Server"

    def log_message(self, *args) -> None:
        pass

    def _answer(self, content: bytes, kind: str = "application/json", **headers: str) -> None:
        self.send_response(200)
        every = {"Content-Type": kind, "Content-Length": str(len(content)), **headers}
        for name, value in every.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _json(self, value) -> None:
        self._answer(json.dumps(value).encode())

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.asked.append((self.command, self.path))
        if self.path.endswith("/repos/create"):
            self.server.made.append(json.loads(content))
            self._json({"url": f"{self.server.address}/we/small", "id": "we/small"})
        elif "/preupload/" in self.path:
            files = [one["path"] for one in json.loads(content)["files"]]
            self._json(
                {"files": [{"path": p, "uploadMode": "regular", "shouldIgnore": False} for p in files]}
            )
        elif "/commit/" in self.path:
            for line in map(json.loads, content.splitlines()):
                if line["key"] == "file":
                    value = line["value"]
                    self.server.files[value["path"]] = base64.b64decode(value["content"])
            self._json({"commitUrl": f"{self.server.address}/we/small/commit/{COMMIT}", "commitOid": COMMIT})
        else:
            self._json({})

    def do_GET(self) -> None:
        self.server.asked.append((self.command, self.path))
        found = re.search(r"/resolve/[^/]+/(.+)$", self.path.partition("?")[0])
        if found is None:
            self._json({"id": "we/small", "sha": COMMIT, "siblings": []})
        elif found[1] in self.server.files and self.path.startswith("/we/small/"):
            content = self.server.files[found[1]]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            self._answer(content, "application/octet-stream", ETag=etag, X_Repo_Commit=COMMIT)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    do_HEAD = do_GET


class Server(ThreadingHTTPServer):
    """A hub on this machine."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hub)
        self.files: dict[str, bytes] = {}
        self.made: list[dict] = []
        self.asked: list[tuple[str, str]] = []
        self.address = f"http://127.0.0.1:{self.server_address[1]}"


@pytest.fixture
def hub():
    server = Server()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def beside(hub: Server, home: Path, *words: str) -> subprocess.CompletedProcess:
    """Run Python where the hub is this one."""
    own = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(home),
        "HF_TOKEN": "hf_nobody",
        "HF_HUB_DISABLE_XET": "1",
    }
    own |= {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    return subprocess.run(
        [sys.executable, *words],
        env={**os.environ, **proxies, **own},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.thorough
def test_what_is_pushed_can_be_loaded(run, hub, tmp_path):
    pushed = beside(hub, tmp_path, "-m", "memhrm", "push", f"run={run}", "repo=we/small", "private=true")
    assert pushed.returncode == 0, pushed.stderr
    assert hub.made[0]["name"] == "small" and hub.made[0]["visibility"] == "private"
    assert sorted(hub.files) == ["README.md", "model.safetensors"]
    assert hub.files["README.md"].decode() == card(run, "we/small", "hf://we/small")
    assert str(run).encode() not in hub.files["model.safetensors"]
    code = f"import memhrm; print(memhrm.load('hf://we/small').solve([{PUZZLE!r}])[0])"
    loaded = beside(hub, tmp_path, "-c", code)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.split() == memhrm.load(run).solve([PUZZLE])
    missing = beside(hub, tmp_path, "-m", "memhrm", "solve", "run=hf://we/none", str(tmp_path / "x"))
    assert missing.returncode == 2 and "hf://we/none cannot be fetched: " in missing.stderr


OTHERS = ("sklearn", "matplotlib", "jinja2", "pandas", "gradio", "mcp", "faiss", "tokenizers")
"""Packages of which the extra `hub` installs none."""


def test_a_card_needs_no_other_extra(run, tmp_path):
    body = "from memhrm.push import command, main; command('push', main)"
    code = f"import sys; sys.modules |= dict.fromkeys({OTHERS}); {body}"
    words = [f"run={run}", f"out={tmp_path / 'card.md'}"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "card.md").read_text() == card(run, run.name, str(run))


def test_a_card_says_how_to_make_the_run_again(run):
    text = card(run, "we/small", "hf://we/small")
    command = re.search(r"```bash\n(.*?)```", text, re.DOTALL)
    assert command is not None
    words = command[1].replace("\\\n", " ").split()
    assert words[:3] == ["python", "-m", "memhrm.train"]
    wanted = json.loads((run / "summary.json").read_text())
    again = parse(compose("train", words[3:]))
    config = RunDirectory(run).config()
    for name in ("model", "data", "loss", "optim", "steps", "seed"):
        assert again.config()[name] == parse(config).config()[name]
    assert f"| held out | {wanted['puzzles']:,} | {100 * wanted['exact_accuracy']:.1f} | " in text
    assert text.startswith("---\nlibrary_name: memhrm\nlicense: apache-2.0\n") and "# we/small" in text


def test_a_card_says_what_the_command_of_a_run_does_not(run, tmp_path):
    run = Path(shutil.copytree(run, tmp_path / "run"))
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("\ninit: null\n", "\ninit: /home/me/parent\n"))
    first = {"run": "/home/me/first", "step": 6, "command": "import"}
    origin = {"run": "/home/me/second", "step": 1234, "command": "prune", "origin": first}
    (run / "origin.json").write_text(json.dumps(origin))
    text = " ".join(card(run, "we/small", "hf://we/small").split())
    assert "began from the weights parent, which the command lacks" in text
    assert "memhrm.prune made it from step 1,234 of the run second, which" in text
    assert "memhrm.transfer made it from step 6 of the run first, which" in text
    assert "/home/me" not in text


def test_the_hub_reads_the_score_of_a_card(run):
    wanted = json.loads((run / "summary.json").read_text())
    hub = pytest.importorskip("huggingface_hub")
    (result,) = hub.ModelCard(card(run, "small", "hf://we/small")).data.eval_results
    assert (result.dataset_name, result.metric_type) == ("sudoku4", "exact_accuracy")
    assert result.metric_value == round(100 * wanted["exact_accuracy"], 1)
    assert result.metric_args["examples"] == wanted["puzzles"]


def test_a_card_tells_no_path_of_the_machine(tmp_path):
    sample = Path(__file__).parents[2] / "docs"
    words = ["experiment=intent", f"data.path={sample}", "data.train_file=texts.csv", "data.holdout=12"]
    words += ["data.buckets=100", "data.length=20", "model.hidden_size=16", "steps=2", "batch_size=4"]
    words += ["progress=false", "threads=1", f"dir={tmp_path / 'run'}"]
    assert command_line("train", command.main, *words) == 0
    text = card(tmp_path / "run", "texts", "texts.safetensors")
    assert str(sample) not in text and "data.path=DIR" in text and "license" not in text
    assert "The licence of the files" in text.replace("\n", " ")
    out = tmp_path / "card.md"
    said = ("licence=cc-by-4.0", 'attribution="Texts of our own, CC BY 4.0"')
    assert call("push", f"run={tmp_path / 'run'}", f"out={out}", *said) == 0
    text = out.read_text()
    assert "\nlicense: cc-by-4.0\n" in text and "Texts of our own, CC BY 4.0. Seed 0; 2 optimiser" in text


def test_a_card_tells_the_files_of_a_run_without_a_folder_as_files(tmp_path):
    data = load(kind="sudoku", name="s", side=4, max_clues=8, train_size=20, test_size=12)
    write_set(tmp_path / "own", data)
    places = [f"data.{part}_file={tmp_path}/own/{part}.csv" for part in ("train", "test")]
    assert train(tmp_path / "run", *places, "data.test_size=null", "validation_size=2") == 0
    text = card(tmp_path / "run", "own", "own.safetensors")
    assert str(tmp_path) not in text and "data.train_file=FILE" in text and "data.test_file=FILE" in text
    assert "license" not in text and "The data are files of the trainer's" in text


def test_scores_of_other_weights_are_not_published(run, tmp_path, capsys):
    """While a run is extended, and of a checkpoint before the end."""
    run = Path(shutil.copytree(run, tmp_path / "run"))
    config, last = (run / "config.yaml").read_text(), checkpoint.read(run / "checkpoints/last.pt")
    checkpoint.write(run / "checkpoints/best.pt", {**last, "step": 4})
    for words in (("artifact=a/b", "checkpoint=best"), ("repo=a/b", "checkpoint=best")):
        assert call("push", f"run={run}", *words) == 2
        said = "checkpoint is 'one of step 4'; allowed: one of step 8, whose weights the run's scores are of"
        assert said in capsys.readouterr().err
    (run / "config.yaml").write_text(config.replace("\nsteps: 8\n", "\nsteps: 12\n"))
    for words in ("artifact=a/b", f"out={tmp_path}/card.md"):
        assert call("push", f"run={run}", words) == 2
        assert "allowed: a finished run, which has a summary.json of its steps=12" in capsys.readouterr().err


def test_a_card_is_written_and_an_unfinished_run_has_none(run, tmp_path, capsys):
    out = tmp_path / "card.md"
    assert call("push", f"run={run}", f"out={out}") == 0
    assert out.read_text() == card(run, "run", str(run))
    assert call("push", f"run={run}") == 2
    assert (
        "repo is None; allowed: OWNER/NAME, or artifact=PROJECT/NAME, or out=FILE; one of them"
        in capsys.readouterr().err
    )
    assert call("push", f"run={run}", "repo=nobody") == 2
    assert "repo is 'nobody'; allowed: OWNER/NAME" in capsys.readouterr().err
    assert call("push", f"run={run}", f"out={out}", "overwrite=true", "attribution=ours") == 2
    said = "attribution is 'ours'; allowed: null where the package generates the data"
    assert said in capsys.readouterr().err
    assert call("push", f"run={run}", f"out={out}", "overwrite=true", "licence=CC BY") == 2
    assert "licence is 'CC BY'; allowed: a licence as the hub names it" in capsys.readouterr().err
    assert call("push", f"run={run}", "artifact=alone") == 2
    assert "artifact is 'alone'; allowed: PROJECT/NAME or ENTITY/PROJECT/NAME" in capsys.readouterr().err
    assert call("push", f"run={run}", "artifact=a/b", f"out={out}") == 2
    assert "; one of them" in capsys.readouterr().err
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "config.yaml").write_text((run / "config.yaml").read_text())
    with pytest.raises(ValueError, match="allowed: a finished run, which has a summary"):
        card(tmp_path / "part", "part", "part")


@pytest.mark.parametrize("name", ["hf://", "hf://we", "hf://we/", "hf://a/b/c"])
def test_a_name_that_is_none_is_said(name):
    with pytest.raises(ValueError, match=r"path is .*; allowed: hf://OWNER/NAME, or with @REVISION"):
        memhrm.load(name)
