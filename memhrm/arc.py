"""python -m memhrm.arc score SUBMISSION SOLUTIONS: the score of a submission to ARC.

SUBMISSION is JSON as Kaggle takes it: for each task a list with an object for each test, of attempt_1 and
attempt_2. SOLUTIONS are Kaggle's, a list of grids for each task; or tasks that hold the outputs of their
tests. A task that the submission lacks counts as not solved.
"""

from pathlib import Path

from memhrm.config.console import Parser, run

EXAMPLE = """\
example:
  python -m memhrm.arc score runs/arc/submission.json arc-agi_evaluation_solutions.json"""


def main(arguments: list[str] | None = None) -> None:
    """Read both files, score the one by the other.

    Raises:
        ValueError: a file is missing or holds something else.
    """
    from memhrm.data.arc.votes import read_solutions, read_submission, score

    parser = Parser(prog="python -m memhrm.arc", description=__doc__, epilog=EXAMPLE)
    parser.add_argument("command", choices=["score"], help="what to do")
    parser.add_argument("submission", type=Path, help="the submission")
    parser.add_argument("solutions", type=Path, help="the right outputs")
    options = parser.parse_args(arguments)
    solutions = read_solutions(options.solutions)
    tests = {name: len(outputs) for name, outputs in solutions.items()}
    attempts = read_submission(options.submission, tests)
    rates = score(attempts, solutions)
    missing = sum(not any(of_task) for of_task in attempts.values())
    note = f"; {missing:,} of them are missing and count as not solved" if missing else ""
    print(f"{len(tests):,} tasks with {sum(tests.values()):,} tests{note}")
    for tries, what in ((2, "two attempts"), (1, "the first attempt alone")):
        print(f"{what:<24}{rates[f'pass@{tries}']:>7.1%} of tests, as the mean over tasks; "
              f"{rates[f'pass@{tries}_whole_task']:.1%} of whole tasks")  # fmt: skip


if __name__ == "__main__":
    run(main)
