"""What the portal writes to its log."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

from django.urls import Resolver404, resolve

if TYPE_CHECKING:
    from types import TracebackType


class WithoutValues(logging.Formatter):
    """Says what failed and where, never with what: an exception's words may be personal data.

    So may an address be, or hold a link's token, which is as good as a password: the page is named
    by its place in the URL map.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Write the page's pattern for its address, as Django wrote that."""
        request = getattr(record, "request", None)
        if request is not None:
            address = request.path.encode("unicode_escape").decode("ascii")
            record.message = record.message.replace(address, _pattern(request.path_info))
        return super().formatMessage(record)

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return where the exception came from, and of what kind it is."""
        kind, _exception, where = ei
        places = [f"  {frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(where)]
        return "\n".join([*places, f"  {kind and kind.__name__}"])


def _pattern(path: str) -> str:
    try:
        return f"/{resolve(path).route}"
    except Resolver404:
        return "no such page"
