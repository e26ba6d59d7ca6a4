"""Every room imports only from those listed here, so that data and decisions flow one way."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "memhrm"

MAY_IMPORT = {
    "config": set(),
    "system": {"config"},
    "nn": set(),
    "data": {"config", "system"},
    "memory": {"config", "system", "nn"},
    "models": {"config", "nn", "memory"},
    "training": {"config", "system", "nn", "data", "memory", "models"},
    "evaluation": {"config", "system", "data", "memory", "models", "training"},
    "published": {"config", "data", "models", "training"},
    "runs": {"config", "system", "data", "memory", "models", "training", "evaluation"},
    "weights": {
        "config",
        "system",
        "data",
        "memory",
        "models",
        "training",
        "evaluation",
        "published",
        "runs",
    },
    "cost": {"config", "system", "data", "models", "training", "evaluation", "runs"},
    "probes": {"config", "system", "data", "memory", "models", "training", "evaluation", "runs", "weights"},
    "report": {"config", "system", "data", "memory", "models", "evaluation", "runs", "weights", "probes"},
    "play": {"config", "system", "data", "memory", "models", "runs", "weights", "report"},
}
"""Each folder of the package, and the folders from which it may import beside itself."""


def imports(path: Path) -> set[str]:
    """Return what a file takes from the project, as dotted names."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            found |= {f"{node.module}.{name.name}" for name in node.names}
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
    return {name for name in found if name.split(".")[0] in ("memhrm", "experiments", "tests")}


def test_every_folder_is_listed_and_below_those_it_imports():
    folders = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert folders == set(MAY_IMPORT)
    for number, (room, below) in enumerate(MAY_IMPORT.items()):
        assert below <= set(list(MAY_IMPORT)[:number]), room  # So no two folders import each other.


@pytest.mark.parametrize("room", MAY_IMPORT)
def test_a_room_imports_only_from_those_it_may(room):
    allowed = MAY_IMPORT[room] | {room}
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in sorted((PACKAGE / room).rglob("*.py"))
        if path.name != "__main__.py"  # A command: commands stand on top of all rooms.
        for name in sorted(imports(path))
        if name.split(".")[0] != "memhrm" or name.split(".")[1] not in allowed
    ]
    assert wrong == []


def test_the_check_reads_imports():
    assert "memhrm.training.carry.Carry" in imports(PACKAGE / "training" / "step.py")


def test_data_needs_no_torch():
    torch = re.compile(r"^\s*(import|from) torch\b", re.MULTILINE)
    assert not [path.name for path in (PACKAGE / "data").rglob("*.py") if torch.search(path.read_text())]


def imports_below(folder: str) -> set[str]:
    """Return what the files of a folder import from the project."""
    return {name for path in (ROOT / folder).rglob("*.py") for name in imports(path)}


def test_experiments_stand_on_the_package_and_studies_on_the_grid():
    assert {name.split(".")[0] for name in imports_below("memhrm")} == {"memhrm"}
    assert {name.split(".")[0] for name in imports_below("experiments")} == {"memhrm", "experiments"}
    own = {name for name in imports_below("experiments/grid") if name.startswith("experiments")}
    assert own and all(name.startswith("experiments.grid.") for name in own)
