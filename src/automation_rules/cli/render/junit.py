"""Answers as a JUnit report, for continuous integration."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...texts import Lang
    from . import Answer

__all__ = ["junit"]


def junit(answers: Sequence[Answer], lang: Lang) -> str:
    """Return the report as XML."""
    raise NotImplementedError
