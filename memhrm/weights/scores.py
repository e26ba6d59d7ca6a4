"""Score a trained model on puzzles that its run has not used."""

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memhrm.config.settings import require
from memhrm.data import Episodes
from memhrm.data.arc.settings import ArcSettings
from memhrm.data.settings import parse as parse_data
from memhrm.evaluation.answers import EvaluationSettings, Sure
from memhrm.evaluation.evaluate import evaluate
from memhrm.models.reasoner import count_parameters
from memhrm.runs.build import prepare_machine
from memhrm.runs.held_out import Scored, scored
from memhrm.runs.settings import DTYPES
from memhrm.runs.summary import table
from memhrm.runs.unused_commands import refuse_unused_evaluation
from memhrm.runs.used import left_out
from memhrm.system.files import read_json, require_free, write_json
from memhrm.system.ranks import Ranks
from memhrm.weights.restore import Restored

WAYS = ("out", "overwrite", "progress", "threads", "device", "batch_size", "trust")
"""Settings of an evaluation that do not change its scores."""


@dataclass(frozen=True)
class Result:
    """Scores by name.

    Attributes:
        scores: of the puzzles that were scored.
        left_out: test puzzles that were not scored, because the run has used them.
        parameters: of the model.
    """

    scores: dict[str, Any]
    left_out: int
    parameters: int

    def tell(self, run: Path, evaluation: EvaluationSettings) -> None:
        """Print the scores."""
        print(table({**self.scores, "parameters": self.parameters}, run))
        if evaluation.restarts > 1:
            bound = ", an upper bound: it sees the labels" if evaluation.select == "oracle" else ""
            single = f"a single one is exact on {self.scores['exact_accuracy_single']:.1%}"
            rule = f"the best of {evaluation.restarts} restarts by {evaluation.select}"
            print(f"{rule}{bound}; {single}", flush=True)

    def write(self, out: Path, settings: dict[str, Any]) -> None:
        """Write the scores, and the settings that led to them, as JSON."""
        write_json(out, {**self.scores, "left_out": self.left_out, "settings": settings})
        print(f"written to          {out}")


def evaluation_of(restored: Restored, settings: Any, given: frozenset[str]) -> EvaluationSettings:
    """Return how a run is evaluated: as the command says, and as in training where it says nothing.

    Args:
        restored: the run.
        settings: those of `memhrm.evaluate`.
        given: the settings that stood on the command line.

    Raises:
        ValueError: a setting is out of range, or was given and changes nothing.
    """
    run = restored.run
    refuse_unused_evaluation(settings, run, given)
    judges = run.loss.judges
    trained = "as Q was not trained (loss.q_halt=0)"
    require(judges or settings.sure != "q", "sure", "q", f"confidence, {trained}")
    chosen_by_q = settings.restarts > 1 and settings.select == "q"
    require(judges or not chosen_by_q, "select", "q", f"residual, majority, oracle, {trained}")
    peeps = settings.select == "oracle" and isinstance(parse_data(run.data), ArcSettings)
    allowed = f"q, residual, majority with data={run.data['name']}, whose votes may not see the labels"
    require(not peeps, "select", "oracle", allowed)
    usual: Sure = "q" if judges and run.halting.rule != "confidence" else "confidence"
    return EvaluationSettings(
        steps=run.halting.halt_max_steps if settings.halt_max_steps is None else settings.halt_max_steps,
        H_cycles=run.model.H_cycles if settings.H_cycles is None else settings.H_cycles,
        threshold=settings.threshold,
        sure=usual if settings.sure is None else settings.sure,
        batch_size=settings.batch_size,
        loss=run.loss.kind,
        write=run.memory.write_in_evaluation if settings.write is None else settings.write,
        restarts=settings.restarts,
        noise=settings.noise,
        select=settings.select,
        seed=settings.seed,
    )


def to_score(restored: Restored, settings: Any, ranks: Ranks) -> Scored:
    """Return what a trained model is scored on; a line on stderr says how many test puzzles are left out.

    Args:
        restored: the model and its run.
        settings: those of `memhrm.evaluate`.
        ranks: the processes that share the work.
    """
    run = replace(restored.run, threads=settings.threads)
    prepare_machine(run)
    what = scored(run, restored.used, restored.content.get("data"), other_data(settings))
    if ranks.first and what.left_out:
        print(left_out(what.left_out, len(what.test)), file=sys.stderr)
    return what


def other_data(settings: Any) -> dict[str, Any]:
    """Return the settings of the data that an evaluation sets in place of its run's."""
    return {name: value for name, value in asdict(settings.data).items() if value is not None}


def score(
    restored: Restored, what: Scored, settings: Any, evaluation: EvaluationSettings, ranks: Ranks
) -> Result:
    """Score a trained model.

    Args:
        restored: the model and its run.
        what: what it is scored on.
        settings: those of `memhrm.evaluate`.
        evaluation: how the model is run.
        ranks: the processes that share the work.
    """
    model, dtype = restored.model.to(ranks.device), DTYPES[settings.precision or restored.run.precision]
    progress = settings.progress and ranks.first

    def found(episodes: Episodes) -> dict[str, Any]:
        task, maker = what.dataset.task, what.dataset.episodes
        return evaluate(model, task, episodes, evaluation, ranks, dtype, progress, maker)

    scores = found(what.episodes)
    if what.series:
        scores["series"] = {name: found(episodes) for name, episodes in what.series.items()}
    return Result(scores, what.left_out, count_parameters(restored.model))


def require_own(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Refuse to replace a file, unless it may be, or is the result of the same evaluation.

    Raises:
        ValueError: something else is there.
    """
    if out.is_file() and not overwrite:
        try:
            found = read_json(out)["settings"]
            again = all(found[name] == value for name, value in settings.items() if name not in WAYS)
        except (ValueError, KeyError, TypeError):
            again = False
        if again:
            return
    require_free("out", out, overwrite)
