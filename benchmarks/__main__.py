"""``python -m benchmarks [NAME...] [--full] [--json FILE]``: measure, and print a table."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .commits import append_to_server, shared_commits
from .deciding import decide, decide_growth
from .exporting import export_log, prove
from .gateway import gateway
from .hours import windows
from .log import append, log_growth, verify
from .measure import FULL, NORMAL
from .memory import peak_memory
from .process import check
from .rent import rent
from .replaying import replay_log
from .schedules import schedules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .measure import Row, Size

__all__ = ["BENCHMARKS", "machine", "main", "table"]


def growth(size: Size) -> Iterator[Row]:
    """Measure what happens as landlords and entries grow in number."""
    yield from decide_growth(size)
    yield from log_growth(size)


BENCHMARKS: Final[dict[str, Callable[[Size], Iterator[Row]]]] = {
    "decide": decide,
    "windows": windows,
    "append": append,
    "append-server": append_to_server,
    "group-commit": shared_commits,
    "verify": verify,
    "export": export_log,
    "proof": prove,
    "replay": replay_log,
    "gateway": gateway,
    "check": check,
    "schedule": schedules,
    "rent": rent,
    "growth": growth,
    "memory": peak_memory,
}

_LIBRARIES: Final = (
    "automation-rules",
    "pydantic",
    "holidays",
    "SQLAlchemy",
    "Django",
    "Starlette",
    "uvicorn",
    "psycopg",
    "cryptography",
)


def machine() -> dict[str, str]:
    """Return what the figures depend on: the processors and the versions."""
    facts = {
        "processors": f"{os.cpu_count()} ({platform.machine()}, {platform.system()})",
        platform.python_implementation(): platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
    }
    return {**facts, **{name: version(name) for name in _LIBRARIES}}


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a Markdown table that also reads well as plain text."""
    head = ("measured", "figure", "yardstick", "figure", "ratio", "bar", "")
    cells = [head] + [
        (
            row.what,
            _shown(row.figure, row.unit),
            row.yardstick,
            _shown(row.yardstick_figure, row.unit),
            f"{row.ratio:.2f}x",
            "" if row.bar is None else str(row.bar),
            row.verdict,
        )
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        _line(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells
    ]
    lines.insert(1, _line("-" * width for width in widths))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _shown(figure: float, unit: str) -> str:
    if unit != "s":
        return f"{figure:.3g} {unit}"
    for smaller, size in (("s", 1.0), ("ms", 1e-3)):
        if figure >= size:
            return f"{figure / size:.3g} {smaller}"
    return f"{figure / 1e-6:.3g} µs"


def main(arguments: Sequence[str] | None = None, *, size: Size | None = None) -> int:
    """Run the benchmarks named, or all; always return 0, for a benchmark is no test."""
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"one of {', '.join(BENCHMARKS)}; by default all"
    )
    parser.add_argument("--full", action="store_true", help="more rounds; logs up to a million")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the rows as JSON too")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"{unknown[0]} is no benchmark: use {', '.join(BENCHMARKS)}")
    size = size or (FULL if options.full else NORMAL)
    rows: list[Row] = []
    for name, measure in BENCHMARKS.items():
        if options.names and name not in options.names:
            continue
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        rows += measure(size)
    facts = machine()
    print(", ".join(f"{name} {value}" for name, value in facts.items()), end="\n\n")
    print(table(rows))
    if options.json:
        document = {"machine": facts, "rows": [row.to_document() for row in rows]}
        options.json.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
