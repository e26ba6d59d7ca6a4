"""Where the configurations are, and the defaults in them: the only ones of this package."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

_INSTALLED = Path(__file__).parents[1] / "configs"
CONFIGS = str(_INSTALLED if _INSTALLED.is_dir() else Path(__file__).parents[2] / "configs")
"""The folder of configurations: inside an installed package, beside it in a checkout."""


@cache
def defaults(file: str) -> dict[str, Any]:
    """Return the settings of a file in `CONFIGS` as nested groups, with those of the files it builds on.

    Args:
        file: the path of the file in `CONFIGS`, without `.yaml`.
    """
    from omegaconf import OmegaConf  # On demand: --help must not wait for it.

    path = Path(CONFIGS, f"{file}.yaml")
    content = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(content, dict)
    own: dict[str, Any] = {str(name): value for name, value in content.items() if name != "hydra"}
    parents = [parent for parent in own.pop("defaults", ()) if isinstance(parent, str) and parent != "_self_"]
    folder = file.rpartition("/")[0]
    if folder and not path.read_text(encoding="utf-8").startswith("# @package _global_"):
        own = {folder: own}
    merged: dict[str, Any] = {}
    for one in (*(defaults(f"{folder}/{parent}") for parent in parents), own):
        merged = _merged(merged, one)
    return merged


@contextmanager
def configurations() -> Iterator[None]:
    """Have `hydra.compose` read from `CONFIGS`; a command that Hydra runs may do so too."""
    import hydra
    from hydra.core.global_hydra import GlobalHydra

    state = GlobalHydra.instance()
    outer, state.hydra = state.hydra, None
    try:
        with hydra.initialize_config_dir(version_base="1.3", config_dir=CONFIGS):
            yield
    finally:
        state.hydra = outer


def config_dir() -> str | None:
    """Return the folder that --config-dir gives to the command that Hydra runs; None without."""
    from hydra.core.global_hydra import GlobalHydra

    outer = GlobalHydra.instance().hydra
    paths = outer.config_loader.get_search_path().get_path() if outer else []
    return next((one.path.removeprefix("file://") for one in paths if one.provider == "command-line"), None)


def _merged(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return both groups of settings in one; where they differ, the second one counts."""
    merged = dict(first)
    for name, value in second.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if both else value
    return merged
