"""What the portal writes to its log."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class WithoutValues(logging.Formatter):
    """Says what failed and where, never with what: an exception's words may be personal data."""

    def formatException(  # noqa: N802
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return where the exception came from, and of what kind it is."""
        kind, _exception, where = ei
        places = [f"  {frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(where)]
        return "\n".join([*places, f"  {kind and kind.__name__}"])
