"""``automation-rules check``: decide the documents given, from the facts in them alone."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..decision import Decision
from ..errors import FieldError, InvalidRequestError
from ..request import Evaluations, Semantic, read_evaluations
from .common import Output, exit_options, output_options, policy_options
from .render import Answer, exit_code, progress, write_answers

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..policy import Policy

__all__ = ["check"]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE... | -")
@policy_options
@exit_options
@output_options("text", "json", "junit", "sarif", answers=True)
def check(
    files: tuple[str, ...], policy: Policy, exit_zero: bool, fail_on_warn: bool, out: Output
) -> int:
    """Decide the requests in FILE..., or on standard input (-).

    Each file holds one evaluation request as JSON, or a batch. The facts are taken from the
    documents alone: no state is read, and nothing is recorded.
    """
    documents = [(source, _read(source)) for source in files]
    single = len(documents) == 1 and not documents[0][1].is_batch
    total = sum(len(document.items) for _, document in documents)
    answers = list(progress(_decide(documents, policy), total, out))
    write_answers(answers, out, policy, single=single)
    return exit_code(answers, fail_on_warn=fail_on_warn, exit_zero=exit_zero)


def _read(source: str) -> Evaluations:
    """Read a document; one that cannot be read is one question in error, beside the others."""
    try:
        data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
        return read_evaluations(data)
    except InvalidRequestError as error:
        return Evaluations((error,), is_batch=False)
    except (OSError, ValueError) as error:
        # A name that no file can have, with a NUL in it, is a ValueError.
        problem = f"cannot be read: {getattr(error, 'strerror', None) or type(error).__name__}"
        return Evaluations((InvalidRequestError([FieldError("", problem)]),), is_batch=False)


def _decide(documents: list[tuple[str, Evaluations]], policy: Policy) -> Iterator[Answer]:
    for source, evaluations in documents:
        for index, item in enumerate(evaluations.items):
            outcome = item if isinstance(item, InvalidRequestError) else policy.decide(item)
            yield Answer(source, outcome, index if evaluations.is_batch else None)
            allowed = isinstance(outcome, Decision) and outcome.allowed
            if evaluations.semantic is Semantic.DENY_ON_FIRST_DENY and not allowed:
                break
            if evaluations.semantic is Semantic.PERMIT_ON_FIRST_PERMIT and allowed:
                break
