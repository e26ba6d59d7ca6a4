"""Imports run one way: layers, memory, reasoner, training, commands; data knows none of them."""

import ast
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "memhrm"

MAY_IMPORT = {
    "settings": set(),
    "console": {"settings"},
    "words": {"settings"},
    "manual": {"words"},
    "explain": {"console", "manual", "settings", "words"},
    "config": {"console", "explain", "manual", "settings", "words"},
    "files": {"settings"},
    "data": {"console", "data", "settings", "config", "files"},
    "memory": {"config", "memory", "models.layers", "models.attend", "models.fused", "settings"},
    "models": {"models", "memory", "settings"},
    "training": {"training", "models", "memory", "data", "settings", "config", "files"},
    "interop": {"models", "settings"},
    "probes": {"probes", "training", "pretrained", "models", "memory", "data", "settings"},
}


def imports(path: Path) -> set[str]:
    """What a file takes from memhrm, as paths below it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (
            "memhrm",
            "experiments",
        ):
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {
                name.name for name in node.names if name.name.split(".")[0] in ("memhrm", "experiments")
            }
    return {name.removeprefix("memhrm.") for name in found}


def test_imports_run_one_way():
    wrong = []
    for path in sorted(PACKAGE.rglob("*.py")):
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        for name in imports(path):
            allowed = None if path.stem == "__main__" else MAY_IMPORT.get(room)  # A command may use all.
            fits = allowed is None or any(name == a or name.startswith(f"{a}.") for a in allowed)
            if not fits or name.startswith("experiments"):
                wrong.append(f"{path.relative_to(PACKAGE)} imports {name}")
    assert wrong == []
    assert imports(PACKAGE / "training" / "step.py")  # The check reads something.


def test_data_needs_no_torch():
    assert not [p.name for p in (PACKAGE / "data").glob("*.py") if "import torch" in p.read_text()]
