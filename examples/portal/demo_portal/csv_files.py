"""Lists to take away as CSV.

UTF-8 with a byte order mark, by which spreadsheets know it. Who gives the cells makes what people
wrote harmless with ``automation_rules.report.neutral``.
"""

from __future__ import annotations

import csv
import tempfile
from io import TextIOWrapper
from typing import TYPE_CHECKING

from django.http import FileResponse

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def csv_file(name: str, columns: Sequence[str], rows: Iterable[Iterable[object]]) -> FileResponse:
    """Return the file of ``rows``, which is sent piece by piece, and whole or not at all.

    The rows go through a file on disk first: records that stop answering half-way give no half a
    file that looks whole, and however many there are, they take no memory.
    """
    file = tempfile.TemporaryFile()  # noqa: SIM115
    try:
        text = TextIOWrapper(file, encoding="utf-8-sig", newline="", write_through=True)
        writer = csv.writer(text)
        writer.writerow(columns)
        writer.writerows(rows)
        text.detach()
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return FileResponse(
        file, as_attachment=True, filename=name, content_type="text/csv; charset=utf-8"
    )
