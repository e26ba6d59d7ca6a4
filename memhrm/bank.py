"""python -m memhrm.bank add|remove|show run=DIR [FILE]: edit the labelled texts that a run's memory reads.

add puts the texts of FILE, CSV with the columns text and category, into the bank; a text that is there gets
the category of FILE. remove takes the texts of FILE out. show says what the bank holds; with FILE, which of
its texts the answers to those of FILE rest on. Nothing is trained: the next answer knows it.
"""

from pathlib import Path

from memhrm.config.console import Parser, run

EXAMPLE = """\
example:
  python -m memhrm.bank add run=runs/texts new.csv"""


def main(arguments: list[str] | None = None) -> None:
    """Edit the bank of a run, or show it.

    Raises:
        ValueError: there is no such run, it has no bank, or the file is missing or wrong.
    """
    parser = Parser(prog="python -m memhrm.bank", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("command", choices=["add", "remove", "show"], help="what to do")
    parser.add_argument("run", metavar="run=DIR", help="the run directory")
    parser.add_argument("file", nargs="?", type=Path, help="texts")
    options = parser.parse_args(arguments)
    from memhrm.weights.edits import added, removed, shown  # After the help, which needs none of it.

    folder, file = Path(options.run.removeprefix("run=")), options.file
    if options.command == "show":
        print(shown(folder, file))
        return
    if file is None:
        raise ValueError(f"FILE is missing; {options.command} needs a CSV file of texts")
    print((added if options.command == "add" else removed)(folder, file))


if __name__ == "__main__":
    run(main)
