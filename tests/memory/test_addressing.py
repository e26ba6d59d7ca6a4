"""What null stands for in the settings of an address: the formula, or a learned address."""

import warnings

import pytest

from memhrm.config.command import compose
from memhrm.memory.addressing import FORMULA, LEARNED
from memhrm.memory.cell_settings import CellSettings
from memhrm.runs.settings import parse

pytestmark = pytest.mark.filterwarnings("ignore::memhrm.config.settings.SettingWarning")


def memory_of(*overrides: str, name: str = "multicell") -> CellSettings:
    memory = parse(compose("train", [f"+memory={name}", *overrides])).memory
    assert isinstance(memory, CellSettings)
    return memory


@pytest.mark.parametrize("written", ["always", "told"])
@pytest.mark.parametrize("name", ["multicell", "aggregate"])
def test_an_address_is_learned_where_the_data_have_contexts(name, written):
    memory = memory_of("experiment=contexts", "k=2", f"memory.write_when={written}", name=name)
    assert (memory.addressing, memory.address, memory.shared_cell) == ("learned", LEARNED, False)


@pytest.mark.parametrize(
    "overrides",
    [
        (),
        ("experiment=recall",),
        ("experiment=contexts", "memory.addressing=formula"),
        ("experiment=contexts", "memory.selector=oracle"),
        ("experiment=contexts", "memory.selector=policy"),
        ("experiment=contexts", "memory.lifetime=global"),
    ],
)
def test_elsewhere_the_formula_stands(overrides):
    memory = memory_of(*overrides, "k=2")
    assert (memory.addressing, memory.address) == ("formula", FORMULA)


@pytest.mark.filterwarnings("default::memhrm.config.settings.SettingWarning")
def test_a_shared_cell_beside_a_learned_address_is_warned_of():
    with pytest.warns(UserWarning, match="shared_cell=true .* learns no address"):
        memory_of("experiment=contexts", "k=2", "memory.shared_cell=true")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        memory_of("experiment=contexts", "k=1")
        memory_of("experiment=contexts", "k=2")


def test_what_is_given_stays():
    memory = memory_of("experiment=contexts", "k=2", "memory.cls=frozen", "memory.written=2")
    assert memory.address == LEARNED._replace(cls="frozen", written=2)
    memory = memory_of("memory.addressing=learned", "memory.fresh=[0.3]")
    assert memory.address == LEARNED._replace(fresh=(0.3,))


def test_one_active_cell_is_written_and_so_are_all_where_all_are_to_be():
    assert memory_of("experiment=contexts", "k=1").written is None
    assert memory_of("experiment=contexts", "k=2", "memory.writes=all").written is None


def test_a_saved_run_says_what_null_came_to_and_is_read_back_the_same():
    run = parse(compose("train", ["experiment=contexts", "+memory=multicell", "k=2"]))
    assert run.config()["memory"]["cls"] == "key"
    assert parse(run.config()) == run
