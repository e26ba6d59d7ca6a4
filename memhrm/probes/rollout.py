"""Rollouts: everything that can be seen of a model from outside, at each supervision step.

S supervision steps, H H-steps of each, n puzzles, s tokens, t positions, d width, N cells.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from memhrm.config.settings import require, require_size
from memhrm.evaluation import rollout as evaluation
from memhrm.evaluation.rollout import Intervene, Noise, select
from memhrm.models.reasoner import Reasoner
from memhrm.models.recursion import State
from memhrm.probes.subject import Subject
from memhrm.training.losses import grade

PLAIN = "tokens", "exact", "accuracy", "q_halt", "q_continue"
"""The fields of a rollout that are single arrays."""


@dataclass(frozen=True)
class Rollout:
    """A rollout as numpy arrays, whose first axis is the supervision step.

    tokens: the answers, (S, n, s) int32. exact, accuracy: as of `grade`, (S, n).
        q_halt, q_continue: (S, n).
    residual: |z' - z| / |z|, (S, n), for z_H, z_L and each tensor of the memory that is `of_size`: from what
        the step began with, after an intervention and before noise, to what it gave; nan where z was zero.
    norm: root mean square of what the step gave, (S, n), by the same names.
    traces: what the H-steps report, (S, H, n, ...) each.
    states: of what `keep` names, (S + 1, n, ...); the first one is the start.

    A memory's tensor that is called as a state (`z_H` of carry_add) goes by `memory_z_H`.
    """

    tokens: np.ndarray
    exact: np.ndarray
    accuracy: np.ndarray
    q_halt: np.ndarray
    q_continue: np.ndarray
    residual: dict[str, np.ndarray]
    norm: dict[str, np.ndarray]
    traces: dict[str, np.ndarray]
    states: dict[str, np.ndarray]

    def __len__(self) -> int:
        """Return the number of supervision steps, S."""
        return len(self.tokens)

    def select(self, rows: slice | np.ndarray) -> "Rollout":
        """Return the rollout of the puzzles at `rows`."""

        def taken(values: Mapping[str, np.ndarray], axis: int = 1) -> dict[str, np.ndarray]:
            return {name: z[(*[slice(None)] * axis, rows)] for name, z in values.items()}

        plain = {name: getattr(self, name) for name in PLAIN}
        states = {name: taken(getattr(self, name)) for name in ("residual", "norm", "states")}
        return replace(self, **taken(plain), **states, traces=taken(self.traces, axis=2))


@torch.no_grad()
def rollout(
    subject: Subject,
    steps: int,
    *,
    start: State | None = None,
    noise: float = 0.0,
    seed: int = 0,
    restart: int = 0,
    intervene: Intervene | None = None,
    prefer: Tensor | None = None,
    write: bool | None = None,
    keep: Collection[str] = (),
    batch_size: int = 256,
    progress: Callable[[int], Any] | None = None,
) -> Rollout:
    """Run the subject's puzzles for `steps` supervision steps, as evaluation does, and record them.

    start: the state to begin with, (n, ...); None: the subject's own.
    noise: standard deviation of normal noise, added to z_H and z_L before each supervision step, also the
        first. It is a function of seed, restart, step and the puzzle's place alone, as in evaluation.
    intervene: called before each supervision step, and before the noise, with the step, from 0, and the state
        of one batch. One that mixes rows mixes those of a batch: give batch_size=len(subject) to mix all.
    prefer: added to the scores of the cells when they are chosen, (n, N) or (N,); see `Guide.prefer`.
    write: whether the memory is written; None: as the subject has it.
    keep: names of states to keep; see `measured`, and `usage`.
    progress: called after each supervision step of a batch with the rows it had (`tqdm.update` of a bar whose
        total is len(subject) * steps).

    Raises:
        ValueError: no step, no puzzle, an unknown name to keep, or cells preferred that there are not.
    """
    require(isinstance(subject, Subject), "subject", subject, "what open_subject returns")
    n, model = len(subject), subject.model
    require_size("steps", steps)
    require(n >= 1, "puzzles", n, "1 or above")
    require_size("batch_size", batch_size)
    require(isinstance(noise, int | float) and noise >= 0, "noise", noise, "0 or above")
    _check_names(keep, subject.initial_state())
    prefer = _preferred(prefer, n, model)
    model.eval()

    parts: list[dict[str, Any]] = []
    for first in range(0, n, batch_size):
        rows = slice(first, min(first + batch_size, n))
        part = subject.select(rows)
        state = part.initial_state() if start is None else select(start, rows)
        data = {name: tensor.to(state.z_H.device) for name, tensor in part.data().items()}
        seen: dict[str, Any] = defaultdict(list)
        seen["states"].append(_kept(state, keep))
        for step in evaluation.rollout(
            model,
            data,
            state,
            steps,
            dtype=subject.dtype,
            places=part.numbered(),
            write=subject.write if write is None else write,
            prefer=None if prefer is None else prefer[rows].to(state.z_H.device),
            noise=Noise(sigma=noise, seed=seed, restart=restart),
            intervene=intervene,
        ):
            _note(seen, step, data["labels"])
            seen["states"].append(_kept(step.state, keep))
            if progress is not None:
                progress(len(part))
        parts.append({name: _stacked(values) for name, values in seen.items()})
    return Rollout(**_joined(parts))


def measured(state: State) -> dict[str, Tensor]:
    """Return the parts of a state with a residual and a norm, by name: z_H, z_L and the memory's tensors."""
    return {name: z for name, z in _named(state).items() if of_size(name, z)}


def of_size(name: str, tensor: Tensor) -> bool:
    """Return whether the numbers of a memory's tensor have a size: counts of usage and places have none."""
    return name != "usage" and tensor.is_floating_point()


def _named(state: State) -> dict[str, Tensor]:
    own = {"z_H": state.z_H, "z_L": state.z_L}
    return own | {f"memory_{name}" if name in own else name: m for name, m in state.memory.items()}


def _check_names(keep: Collection[str], state: State) -> None:
    names = list(_named(state))
    require(isinstance(keep, Collection), "keep", keep, "a list of names")
    for name in keep:
        require(name in names, "keep", name, ", ".join(names))


def _preferred(prefer: Tensor | None, n: int, model: Reasoner) -> Tensor | None:
    if prefer is None:
        return None
    require(isinstance(prefer, Tensor), "prefer", prefer, "a tensor")
    cells = model.H_module.cells
    fits = cells > 0 and tuple(prefer.shape) in ((cells,), (n, cells))
    allowed = f"({cells},) or ({n}, {cells})" if cells else "none, since the memory has no cells"
    require(fits, "the shape of prefer", tuple(prefer.shape), allowed)
    return prefer.expand(n, cells)


def _kept(state: State, keep: Collection[str]) -> dict[str, np.ndarray]:
    named = _named(state)
    return {name: _array(named[name]) for name in keep}


def _note(seen: dict[str, Any], step: evaluation.Step, labels: Tensor) -> None:
    """Append the record of one supervision step."""
    out = step.output
    graded = grade(out.logits, labels)
    seen["tokens"].append(_array(out.logits.argmax(dim=-1).to(torch.int32)))
    seen["exact"].append(_array(graded.exact))
    seen["accuracy"].append(_array(graded.accuracy))
    seen["q_halt"].append(_array(out.q_halt))
    seen["q_continue"].append(_array(out.q_continue))
    old, new = measured(step.before), measured(step.state)
    seen["residual"].append({name: _array(_change(old[name], z)) for name, z in new.items()})
    seen["norm"].append({name: _array(_size(z) / z[0].numel() ** 0.5) for name, z in new.items()})
    names = out.traces[0] if out.traces else {}
    seen["traces"].append({name: np.stack([_array(trace[name]) for trace in out.traces]) for name in names})


def _change(before: Tensor, after: Tensor) -> Tensor:
    """Return |after - before| / |before| of each row, (b,); nan where before is zero."""
    size = _size(before)
    return torch.where(size > 0, _size(after - before) / size, torch.nan)


def _size(z: Tensor) -> Tensor:
    """Return the Euclidean norm of each row, (b,), in float32 at least."""
    return torch.linalg.vector_norm(z.flatten(1), dim=1, dtype=torch.promote_types(z.dtype, torch.float32))


def _array(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.is_floating_point() else tensor).cpu().numpy()


def _stacked(values: list) -> Any:
    """Stack the steps of one batch, array by array."""
    if isinstance(values[0], Mapping):
        return {name: np.stack([value[name] for value in values]) for name in values[0]}
    return np.stack(values)


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    """Concatenate batches along the axis of the puzzles: the third of traces, the second of the rest."""
    joined: dict[str, Any] = {}
    for name, first in parts[0].items():
        if isinstance(first, Mapping):
            axis = 2 if name == "traces" else 1
            joined[name] = {
                key: np.concatenate([part[name][key] for part in parts], axis=axis) for key in first
            }
        else:
            joined[name] = np.concatenate([part[name] for part in parts], axis=1)
    return joined
