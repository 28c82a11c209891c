"""Drawing a document as an accessible PDF (PDF/UA-1): tagged, with its language and title.

WeasyPrint is loaded when the first is drawn: it needs libraries of the system's, which may not be
there.
"""

from __future__ import annotations

import logging
from typing import Any, NoReturn

_log = logging.getLogger(__name__)


class PdfUnavailableError(Exception):
    """What PDFs are drawn with is not installed on this machine."""


class _Nobody:
    """Asked for anything outside the document, refuses."""

    _fail_on_errors = False

    def __call__(self, *_args: Any, **_named: Any) -> NoReturn:
        raise ValueError("a document is drawn from itself alone")


def pdf(document: str) -> bytes:
    """Draw an HTML document.

    Raises:
        PdfUnavailableError: WeasyPrint or what it needs is missing.
    """
    try:
        from weasyprint import HTML
    except (ImportError, OSError) as error:
        _log.error("no PDF can be drawn: %s", type(error).__name__)
        raise PdfUnavailableError from None
    drawn: bytes = HTML(string=document, url_fetcher=_Nobody()).write_pdf(pdf_variant="pdf/ua-1")
    return drawn
