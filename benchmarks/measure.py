"""Taking turns, and what comes of it."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "FULL",
    "NORMAL",
    "TINY",
    "Bar",
    "Row",
    "Size",
    "at_least",
    "at_most",
    "compare",
    "each",
    "rounds",
    "row",
]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run: rounds, and what share of the usual operations in each.

    Where an operation takes microseconds there are many short rounds, which other programs
    seldom come between.
    """

    rounds: int
    short_rounds: int
    share: float = 1.0
    landlords: tuple[int, ...] = (10, 1_000, 100_000)
    entries: tuple[int, ...] = (1_000, 10_000)
    kept: tuple[int, ...] = (1_000, 100_000)
    """The sizes of the logs of which memory is measured."""

    def times(self, usual: int) -> int:
        """Return how many operations to run where ``usual`` are usual."""
        return max(1, round(usual * self.share))


TINY: Final = Size(
    rounds=1, short_rounds=1, share=0.002, landlords=(10, 100), entries=(10, 100), kept=(10, 300)
)
NORMAL: Final = Size(rounds=9, short_rounds=75)
FULL: Final = Size(
    rounds=15,
    short_rounds=151,
    entries=(1_000, 10_000, 100_000, 1_000_000),
    kept=(1_000, 100_000, 1_000_000),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """What a ratio has to reach; ``speed`` compares speeds (more is better) and not times."""

    value: float
    speed: bool = False

    def is_met(self, ratio: float) -> bool:
        """Return whether a ratio reaches the bar."""
        return ratio >= self.value if self.speed else ratio <= self.value

    def __str__(self) -> str:
        """Return the bar in words."""
        return f"at {'least' if self.speed else 'most'} {self.value:.2f}x"


def at_most(value: float) -> Bar:
    """Return the bar for a time as a multiple of the yardstick's."""
    return Bar(value)


def at_least(value: float) -> Bar:
    """Return the bar for a speed as a share of the yardstick's."""
    return Bar(value, speed=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One figure, by default seconds for one operation, the yardstick's, their ratio and the bar.

    ``bar`` is None where the ratio is told for information only.
    """

    what: str
    yardstick: str
    figure: float
    yardstick_figure: float
    ratio: float
    bar: Bar | None = None
    unit: str = "s"

    @property
    def verdict(self) -> str:
        """``met``, ``not met``, or nothing when there is no bar."""
        if self.bar is None:
            return ""
        return "met" if self.bar.is_met(self.ratio) else "not met"

    def to_document(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {
            "what": self.what,
            "yardstick": self.yardstick,
            "figure": self.figure,
            "yardstick_figure": self.yardstick_figure,
            "unit": self.unit,
            "ratio": self.ratio,
            "bar": None if self.bar is None else str(self.bar),
            "met": None if self.bar is None else self.bar.is_met(self.ratio),
        }


def each(function: Callable[[Any], object], asked: Sequence[Any]) -> Callable[[], None]:
    """Return what calls ``function`` with each of ``asked``."""

    def run() -> None:
        for one in asked:
            function(one)

    return run


def rounds(count: int, *contenders: Callable[[], object]) -> list[list[float]]:
    """Return each contender's seconds in each round; they take turns in changing order."""
    for contender in contenders:
        contender()  # caches fill, files grow to their size
    taken: list[list[float]] = [[] for _ in contenders]
    order = list(range(len(contenders)))
    for _ in range(count):
        gc.collect()
        for index in order:
            begins = perf_counter()
            contenders[index]()
            taken[index].append(perf_counter() - begins)
        order.reverse()
    return taken


def compare(
    count: int,
    what: str,
    yardstick: str,
    contenders: tuple[Callable[[], object], Callable[[], object]],
    *,
    operations: int,
    bar: Bar | None = None,
) -> Row:
    """Let what is measured and its yardstick take ``count`` turns of ``operations`` each."""
    ours, theirs = rounds(count, *contenders)
    return row(what, yardstick, ours, theirs, operations=operations, bar=bar)


def row(
    what: str,
    yardstick: str,
    ours: list[float],
    theirs: list[float],
    *,
    operations: int = 1,
    bar: Bar | None = None,
    unit: str = "s",
) -> Row:
    """Return the row for the figures of the same rounds; the ratio is that of the median round."""
    is_speed = bar is not None and bar.speed
    ratio = median(t / o if is_speed else o / t for o, t in zip(ours, theirs, strict=True))
    figure, yardstick_figure = median(ours) / operations, median(theirs) / operations
    return Row(what, yardstick, figure, yardstick_figure, ratio, bar, unit)
