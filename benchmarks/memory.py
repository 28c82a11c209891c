"""How much memory a process takes at its peak to export and to verify ever larger logs.

``python -m benchmarks.memory WORK DIRECTORY`` does one of them in a process of its own, and prints
its peak in bytes.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

from automation_rules.tiles import verify_tiles

from .exporting import fill, opened_signed_log
from .measure import at_most, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .exporting import Signed
    from .measure import Row, Size

__all__ = ["WORKS", "peak", "peak_memory", "peak_of", "plain_leaf"]

_LEAF: Final = b'{"envelopes":{},"filler":"%s","number":%d,"tokens":{}}'
_FILLER: Final = b"x" * 500
_TILES: Final = "tiles"
_MEGABYTE: Final = 1_000_000


def plain_leaf(number: int) -> bytes:
    """Return a leaf to which nothing sealed belongs."""
    return _LEAF % (_FILLER, number)


def _export(opened: Signed, directory: Path) -> int:
    return opened.signed.export(directory / _TILES).checkpoint.size


def _verify(opened: Signed, _: Path) -> int:
    return opened.log.verify().size


def _verify_tiles(opened: Signed, directory: Path) -> int:
    keys = [key.verifier for key in opened.signed.known_keys()]
    return verify_tiles(directory / _TILES, keys).checkpoint.size


WORKS: Final[dict[str, Callable[[Signed, Path], int]]] = {
    "export": _export,
    "verify": _verify,
    "verify-tiles": _verify_tiles,
}
"""What is done, in this order; each gives the size of the log that it went through."""


def peak_of(work: str, directory: Path) -> tuple[int, int]:
    """Do one of `WORKS` in a process of its own; return the log's size and the peak in bytes."""
    size, peak = subprocess.run(
        [sys.executable, "-m", "benchmarks.memory", work, str(directory)],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    ).stdout.split()
    return int(size), int(peak)


def peak_memory(size: Size) -> Iterator[Row]:
    """Measure the peak of each of `WORKS` on logs of several sizes."""
    peaks: dict[str, list[float]] = {work: [] for work in WORKS}
    for entries in size.kept:
        with TemporaryDirectory() as name:
            with opened_signed_log(Path(name)) as opened:
                fill(opened.log, map(plain_leaf, count()), entries)
            for work, found in peaks.items():
                done, peak = peak_of(work, Path(name))
                assert done == entries
                found.append(peak / _MEGABYTE)
    for index, entries in enumerate(size.kept[1:], 1):
        for work, found in peaks.items():
            yield row(
                f"peak memory of {work}, {entries:,} entries",
                f"{size.kept[0]:,} entries",
                [found[index]],
                [found[0]],
                bar=at_most(1.1),
                unit="MB",
            )


def peak() -> int:
    """Return the most bytes of memory that this process had at once."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":
        # getrusage would count the process that started this one, too.
        status = Path("/proc/self/status").read_text("ascii").splitlines()
        [peak] = [line.split()[1] for line in status if line.startswith("VmHWM:")]
        return int(peak) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    _work, _directory = sys.argv[1], Path(sys.argv[2])
    with opened_signed_log(_directory) as _opened:
        print(WORKS[_work](_opened, _directory), peak())
