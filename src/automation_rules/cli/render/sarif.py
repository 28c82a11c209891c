"""Answers as a SARIF 2.1.0 log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ...policy import Policy
    from ...texts import Lang
    from . import Answer

__all__ = ["sarif"]


def sarif(answers: Sequence[Answer], policy: Policy, lang: Lang) -> dict[str, Any]:
    """Return the log as a JSON object."""
    raise NotImplementedError
