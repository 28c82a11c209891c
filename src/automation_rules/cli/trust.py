"""Whose signatures a command trusts: ``--key`` and ``--witness``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..errors import LogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..signed_note import VerifierKey

__all__ = ["VERIFIER_KEYS", "Trust", "trust_options"]

_R = TypeVar("_R")
_MOST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Trust:
    """The verifier keys given: the log's, of which one must have signed, and all witnesses'."""

    keys: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...]


class _VerifierKeys(click.ParamType["tuple[VerifierKey, ...]"]):
    """A verifier key, or a file that holds one or more, a line each."""

    name = "verifier key"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[VerifierKey, ...]:
        from ..signed_note import VerifierKey

        if isinstance(value, tuple):
            return value
        try:
            lines = [value] if "+" in value else _lines(Path(value))
            return tuple(VerifierKey.parse(line) for line in lines)
        except LogError as error:
            self.fail(str(error), param, ctx)
        except (OSError, ValueError):
            self.fail(
                "is neither a verifier key, NAME+ID+KEY, nor a file that holds one", param, ctx
            )


def _lines(path: Path) -> list[str]:
    """Return the lines of a file that holds keys; raises `ValueError` when it has none."""
    with path.open("rb") as file:
        lines = file.read(_MOST_BYTES).decode().split()
    if not lines:
        raise ValueError("is empty")
    return lines


VERIFIER_KEYS: Final = _VerifierKeys()


def trust_options(*, required: bool) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Add ``--key`` and ``--witness``, each to be given any number of times.

    They are passed as one `Trust`, ``trust``. When ``required``, a key must be given.
    """

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        @functools.wraps(function)
        def gathered(
            *,
            keys: tuple[tuple[VerifierKey, ...], ...],
            witnesses: tuple[tuple[VerifierKey, ...], ...],
            **rest: Any,
        ) -> _R:
            trust = Trust(tuple(chain(*keys)), tuple(chain(*witnesses)))
            return function(trust=trust, **rest)

        with_key = click.option(
            "--key",
            "keys",
            type=VERIFIER_KEYS,
            required=required,
            multiple=True,
            metavar="VKEY",
            help="The log's verifier key, or a file that holds it.",
        )
        with_witness = click.option(
            "--witness",
            "witnesses",
            type=VERIFIER_KEYS,
            multiple=True,
            metavar="VKEY",
            help="A witness that must have signed as well: its verifier key, or a file.",
        )
        decorated: Callable[..., _R] = with_key(with_witness(gathered))
        return decorated

    return decorate
