"""The sections of a report; a new one is a module here, words in texts.yaml and a place below.

A section has one name: that of its module, of the probe in `memhrm.probes` that it shows, of its numbers and
of its words. Its module has two functions: `compute(run)` returns the numbers of a run, or None where the
section does not apply; `show(runs)` returns the figures, tables and films of the runs to which it applies.
"""

from types import ModuleType

from memhrm.report.sections import (
    accuracy,
    attention,
    causal,
    cells,
    dynamics,
    episodes,
    films,
    information,
    learning,
    q_head,
    stability,
)

ORDER = (
    learning,
    accuracy,
    episodes,
    dynamics,
    q_head,
    stability,
    cells,
    information,
    attention,
    causal,
    films,
)
SECTIONS: dict[str, ModuleType] = {module.__name__.rpartition(".")[2]: module for module in ORDER}
