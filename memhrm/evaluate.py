"""python -m memhrm.evaluate run=DIR: the scores of a run's checkpoint on its held-out puzzles."""

import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from memhrm.config.command import command


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    """Open the run, score it, say the scores, write them."""
    from memhrm.config.settings import build
    from memhrm.config.trust import trust
    from memhrm.evaluation.evaluate import EvaluationSettings, evaluate
    from memhrm.models.reasoner import count_parameters
    from memhrm.runs.choice import EvaluateSettings
    from memhrm.runs.held_out import scored
    from memhrm.runs.settings import DTYPES, prepare_machine
    from memhrm.runs.summary import table
    from memhrm.runs.unused_commands import refuse_unused_evaluation
    from memhrm.runs.used import left_out
    from memhrm.system.files import require_writable, write_json
    from memhrm.system.ranks import ranks
    from memhrm.weights.restore import from_run

    chosen = build(EvaluateSettings, config, "")
    trust(chosen.trust)
    restored = from_run(Path(chosen.run), chosen.checkpoint, chosen.weights)
    refuse_unused_evaluation(chosen, restored.run, given)
    run = replace(restored.run, threads=chosen.threads)
    how = EvaluationSettings(
        steps=run.halting.halt_max_steps if chosen.halt_max_steps is None else chosen.halt_max_steps,
        threshold=chosen.threshold,
        batch_size=chosen.batch_size,
        loss=run.loss.kind,
        write=run.memory.write_in_evaluation if chosen.write is None else chosen.write,
        restarts=chosen.restarts,
        noise=chosen.noise,
        select=chosen.select,
        seed=chosen.seed,
    )
    settings = asdict(chosen) | {"halt_max_steps": how.steps, "step": restored.step}
    out = Path(chosen.out or Path(chosen.run) / "metrics.json")
    require_mine(out, settings, chosen.overwrite)
    require_writable("out", out)
    other = {name: value for name, value in asdict(chosen.data).items() if value is not None}
    with ranks(chosen.device) as me:
        prepare_machine(run)
        what = scored(run, restored.used, restored.content.get("data"), other)
        if me.first and what.left_out:
            print(left_out(what.left_out, what.total), file=sys.stderr)
        scores = evaluate(
            restored.model.to(me.device),
            what.dataset.task,
            what.episodes,
            how,
            me,
            DTYPES[chosen.precision or run.precision],
            progress=chosen.progress and me.first,
        )
        if me.first:
            print(table({**scores, "parameters": count_parameters(restored.model)}, Path(chosen.run)))
            if how.restarts > 1:
                bound = ", an upper bound: it sees the labels" if how.select == "oracle" else ""
                single = f"a single one is exact on {scores['exact_accuracy_single']:.1%}"
                print(f"the best of {how.restarts} restarts by {how.select}{bound}; {single}", flush=True)
            write_json(out, {**scores, "left_out": what.left_out, "settings": settings})
            print(f"written to          {out}")


def require_mine(out: Path, settings: dict[str, Any], overwrite: bool) -> None:
    """Refuse to replace a file, unless it may be, or is the result of this very command.

    Raises:
        ValueError: something else is there.
    """
    from memhrm.system.files import read_json, require_free

    ways = ("out", "overwrite", "progress", "threads", "device", "batch_size", "trust")
    if out.is_file() and not overwrite:
        try:
            found = read_json(out)["settings"]
            again = all(found[name] == value for name, value in settings.items() if name not in ways)
        except (ValueError, KeyError, TypeError):
            again = False
        if again:
            return
    require_free("out", out, overwrite)


if __name__ == "__main__":
    command("evaluate", main)
