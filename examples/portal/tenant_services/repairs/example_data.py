"""Made-up repairs in the housing management system, and a visit in the contractor's diary."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.conf import settings
from sqlalchemy import create_engine, make_url

from ..profile.customers import customer_directory
from . import diary_client as diary
from . import housing_sql as sql
from .diagnosis import diagnosis
from .diary_calendar import after_working_days, is_working_day
from .housing import Status, housing_management

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TESSA, TARAN, UNA = "P1001", "P1002", "P1003"
HOME, GARAGE, FORMER, TARANS = "T-100001", "T-100002", "T-100003", "T-200001"
COURT, LLYS = "Sample Court", "Llys Enghraifft"
VISITED = "example-2"
"""The key of the job for which a visit is booked."""


def add() -> None:
    """Write them, unless there are some already."""
    engine = create_engine(make_url(settings.PORTAL_HOUSING), hide_parameters=True)
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        is_new = connection.execute(sql.jobs.select().limit(1)).first() is None
        if is_new:
            connection.execute(sql.jobs.insert(), jobs())
            rows = connection.execute(sql.jobs.select()).mappings().all()
            connection.execute(sql.events.insert(), events(rows))
            [number] = [sql.number_of(row["id"]) for row in rows if row["key"] == VISITED]
    engine.dispose()
    if is_new:
        _book_visit(number)


def jobs() -> list[dict[str, Any]]:
    """Return the jobs, of each status and stage."""
    made: list[dict[str, Any]] = []

    def add_job(code: str, days: int, status: Status, reporter: str, **place: str) -> None:
        finding = diagnosis().finding_of(code)
        if finding is None or finding.repair is None:
            raise ValueError(code)
        day = clock.today() - timedelta(days=days)
        while not is_working_day(day):
            day -= timedelta(days=1)
        done = status is Status.COMPLETE
        made.append(
            {
                "key": f"example-{len(made) + 1}",
                "tenancy": "",
                "building": "",
                "reporter": reporter,
                "sor_code": code,
                "priority": int(finding.repair.priority),
                "description": finding.english,
                "words": "",
                "access": "",
                "telephone": "",
                "status": status.value,
                "reported_at": _at(day, time(9, 10)),
                "completed_on": after_working_days(day, 2) if done else None,
            }
            | place
        )

    add_job(
        "DEMO-PL-101",
        2,
        Status.REPORTED,
        TESSA,
        tenancy=HOME,
        words="It drips all night. <b>Please</b> bring a washer.",
        access="The bell is broken, please knock.",
        telephone="+44 7700 900401",
    )
    add_job("DEMO-HE-107", 1, Status.REPORTED, TESSA, tenancy=HOME)
    add_job("DEMO-JO-134", 9, Status.ON_HOLD, TESSA, tenancy=HOME)
    add_job("DEMO-JO-152", 6, Status.NO_ACCESS, TESSA, tenancy=GARAGE)
    add_job("DEMO-EL-161", 1, Status.IN_PROGRESS, UNA, building=COURT, words="Stuck on my floor")
    add_job("DEMO-EL-164", 4, Status.REPORTED, TESSA, building=COURT)
    add_job("DEMO-GE-162", 40, Status.COMPLETE, UNA, building=COURT)
    for number in range(6):
        add_job(f"DEMO-PL-11{number + 1}", 100 + 50 * number, Status.COMPLETE, TESSA, tenancy=HOME)
    add_job("DEMO-JO-132", 80, Status.CANCELLED, TESSA, tenancy=HOME)
    add_job("DEMO-RO-101", 1200, Status.COMPLETE, TESSA, tenancy=FORMER)
    add_job(
        "DEMO-HE-105", 5, Status.NO_ACCESS, TARAN, tenancy=TARANS, words="Mae'n canu grwndi ŵŷ."
    )
    add_job("DEMO-JO-161", 1, Status.IN_PROGRESS, TARAN, building=LLYS)
    add_job("DEMO-PL-115", 30, Status.COMPLETE, TARAN, tenancy=TARANS)
    return made


def events(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what happened to the jobs: they were reported, and came to where they stand."""
    happened = []
    for row in rows:
        reported = {"job": row["id"], "at": row["reported_at"], "note": ""}
        happened.append(reported | {"what": Status.REPORTED.value})
        if row["status"] != Status.REPORTED:
            day = row["completed_on"] or row["reported_at"].astimezone(clock.LONDON).date()
            later = _at(day, time(14, 40))
            happened.append(reported | {"what": row["status"], "at": later})
    return happened


def _at(day: date, clock_shows: time) -> datetime:
    return datetime.combine(day, clock_shows, clock.LONDON)


def _book_visit(number: str) -> None:
    """Have somebody come to Tessa's in the first slot that can still be changed."""
    job = housing_management().job(number)
    [home] = [one for one in customer_directory().tenancies(TESSA) if one.reference == HOME]
    if job is None:
        return
    days = diary.free_days(job, home)
    free = [slot.window for day in days for slot in day.slots if diary.may_change(slot.window)]
    if free:
        diary.book(job, home, None, free[0])
