"""python -m memhrm.evaluate run=DIR: the scores of a run's checkpoint on its held-out puzzles."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from memhrm.config.command import RunSource, command
from memhrm.config.settings import Settings, build, require_size


@dataclass(frozen=True, kw_only=True)
class OtherData(Settings):
    """Puzzles that take the place of the run's own; null leaves a setting as the run has it."""

    FILE: ClassVar[str] = "evaluate"
    GROUP: ClassVar[str] = "data"

    path: str | None
    test_file: str | None
    test_size: int | None
    test_length: int | None
    test_contexts: int | None
    test_episodes: int | None


@dataclass(frozen=True, kw_only=True)
class EvaluateSettings(RunSource):
    """The settings, which configs/evaluate.yaml describes."""

    FILE: ClassVar[str] = "evaluate"

    halt_max_steps: int | None
    H_cycles: int | None
    threshold: float | None
    sure: Literal["q", "confidence"] | None
    write: bool | None
    restarts: int
    noise: float
    select: str
    seed: int
    votes: int | None
    data: OtherData
    batch_size: int
    precision: Literal["float32", "bfloat16"] | None
    device: str
    threads: int | None
    progress: bool

    def __post_init__(self):
        super().__post_init__()
        if self.votes is not None:
            require_size("votes", self.votes, least=0)


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, score it, say the scores, write them; put the tests of ARC to the vote."""
    from memhrm.report.arc import page
    from memhrm.system.files import require_writable
    from memhrm.system.ranks import ranks as joined
    from memhrm.weights.restore import open_run
    from memhrm.weights.scores import evaluation_of, require_own, score, to_score
    from memhrm.weights.votes import tasks_of, vote

    settings = build(EvaluateSettings, config)
    restored = open_run(settings)
    evaluation = evaluation_of(restored, settings, given)
    out = Path(settings.out or Path(settings.run) / "metrics.json")
    used = {name: getattr(evaluation, name) for name in ("H_cycles", "sure")}
    record = asdict(settings) | used | {"halt_max_steps": evaluation.steps, "step": restored.step}
    require_own(out, record, settings.overwrite)
    require_writable("out", out)
    with joined(settings.device) as ranks:
        what = to_score(restored, settings, ranks)
        result = score(restored, what, settings, evaluation, ranks)
        if ranks.first:
            result.tell(Path(settings.run), evaluation)
        try:
            if (tasks := tasks_of(restored, what, settings)) is not None:
                place = out.parent if settings.out is None else out.with_suffix("")
                found = vote(restored, what, tasks, settings, evaluation, place, record, ranks)
                if found is not None:
                    result.scores["votes"] = found.scores()
                    found.tell()
                    about = f"Checkpoint of step {restored.step:,}; {found.about()}."
                    text = page(f"ARC: {settings.run}", about, result.scores["votes"], found.voted)
                    found.write(place, text)
        finally:  # Whatever becomes of the votes, the scores are there.
            if ranks.first:
                result.write(out, record)


if __name__ == "__main__":
    command("evaluate", main)
