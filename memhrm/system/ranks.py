"""Several processes: who they are, and what they tell each other. With one process every call is cheap.

Started by `torchrun --nproc-per-node N -m memhrm.train ...`; gloo on the CPU, nccl on CUDA.
"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor


@dataclass(frozen=True)
class Ranks:
    """This process's place among its peers, and its device."""

    rank: int
    size: int
    device: torch.device

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes files and speaks."""
        return self.rank == 0

    def rows(self, global_batch_size: int) -> slice:
        """Return the rows of a global batch that belong to this rank."""
        local = global_batch_size // self.size
        return slice(self.rank * local, (self.rank + 1) * local)

    def total(self, values: Tensor) -> Tensor:
        """Return the sum over ranks."""
        return summed(values) if self.size > 1 else values

    def wait(self) -> None:
        """Wait until every rank has come here."""
        if self.size > 1:
            dist.barrier()

    def any(self, flag: bool) -> bool:
        """Return whether the flag is true on any rank."""
        if self.size == 1:
            return flag
        return bool(self.total(torch.tensor(float(flag), device=self.device)))


def gathered(tensor: Tensor) -> Tensor:
    """Return the rows of all ranks in the order of the global batch; with one rank the tensor itself."""
    if not dist.is_initialized():
        return tensor
    kind = tensor.dtype
    sent = (tensor.to(torch.uint8) if kind == torch.bool else tensor).contiguous()
    parts = [torch.empty_like(sent) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, sent)
    return torch.cat(parts).to(kind)


def summed(tensor: Tensor) -> Tensor:
    """Return the sum over ranks; with one rank the tensor itself."""
    if dist.is_initialized():
        tensor = tensor.clone()
        dist.all_reduce(tensor)
    return tensor


def sum_gradients(parameters: Iterable[Tensor]) -> None:
    """Put the sum over ranks in place of each gradient, with one exchange for all of them."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if dist.is_initialized() and gradients:
        total = summed(torch.cat([gradient.flatten() for gradient in gradients]))
        for gradient, part in zip(gradients, total.split([gradient.numel() for gradient in gradients])):
            gradient.copy_(part.view_as(gradient))


def choose_device(name: str) -> torch.device:
    """Return the device of a name; "auto" takes CUDA where there is one, else the CPU.

    Raises:
        ValueError: PyTorch finds no such device on this machine.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    found = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not found.get(name, False):
        there = ", ".join(["auto", *(kind for kind, here in found.items() if here)])
        raise ValueError(f"device is {name!r}; allowed on this machine: {there}")
    if name == "cuda":
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return torch.device(name)


@contextmanager
def ranks(device_name: str) -> Iterator[Ranks]:
    """Join the processes that torchrun started, if it did, and leave them at the end."""
    device = choose_device(device_name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Ranks(0, 1, device)
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Ranks(dist.get_rank(), dist.get_world_size(), device)
    finally:
        time.sleep(0.2)  # gloo's threads need the interpreter to free their tensors; else the end may hang.
        dist.destroy_process_group()
