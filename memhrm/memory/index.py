"""Which keys match a query best: all are looked at, or a graph leads to them.

b queries, n keys, w width, k results.
"""

from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from memhrm.config import extras

IndexName = Literal["exact", "graph"]
NEIGHBOURS, WIDE = 32, 96
"""Of a key in the graph; keys that are looked at on the way to the k best."""


class Index(Protocol):
    """Keys among which the nearest to a query are found."""

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """Return the k keys with the greatest product with each query (b, w), (b, k), the greatest first.

        k is at most the number of keys that are there.
        """
        ...

    def add(self, keys: Tensor) -> None:
        """Put keys, (m, w), behind the others."""
        ...

    def drop(self, rows: Tensor) -> None:
        """Find the keys of these rows, (m,), no more; the others keep theirs."""
        ...


class Exact:
    """Looks at every key: (n, w)."""

    def __init__(self, keys: Tensor):
        self.keys, self.gone = keys, torch.zeros(len(keys), dtype=torch.bool, device=keys.device)

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """As `Index`."""
        return (queries @ self.keys.T).masked_fill(self.gone, -torch.inf).topk(k, dim=-1).indices

    def add(self, keys: Tensor) -> None:
        """As `Index`."""
        self.keys = torch.cat((self.keys, keys))
        self.gone = F.pad(self.gone, (0, len(keys)))

    def drop(self, rows: Tensor) -> None:
        """As `Index`."""
        self.gone[rows] = True


class Graph:
    """Walks a graph of neighbours (HNSW; Malkov and Yashunin 2016, arXiv 1603.09320).

    Its cost grows far less than the number of keys, and it misses some of the nearest, of more keys more;
    `recall` says how many it finds. Where the walk meets fewer than k, all keys are looked at.

    Raises:
        ValueError: the library is not installed.
    """

    def __init__(self, keys: Tensor):
        self.library, self.gone = library(), np.zeros(0, np.int64)
        self.graph = self.library.IndexHNSWFlat(keys.shape[1], NEIGHBOURS, self.library.METRIC_INNER_PRODUCT)
        self.add(keys)

    def nearest(self, queries: Tensor, k: int) -> Tensor:
        """As `Index`."""
        how = self.library.SearchParametersHNSW(efSearch=max(WIDE, 2 * k))
        if len(self.gone):
            how.sel = self.library.IDSelectorNot(self.library.IDSelectorBatch(self.gone))
        _, places = self.graph.search(_plain(queries), k, params=how)
        few = (places < 0).any(axis=1)
        if few.any():
            left = np.setdiff1d(np.arange(self.graph.ntotal), self.gone)
            exact = Exact(torch.from_numpy(self.graph.reconstruct_batch(left)))
            places[few] = left[exact.nearest(torch.from_numpy(_plain(queries)[few]), k).numpy()]
        return torch.from_numpy(places).to(queries.device)

    def add(self, keys: Tensor) -> None:
        """As `Index`."""
        self.graph.add(_plain(keys))

    def drop(self, rows: Tensor) -> None:
        """As `Index`."""
        self.gone = np.union1d(self.gone, rows.cpu().numpy())


def library() -> Any:
    """Return the library that makes graphs.

    Raises:
        ValueError: it is not installed.
    """
    return extras.library("faiss", "text", "memory.index=graph needs an extra")


def _plain(values: Tensor) -> np.ndarray:
    return np.ascontiguousarray(values.detach().cpu().float().numpy())


def made(name: IndexName, keys: Tensor) -> Index:
    """Return an index of keys, (n, w)."""
    return Exact(keys) if name == "exact" else Graph(keys)


def recall(index: Index, exact: Index, queries: Tensor, k: int) -> float:
    """Return the share of the k nearest keys that an index finds, as the mean over queries (b, w)."""
    found, right = index.nearest(queries, k), exact.nearest(queries, k)
    return float((found.unsqueeze(2) == right.unsqueeze(1)).any(dim=1).float().mean())
