"""python -m memhrm.bench [setting=value ...] [--vs "setting=value ..."]: what a configuration costs.

Takes every setting of memhrm.train. With --vs a second configuration is measured in alternation with the
first; its settings are added to those of the first. With --target nothing is measured: it finds the width at
which the first configuration has as many parameters, or FLOPs, as the target, for a fair control.
"""

import argparse
import json
import shlex
from dataclasses import asdict
from statistics import median
from typing import Any, Literal


def main() -> int:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m memhrm.bench", description=__doc__, formatter_class=form)
    parser.add_argument("settings", nargs="*", metavar="setting=value")
    parser.add_argument("--vs", metavar="SETTINGS", help="settings in which the second configuration differs")
    parser.add_argument("--repeat", type=int, metavar="N", help="measurements of each (5)")
    parser.add_argument("--json", metavar="FILE", help="write all numbers to a file")
    parser.add_argument("--target", metavar="SETTINGS", help="settings of a run that the first is to match")
    parser.add_argument("--match", choices=["parameters", "flops"], help="in what (parameters)")
    args = parser.parse_args()

    from memhrm.measure import measure
    from memhrm.settings import require
    from memhrm.training.unused import refuse

    if args.target is not None:
        for name in ("vs", "repeat", "json"):
            refuse(getattr(args, name) is not None, f"--{name}", getattr(args, name), "with --target")
        first, target = (_config(words, matched=True) for words in (args.settings, shlex.split(args.target)))
        return _match(first, target, args.match or "parameters")
    refuse(args.match is not None, "--match", args.match, "without --target")
    repeat = 5 if args.repeat is None else args.repeat
    require(repeat >= 1, "--repeat", repeat, "1 or above")
    configs = {" ".join(args.settings) or "defaults": _config(args.settings)}
    if args.vs:
        configs[f"with {args.vs}"] = _config([*args.settings, *shlex.split(args.vs)])
    results = measure(configs, repeat)
    for result in results:
        print("\n".join(f"{name:<26}{value}" for name, value in result.rows()), end="\n\n")
    if len(results) == 2:
        first, second = results
        for what in ("train", "evaluation"):
            pairs = zip(getattr(first, f"{what}_seconds"), getattr(second, f"{what}_seconds"))
            ratios = [a / b for a, b in pairs]
            each = " ".join(f"{ratio:.3f}" for ratio in ratios)
            print(f"{what} time, first / second: median {median(ratios):.3f}, pair by pair {each}")
        print(f"peak memory, first / second: {first.peak_bytes / second.peak_bytes:.3f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump([asdict(result) for result in results], file, indent=1)
    return 0


def _config(words: list[str], *, matched: bool = False) -> dict[str, Any]:
    """The configuration of a training command, whose given settings must count here."""
    from memhrm.config import compose, given
    from memhrm.training.resolve import resolved
    from memhrm.training.unused_later import refuse_unmeasured

    config = compose("train", words)
    refuse_unmeasured(config, given(words), matched=matched)
    return resolved(config, given(words))


def _match(config: dict[str, Any], target: dict[str, Any], what: Literal["parameters", "flops"]) -> int:
    from memhrm.matching import cost, match

    width, found = match(config, target, what)
    wanted = cost(target)
    print(f"{'':<14}{'parameters':>14}{'FLOPs per example and supervision step':>42}")
    for name, one in (("target", wanted), ("as given", cost(config)), ("matched", found)):
        print(f"{name:<14}{one.parameters:>14,}{one.flops:>42,}")
    print(f"\nmodel.hidden_size={width} matches the target's {what}")
    return 0


if __name__ == "__main__":
    from memhrm.console import run

    run(main)
