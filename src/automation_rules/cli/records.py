"""What the registry holds, written as text or JSON."""

from __future__ import annotations

from datetime import date, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any

from ..decision import instant_text
from ..texts import ui

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rich.console import Console

    from ..texts import Lang
    from .common import Output

    Record = Mapping[str, Any]

__all__ = ["as_json", "cell", "show_record", "show_table", "write_record", "write_records"]


def write_record(
    out: Output, name: str, record: Record, *, said: str = "", notes: Iterable[str] = ()
) -> None:
    """Write one record; JSON is ``{name: record}``.

    In text ``said`` comes before its fields, and ``notes`` after them.
    """
    if out.format == "json":
        out.write_json({name: as_json(record)})
        return
    from .render.text import styled

    console = out.console()
    if said:
        console.print(styled(said, "bold"))
    show_record(console, record, out.lang)
    _show_notes(console, notes)
    out.write_console(console)


def write_records(
    out: Output,
    name: str,
    records: Sequence[Record],
    *,
    columns: Sequence[str],
    notes: Iterable[str] = (),
    extra: Record | None = None,
    none: str = "registry.none",
) -> None:
    """Write records; JSON is ``{name: [...]}`` with ``extra``, text a table of ``columns``.

    In text ``none`` names what is said when there are no records.
    """
    if out.format == "json":
        out.write_json({name: as_json(records), **as_json(extra or {})})
        return
    from .render.text import styled

    console = out.console()
    if records:
        show_table(console, columns, records, out.lang)
    else:
        console.print(styled(ui(none).to(out.lang), "dim"))
    _show_notes(console, notes)
    out.write_console(console)


def show_record(console: Console, record: Record, lang: Lang) -> None:
    """Print the fields of a record, one a line."""
    from rich.text import Text

    from .render.text import styled

    labels = {key: ui(f"field.{key}").to(lang) for key in record}
    width = max(map(len, labels.values()))
    for key, value in record.items():
        line = Text.assemble((f"{labels[key]:<{width}}  ", "dim"), styled(cell(value, lang)))
        # Not wrapped: a path or a digest is there to be copied.
        console.print(line, soft_wrap=True)


def show_table(
    console: Console, columns: Sequence[str], records: Iterable[Record], lang: Lang
) -> None:
    """Print records below each other."""
    from rich.table import Table

    from .render.text import styled

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(ui(f"field.{column}").to(lang), overflow="fold")
    for record in records:
        table.add_row(*(styled(cell(record[column], lang)) for column in columns))
    console.print(table)


def _show_notes(console: Console, notes: Iterable[str]) -> None:
    from .render.text import styled

    for note in notes:
        console.print()
        console.print(styled(note))


def cell(value: object, lang: Lang) -> str:
    """Return a value as people read it."""
    match value:
        case None | "" | () | []:
            return "–"  # noqa: RUF001
        case bool():
            return ui("yes" if value else "no").to(lang)
        case Enum():
            return str(value.value)
        case date():
            return ui("at", at=value).to(lang)
        case frozenset():
            return ", ".join(sorted(map(str, value)))
        case list() | tuple():
            return ", ".join(cell(item, lang) for item in value)
    return str(value)


def as_json(value: Any) -> Any:
    """Return a value as JSON writes it: instants by London's clocks, sets in order."""
    match value:
        case Enum():
            return value.value
        case datetime():
            return instant_text(value)
        case date():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case list() | tuple():
            return [as_json(item) for item in value]
        case dict():
            return {key: as_json(item) for key, item in value.items()}
    return value
