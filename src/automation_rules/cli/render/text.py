"""Answers as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..common import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from ...texts import Lang
    from . import Answer

__all__ = ["show_answers"]


def show_answers(console: Console, answers: Sequence[Answer], lang: Lang) -> None:
    """Print every answer: in words, as a table of checks, then reason by reason."""
    for answer in answers:
        if answer.decision is not None:
            for line in answer.decision.explain(lang).splitlines():
                console.print(printable(line))
