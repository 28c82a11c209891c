"""Repairs as a test sees them from outside: the pages, and the housing management system."""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any

import portal_world
from django.conf import settings
from django.db import connection
from sqlalchemy import create_engine, func, select
from tenant_services.models import TenantAccount
from tenant_services.repairs import housing_sql as sql
from tenant_world import TARAN

if TYPE_CHECKING:
    from django.test import Client
    from tenant_services.repairs.diagnosis import Finding

REPAIRS = "/my-home/repairs/"
START = f"{REPAIRS}report/"
DRIPS = ("kitchen", "tap", "drips")
"""Something that is the landlord's, and can be booked."""
LIFT = ("building", "lift", "dead")
"""Something communal."""
UNA = "P1003"
"""Tessa's neighbour, who has no account yet."""


def answer(client: Client, path: str, value: str, expected: int = 302) -> str:
    """Answer one question; return where that leads."""
    answered = client.post(path, {"answer": value})
    assert answered.status_code == expected, answered.content.decode()
    return str(answered.headers.get("Location", ""))


def walk(client: Client, tenancy: str, slugs: tuple[str, str, str]) -> str:
    """Answer every question up to the last; return where that leads."""
    path = answer(client, START, tenancy)
    for slug in filter(None, slugs):
        path = answer(client, path, slug)
    return path


def describe(client: Client, tenancy: str, slugs: tuple[str, str, str], **words: str) -> str:
    """Answer every question, and describe it; return the address where it is checked."""
    answered = client.post(walk(client, tenancy, slugs), words)
    assert answered.status_code == 302, answered.content.decode()
    return str(answered.headers["Location"])


def shown(client: Client, path: str) -> str:
    """Return what the page that is checked says that it shows."""
    [digest] = re.findall(r'name="shown" value="(\w+)"', text_of(client, path))
    return str(digest)


def send(client: Client, path: str) -> str:
    """Check the answers and report the repair; return where that leads."""
    sent = client.post(path, {"shown": shown(client, path)})
    assert sent.status_code == 302, sent.content.decode()
    return str(sent.headers["Location"])


def report(client: Client, tenancy: str, slugs: tuple[str, str, str], **words: str) -> str:
    """Report a repair; return its number."""
    path = send(client, describe(client, tenancy, slugs, **words))
    [number] = re.findall(r"<strong>(R-[0-9]+)</strong>", text_of(client, path))
    return str(number)


def text_of(client: Client, path: str, status: int = 200) -> str:
    """Return a page."""
    answered = client.get(path)
    assert answered.status_code == status, path
    return str(answered.content.decode())


def job_of(finding: Finding) -> str:
    """Return the number of the example data's first job of a code."""
    assert finding.repair is not None
    query = select(sql.jobs.c.id).where(sql.jobs.c.sor_code == finding.repair.code)
    return sql.number_of(read(query))


def number_at(**about: Any) -> str:
    """Return the number of the first job of which all this holds."""
    query = select(func.min(sql.jobs.c.id)).filter_by(**about)
    return sql.number_of(read(query))


def count() -> int:
    """Return how many jobs there are."""
    found: int = read(select(func.count()).select_from(sql.jobs))
    return found


def read(query: Any) -> Any:
    """Return the one value that the housing management system has for a query."""
    engine = create_engine(settings.PORTAL_HOUSING)
    with engine.connect() as opened:
        value = opened.execute(query).scalar_one()
    engine.dispose()
    return value


def change(number: str, **values: Any) -> None:
    """Change a job in the housing management system, as another program would."""
    engine = create_engine(settings.PORTAL_HOUSING)
    with engine.begin() as opened:
        opened.execute(
            sql.jobs.update().where(sql.jobs.c.id == int(number[2:]) - 100_000).values(**values)
        )
    engine.dispose()


def be_neighbour() -> None:
    """Let Taran's account be Una's."""
    TenantAccount.objects.filter(user__username=TARAN).update(person=UNA)


stuck = partial(portal_world.stuck, "PORTAL_HOUSING")
"""Let it keep everybody waiting."""


def in_thread(client: Client, path: str, sent: dict[str, str], answers: list[Any]) -> None:
    """Send a form from a thread of its own."""
    try:
        answers.append(client.post(path, sent))
    finally:
        connection.close()
