"""python -m memhrm.models: the small models that come with the package, for `memhrm.load(NAME)`."""

from memhrm.config.console import Parser, run

EXAMPLE = """\
examples:
  python -m memhrm.models
  python -m memhrm.models sudoku4"""


def main() -> None:
    """Print a line for each model, or the card of one."""
    parser = Parser(prog="python -m memhrm.models", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("name", nargs="?", help="show the card of this model")
    args = parser.parse_args()
    from memhrm.weights.zoo import described, names, path_of  # --help does not wait for it.

    if args.name is not None:
        print(path_of(args.name).with_suffix(".md").read_text(encoding="utf-8"), end="")
        return
    print(
        f"{'':<20}{'data':<12}{'memory':<12}{'KiB':>6}{'exact, %':>10}  {'95 % interval':<16}best possible, %"
    )
    for one in map(described, names()):
        low, high = one.interval
        print(
            f"{one.name:<20}{one.data:<12}{one.memory:<12}{one.size >> 10:>6}{one.exact:>10}  "
            f"{f'{low} to {high}':<16}{'' if one.best is None else one.best}".rstrip()
        )


if __name__ == "__main__":
    run(main)
