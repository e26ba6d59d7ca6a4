"""Curves as text, for the terminal."""

from collections.abc import Mapping, Sequence

HEIGHT = 11


def curves(series: Mapping[str, Sequence[float]], marks: str = "o*+x#@") -> list[str]:
    """Lines of a chart of shares, 0 to 1, against positions 1, 2, ...; one mark a series, and a legend.

    Where curves coincide the later one covers the earlier.
    """
    length = max(map(len, series.values()))
    spread = 2 if length <= 32 else 1
    rows = [[" "] * (length * spread) for _ in range(HEIGHT)]
    for mark, values in zip(marks * len(series), series.values()):
        for at, value in enumerate(values):
            rows[round((1 - value) * (HEIGHT - 1))][at * spread] = mark
    text = [f"{100 - 100 * i / (HEIGHT - 1):4.0f} % |{''.join(row)}".rstrip() for i, row in enumerate(rows)]
    ticks = "".join(f"{at:<{4 * spread}}" for at in range(1, length + 1, 4))
    legend = "  ".join(f"{mark} {name}" for mark, name in zip(marks * len(series), series))
    return [*text, f"        {ticks}".rstrip(), f"        {legend}"]
