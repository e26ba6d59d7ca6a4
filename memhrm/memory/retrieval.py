"""Retrieval: a bank of labelled examples as cells, of which every H-step reads the k that it asks for.

b batch, s token, t position, d width of the state, w width of a key, n examples of the bank, k that are read,
C labels that were trained.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from memhrm.config.settings import MOST, advise, require, require_size
from memhrm.memory.base import Context, HModule, HShape, Memory, MemorySettings, Trace
from memhrm.memory.cross_attention import Read, Residual, layer_norm
from memhrm.memory.index import Index, IndexName, library, made, recall
from memhrm.nn.layers import Linear, masked_mean

NOTHING = -1e4
"""How well a place of the k matches that holds no example: its weight is 0."""

CHUNK = 1024
"""Examples whose keys are computed at a time."""

Version = tuple[Tensor, int]
"""A weight, which is held, so that no other takes its place in memory, and its version."""


@dataclass(frozen=True, kw_only=True)
class RetrievalSettings(MemorySettings):
    """The settings of a bank of labelled examples.

    Attributes:
        k: examples that an H-step reads.
        width: numbers of a key that are trained.
        fixed: numbers of a key behind these that are not: the sum of random vectors of the tokens. They tell
            texts apart by words that the training had no use for.
        candidates: examples of the bank that are drawn for each optimiser step, among which its H-steps
            search; evaluation searches among all.
        dropout: share of the tokens of a candidate that are left out.
        sharpness: what a match of 1 adds to the logit of its label at first; it is learned.
        query: state: an H-step asks with the text and z_H; text: with the text alone, each time the same.
        index: exact looks at every key; graph walks a graph of neighbours, for large banks, in evaluation.
        state_norm: as in `ExchangeSettings`.
        num_heads: heads of the read; null: the model's.
        expansion: expansion of its feed-forward net; null: the model's.
    """

    FILE: ClassVar[str] = "memory/retrieval"

    k: int
    width: int
    fixed: int
    candidates: int
    dropout: float
    sharpness: float
    query: Literal["state", "text"]
    index: IndexName
    state_norm: Literal["none", "rms"]
    num_heads: int | None
    expansion: float | None

    def __post_init__(self):
        super().__post_init__()
        require_size("k", self.k)
        require_size("memory.width", self.width)
        require_size("memory.fixed", self.fixed, least=0)
        require_size("memory.candidates", self.candidates)
        require(self.k <= self.candidates, "memory.candidates", self.candidates, f"k={self.k} or above")
        require(0 <= self.dropout < 1, "memory.dropout", self.dropout, "0 to below 1")
        require(0 < self.sharpness <= MOST, "memory.sharpness", self.sharpness, f"above 0, up to {MOST:,}")
        require(self.lifetime != "global", "memory.lifetime", self.lifetime, "null, example or episode")


class Bank(NamedTuple):
    """The examples of a bank.

    Attributes:
        tokens: of each, with multiplicity, (n, c); 0 is padding.
        labels: (n,), from 1; above C those that were not trained; 0 where an example was removed.
        groups: (n,); an example does not find those of its own group in training.
    """

    tokens: Tensor
    labels: Tensor
    groups: Tensor

    @property
    def size(self) -> int:
        """Examples that are there."""
        return int((self.labels > 0).sum())

    def select(self, rows: Tensor) -> "Bank":
        """Return some of the examples."""
        return Bank(*(part[rows] for part in self))

    @classmethod
    def of(cls, inputs: np.ndarray, labels: np.ndarray, groups: np.ndarray, device: torch.device) -> "Bank":
        """Return the bank of labelled examples; the arguments are those of `HModule.learn_from`."""
        ordered = np.sort(inputs, axis=1)[:, ::-1]  # Padding goes to the end.
        tokens = ordered[:, : max(1, int((ordered > 0).sum(axis=1).max(initial=0)))]
        arrays = tokens.astype(np.int32), labels[:, 0].astype(np.int64), groups
        return cls(*(torch.from_numpy(np.ascontiguousarray(part)).to(device) for part in arrays))


class Encoder(nn.Module):
    """Tokens of an example to its key, (n, w) of length 1: their weighted sum, as in a bag of words.

    A weight for each token, learned like its vector, takes the place of an inverse document frequency. Behind
    these numbers a key may have others of the same norm: the sum of random vectors, which are not trained.
    """

    def __init__(self, vocab_size: int, width: int, fixed: int = 0):
        super().__init__()
        self.vectors = nn.Parameter(torch.randn(vocab_size, width) * width**-0.5)
        self.weights = nn.Parameter(torch.zeros(vocab_size, 1))
        self.out = Linear(width, width)
        with torch.no_grad():
            self.out.weight.copy_(torch.eye(width))
        drawn = np.random.default_rng(0xF1ED).standard_normal((vocab_size, fixed), np.float32)
        self.fixed: Tensor
        self.register_buffer("fixed", torch.from_numpy(drawn), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the keys of tokens (n, c), in float32; a row without any has the key 0."""
        vectors, weights = self.vectors.float(), self.weights.float()
        of_each = F.embedding(tokens, weights).squeeze(-1).exp()
        total = F.embedding_bag(tokens, vectors, mode="sum", per_sample_weights=of_each, padding_idx=0)
        key = F.normalize(F.linear(total, self.out.weight.float()), dim=-1)
        if not self.fixed.shape[1]:
            return key
        other = F.embedding_bag(tokens, self.fixed.float(), mode="sum", padding_idx=0)
        return torch.cat((key, F.normalize(other, dim=-1)), dim=-1) * 0.5**0.5


class Retrieval(HModule):
    """Each H-step asks the bank anew, reads the k examples that match best, and the answer may rest on them.

    ask     q = norm(key(x) + W mean(h)),  s_i = tau q . key_i,  A = TopK(s, k),  alpha = softmax(s_A)
    read    dz = sum_{i in A} alpha_i Attn(h, LN(m_i), LN(m_i)),  m_i = [key_i, code of its label]
    answer  logit_c = log(exp(head_c) + sum_{i in A, y_i = c} exp(s_i)),  A of the last H-step

    Equations (30) to (32) of docs/memory.md. Nothing is written by an H-step: the bank is edited from
    outside, and a label that was not trained is answered through its examples alone. In training an H-step
    searches among candidates that are drawn for each optimiser step, whose keys have a gradient.
    """

    Settings = RetrievalSettings
    logged = ("nearest",)
    any_length = True

    def __init__(self, settings: RetrievalSettings, shape: HShape):
        super().__init__(settings, shape)
        self.settings: RetrievalSettings = settings
        require(shape.num_labels > 0, "memory", "retrieval", "with data that have one label an example")
        if settings.index == "graph":
            library()  # Training makes no graph: without this it would end before the library is missed.
        heads = shape.num_heads if settings.num_heads is None else settings.num_heads
        require(shape.width % heads == 0, "memory.num_heads", heads, f"divisors of {shape.width}")
        expansion = shape.expansion if settings.expansion is None else settings.expansion
        own = shape._replace(num_heads=heads, expansion=expansion)
        self.trained = shape.num_labels
        self.encode = Encoder(shape.vocab_size, settings.width, settings.fixed)
        wide = settings.width + settings.fixed
        ask, self.offer = Linear(shape.width, wide), Linear(wide, shape.width)
        nn.init.zeros_(ask.weight)  # The first question is the text itself.
        self.ask = ask if settings.query == "state" else None  # Made all the same: the others begin alike.
        self.sharpness = nn.Parameter(torch.tensor(math.log(settings.sharpness)))
        self.read = Read(own, positions=False)
        self.read_residual = Residual(own, settings.state_norm == "rms")
        for name in ("found", "labels"):
            self.remember(name, torch.zeros(settings.k, dtype=torch.int64), note=True)
        self.remember("match", torch.full((settings.k,), NOTHING), note=True)
        self.codes: Tensor
        self.register_buffer("codes", label_codes(self.trained + 1, shape.width), persistent=False)
        self.bank = Bank(*torch.zeros(3, 0, dtype=torch.int64))._replace(tokens=torch.zeros(0, 1).int())
        self.candidates: tuple[Tensor, Bank] | None = None
        self._indexed: tuple[list[Version], Tensor, Index] | None = None
        self._there = 0  # Examples of the bank: no H-step counts them.

    def _apply(self, fn, recurse=True):
        super()._apply(fn, recurse)
        self.bank, self.candidates, self._indexed = Bank(*map(fn, self.bank)), None, None
        return self

    def learn_from(self, inputs: np.ndarray, labels: np.ndarray, groups: np.ndarray) -> None:
        """Be given the bank: labelled examples, which training searches too."""
        self._hold(Bank.of(inputs, labels, groups, self.codes.device))
        n, k = self._there, self.settings.k
        advise(0 < n < k, f"k={k} is more than the {n} examples of the bank: all of them are read")

    def _hold(self, bank: Bank) -> None:
        self.bank, self.candidates, self._indexed = bank, None, None
        self._know(bank.labels)

    @contextmanager
    def holding(self, inputs: np.ndarray, labels: np.ndarray) -> Iterator[int]:
        """Have a bank of other examples, (n, s) and (n, 1), none of whose labels was trained, for a while.

        Yields:
            C, by which their labels are raised, so that they stand behind those that were trained.
        """
        names = ("bank", "codes", "candidates", "_indexed", "_there")
        own = {name: getattr(self, name) for name in names}
        try:
            groups = np.full(len(inputs), -1)
            self._hold(Bank.of(inputs, labels + self.trained, groups, self.codes.device))
            yield self.trained
        finally:
            for name, value in own.items():
                setattr(self, name, value)

    @torch.no_grad()
    def add(self, inputs: np.ndarray, labels: np.ndarray) -> None:
        """Put labelled examples, (n, s) and (n, 1), behind the others of the bank.

        Their keys alone are computed.
        """
        groups = np.full(len(inputs), -1)
        new, old = Bank.of(inputs, labels, groups, self.codes.device), self.bank
        wide = max(new.tokens.shape[1], old.tokens.shape[1])
        old, new = (
            one._replace(tokens=F.pad(one.tokens, (0, more))) if more else one  # It copies in any case.
            for one, more in ((one, wide - one.tokens.shape[1]) for one in (old, new))
        )
        self.bank = Bank(*(torch.cat(parts) for parts in zip(old, new, strict=True)))
        self._know(new.labels)
        if self._indexed is not None and _same(self._indexed[0], self._weights()):
            weights, keys, index = self._indexed
            more = self.encode(new.tokens)
            index.add(more)
            self._indexed = weights, torch.cat((keys, more)), index
        else:
            self._indexed = None

    def relabel(self, rows: Tensor, labels: Tensor) -> None:
        """Give the examples at `rows` (m,) of the bank other labels, (m,); 0 removes them."""
        self.bank.labels[rows] = labels
        self._know(labels)
        if self._indexed is not None:
            self._indexed[2].drop(rows[labels == 0])

    def _know(self, labels: Tensor) -> None:
        """Have codes for labels, (m,), that are new in the bank, and count what it holds."""
        self._there = self.bank.size
        most = int(labels.max()) if len(labels) else 0
        if most >= len(self.codes):
            self.codes = label_codes(most + 1, self.codes.shape[1]).to(self.codes.device)

    def schedule(self, step: int, total: int) -> None:
        """Draw the candidates of an optimiser step, a function of its number alone."""
        bank, s = self.bank, self.settings
        self._indexed = None  # A fused optimiser changes weights that keep their version.
        if not len(bank.labels):
            return
        rng = np.random.default_rng((step, 0xBA2C))
        rows = np.sort(rng.permutation(len(bank.labels))[: s.candidates])
        chosen = torch.from_numpy(rows).to(bank.labels.device)
        drawn = bank.select(chosen)
        kept = torch.from_numpy(rng.random(drawn.tokens.shape, np.float32) >= s.dropout)
        self.candidates = chosen, drawn._replace(tokens=drawn.tokens * kept.to(drawn.tokens.device))

    def forward(
        self, z_H: Tensor, z_L: Tensor, memory: Memory, context: Context
    ) -> tuple[Tensor, Memory, Trace]:
        """Return z_H' (b, t, d), the memory after the step, and the trace."""
        assert context.inputs is not None
        z_H = context.level(z_H, z_L)
        h = layer_norm(z_H + z_L)
        asked = self.encode(context.inputs)
        if self.ask is not None:
            asked = asked + self.ask(masked_mean(h, context.present)).float()
        found, labels, keys, match = self._search(F.normalize(asked, dim=-1), context.groups)

        alpha = match.softmax(dim=-1)
        cells = torch.stack((self.offer(keys.to(h.dtype)), self.codes[labels].to(h.dtype)), dim=2)
        each = self.read(h, layer_norm(cells))
        dz = self.read.out(torch.einsum("btkd,bk->btd", each, alpha.to(each.dtype)))
        z_H = self.read_residual(z_H, dz)
        after = {"found": found, "labels": labels, "match": match.to(memory["match"].dtype)}
        return z_H, after, {"nearest": match[:, 0].detach() / self.sharpness.detach().exp()}

    def _search(self, queries: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return of the examples that match queries (b, w) best, the best first, padded to k.

        Returns:
            Their places in the bank and their labels, (b, k), 0 where there is none; their keys, (b, k, w);
            and how well they match, (b, k).
        """
        if self.training and self.candidates is not None:
            places, bank = self.candidates
            keys = self.encode(bank.tokens)
            match = queries @ keys.T
            if groups is not None:
                match = match.masked_fill(groups.unsqueeze(1) == bank.groups, NOTHING)
            match, rows = match.topk(min(self.settings.k, len(keys)), dim=-1)
            found, labels, of_found = places[rows], bank.labels[rows], keys[rows]
            there = match > NOTHING / 2
            match = torch.where(there, match * self.sharpness.exp(), NOTHING)
        else:
            if not self._there:
                return self._nothing(queries)
            keys, index = self.indexed()
            found = index.nearest(queries, min(self.settings.k, self._there))
            labels, of_found = self.bank.labels[found], keys[found]
            match = torch.einsum("bw,bkw->bk", queries, of_found) * self.sharpness.exp()
        missing = self.settings.k - found.shape[1]
        return (
            F.pad(found, (0, missing)),
            F.pad(labels, (0, missing)),
            F.pad(of_found, (0, 0, 0, missing)),
            F.pad(match, (0, missing), value=NOTHING),
        )

    def _nothing(self, queries: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return what an empty bank gives to queries (b, w)."""
        none = torch.zeros(len(queries), self.settings.k, dtype=torch.int64, device=queries.device)
        keys = queries.new_zeros(*none.shape, queries.shape[1])
        return none, none, keys, torch.full(none.shape, NOTHING, device=queries.device)

    @torch.no_grad()
    def indexed(self) -> tuple[Tensor, Index]:
        """Return the keys of the bank, (n, w), and their index; computed anew when weights or bank change."""
        weights = self._weights()
        if self._indexed is None or not _same(self._indexed[0], weights):
            parts = [self.encode(part) for part in self.bank.tokens.split(CHUNK)]
            keys = torch.cat(parts)
            index = self._made(self.settings.index, keys)
        else:
            _, keys, index = self._indexed
        self._indexed = weights, keys, index
        return keys, index

    def _made(self, name: IndexName, keys: Tensor) -> Index:
        """Return an index of the keys of the bank, (n, w), without those that were removed."""
        index = made(name, keys)
        index.drop(torch.nonzero(self.bank.labels == 0).flatten())
        return index

    @torch.no_grad()
    def recall(self, inputs: Tensor) -> float:
        """Return the share of the k examples nearest to tokens (b, s) that the index finds, as the mean.

        They are asked for with the tokens alone, whatever `query` is.
        """
        keys, index = self.indexed()
        k = min(self.settings.k, self._there)
        return recall(index, self._made("exact", keys), self.encode(inputs), k)

    def _weights(self) -> list[Version]:
        return [(p.detach(), p._version) for p in self.encode.parameters()]

    def answer(self, logits: Tensor, memory: Memory) -> Tensor:
        """Return the logits of the labels, those of the bank that were not trained behind the others.

        Args:
            logits: those of the output head, (b, 1, C + 1).
            memory: the memory after the last H-step.
        """
        match, labels = memory["match"], memory["labels"]
        logits = F.pad(logits.float(), (0, len(self.codes) - logits.shape[-1]), value=NOTHING)
        best = match.amax(dim=-1, keepdim=True).detach()
        total = torch.zeros_like(logits[:, 0]).scatter_add(1, labels, (match - best).exp())
        pointed = torch.where(total > 0, total.clamp(min=torch.finfo(total.dtype).tiny).log() + best, NOTHING)
        return torch.logaddexp(logits, pointed.unsqueeze(1))


def _same(known: list[Version], found: list[Version]) -> bool:
    """Return whether weights are what they were; in bfloat16 each rollout has a new copy of them."""
    return all(
        old._version == then and (old.is_set_to(new) or (old.dtype == new.dtype and torch.equal(old, new)))
        for (old, then), (new, _) in zip(known, found, strict=True)
    )


def label_codes(count: int, width: int) -> Tensor:
    """Return fixed random vectors for labels, (count, width), by which cells say their label; 0 has none.

    They are not trained, so that a label that is added later is as good as any.
    """
    codes = [np.random.default_rng((label, 0xC0DE)).standard_normal(width) for label in range(count)]
    made = torch.tensor(np.array(codes, np.float32).reshape(count, width))
    made[:1] = 0
    return made
