"""The customer directory's adapter on both databases: who is found, what is read and written."""

from __future__ import annotations

import sqlite3
import unicodedata
from contextlib import closing, contextmanager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from demo_portal.records import RecordsUnavailableError
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy import create_engine
from tenant_services.profile import customers_sql as sql
from tenant_services.profile.customers import Customer, plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BORN = date(1990, 2, 28)
SIAN = {
    "reference": "P1",
    "name": "Siân O'Mock-Ŵyn",
    "born_on": BORN,
    "telephone": "+44 7700 900001",
    "email": "sian@people.example",
}
PAPER = bytes(range(256)) * 5


def a_tenancy(reference: str, **other: Any) -> dict[str, Any]:
    """Return a tenancy."""
    return {
        "reference": reference,
        "kind": "general-needs",
        "address": "1 Sample Court",
        "postcode": "EX99 9AA",
        "locality": "Exampleton",
        "building": "",
        "began_on": date(2020, 1, 1),
        "ended_on": None,
    } | other


def fill(url: str) -> None:
    """Write a directory: a couple who rent together, twins, and somebody alone."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    sql.metadata.create_all(engine)
    twin = {"name": "Twin Testington", "born_on": BORN}
    ended = {"began_on": date(2021, 1, 1), "ended_on": date(2022, 1, 1)}
    with engine.begin() as connection:
        connection.execute(
            sql.customers.insert(),
            [
                SIAN,
                SIAN | {"reference": "P2", "name": "Ann Other", "born_on": date(1980, 1, 1)},
                SIAN | {"reference": "P3"} | twin,
                SIAN | {"reference": "P4"} | twin,
            ],
        )
        connection.execute(
            sql.tenancies.insert(),
            [
                a_tenancy("T-1"),
                a_tenancy("T-2"),
                a_tenancy("T-3", **ended),
                a_tenancy("T-4", began_on=date(2023, 1, 1)),
            ],
        )
        rented = [("T-1", "P1"), ("T-1", "P2"), ("T-2", "P3"), ("T-2", "P4")]
        rented += [("T-3", "P1"), ("T-4", "P1")]
        connection.execute(
            sql.tenants.insert(), [{"tenancy": what, "customer": who} for what, who in rented]
        )
        connection.execute(
            sql.documents.insert(),
            [
                {
                    "tenancy": tenancy,
                    "number": number,
                    "title_en": f"Paper {number}",
                    "title_cy": f"Papur {number}",
                    "added_on": BORN + timedelta(days=number // 2),
                    "media_type": "application/pdf",
                    "content": PAPER,
                }
                for tenancy, number in [("T-1", 1), ("T-1", 2), ("T-1", 3), ("T-2", 1)]
            ],
        )
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return the URL of a directory, on either database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'the customers.sqlite3'}"
    else:
        url = request.getfixturevalue("postgresql_url")
    fill(url)
    return url


@contextmanager
def opened(url: str, seconds: float = 5.0) -> Iterator[sql.SqlCustomerDirectory]:
    """Give a directory, whose connections are let go afterwards."""
    directory = sql.SqlCustomerDirectory(url, seconds)
    yield directory
    directory._records.engine.dispose()


def test_tenants_are_found_by_all_three_answers(where: str) -> None:
    """Tenancy, name and date of birth, all of them right, find one person; else nobody is found."""
    with opened(where) as directory:
        assert directory.find("T-1", "sian omock wyn", BORN) == Customer(**SIAN)  # type: ignore[arg-type]
        assert directory.find("T-3", "SIÂN  O\u2019MOCK-ŴYN.", BORN) == Customer(**SIAN)  # type: ignore[arg-type]
        for wrong in [
            ("T-2", SIAN["name"], BORN),
            ("T-9", SIAN["name"], BORN),
            ("t-1", SIAN["name"], BORN),
            ("T-1", "Siân Mock", BORN),
            ("T-1", "", BORN),
            ("T-1", "Ann Other", BORN),
            ("T-1", SIAN["name"], BORN + timedelta(days=1)),
            ("%", SIAN["name"], BORN),
            ("' OR 1=1 --", SIAN["name"], BORN),
        ]:
            assert directory.find(*wrong) is None, wrong  # type: ignore[arg-type]


def test_two_whom_the_answers_do_not_tell_apart_are_nobody(where: str) -> None:
    """Twins of one name get no account from each other's answers."""
    with opened(where) as directory:
        assert directory.find("T-2", "Twin Testington", BORN) is None


def test_tenancies_that_go_on_come_first(where: str) -> None:
    """Those that go on, the latest first; then those that ended. Of nobody there are none."""
    with opened(where) as directory:
        assert [one.reference for one in directory.tenancies("P1")] == ["T-4", "T-1", "T-3"]
        assert directory.tenancies("P9") == []
        assert directory.customer("P9") is None


def test_documents_are_listed_and_read_to_the_byte(where: str) -> None:
    """Newest first, with their size; a document is its tenancy's alone."""
    with opened(where) as directory:
        listed = directory.documents("T-1")
        assert [one.number for one in listed] == [3, 2, 1]
        assert {one.size for one in listed} == {len(PAPER)}
        found = directory.document("T-1", 2)
        assert found == (listed[1], PAPER)
        assert directory.document("T-2", 2) is None
        assert directory.documents("T-3") == []
        for number in (0, 4, 2**31 - 1, 2**31, 2**63, 10**30):
            assert directory.document("T-1", number) is None


def test_contact_details_are_kept_for_one_person(where: str) -> None:
    """A change is there at the next look, of that person alone, and nothing else has changed."""
    with opened(where) as directory:
        directory.change_telephone("P1", "+44 7700 900999")
        directory.change_email("P1", "new@people.example")
        new = {"telephone": "+44 7700 900999", "email": "new@people.example"}
        assert directory.customer("P1") == Customer(**SIAN | new)  # type: ignore[arg-type]
        other = directory.customer("P2")
        assert other is not None
        assert (other.telephone, other.email) == (SIAN["telephone"], SIAN["email"])
        directory.change_email("P9", "nobody@people.example")


def test_directory_that_is_busy_or_gone_is_not_waited_for(where: str, tmp_path: Path) -> None:
    """Reading and writing give up in time, and say nothing of what was asked."""
    if where.startswith("sqlite"):
        other: Any = sqlite3.connect(where.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
    else:
        other = psycopg.connect(where)
        other.execute("LOCK TABLE customers")
    with closing(other), opened(where, 0.3) as directory:
        for ask in (
            lambda: directory.find("T-1", "x", BORN),
            lambda: directory.customer("P1"),
            lambda: directory.change_email("P1", "x@y.example"),
        ):
            with pytest.raises(RecordsUnavailableError) as caught:
                ask()
            assert str(caught.value) == ""
    missing = tmp_path / "missing.sqlite3"
    with opened(f"sqlite:///{missing}") as directory, pytest.raises(RecordsUnavailableError):
        directory.customer("P1")
    assert not missing.exists()


letters = st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=12)


@example(["\U0001d56c"], " ")  # a capital letter only once it is taken apart
@given(st.lists(letters, min_size=1, max_size=4), st.sampled_from([" ", "  ", "-", ". ", "\u00a0"]))
def test_names_may_be_written_differently(parts: list[str], between: str) -> None:
    """Spaces, hyphens, full stops, normal forms and a second reading change nothing."""
    name = plain_name(" ".join(parts))
    assert plain_name(between.join(parts)) == name
    assert plain_name(f" {unicodedata.normalize('NFD', ' '.join(parts))}. ") == name
    assert plain_name(name) == name


@given(st.text(max_size=30), st.text(max_size=30))
def test_names_with_other_letters_are_other_names(one: str, other: str) -> None:
    """What is left of two names is the same only if the letters without accents are."""

    def bare(name: str) -> str:
        kept = unicodedata.normalize("NFKD", name.casefold())
        return "".join(letter for letter in kept if letter.isalnum())

    if plain_name(one) == plain_name(other):
        assert bare(one) == bare(other)
