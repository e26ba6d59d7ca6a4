"""From an example to vectors: tokens, the puzzle's own prefix, positions.

b batch, s token, p prefix, t = p + s, d width, e puzzle_emb_ndim, R rows, C columns.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.nn.layers import truncated_normal_


class InputEmbedding(nn.Module):
    """Tokens (b, s) and puzzle rows (b, e) to x (b, t, d), scaled by sqrt(d).

    The rows are padded with zeros to prefix_length * d and stand before the tokens as a prefix. A token
    behind the vocabulary is a (question, answer) pair, made by `memhrm.data.task.Task.pair`: its
    vector is the question's embedding plus one of the pair. Each pair has its own embedding. Adding two
    embeddings would lose the pairing: averaged over positions, every permutation of the digits would give
    the same vector.

    With `bag` tokens to a position its vector is their sum over the root of their number, padding left out:
    so a word is what its letters and parts are (Bojanowski et al. 2017, arXiv 1607.04606).

    Args:
        vocab_size: tokens.
        prefix_length: p.
        width: d.
        places: what has a vector that is learned: s, each token its own; (R, C), each row and each column,
            which are added, so that a step to the side is the same step everywhere; None, nothing.
        answers: answers that a pair can have; 0: there are no pairs.
        bag: tokens of a position.
    """

    def __init__(
        self,
        vocab_size: int,
        prefix_length: int,
        width: int,
        places: int | tuple[int, int] | None = None,
        answers: int = 0,
        bag: int = 1,
    ):
        super().__init__()
        self.vocab_size = vocab_size
        self.prefix_length = prefix_length
        self.width = width
        self.bag = bag
        self.num_answers, self.pairs = answers, None
        if answers:
            self.pairs = _table(vocab_size * answers, width)
        self.tokens = _table(vocab_size, width)
        self.positions = self.rows = self.columns = None
        if isinstance(places, tuple):
            self.rows, self.columns = (_table(count, width) for count in places)
            places = 0  # The prefix alone has positions of its own.
        if places is not None and prefix_length + places:
            self.positions = _table(prefix_length + places, width)

    def forward(self, inputs: Tensor, puzzle_rows: Tensor | None) -> Tensor:
        """Return x (b, t, d) of tokens (b, s) and, if there is a prefix, of puzzle rows (b, e)."""
        if self.bag > 1:
            x = self._bags(inputs)
        elif self.pairs is None:
            x = F.embedding(inputs, self.tokens)
        else:
            code = inputs - self.vocab_size
            shown = code >= 0
            x = F.embedding(torch.where(shown, code // self.num_answers, inputs), self.tokens)
            pairs = F.embedding(torch.where(shown, code, 0), self.pairs)
            x = x + torch.where(shown.unsqueeze(-1), pairs, 0)
        if puzzle_rows is not None:
            padding = self.prefix_length * self.width - puzzle_rows.shape[-1]
            prefix = F.pad(puzzle_rows.to(x.dtype), (0, padding))
            x = torch.cat((prefix.unflatten(-1, (self.prefix_length, self.width)), x), dim=1)
        where = self._where()
        if where is not None:
            x = 0.5**0.5 * (x + where[: x.shape[1]])  # The sum of two keeps the variance of one.
        return self.width**0.5 * x

    def _where(self) -> Tensor | None:
        """Return the vectors of all places, (t, d)."""
        if self.rows is None or self.columns is None:
            return self.positions
        lines = (0.5**0.5 * (self.rows.unsqueeze(1) + self.columns)).flatten(0, 1)
        return lines if self.positions is None else torch.cat((self.positions, lines))

    def _bags(self, inputs: Tensor) -> Tensor:
        """Return the vectors of positions whose tokens stand side by side: (b, bag t) to (b, t, d)."""
        bags = inputs.unflatten(-1, (-1, self.bag))
        total = F.embedding_bag(bags.flatten(0, 1), self.tokens, mode="sum", padding_idx=0)
        count = (bags > 0).sum(dim=-1, keepdim=True).clamp(min=1)
        return total.view(*bags.shape[:2], -1) * count.to(total.dtype).rsqrt()


def _table(count: int, width: int) -> nn.Parameter:
    """Return a vector for each of so many things, (count, d)."""
    return nn.Parameter(truncated_normal_(torch.empty(count, width), std=width**-0.5))
