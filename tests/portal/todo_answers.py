"""Answers to every page of the two to-dos, and how to send them without a browser."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from landlord_portal.models import ToDo

from automation_rules import TodoKind

if TYPE_CHECKING:
    from django.test import Client

PROVIDE = TodoKind.PROVIDE_TENANCY_DETAILS
CONFIRM = TodoKind.CONFIRM_HOUSING_COSTS
RENT = {
    "rent": "104.50",
    "rent_frequency": "weekly",
    "service_charge": "7.25",
    "service_charge_frequency": "monthly",
}
ANSWERS: dict[TodoKind, dict[str, dict[str, str]]] = {
    PROVIDE: {
        "tenant": {"is_tenant": "yes", "tenant_reference": "ACME-1"},
        "tenancy": {
            "temporary_accommodation": "no",
            "anyone_else": "yes",
            "people_on_tenancy": "3",
            "bedrooms": "2",
            "has_rent_free_weeks": "yes",
            "rent_free_weeks": "4",
        },
        "rent": RENT,
    },
    CONFIRM: {
        "tenant": {"is_tenant": "yes"},
        "rent": RENT | {"effective_date": "first_monday_in_april"},
    },
}
SUBMITTED: dict[TodoKind, dict[str, Any]] = {
    PROVIDE: {
        "is_tenant": "yes",
        "tenant_reference": "ACME-1",
        "temporary_accommodation": "no",
        "anyone_else": "yes",
        "people_on_tenancy": 3,
        "bedrooms": 2,
        "has_rent_free_weeks": "yes",
        "rent_free_weeks": 4,
        **RENT,
    },
    CONFIRM: {
        "is_tenant": "yes",
        **RENT,
        "effective_date": "first_monday_in_april",
        "effective_on": "2027-04-05",
    },
}


def a_todo(kind: TodoKind, landlord: str = "acme") -> Any:
    """Return the landlord's first to-do of a kind."""
    return ToDo.objects.filter(tenancy__landlord_id=landlord, kind=kind.value)[0]


def answer(client: Client, todo: Any, page: str, **changed: str) -> Any:
    """Answer a page, with what is to be otherwise than usual."""
    sent = ANSWERS[todo.todo_kind][page] | changed
    return client.post(f"/to-dos/{todo.pk}/{page}/", sent)


def answer_all(client: Client, todo: Any, **changed: str) -> None:
    """Answer every page."""
    for page in ANSWERS[todo.todo_kind]:
        assert answer(client, todo, page, **changed).status_code == 302


def digest(client: Client, todo: Any) -> str:
    """Return what the list of answers says they come to."""
    page = client.get(f"/to-dos/{todo.pk}/check/").content.decode()
    [found] = re.findall(r'name="digest" value="([0-9a-f]{64})"', page)
    return str(found)


def submit(client: Client, todo: Any, seen: str | None = None) -> Any:
    """Submit the answers, as they were seen."""
    seen = digest(client, todo) if seen is None else seen
    return client.post(f"/to-dos/{todo.pk}/check/", {"digest": seen})


def problems(answered: Any) -> list[str]:
    """Return the errors that a page lists at its top."""
    form = answered.context_data["form"]
    return [str(error) for errors in form.errors.values() for error in errors]
