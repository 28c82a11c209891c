"""What things are called, for every form of output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...texts import ui

if TYPE_CHECKING:
    from ...texts import Lang

__all__ = ["label_of_check"]


def label_of_check(check: str, lang: Lang) -> str:
    """Return what people call a check; one that is not ours keeps its own name."""
    try:
        return ui(f"check.{check}").to(lang)
    except LookupError:
        return check
