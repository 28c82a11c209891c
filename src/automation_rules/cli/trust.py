"""Whose signatures a command trusts: ``--key`` and ``--witness``."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ..errors import LogError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..signed_note import VerifierKey

__all__ = ["VERIFIER_KEY", "Trust", "trust_options"]

_R = TypeVar("_R")
_MOST_BYTES: Final = 65_536


@dataclass(frozen=True, slots=True)
class Trust:
    """The verifier keys given: the log's, of which one must have signed, and all witnesses'."""

    keys: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...]


class _VerifierKeyType(click.ParamType["VerifierKey"]):
    """A verifier key, or a file that holds one."""

    name = "verifier key"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> VerifierKey:
        from ..signed_note import VerifierKey

        if isinstance(value, VerifierKey):
            return value
        try:
            if "+" in value:
                return VerifierKey.parse(value)
            with Path(value).open("rb") as file:
                return VerifierKey.parse(file.read(_MOST_BYTES).decode().strip())
        except LogError as error:
            self.fail(str(error), param, ctx)
        except (OSError, ValueError):
            self.fail(
                "is neither a verifier key, NAME+ID+KEY, nor a file that holds one", param, ctx
            )


VERIFIER_KEY: Final = _VerifierKeyType()


def trust_options(*, required: bool) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Add ``--key`` and ``--witness``, each to be given any number of times.

    They are passed as one `Trust`, ``trust``. When ``required``, a key must be given.
    """

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        @functools.wraps(function)
        def gathered(
            *, keys: tuple[VerifierKey, ...], witnesses: tuple[VerifierKey, ...], **rest: Any
        ) -> _R:
            return function(trust=Trust(keys, witnesses), **rest)

        with_key = click.option(
            "--key",
            "keys",
            type=VERIFIER_KEY,
            required=required,
            multiple=True,
            metavar="VKEY",
            help="The log's verifier key, or a file that holds it.",
        )
        with_witness = click.option(
            "--witness",
            "witnesses",
            type=VERIFIER_KEY,
            multiple=True,
            metavar="VKEY",
            help="A witness that must have signed as well: its verifier key, or a file.",
        )
        decorated: Callable[..., _R] = with_key(with_witness(gathered))
        return decorated

    return decorate
