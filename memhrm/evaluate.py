"""python -m memhrm.evaluate run=DIR: the scores of a run's checkpoint on its held-out puzzles."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from memhrm.config import command


def main(config: dict[str, Any], given: frozenset[str] = frozenset()) -> None:
    from memhrm.data import load as load_data
    from memhrm.models.reasoner import count_parameters
    from memhrm.pretrained import from_run
    from memhrm.settings import build
    from memhrm.training.choice import EvaluateSettings
    from memhrm.training.episodes import evaluate_on
    from memhrm.training.evaluation import EvaluationSettings
    from memhrm.training.loop import split
    from memhrm.training.ranks import ranks
    from memhrm.training.report import table
    from memhrm.training.run import DTYPES, prepare_machine
    from memhrm.training.unused_later import refuse_unused_evaluation

    chosen = build(EvaluateSettings, config, "")
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
    with ranks(chosen.device) as me:
        prepare_machine(run)
        other = {name: value for name, value in asdict(chosen.data).items() if value is not None}
        dataset = load_data(**{**run.data, **other})
        puzzles = dataset.held_out() if other else split(run, dataset)[1]
        scores = evaluate_on(
            restored.model.to(me.device),
            dataset,
            puzzles,
            how,
            me,
            DTYPES[chosen.precision or run.precision],
            progress=chosen.progress and me.first,
        )
        if me.first:
            out = Path(chosen.out or Path(chosen.run) / "metrics.json")
            settings = asdict(chosen) | {"halt_max_steps": how.steps, "step": restored.step}
            out.parent.mkdir(parents=True, exist_ok=True)
            out.write_text(json.dumps({**scores, "settings": settings}, indent=1) + "\n")
            print(table({**scores, "parameters": count_parameters(restored.model)}, Path(chosen.run)))
            if how.restarts > 1:
                bound = ", an upper bound: it sees the labels" if how.select == "oracle" else ""
                single = f"a single one is exact on {scores['exact_accuracy_single']:.1%}"
                print(f"the best of {how.restarts} restarts by {how.select}{bound}; {single}")
            print(f"written to          {out}")


if __name__ == "__main__":
    command("evaluate", main)
