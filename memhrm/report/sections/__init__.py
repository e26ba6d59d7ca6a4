"""The sections of a report; a new one is a module here, words in texts.yaml and its name below.

A section has one name: that of its module, of the probe in `memhrm.probes` that it shows, of its numbers and
of its words. Its module has two functions: `compute(run)` returns the numbers of a run, or None where the
section does not apply; `show(runs)` returns the figures, tables and films of the runs to which it applies.
"""

from importlib import import_module

NAMES = (
    *("learning", "accuracy", "episodes", "dynamics", "q_head", "stability"),
    *("cells", "addresses", "information", "attention", "causal", "films"),
)
"""The names of the sections, in their order."""

SECTIONS = {name: import_module(f"{__name__}.{name}") for name in NAMES}
