"""How many of some numbers lie where: bars of even width, or of doubling width where a few are far from the
rest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10

BARS = 20
FAR = 50
"""Times the median that the largest may be for even bars."""


@dataclass(frozen=True)
class Histogram:
    """`bars` are (from, to, count): what is at least `from` and less than `to`, in the last bar `to` itself, too;
    `whole`: only whole numbers were counted. `of` says what was counted, and how many of what there is."""

    title: str
    of: str
    bars: tuple[tuple[float, float, int], ...]
    whole: bool = False

    @property
    def most(self) -> int:
        """The count of the longest bar."""
        return max((count for _, _, count in self.bars), default=0)


def histogram(title: str, of: str, values: Sequence[float]) -> Histogram:
    """The histogram of numbers from 0 on; without any bar where there are none."""
    if not values:
        return Histogram(title, of, ())
    found = sorted(values)
    whole = all(isinstance(value, int) for value in found) and found[-1] > 0
    middle, most = found[len(found) // 2], found[-1]
    if most > FAR * max(middle, 1.0):
        return _doubling(title, of, _classes(found), whole)
    width = max(1.0 if whole else 0.0, _round(most / BARS)) or 1.0
    counts = [0] * (int(most // width) + 1)
    for value in found:
        counts[int(value // width)] += 1
    if len(counts) > 1 and most == width * (len(counts) - 1) and not whole:
        # The largest alone is no bar.
        last = counts.pop()
        counts[-1] += last
    bars = tuple((width * at, width * (at + 1), count) for at, count in enumerate(counts))
    return Histogram(title, of, bars, whole)


def doubling(title: str, of: str, classes: Sequence[int]) -> Histogram:
    """A histogram of counts, number i of what is from 2^i to 2^(i+1) - 1."""
    return _doubling(title, of, classes, whole=True)


def _doubling(title: str, of: str, classes: Sequence[int], whole: bool) -> Histogram:
    """The same; of other than whole numbers the first class has what is below 1, too."""
    bars = [(float(1 << at), float(2 << at), count) for at, count in enumerate(classes)]
    if bars and not whole:
        bars[0] = (0.0, *bars[0][1:])
    first = next((at for at, bar in enumerate(bars) if bar[2]), 0)
    last = len(bars)
    while last > first and not bars[last - 1][2]:
        last -= 1
    return Histogram(title, of, tuple(bars[first:last]), whole)


def _round(width: float) -> float:
    """The least of 1, 2 and 5 times a power of ten that is no smaller; 0 of 0."""
    if not width:
        return 0.0
    power = 10.0 ** floor(log10(width))
    return next((times * power for times in (1, 2, 5) if times * power >= width * (1 - 1e-9)), 10 * power)


def _classes(values: Sequence[float]) -> list[int]:
    counts = [0] * (int(values[-1]).bit_length() + 1)
    for value in values:
        counts[max(0, int(value).bit_length() - 1)] += 1
    return counts
