"""The incident report lists what was submitted, why it was allowed, and names nobody unasked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from automation_rules.audit import DecisionLog
from automation_rules.errors import LogError, NotRegisteredError
from automation_rules.incident import incident_report
from log_helpers import PORTAL, State, decided, opened

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START, END = datetime(2026, 6, 2, 8, tzinfo=UTC), datetime(2026, 6, 2, 10, tzinfo=UTC)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """A log with submissions inside and outside the span, and other steps."""
    with opened(tmp_path / "state.sqlite3") as made:
        for time, action, changes in (
            ("09:00", "submit_todo", {}),
            ("09:30", "submit_todo", {"subject__properties__two_factor": False}),
            ("09:40", "open_todo", {}),
            ("09:50", "open_todo", {"context__mode": "test"}),
            ("10:59", "submit_todo", {"resource__properties__tenant": "tenant-2"}),
            ("11:00", "submit_todo", {}),
            ("09:55", "submit_todo", {"subject__id": "acme-2"}),
        ):
            asked = {
                "resource__properties__tenant": "tenant-1",
                "context__time": f"2026-06-02T{time}:00+01:00",
                "action__name": action,
                **changes,
            }
            made.log.record(decided(**asked), readings=PORTAL.readings)
        yield made


def test_submissions_of_the_span_are_listed_with_why_they_were_allowed(state: State) -> None:
    """Half-open in time, of that account only; the rest is counted."""
    report = incident_report(state.log, "acme-1", START, END)
    assert [found.index for found in report.submissions] == [0, 4]
    assert (report.denied, report.tests, report.other) == (1, 1, 1)
    assert report.landlord == "acme"
    first = report.submissions[0]
    window = next(check for check in first.checks if check.check == "window")
    assert (window.outcome, window.code) == ("pass", None)
    assert window.clauses
    assert len(first.checks) == len(PORTAL.checks)


def test_tenants_are_tokens_unless_their_references_are_asked_for(state: State) -> None:
    """References take the key; the token is in the report either way."""
    tokens = incident_report(state.log, "acme-1", START, END).submissions
    assert [(found.tenant, found.todo) for found in tokens] == [(None, None)] * 2
    assert all(len(found.tenant_token or "") == 32 for found in tokens)
    named = incident_report(state.log, "acme-1", START, END, with_references=True).submissions
    assert [found.tenant for found in named] == ["tenant-1", "tenant-2"]
    assert [found.todo for found in named] == ["td-17", "td-17"]
    with DecisionLog(state.store) as log:
        assert incident_report(log, "acme-1", START, END).submissions == tokens
        with pytest.raises(LogError, match="vault"):
            incident_report(log, "acme-1", START, END, with_references=True)


def test_an_account_that_the_log_does_not_know_is_told(state: State) -> None:
    """A mistyped account is no clean record."""
    with pytest.raises(NotRegisteredError, match="acme-7"):
        incident_report(state.log, "acme-7", START, END)
