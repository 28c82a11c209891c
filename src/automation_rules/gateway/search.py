"""What a search finds: who may do what now, by the registry and the policy.

Nothing is recorded, for nothing is permitted by it: whoever acts on a result asks once more.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from ..actions import Action
from ..enforcer import AUTOMATION_ACCOUNT, Step
from ..errors import NotRegisteredError
from .authzen import Searched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..store import Registry
    from .authzen import Search
    from .core import Gateway

__all__ = ["MOST_EXAMINED", "find"]

MOST_EXAMINED: Final = 100
"""How many are decided about for one page, however few of them are found."""

PORTAL: Final = "portal"
TODO: Final = "todo"


class _Candidate(NamedTuple):
    name: str
    account_id: str
    step: Step
    entity: dict[str, str]


def find(
    search: Search, gateway: Gateway, registry: Registry
) -> tuple[list[dict[str, str]], str | None]:
    """Return what is found for one page, and after which name the next one goes on, if any.

    Subjects are the registered automation accounts that could take the step; actions are those
    that an account could take; of resources the registry knows the portal alone. Of unknown
    identifiers and types nothing is found.

    Raises:
        StoreError: the registry cannot be read.
        InvalidPolicyError: the policy cannot be read.
        ClockError: the clock cannot be read.
    """
    results: list[dict[str, str]] = []
    reached = search.after
    for examined, candidate in enumerate(_candidates(search, registry)):
        if examined == MOST_EXAMINED or len(results) == search.limit:
            return results, reached
        reached = candidate.name
        if _may(gateway, candidate):
            results.append(candidate.entity)
    return results, None


def _may(gateway: Gateway, candidate: _Candidate) -> bool:
    try:
        return gateway.consider(candidate.account_id, candidate.step).allowed
    except NotRegisteredError:
        return False


def _candidates(search: Search, registry: Registry) -> Iterator[_Candidate]:
    """Yield what may be found, in order of the names, a little further than one page goes."""
    account_id, step = search.question.account_id, search.question.step
    if step.subject_type != AUTOMATION_ACCOUNT or step.resource_type not in (PORTAL, TODO):
        return
    match search.searched:
        case Searched.SUBJECT:
            for found in registry.account_ids(after=search.after, most=MOST_EXAMINED + 1):
                entity = {"type": AUTOMATION_ACCOUNT, "id": found}
                yield _Candidate(found, found, step, entity)
        case Searched.RESOURCE:
            # To-dos are the portal's, and it has not said which there are.
            if step.resource_type == PORTAL and search.after < PORTAL:
                yield _Candidate(PORTAL, account_id, step, {"type": PORTAL, "id": PORTAL})
        case Searched.ACTION:
            for name in sorted(action.value for action in Action):
                if name > search.after:
                    wanted = replace(step, action=Action(name))
                    yield _Candidate(name, account_id, wanted, {"name": name})
