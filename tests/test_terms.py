"""The terms: all clauses, what reaches each, and the version in force at an instant."""

from __future__ import annotations

import copy
import hashlib
import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from automation_rules.errors import ClockError, HorizonError, InvalidInputError
from automation_rules.readings import READINGS
from automation_rules.terms import (
    KINDS,
    clauses_for,
    clauses_of,
    parse_terms,
    reading_texts,
    terms_at,
)
from automation_rules.texts import Text, load, ui

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)

# The contract, written out here by itself: every clause with its kinds, in order.
CLAUSES: dict[str, tuple[str, ...]] = {
    "scope.landlord": ("condition",),
    "software.own-or-bought": ("permission",),
    "software.no-recommendation": ("notice",),
    "step-1.declare": ("duty",),
    "step-2.own-account": ("duty",),
    "step-2.role": ("duty", "prohibition"),
    "terms.role": ("duty",),
    "step-2.limit": ("prohibition",),
    "terms.limit": ("prohibition",),
    "step-2.one-account-per-todo": ("suggestion",),
    "step-2.identify": ("duty",),
    "step-2.two-factor": ("duty",),
    "step-2.manual-code": ("duty",),
    "step-3.no-test-environment": ("notice",),
    "step-3.test": ("recommendation",),
    "when.core-hours": ("restriction",),
    "when.annual-window": ("permission",),
    "when.maintenance": ("notice",),
    "terms.agreement-by-use": ("notice",),
    "terms.own-risk": ("notice",),
    "terms.no-support": ("notice",),
    "terms.no-accommodation": ("notice",),
    "terms.housing-costs-only": ("prohibition",),
    "terms.no-other-functions": ("prohibition",),
    "terms.suspension": ("power",),
    "terms.suspension-resolution": ("undertaking",),
    "terms.report-incorrect-data": ("duty",),
    "terms.portal-changes": ("notice",),
    "terms.change-notice": ("aim",),
    "terms.accuracy": ("duty",),
    "terms.data-controller": ("duty",),
}

CHECKS: dict[str, tuple[str, ...]] = {
    "landlord": ("scope.landlord",),
    "declaration": ("step-1.declare",),
    "account": ("step-2.own-account",),
    "role": ("step-2.role", "terms.role"),
    "account_limit": ("step-2.limit", "terms.limit"),
    "identity": ("step-2.identify",),
    "two_factor": ("step-2.two-factor",),
    "manual_code": ("step-2.manual-code",),
    "action": ("terms.housing-costs-only", "terms.no-other-functions"),
    "test_mode": ("step-3.no-test-environment", "step-3.test"),
    "window": ("when.core-hours", "when.annual-window"),
    "suspension": ("terms.suspension", "terms.suspension-resolution"),
    "form": ("terms.portal-changes", "terms.change-notice"),
    "answers": ("terms.accuracy",),
}

WINDOW_CODES: dict[str, tuple[str, ...]] = {
    "closure": ("when.maintenance", "terms.suspension"),
    "annual_window_wrong_todo": ("when.core-hours", "when.annual-window"),
    "weekend": ("when.core-hours",),
    "bank_holiday": ("when.core-hours", "when.annual-window"),
    "outside_hours": ("when.core-hours",),
    "insufficient_time_left": ("when.core-hours",),
}

COMMANDS = {
    "check",
    "preflight",
    "windows",
    "init",
    "landlord",
    "people",
    "accounts",
    "code",
    "audit",
    "terms",
    "policy",
}


def version(number: str, since: str | None, *changed: str, **more: Any) -> dict[str, Any]:
    """A version that gives the clauses ``changed`` another text than the published one."""
    published = load("clauses.json")["versions"][0]
    clauses = [copy.deepcopy(c) for c in published["clauses"] if c["id"] in changed]
    for clause in clauses:
        clause["text"] = {"en": f"As of {number}.", "cy": f"Ers {number}."}
    return {
        **published,
        "version": number,
        "effective_from": since,
        "retrieved_on": "2027-02-01",
        "clauses": clauses,
        **more,
    }


def two_versions() -> dict[str, Any]:
    """The published version and a later one with one clause changed and one withdrawn."""
    document: dict[str, Any] = load("clauses.json")
    since = "2027-03-01T00:00:00+00:00"
    document["versions"].append(
        version("2", since, "terms.limit", withdrawn=["software.own-or-bought"])
    )
    return document


def test_all_clauses_are_there_in_order_with_their_kinds() -> None:
    """The published version has exactly the 31 clauses, each with its kinds."""
    clauses = terms_at(NOW).clauses
    assert {clause.id: clause.kinds for clause in clauses.values()} == CLAUSES
    assert list(clauses) == list(CLAUSES)
    assert len(clauses) == 31


def test_a_clause_tells_everything_that_it_carries() -> None:
    """Each clause has its own title and text, its source and the day that was read."""
    clauses = terms_at(NOW).clauses.values()
    for clause in clauses:
        assert clause.title.en != clause.text.en
        assert clause.text.en.endswith(".")
        assert clause.text.cy.endswith(".")
        assert clause.source.document.en.startswith("Landlord Portal")
        assert clause.source.document.cy.startswith("Porth Landlordiaid")
        assert "(DWP)" in clause.source.publisher.en
        assert clause.source.section.en
        assert clause.effective_from is None
        assert clause.retrieved_on == date(2026, 11, 21)
    assert len({clause.title for clause in clauses}) == len({c.text for c in clauses}) == 31


def test_kinds_are_a_closed_vocabulary_with_labels() -> None:
    """Every kind that a clause has is in the vocabulary, is used, and can be shown."""
    assert {kind for clause in terms_at(NOW).clauses.values() for kind in clause.kinds} == {*KINDS}
    for kind in KINDS:
        assert ui(f"kind.{kind}").en == kind


def test_every_clause_is_reached() -> None:
    """Each clause is enforced by a check or carried by a command or the acknowledgement."""
    known = {"acknowledgement"}
    known |= {f"check:{check}" for check in CHECKS}
    known |= {f"check:window:{code}" for code in WINDOW_CODES}
    known |= {f"command:{command}" for command in COMMANDS}
    for clause in terms_at(NOW).clauses.values():
        assert clause.reached_by, clause.id
        assert set(clause.reached_by) <= known, clause.id


@pytest.mark.parametrize(
    "clause_id",
    ["terms.agreement-by-use", "terms.own-risk", "terms.no-support", "terms.no-accommodation"],
)
def test_notices_are_acknowledged(clause_id: str) -> None:
    """What only informs reaches people through the recorded acknowledgement."""
    assert "acknowledgement" in terms_at(NOW)[clause_id].reached_by


@pytest.mark.parametrize(("check", "clauses"), CHECKS.items())
def test_a_check_cites_its_clauses(check: str, clauses: tuple[str, ...]) -> None:
    """Each check names its clauses in order, and so does a code without clauses of its own."""
    assert clauses_of(check) == clauses
    assert clauses_for(check, "missing_fact") == clauses


@pytest.mark.parametrize(("code", "clauses"), WINDOW_CODES.items())
def test_a_window_code_cites_its_own_clauses(code: str, clauses: tuple[str, ...]) -> None:
    """The codes of the window cite the clauses that were in the way."""
    assert clauses_for("window", code) == clauses


def test_a_check_that_enforces_nothing_published_is_refused() -> None:
    """A misspelt check cites no clause by accident."""
    with pytest.raises(LookupError, match="'windows'"):
        clauses_of("windows")
    with pytest.raises(LookupError, match="'roles'"):
        clauses_for("roles", "extra_role")


def test_the_languages_differ_in_strength_about_the_role_only() -> None:
    """Where English binds more strongly than Welsh both are recorded, and English is enforced."""
    differing = {c.id: c.strength for c in terms_at(NOW).clauses.values() if c.strength}
    assert list(differing) == ["step-2.role"]
    found = [(d.en, d.cy, d.enforced) for d in differing["step-2.role"]]
    assert found == [("must only", "gellir ond", "en"), ("must not", "ni ddylech", "en")]


def test_a_clause_that_is_not_there_is_refused_by_name() -> None:
    """An unknown clause is an input error that lists the clauses there are."""
    with pytest.raises(InvalidInputError, match=r"'when\.never' is no clause.*when\.core-hours"):
        terms_at(NOW)["when.never"]


@pytest.mark.parametrize(
    "instant",
    [
        NOW,
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=UTC),
        datetime(2026, 6, 2, tzinfo=timezone(timedelta(hours=-5))),
    ],
)
def test_the_first_version_covers_every_instant(instant: datetime) -> None:
    """The source is not dated, so its version holds at every instant."""
    assert terms_at(instant).version == "1"
    assert terms_at(instant) is terms_at(NOW)


def test_a_naive_instant_is_refused() -> None:
    """No version is in force at a time that is no instant."""
    with pytest.raises(ClockError, match="no UTC offset"):
        terms_at(datetime(2026, 6, 2, 8))  # noqa: DTZ001


def test_the_version_in_force_is_chosen_to_the_microsecond() -> None:
    """A version holds from its instant on, in whichever zone that instant is given."""
    versions = parse_terms(two_versions())
    change = datetime(2027, 3, 1, tzinfo=UTC)
    for zone in (UTC, timezone(timedelta(hours=9)), timezone(timedelta(hours=-7))):
        at = change.astimezone(zone)
        assert terms_at(at - timedelta(microseconds=1), versions).version == "1"
        assert terms_at(at, versions).version == "2"
        assert terms_at(at + timedelta(days=4000), versions).version == "2"


def test_a_later_version_changes_only_what_it_lists() -> None:
    """Clauses that a version does not list stay as they were, with their own dates."""
    first, second = parse_terms(two_versions())
    assert second["terms.limit"].text == Text("As of 2.", "Ers 2.")
    assert second["terms.limit"].effective_from == datetime(2027, 3, 1, tzinfo=UTC)
    assert second["terms.limit"].retrieved_on == date(2027, 2, 1)
    assert second["step-2.limit"] == first["step-2.limit"]
    assert list(second.clauses) == [i for i in CLAUSES if i != "software.own-or-bought"]
    assert first["software.own-or-bought"] == terms_at(NOW)["software.own-or-bought"]
    assert first == terms_at(NOW)


def test_before_the_first_dated_version_no_terms_are_known() -> None:
    """With dated versions only, an earlier instant is refused instead of guessed."""
    versions = parse_terms({"versions": [version("9", "2027-03-01T00:00:00+00:00", "terms.role")]})
    with pytest.raises(HorizonError, match="no version of the terms"):
        terms_at(NOW, versions)


@pytest.mark.parametrize(
    ("since", "then"),
    [
        (None, None),
        ("2027-03-01T00:00:00+00:00", None),
        ("2027-03-01T00:00:00+00:00", "2027-03-01T00:00:00+00:00"),
        ("2027-03-01T00:00:00+00:00", "2027-03-01T00:30:00+01:00"),
    ],
)
def test_versions_out_of_order_are_refused(since: str | None, then: str | None) -> None:
    """Each version must take effect after the one before it."""
    document = {"versions": [version("1", since), version("2", then)]}
    with pytest.raises(InvalidInputError, match=r"versions\.1\.effective_from: must be later"):
        parse_terms(document)


def test_only_a_clause_that_there_is_can_be_withdrawn() -> None:
    """Withdrawing an unknown clause is an error that names it."""
    document = {"versions": [version("1", None, withdrawn=["terms.nothing"])]}
    with pytest.raises(InvalidInputError, match=r"versions\.0\.withdrawn: 'terms\.nothing'"):
        parse_terms(document)


def test_the_digest_is_the_hash_of_the_canonical_document() -> None:
    """Anyone can recompute the digest: SHA-256 of the version as canonical JSON."""
    for terms in parse_terms(two_versions()):
        document = terms.to_document()
        digest = document.pop("digest")
        # Strings, null, lists and ASCII keys only: sorted and compact, this is RFC 8785's form.
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert digest == terms.digest
        assert digest == "sha256:" + hashlib.sha256(canonical.encode()).hexdigest()


def test_any_change_of_a_clause_changes_the_digest() -> None:
    """Two versions that differ in one word never share a digest."""
    document = load("clauses.json")
    document["versions"][0]["clauses"][5]["text"]["cy"] += " "
    assert parse_terms(document)[0].digest != terms_at(NOW).digest


def test_a_version_cannot_be_changed() -> None:
    """The terms that a decision names stay what they were."""
    terms = terms_at(NOW)
    with pytest.raises(TypeError):
        terms.clauses["terms.limit"] = terms["terms.role"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        terms.version = "2"  # type: ignore[misc]
    assert hash(terms) == hash(parse_terms(load("clauses.json"))[0])


def test_a_clause_as_a_document_has_every_part() -> None:
    """A clause can be printed as JSON with its source, dates and what reaches it."""
    document = parse_terms(two_versions())[1]["terms.limit"].to_document()
    assert json.loads(json.dumps(document)) == document
    assert document["effective_from"] == "2027-03-01T00:00:00+00:00"
    assert document["retrieved_on"] == "2027-02-01"
    assert document["reached_by"] == ["check:account_limit"]
    assert document["kinds"] == ["prohibition"]
    assert document["source"]["section"] == {"en": "Terms, point 2", "cy": "Telerau, pwynt 2"}
    assert terms_at(NOW)["step-2.role"].to_document()["strength"][1]["cy"] == "ni ddylech"


def test_every_reading_is_told_in_words() -> None:
    """Each reading and each of its values has its words, the default first."""
    texts = reading_texts()
    assert {name: tuple(reading.values) for name, reading in texts.items()} == dict(READINGS)
    for reading in texts.values():
        assert reading.question.en.endswith("?")
        assert reading.question.cy.endswith("?")
        assert reading.why.en.endswith(".")
        assert set(reading.clauses) <= set(CLAUSES)
        assert reading.clauses
        assert len(set(reading.values.values())) == len(reading.values)
