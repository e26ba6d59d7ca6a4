"""Cells are taken out and put back as by PyTorch's own operations: the same values, the same gradients."""

import pytest
import torch

from memhrm.memory.store import first_tokens, put, take

B, N, LONG, D, K = 3, 5, 2, 4, 2


def plain_first(cells):
    return cells[:, :, 0], cells


def plain_take(cells, rows):
    return cells.flatten(0, 1).index_select(0, rows), cells


def plain_put(cells, rows, new):
    return cells.flatten(0, 1).index_copy(0, rows, new).view(cells.shape)


OURS, PLAIN = (first_tokens, take, put), (plain_first, plain_take, plain_put)


def chain(how, start, weights, steps=4, looks_only=(), reads_apart=False):
    """Several H-steps: the CLS are scored, cells are read, written and put back; what all of it comes to."""
    first, taken, back = how
    generator, total, cells = torch.Generator().manual_seed(1), 0.0, start
    for step in range(steps):
        cls, cells = first(cells)
        total = total + (cls * weights[0]).sum().sin()
        rows, others = (
            (torch.rand(B, N, generator=generator).argsort(1)[:, :K] + N * torch.arange(B)[:, None]).flatten()
            for _ in range(2)
        )
        active, cells = taken(cells, rows)
        total = total + (active * weights[1]).sum().cos()
        if reads_apart:
            active, cells = taken(cells, others)
            rows = others
        if step not in looks_only:
            cells = back(cells, rows, (active * weights[2]).tanh())
    return total + (cells**2).sum()


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("reads_apart", [False, True])
@pytest.mark.parametrize("looks_only", [(), (1,), (0, 1, 2, 3)])
@pytest.mark.parametrize("learns", [True, False])
def test_values_and_gradients_are_those_of_pytorch(steps, reads_apart, looks_only, learns):
    torch.manual_seed(0)
    start = torch.randn(B, N, LONG, D, requires_grad=learns)
    weights = [torch.randn(D, requires_grad=True) for _ in range(3)]
    wanted = [start, *weights] if learns else weights
    found = []
    for how in (OURS, PLAIN):
        total = chain(how, start, weights, steps, looks_only, reads_apart)
        gradients = torch.autograd.grad(total, wanted, allow_unused=True)
        found.append([total.detach(), *(one for one in gradients if one is not None)])
    for own, other in zip(*found, strict=True):
        torch.testing.assert_close(own, other, rtol=0, atol=0)


def test_a_gradient_of_others_is_left_alone():
    """What flows into the last memory from outside may be held by somebody."""
    cells = torch.randn(B, N, LONG, D, requires_grad=True)
    rows = torch.tensor([0, N, 2 * N])
    taken, cells2 = take(cells, rows)
    after = put(cells2, rows, taken * 2)
    given = torch.ones_like(after)
    for _ in range(2):
        (found,) = torch.autograd.grad(after, cells, given, retain_graph=True)
        assert (given == 1).all()
        assert (
            found.flatten(0, 1)[rows].unique().item() == 2
            and found.sum() == given.numel() + len(rows) * LONG * D
        )
    one, other = cells2 * 1.0, torch.zeros_like(cells2)
    (found,) = torch.autograd.grad((one + other).sum() + (cells2 * 3).sum(), cells, retain_graph=True)
    assert (found == 4).all()


def test_the_cost_of_a_gradient_follows_what_is_taken():
    """No tensor as large as the memory is made for an H-step, but for the memory that it writes."""
    from torch.profiler import ProfilerActivity, profile

    size = 64 * 1024
    cells = torch.randn(1, size, 1, 4, requires_grad=True)
    rows = torch.arange(3)

    def steps(count):
        memory = cells
        for _ in range(count):
            taken, memory = take(memory, rows)
            memory = put(memory, rows, taken * 2)
        return memory

    def made(count):
        after = steps(count)
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            torch.autograd.grad(after, cells, torch.ones_like(after))
        whole = 4 * cells.numel()
        return sum(one.self_cpu_memory_usage >= whole for one in seen.events())

    assert made(6) == made(2)
