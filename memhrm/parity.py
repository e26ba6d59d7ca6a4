"""python -m memhrm.parity FILE.npz...: does this package compute what the published HRM and TRM compute?"""

from pathlib import Path

from memhrm.config.console import Parser

EXAMPLES = """\
example, in a checkout:
  python -m memhrm.parity tests/parity/*.npz"""


def main() -> int:
    parser = Parser(prog="python -m memhrm.parity", description=__doc__, epilog=EXAMPLES)
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE.npz", help="records of the published code"
    )
    parser.add_argument("--all", action="store_true", help="print every quantity, not the worst of each kind")
    args = parser.parse_args()

    from memhrm.published.replay import replay

    exceeded = 0
    for path in args.files:
        deviations = replay(path)
        exceeded += sum(not d.within for d in deviations)
        print(f"{path.name}: {len(deviations)} quantities")
        for d in deviations if args.all else _worst(deviations):
            limit = "not judged" if d.tolerance is None else f"{d.tolerance:.0e}"
            print(f"  {d.quantity:<58} {d.largest:10.2e}  {limit:>10}  {'ok' if d.within else 'EXCEEDED'}")
    print("all within tolerance" if not exceeded else f"{exceeded} exceeded their tolerance")
    return int(exceeded > 0)


def _worst(deviations: list) -> list:
    """Per kind of quantity and tolerance the largest deviation, and all that exceed theirs."""
    worst: dict = {}
    for d in deviations:
        parts = d.quantity.split("/")
        kind = (parts[0], parts[2] if len(parts) > 2 else "", d.tolerance)
        if kind not in worst or not d.largest <= worst[kind].largest:
            worst[kind] = d
    return [d for d in deviations if d in worst.values() or not d.within]


if __name__ == "__main__":
    from memhrm.config.console import run

    run(main)
