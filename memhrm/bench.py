"""python -m memhrm.bench [setting=value ...] [--vs "setting=value ..."]: what a configuration costs.

Takes every setting of memhrm.train. With --vs a second configuration is measured in alternation with the
first; its settings are added to those of the first. With --target nothing is measured: it finds the width at
which the first configuration has as many parameters, or FLOPs, as the target, for a fair control.
"""

import os
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any, Literal

from memhrm.config.console import Parser

EXAMPLES = """\
examples:
  python -m memhrm.bench model=trm model.hidden_size=128
  python -m memhrm.bench model=trm --vs "compile=true"
  python -m memhrm.bench +memory=carry_add --target "+memory=multicell" --match flops"""


def main() -> int:
    parser = Parser(prog="python -m memhrm.bench", description=__doc__, epilog=EXAMPLES)
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="setting=value",
        help="as python -m memhrm.train --help has them",
    )
    parser.add_argument(
        "--vs", metavar="SETTINGS", help="settings in which a second configuration differs (default: none)"
    )
    parser.add_argument("--repeat", type=int, metavar="N", help="measurements of each (default: 5)")
    file = os.path.expanduser
    parser.add_argument("--json", type=file, metavar="FILE", help="write all numbers here (default: nowhere)")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there")
    parser.add_argument("--target", metavar="SETTINGS", help="settings of a run to match (default: none)")
    parser.add_argument(
        "--match",
        choices=["parameters", "flops"],
        help="in what (default: parameters)",
    )
    args = parser.parse_intermixed_args()

    from memhrm.config.settings import require
    from memhrm.cost.benchmark import measure
    from memhrm.runs.unused import refuse
    from memhrm.system.files import require_free, write_json

    if args.target is not None:
        for name in ("vs", "repeat", "json"):
            refuse(getattr(args, name) is not None, f"--{name}", getattr(args, name), "with --target")
        both = args.settings, _words("--target", args.target)
        first, target = (_config(words, matched=True) for words in both)
        return _match(first, target, args.match or "parameters")
    refuse(args.match is not None, "--match", args.match, "without --target")
    repeat = 5 if args.repeat is None else args.repeat
    require(repeat >= 1, "--repeat", repeat, "1 or above")
    refuse(args.overwrite and not args.json, "--overwrite", True, "without --json")
    if args.json:
        require_free("--json", Path(args.json), args.overwrite, "--overwrite")
    configs = {" ".join(args.settings) or "defaults": _config(args.settings)}
    if args.vs:
        configs[f"with {args.vs}"] = _config([*args.settings, *_words("--vs", args.vs)])
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
        write_json(Path(args.json), [asdict(result) for result in results])
    return 0


def _words(option: str, text: str) -> list[str]:
    """The settings in the text of an option."""
    try:
        return shlex.split(text)
    except ValueError as error:
        raise ValueError(f"{option} is {text!r}, in which a quote is not closed") from error


def _config(words: Sequence[str], *, matched: bool = False) -> dict[str, Any]:
    """The configuration of a training command, whose given settings must count here."""
    from memhrm.config.command import compose, given
    from memhrm.config.trust import trust_own
    from memhrm.runs.resolve import resolved
    from memhrm.runs.unused_commands import refuse_unmeasured

    config = compose("train", words)
    trust_own(config)
    refuse_unmeasured(config, given(words), matched=matched)
    return resolved(config, given(words))


def _match(config: dict[str, Any], target: dict[str, Any], what: Literal["parameters", "flops"]) -> int:
    from memhrm.cost.matching import cost, match

    width, found = match(config, target, what)
    wanted = cost(target)
    print(f"{'':<14}{'parameters':>14}{'FLOPs per example and supervision step':>42}")
    for name, one in (("target", wanted), ("as given", cost(config)), ("matched", found)):
        print(f"{name:<14}{one.parameters:>14,}{one.flops:>42,}")
    print(f"\nmodel.hidden_size={width} matches the target's {what}")
    return 0


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
