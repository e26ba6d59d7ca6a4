"""How a memory that exchanges by cross-attention reads and writes, from the weights of its attentions.

b batch, t position, d width, k cells, l tokens of a cell, m heads, c channels of a head. Computed in
float32 at least.
"""

import torch
from torch import Tensor

from memhrm.memory.base import Trace
from memhrm.memory.cross_attention import CrossAttention, Read, Write


@torch.no_grad()
def maps(
    read: Read,
    write: Write,
    h: Tensor,
    tokens: Tensor,
    weights: Tensor,
    h_plus: Tensor,
    present: Tensor | None,
    *,
    targets: Tensor | None = None,
    together: bool = False,
) -> Trace:
    """Return the maps of one H-step, as `HModule.has_maps` promises them.

    Attention sums to 1 over a cell's tokens at every position, so that it does not show how much is read
    from a cell.

    Args:
        read: the attention that reads.
        write: the attention that writes.
        h: the state that reads, (b, t, d).
        tokens: the cells that are read, after their norm, (b, k, l, d).
        weights: the weight of each cell's values, (b, k).
        h_plus: the state that is written, (b, t, d).
        present: the positions that are no padding, (b, t); None for all.
        targets: the cells that are written, after their norm, (b, k, l, d); None: those that are read.
        together: whether a position's attention is shared out among all cells; else each cell's tokens have
            all of it.

    Returns:
        read_map, the root mean square of what a cell adds to a position, and write_map, the attention of a
        cell to the positions, mean over heads and tokens: (b, k, t) each; and read_token_map and
        write_token_map, the attention between positions and tokens, mean over heads: (b, k, l, t) each.
    """
    wide = torch.promote_types(h.dtype, torch.float32)
    targets = tokens if targets is None else targets
    h, tokens, targets, weights, h_plus = (x.to(wide) for x in (h, tokens, targets, weights, h_plus))
    reads = read_attention(read, h, tokens, together)
    writes = write_attention(write, targets, h_plus, present)
    added = contributions(read, reads, tokens, weights)
    return {
        "read_map": added.square().mean(dim=-1).sqrt(),
        "write_map": writes.mean(dim=(1, 3)),
        "read_token_map": reads.mean(dim=1),
        "write_token_map": writes.mean(dim=1),
    }


def read_attention(read: Read, h: Tensor, tokens: Tensor, together: bool = False) -> Tensor:
    """Return the attention of each position to tokens (b, k, l, d): (b, m, k, l, t).

    It sums to 1 over l, or with `together` over k and l.
    """
    q = _heads(read, read.q(h if read.positions is None else h + read.positions.to(h.dtype)))
    keys = _heads(read, read.kv(tokens).chunk(2, dim=-1)[0])
    scores = torch.einsum("btmc,bklmc->bmklt", q, keys) * q.shape[-1] ** -0.5
    return scores.flatten(2, 3).softmax(dim=2).view_as(scores) if together else scores.softmax(dim=3)


def write_attention(write: Write, tokens: Tensor, h_plus: Tensor, present: Tensor | None = None) -> Tensor:
    """Return the attention of tokens (b, k, l, d) to the positions, (b, m, k, l, t): 1 in sum over t."""
    q, keys = _heads(write, write.q(tokens)), _heads(write, write.keys_and_values(h_plus)[0])
    scores = torch.einsum("bklmc,btmc->bmklt", q, keys) * q.shape[-1] ** -0.5
    if present is not None:
        scores = scores.masked_fill(~present[:, None, None, None], torch.finfo(scores.dtype).min)
    return scores.softmax(dim=-1)


def contributions(read: Read, attention: Tensor, tokens: Tensor, weights: Tensor) -> Tensor:
    """Return what each cell adds to each position, (b, k, t, d), which sums to dz over k."""
    values = _heads(read, read.kv(tokens).chunk(2, dim=-1)[1]) * weights[:, :, None, None, None]
    taken = torch.einsum("bmklt,bklmc->bktmc", attention, values)
    return read.out(taken.flatten(3))


def written(write: Write, attention: Tensor, h_plus: Tensor) -> Tensor:
    """Return what the attention writes to each token, before its feed-forward net, dm (b, k, l, d)."""
    values = _heads(write, write.keys_and_values(h_plus)[1])
    return write.out(torch.einsum("bmklt,btmc->bklmc", attention, values).flatten(3))


def _heads(attention: CrossAttention, x: Tensor) -> Tensor:
    """Split heads: (..., d) to (..., m, c)."""
    return x.unflatten(-1, (attention.num_heads, -1))
