"""The housing management system on both databases: each job once, and nothing after its end."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from demo_portal.records import RecordsUnavailableError
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine
from sqlalchemy.exc import IntegrityError
from tenant_services.repairs import housing_sql as sql
from tenant_services.repairs.housing import (
    Appointment,
    Happening,
    NewJob,
    Priority,
    Stage,
    Status,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers import Server

NINE = datetime(2027, 6, 1, 8, tzinfo=UTC)
NEW = NewJob(
    "T-1", "", "P-1", "DEMO-PL-101", Priority.NORMAL, "It drips", "Diferu ŵŷ", "Knock", "1"
)
SHARED = NewJob("", "Sample Court", "P-2", "DEMO-EL-161", Priority.URGENT, "Lift")


def hours(first: int) -> Appointment:
    """Return a window some hours from nine."""
    return Appointment(NINE + timedelta(hours=first), NINE + timedelta(hours=first + 4))


def made(url: str) -> str:
    """Make the tables afresh."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    sql.metadata.drop_all(engine)
    sql.metadata.create_all(engine)
    engine.dispose()
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of an empty system, on either database."""
    if request.param == "sqlite":
        return made(f"sqlite:///{tmp_path / 'housing system.sqlite3'}")
    return made(request.getfixturevalue("postgresql_url"))


@contextmanager
def opened(url: str, seconds: float = 5.0) -> Iterator[sql.SqlHousingManagement]:
    """Give the system, whose connections are let go afterwards."""
    system = sql.SqlHousingManagement(url, seconds)
    yield system
    system._records.engine.dispose()


def test_job_is_raised_once_for_a_key(place: str) -> None:
    """The same key gives the same job, as it was raised first; another key another job."""
    with opened(place) as system:
        job = system.raise_job(NEW, "a")
        assert system.raise_job(SHARED, "a") == job == system.job(job.number)
        other = system.raise_job(NEW, "b")
        assert other.number != job.number
        assert (job.words, job.access, job.telephone) == ("Diferu ŵŷ", "Knock", "1")
        assert (job.status, job.priority, job.is_open) == (Status.REPORTED, Priority.NORMAL, True)
        assert job.reported_at == NINE
        [event] = system.history(job.number)
        assert (event.what, event.at) == (Status.REPORTED, NINE)


def test_many_at_once_raise_one_job(place: str) -> None:
    """However many send the same key at once, there is one job with one beginning."""
    with opened(place) as system:
        together = threading.Barrier(8)
        numbers = []

        def raise_it() -> None:
            together.wait()
            numbers.append(system.raise_job(NEW, "key").number)

        threads = [threading.Thread(target=raise_it) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(numbers) == 8
        assert len(set(numbers)) == 1
        assert len(system.history(numbers[0])) == 1
        assert system.jobs(Stage.NEW, tenancies=["T-1"]).total == 1


def test_jobs_are_listed_by_place_and_stage(place: str) -> None:
    """New ones latest first, upcoming ones by visit, past ones; an empty reference is nobody's."""
    with opened(place) as system:
        first, second, third, fourth = (system.raise_job(NEW, key).number for key in "abcd")
        shared = system.raise_job(SHARED, "e").number
        assert system.record_appointment(first, hours(48))
        assert system.record_appointment(second, hours(24))
        assert system.cancel_job(fourth)

        def listed(stage: Stage, **places: Any) -> list[str]:
            return [job.number for job in system.jobs(stage, **places).rows]

        assert listed(Stage.UPCOMING, tenancies=["T-1"]) == [second, first]
        assert listed(Stage.NEW, tenancies=["T-1"]) == [third]
        assert listed(Stage.PAST, tenancies=["T-1"]) == [fourth]
        assert listed(Stage.NEW, tenancies=["", "T-2"], buildings=["Sample Court"]) == [shared]
        for stage in Stage:
            assert listed(stage, tenancies=[""], buildings=["", "Elsewhere"]) == []
            assert listed(stage) == []


def test_visit_that_has_passed_is_not_ahead(place: str) -> None:
    """A job whose visit is over, but which is not done, is listed where a visit is missing."""
    with opened(place) as system:
        job = system.raise_job(NEW, "a").number
        system.record_appointment(job, hours(-5))
        assert [one.number for one in system.jobs(Stage.NEW, tenancies=["T-1"]).rows] == [job]
        assert system.jobs(Stage.UPCOMING, tenancies=["T-1"]).rows == []


def test_many_jobs_come_page_by_page(place: str) -> None:
    """Twenty-five to a page, and the last page for a number that is too large."""
    with opened(place) as system:
        numbers = [system.raise_job(NEW, str(key)).number for key in range(30)]
        page = system.jobs(Stage.NEW, tenancies=["T-1"], page=99)
        assert (page.number, page.pages, page.total) == (2, 2, 30)
        assert [job.number for job in page.rows] == list(reversed(numbers[:5]))


def test_appointment_is_kept_moved_and_dropped(place: str) -> None:
    """Each change is written down once; the same again is nothing new."""
    with opened(place) as system:
        job = system.raise_job(NEW, "a").number
        for window in (hours(24), hours(24), hours(48), None, None):
            assert system.record_appointment(job, window)
            found = system.job(job)
            assert found is not None
            assert found.appointment == window
        happened = [(event.what, event.appointment) for event in system.history(job)]
        assert happened == [
            (Happening.UNBOOKED, hours(48)),
            (Happening.MOVED, hours(48)),
            (Happening.BOOKED, hours(24)),
            (Status.REPORTED, None),
        ]


def test_what_is_over_stays_as_it_is(place: str) -> None:
    """What is done is not cancelled; what is cancelled has no visit, and gets none."""
    with opened(place) as system:
        job = system.raise_job(NEW, "a").number
        system.record_appointment(job, hours(24))
        assert system.cancel_job(job, "No longer needed")
        assert system.cancel_job(job)
        assert not system.record_appointment(job, hours(24))
        found = system.job(job)
        assert found is not None
        assert (found.status, found.appointment) == (Status.CANCELLED, None)
        assert [event.note for event in system.history(job)] == ["No longer needed", "", ""]
        done = system.raise_job(NEW, "b").number
        with system._records.connection() as connection:
            connection.execute(sql.jobs.update().values(status="complete"))
        assert not system.cancel_job(done)
        assert [event.what for event in system.history(done)] == [Status.REPORTED]


@pytest.mark.parametrize(
    "number",
    ["", "R-1", "R-100000", "R-099999", "r-100001", "R-100001\n", "R-\u0661" * 6, "R-" + "9" * 30],
)
def test_numbers_of_nothing_find_nothing(place: str, number: str) -> None:
    """What is no number of a job is answered as a job that does not exist."""
    with opened(place) as system:
        system.raise_job(NEW, "a")
        assert system.job(number) is None
        assert system.history(number) == []
        assert not system.cancel_job(number)
        assert not system.record_appointment(number, hours(1))
        assert system.jobs(Stage.NEW, tenancies=["T-1"]).total == 1


def test_cancelling_and_booking_at_once_agree(place: str) -> None:
    """Whichever comes first, a cancelled job has no visit."""
    with opened(place) as system:
        for key in range(5):
            job = system.raise_job(NEW, str(key)).number
            together = threading.Barrier(2)

            def go(what: Any, together: threading.Barrier = together) -> None:
                together.wait()
                what()

            threads = [
                threading.Thread(target=go, args=[lambda job=job: system.cancel_job(job)]),
                threading.Thread(
                    target=go, args=[lambda job=job: system.record_appointment(job, hours(9))]
                ),
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            found = system.job(job)
            assert found is not None
            assert (found.status, found.appointment) == (Status.CANCELLED, None)


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "lost"},
        {"priority": 0},
        {"tenancy": ""},
        {"building": "Sample Court"},
        {"starts_at": NINE},
    ],
)
def test_tables_refuse_what_this_site_could_not_show(place: str, wrong: dict[str, Any]) -> None:
    """Another program cannot write a status or priority that there is not, or half a window."""
    with opened(place) as system:
        system.raise_job(NEW, "a")
        with pytest.raises(IntegrityError), system._records.engine.begin() as connection:
            connection.execute(sql.jobs.update().values(**wrong))


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    """A system that is not there is not reachable, and no empty one appears in its place."""
    path = tmp_path / "none.sqlite3"
    with opened(f"sqlite:///{path}") as system, pytest.raises(RecordsUnavailableError) as caught:
        system.raise_job(NEW, "a")
    assert not path.exists()
    assert "Knock" not in str(caught.value.__context__)


def test_server_that_comes_back_has_raised_it_once(own_server: Server) -> None:
    """Raised, server down, tried again in vain, server up, tried again: one job."""
    url = made(own_server.new_schema())
    with opened(url, 2.0) as system:
        job = system.raise_job(NEW, "a")
        own_server.kill()
        with pytest.raises(RecordsUnavailableError):
            system.raise_job(NEW, "a")
        own_server.start()
        assert system.raise_job(NEW, "a") == job
        assert system.jobs(Stage.NEW, tenancies=["T-1"]).total == 1


# --- against a plain model ----------------------------------------------------------------------


class HousingMachine(RuleBasedStateMachine):
    """Jobs as the adapter has them, and as a dictionary has them."""

    url: str

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.system = sql.SqlHousingManagement(made(self.url), 5.0)
        self.jobs: dict[str, dict[str, Any]] = {}

    def teardown(self) -> None:
        """Let go of it."""
        self.system._records.engine.dispose()

    @rule(key=st.sampled_from("abcd"), communal=st.booleans())
    def raise_job(self, key: str, communal: bool) -> None:
        """Raise a job, perhaps again."""
        job = self.system.raise_job(SHARED if communal else NEW, key)
        known = self.jobs.setdefault(
            key,
            {"number": job.number, "communal": communal, "status": "reported", "visit": None},
        )
        assert known["number"] == job.number

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), visit=st.sampled_from([None, hours(-9), hours(9), hours(30)]))
    def record(self, data: st.DataObject, visit: Appointment | None) -> None:
        """Record or drop a visit."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        is_open = job["status"] not in ("complete", "cancelled")
        assert self.system.record_appointment(job["number"], visit) == is_open
        if is_open:
            job["visit"] = visit

    @precondition(lambda self: self.jobs)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """Cancel a job, perhaps again."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        assert self.system.cancel_job(job["number"]) == (job["status"] != "complete")
        if job["status"] not in ("complete", "cancelled"):
            job |= {"status": "cancelled", "visit": None}

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), status=st.sampled_from([status.value for status in Status]))
    def other_program(self, data: st.DataObject, status: str) -> None:
        """Let another program change a job that is not over."""
        job = self.jobs[data.draw(st.sampled_from(sorted(self.jobs)))]
        if job["status"] in ("complete", "cancelled") or status == "cancelled":
            return
        job["status"] = status
        with self.system._records.connection() as connection:
            connection.execute(
                sql.jobs.update()
                .where(sql.jobs.c.id == int(job["number"][2:]) - 100_000)
                .values(status=status)
            )

    @invariant()
    def agrees(self) -> None:
        """Every job is listed once, where it belongs, as it is."""
        for communal in (False, True):
            seen = {}
            for stage in Stage:
                places: dict[str, Any] = (
                    {"buildings": ["Sample Court"]} if communal else {"tenancies": ["T-1"]}
                )
                for job in self.system.jobs(stage, **places).rows:
                    assert job.number not in seen
                    seen[job.number] = (stage, job.status.value, job.appointment)
            assert seen == {
                job["number"]: (self.stage(job), job["status"], job["visit"])
                for job in self.jobs.values()
                if job["communal"] is communal
            }

    def stage(self, job: dict[str, Any]) -> Stage:
        """Return where a job belongs."""
        if job["status"] in ("complete", "cancelled"):
            return Stage.PAST
        visit = job["visit"]
        return Stage.UPCOMING if visit and visit.ends_at > NINE else Stage.NEW


def run_machine(url: str, examples: int) -> None:
    """Run the machine on a database."""
    from hypothesis.stateful import run_state_machine_as_test

    machine = type("Machine", (HousingMachine,), {"url": url})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=12, deadline=None)
    )


def test_whatever_is_done_jobs_are_as_a_plain_model_has_them(tmp_path: Path) -> None:
    """Raise, book, cancel and change in any order: each job once, in the right list."""
    run_machine(f"sqlite:///{tmp_path / 'machine.sqlite3'}", 5)


@pytest.mark.exhaustive
def test_whatever_is_done_for_long_on_both_databases(place: str) -> None:
    """The same for many more orders of events, on either database."""
    run_machine(place, 60)
