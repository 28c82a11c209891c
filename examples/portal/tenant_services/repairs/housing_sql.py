"""A housing management system that is a SQL database: its tables, and how they are used."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from demo_portal.records import Records, read_page
from sqlalchemy import (
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    and_,
    or_,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite

from .housing import CLOSED, Appointment, Event, Happening, Job, Priority, Stage, Status

if TYPE_CHECKING:
    from collections.abc import Collection
    from enum import StrEnum

    from demo_portal.records import Page
    from sqlalchemy import ColumnElement, Connection, RowMapping

    from .housing import NewJob


class Instant(TypeDecorator[datetime]):
    """An instant, kept as UTC without saying so: SQLite keeps no time zones."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, _dialect: Any) -> datetime | None:
        """Write an instant."""
        return None if value is None else value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, _dialect: Any) -> datetime | None:
        """Read an instant."""
        return None if value is None else value.replace(tzinfo=UTC)


def _values(kind: type[StrEnum]) -> str:
    return ", ".join(f"'{one.value}'" for one in kind)


metadata = MetaData()

jobs = Table(
    "jobs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(100), nullable=False, unique=True),
    Column("tenancy", String(50), nullable=False, index=True),
    Column("building", String(100), nullable=False, index=True),
    Column("reporter", String(50), nullable=False),
    Column("sor_code", String(20), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("description", String(500), nullable=False),
    Column("words", Text, nullable=False),
    Column("access", Text, nullable=False),
    Column("telephone", String(50), nullable=False),
    Column("status", String(20), nullable=False),
    Column("reported_at", Instant, nullable=False),
    Column("completed_on", Date),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    CheckConstraint("(tenancy = '') <> (building = '')", name="one_place"),
    CheckConstraint("priority BETWEEN 1 AND 5", name="known_priority"),
    CheckConstraint(f"status IN ({_values(Status)})", name="known_status"),
    CheckConstraint("(starts_at IS NULL) = (ends_at IS NULL)", name="whole_window"),
    sqlite_autoincrement=True,
)

events = Table(
    "job_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("job", ForeignKey("jobs.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("what", String(20), nullable=False),
    Column("starts_at", Instant),
    Column("ends_at", Instant),
    Column("note", String(500), nullable=False),
    CheckConstraint(f"what IN ({_values(Status)}, {_values(Happening)})", name="known_event"),
    Index("events_of_job", "job", "at", "id"),
)

_NUMBER = re.compile(r"R-([1-9][0-9]{5,8})")
_FIRST = 100_000
_OPEN = jobs.c.status.not_in(sorted(CLOSED))
_REPORTED = ("tenancy", "building", "reporter", "sor_code", "description")
_WRITTEN = ("words", "access", "telephone")


class SqlHousingManagement:
    """Reads and changes the tables as they are at that moment.

    What changes something begins by writing, so that two at once come one after the other.
    """

    def __init__(self, url: str, seconds: float) -> None:
        """Use the database at ``url``; nothing is opened yet."""
        self._records = Records(url, seconds, writable=True)

    def raise_job(self, new: NewJob, key: str) -> Job:
        """See `HousingManagement`."""
        now = clock.now()
        row = {name: getattr(new, name) for name in (*_REPORTED, *_WRITTEN)} | {
            "key": key,
            "priority": int(new.priority),
            "status": Status.REPORTED.value,
            "reported_at": now,
        }
        with self._records.connection() as connection:
            insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert
            raised = insert(jobs).values(row).on_conflict_do_nothing(index_elements=["key"])
            made = connection.execute(raised.returning(jobs.c.id)).first()
            query = select(jobs).where(jobs.c.key == key)
            found = connection.execute(query).mappings().one()
            if made:
                _add_event(connection, found["id"], now, Status.REPORTED)
        return _job(found)

    def job(self, number: str) -> Job | None:
        """See `HousingManagement`."""
        with self._records.connection() as connection:
            row = connection.execute(select(jobs).where(_is(number))).mappings().first()
        return row and _job(row)

    def jobs(
        self,
        stage: Stage,
        *,
        tenancies: Collection[str] = (),
        buildings: Collection[str] = (),
        page: int = 1,
    ) -> Page[Job]:
        """See `HousingManagement`. Nobody's jobs are those of an empty reference."""
        places = or_(
            and_(jobs.c.tenancy.in_(list(tenancies)), jobs.c.tenancy != ""),
            and_(jobs.c.building.in_(list(buildings)), jobs.c.building != ""),
        )
        ahead = and_(jobs.c.ends_at.is_not(None), jobs.c.ends_at > clock.now())
        wanted: dict[Stage, ColumnElement[bool]] = {
            Stage.NEW: and_(_OPEN, ~ahead),
            Stage.UPCOMING: and_(_OPEN, ahead),
            Stage.PAST: ~_OPEN,
        }
        order = (
            (jobs.c.starts_at, jobs.c.id)
            if stage is Stage.UPCOMING
            else (jobs.c.reported_at.desc(), jobs.c.id.desc())
        )
        query = select(jobs).where(places, wanted[stage]).order_by(*order)
        with self._records.connection() as connection:
            return read_page(connection, query, page, _job)

    def history(self, number: str) -> list[Event]:
        """See `HousingManagement`."""
        query = (
            select(events)
            .join(jobs, events.c.job == jobs.c.id)
            .where(_is(number))
            .order_by(events.c.at.desc(), events.c.id.desc())
        )
        with self._records.connection() as connection:
            return [_event(row) for row in connection.execute(query).mappings()]

    def cancel_job(self, number: str, note: str = "") -> bool:
        """See `HousingManagement`."""
        with self._records.connection() as connection:
            changed = connection.execute(
                jobs.update()
                .where(_is(number), _OPEN)
                .values(status=Status.CANCELLED.value, starts_at=None, ends_at=None)
            )
            found = connection.execute(select(jobs.c.id, jobs.c.status).where(_is(number))).first()
            if changed.rowcount and found:
                _add_event(connection, found.id, clock.now(), Status.CANCELLED, note=note)
        return found is not None and found.status == Status.CANCELLED

    def record_appointment(self, number: str, appointment: Appointment | None) -> bool:
        """See `HousingManagement`."""
        starts_at = appointment and appointment.starts_at
        ends_at = appointment and appointment.ends_at
        with self._records.connection() as connection:
            # Writes what is there already: it must not change between reading and writing.
            connection.execute(jobs.update().where(_is(number)).values(status=jobs.c.status))
            row = connection.execute(select(jobs).where(_is(number), _OPEN)).mappings().first()
            if row is None:
                return False
            before = _window(row)
            if before == appointment:
                return True
            connection.execute(
                jobs.update().where(_is(number)).values(starts_at=starts_at, ends_at=ends_at)
            )
            what = Happening.MOVED if before else Happening.BOOKED
            _add_event(
                connection,
                row["id"],
                clock.now(),
                what if appointment else Happening.UNBOOKED,
                appointment=appointment or before,
            )
        return True


def number_of(job: int) -> str:
    """Return the number that a job is known by."""
    return f"R-{_FIRST + job}"


def _is(number: str) -> ColumnElement[bool]:
    written = _NUMBER.fullmatch(number)
    return jobs.c.id == (int(written[1]) - _FIRST if written else 0)


def _add_event(
    connection: Connection,
    job: int,
    at: datetime,
    what: Status | Happening,
    *,
    appointment: Appointment | None = None,
    note: str = "",
) -> None:
    connection.execute(
        events.insert().values(
            job=job,
            at=at,
            what=what.value,
            starts_at=appointment and appointment.starts_at,
            ends_at=appointment and appointment.ends_at,
            note=note,
        )
    )


def _window(row: RowMapping) -> Appointment | None:
    if row["starts_at"] is None:
        return None
    return Appointment(row["starts_at"], row["ends_at"])


def _job(row: RowMapping) -> Job:
    return Job(
        **{name: row[name] for name in (*_REPORTED, *_WRITTEN, "reported_at", "completed_on")},
        number=number_of(row["id"]),
        priority=Priority(row["priority"]),
        status=Status(row["status"]),
        appointment=_window(row),
    )


def _event(row: RowMapping) -> Event:
    what = row["what"]
    return Event(
        at=row["at"],
        what=Happening(what) if what in set(Happening) else Status(what),
        appointment=_window(row),
        note=row["note"],
    )
