"""The registry: what it keeps, what it refuses, and the limit of two under any race."""

from __future__ import annotations

import multiprocessing
import traceback
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import insert, update

from automation_rules.accounts import AccountStatus, AutomationAccount, Landlord, Person
from automation_rules.clock import FrozenClock
from automation_rules.errors import (
    AccountLimitError,
    AlreadyRegisteredError,
    ClockError,
    FieldError,
    InvalidInputError,
    NotRegisteredError,
    RegistryError,
)
from automation_rules.store import (
    AnnouncedChange,
    KnownForm,
    Leases,
    PortalClosure,
    Registry,
    ServiceTokens,
    StatusChange,
    Store,
    Switch,
    tables,
)
from servers import on_both_databases
from store_workers import activated

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 6, 2, 8, tzinfo=UTC)
DAY = date(2026, 1, 5)
ACME = Landlord("acme", "Acme Homes", ("Cartrefi Acme",), declared_on=DAY)
OFFICER = Person("officer", "acme", "Example Person", "housing officer")


def bot(number: int, **changes: Any) -> AutomationAccount:
    """Return an account of Acme's that the terms allow."""
    account = AutomationAccount(
        f"acme-{number}", "acme", f"Acme Homes Automation {number}", "automation@acme.example"
    )
    return replace(account, **changes)


@pytest.fixture
def clock() -> FrozenClock:
    """Return a clock that stands still."""
    return FrozenClock(NOW)


@pytest.fixture
def store(url: str, clock: FrozenClock) -> Iterator[Store]:
    """Give a new state."""
    with Store.open(url, clock=clock, create=True) as new:
        yield new


@pytest.fixture
def registry(store: Store, clock: FrozenClock) -> Registry:
    """Return a registry with one landlord and one of its people."""
    new = Registry(store, clock)
    new.add_landlord(ACME)
    new.add_person(OFFICER)
    return new


def problems(act: Callable[[], object]) -> dict[str, str]:
    """Return the problems, by pointer, of an input that is refused."""
    with pytest.raises(InvalidInputError) as caught:
        act()
    return {error.pointer: error.problem for error in caught.value.errors}


# --- landlords --------------------------------------------------------------------------------


@on_both_databases
def test_a_landlord_comes_back_as_it_was_registered(registry: Registry) -> None:
    """Every field is kept, the absent ones too."""
    full = Landlord(
        id="brick",
        name="Brick Trust",
        also_known_as=("Ymddiriedolaeth Brics", "BT"),
        sector="private",
        portal_access=False,
        nation="scotland",
        declared_on=DAY,
        partnership_manager="Example Manager",
        paused=True,
    )
    bare = Landlord("zed", "Zed")
    registry.add_landlord(full)
    registry.add_landlord(bare)
    assert registry.landlord("brick") == full
    assert registry.landlord("zed") == bare
    assert registry.landlords() == (ACME, full, bare)


@on_both_databases
def test_a_landlord_id_is_taken_once(registry: Registry) -> None:
    """Another landlord with the id is refused, and the first one stays."""
    with pytest.raises(AlreadyRegisteredError, match="'acme' is taken"):
        registry.add_landlord(Landlord("acme", "Other Homes"))
    assert registry.landlords() == (ACME,)


def test_a_landlord_is_updated_field_by_field(registry: Registry) -> None:
    """What is given is recorded, and the rest stays as it was."""
    registry.update_landlord("acme", declared_on=None, nation="union", also_known_as=("A", "B"))
    changed = replace(ACME, declared_on=None, nation="union", also_known_as=("A", "B"))
    assert registry.landlord("acme") == changed
    registry.update_landlord("acme")
    registry.update_landlord("acme", partnership_manager="Example Manager", portal_access=False)
    assert registry.landlord("acme") == replace(
        changed, partnership_manager="Example Manager", portal_access=False
    )


def test_updating_touches_one_landlord_only(registry: Registry) -> None:
    """Others in the same state stay as they are."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.update_landlord("brick", name="Brick Limited")
    registry.pause_landlord("brick", "an example")
    assert registry.landlord("acme") == ACME


@pytest.mark.parametrize(
    ("changes", "pointer", "problem"),
    [
        ({"id": ""}, "/id", "must be 1 to 200 characters long"),
        ({"id": "x" * 201}, "/id", "must be 1 to 200 characters long"),
        ({"id": 7}, "/id", "must be text"),
        ({"id": "a\nb"}, "/id", "must not hold control characters or lone surrogates"),
        ({"id": "\ud800"}, "/id", "must not hold control characters or lone surrogates"),
        ({"name": ""}, "/name", "must be 1 to 1000 characters long"),
        ({"name": "x" * 1001}, "/name", "must be 1 to 1000 characters long"),
        ({"name": "--"}, "/name", "must hold a letter or a digit"),
        ({"name": "a\x1b[31m"}, "/name", "must not hold control characters"),
        ({"name": "a\u2028b"}, "/name", "must not hold control characters"),
        ({"also_known_as": "Acme"}, "/also_known_as", "must be a tuple of texts"),
        ({"also_known_as": ["Acme"]}, "/also_known_as", "must be a tuple of texts"),
        ({"also_known_as": ("A", "?")}, "/also_known_as/1", "must hold a letter or a digit"),
        ({"also_known_as": ("A", 1)}, "/also_known_as/1", "must be text"),
        ({"also_known_as": ("A",) * 1001}, "/also_known_as", "must have at most 1000 entries"),
        ({"sector": ""}, "/sector", "must be 1 to 1000"),
        ({"portal_access": 1}, "/portal_access", "must be true or false"),
        ({"paused": "no"}, "/paused", "must be true or false"),
        ({"nation": "wales"}, "/nation", "must be one of union, england-and-wales, scotland, nor"),
        ({"declared_on": NOW}, "/declared_on", "must be a date, without a time"),
        ({"declared_on": "2026-01-05"}, "/declared_on", "must be a date, without a time"),
        ({"partnership_manager": ""}, "/partnership_manager", "must be 1 to 1000"),
    ],
)
def test_a_landlord_that_cannot_be_recorded(
    registry: Registry, changes: dict[str, Any], pointer: str, problem: str
) -> None:
    """The field is named with its remedy, nothing is written, and an update is held to the same."""
    found = problems(lambda: registry.add_landlord(replace(Landlord("new", "New"), **changes)))
    assert list(found) == [pointer]
    assert problem in found[pointer]
    assert registry.landlords() == (ACME,)
    if not changes.keys() & {"id", "paused"}:
        assert problems(lambda: registry.update_landlord("acme", **changes)) == found
        assert registry.landlord("acme") == ACME


@on_both_databases
def test_texts_at_their_limits_are_kept(registry: Registry) -> None:
    """200 characters of id and 1,000 of name, of any script, come back whole."""
    landlord = Landlord("ŵ" * 200, "\N{PILE OF POO}x" * 500, ("y" * 1000,) * 3)
    registry.add_landlord(landlord)
    assert registry.landlord(landlord.id) == landlord


def test_all_wrong_fields_are_named_at_once_in_order(registry: Registry) -> None:
    """One answer names everything that has to be mended."""
    wrong = Landlord("", "", sector="", nation="", partnership_manager="")
    found = problems(lambda: registry.add_landlord(wrong))
    assert list(found) == ["/id", "/name", "/sector", "/nation", "/partnership_manager"]


@pytest.mark.parametrize("field", ["id", "paused", "colour"])
def test_some_fields_of_a_landlord_have_ways_of_their_own(registry: Registry, field: str) -> None:
    """Identity and pauses are not changed by an update, nor fields that do not exist."""
    changes: dict[str, Any] = {field: "x"}
    found = problems(lambda: registry.update_landlord("acme", **changes))
    assert found == {f"/{field}": "cannot be changed this way"}


@on_both_databases
def test_a_landlord_is_paused_with_a_reason_and_resumed_by_a_person(
    registry: Registry, clock: FrozenClock
) -> None:
    """Both are on record with their times."""
    registry.pause_landlord("acme", "an example reason")
    assert registry.landlord("acme").paused
    clock.move_to(NOW + timedelta(hours=1))
    registry.resume_landlord("acme", "officer")
    assert not registry.landlord("acme").paused
    assert registry.status_changes("acme") == (
        StatusChange("acme", None, "paused", NOW, reason="an example reason"),
        StatusChange("acme", None, "resumed", NOW + timedelta(hours=1), person_id="officer"),
    )


def test_only_a_paused_landlord_is_resumed_and_only_by_its_people(registry: Registry) -> None:
    """A pause ends on the word of someone registered there, and only when there is one."""
    with pytest.raises(RegistryError, match="is not paused"):
        registry.resume_landlord("acme", "officer")
    registry.pause_landlord("acme", "an example")
    with pytest.raises(NotRegisteredError, match="no person with that id"):
        registry.resume_landlord("acme", "stranger")
    assert registry.landlord("acme").paused


# --- all at once ------------------------------------------------------------------------------


@on_both_databases
def test_all_automation_is_paused_with_a_reason_and_resumed_by_a_person(
    registry: Registry, clock: FrozenClock
) -> None:
    """Both are on record with their times, and every landlord's facts say so meanwhile."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_account(bot(1))
    registry.add_account(bot(9, landlord_id="brick", username="Brick Trust Automation"))
    everyone = ("acme-1", "acme-9")
    assert not registry.all_paused()
    assert registry.switches() == ()
    registry.pause_all("an example reason")
    assert registry.all_paused()
    assert [registry.facts(one, NOW).landlord.paused for one in everyone] == [True, True]
    assert not registry.landlord("acme").paused
    clock.move_to(NOW + timedelta(hours=1))
    registry.resume_all("acme", "officer")
    assert not registry.all_paused()
    assert [registry.facts(one, NOW).landlord.paused for one in everyone] == [False, False]
    assert registry.switches() == (
        Switch("paused", NOW, reason="an example reason"),
        Switch("resumed", NOW + timedelta(hours=1), landlord_id="acme", person_id="officer"),
    )


def test_a_landlord_added_during_the_pause_of_all_is_paused_too(registry: Registry) -> None:
    """The switch is not a list of landlords."""
    registry.pause_all("an example")
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_account(bot(9, landlord_id="brick", username="Brick Trust Automation"))
    assert registry.facts("acme-9", NOW).landlord.paused


def test_what_was_paused_by_itself_stays_so(registry: Registry) -> None:
    """Resuming all ends the pause of all, and no other; resuming one does not end that of all."""
    registry.add_account(bot(1))
    registry.pause_landlord("acme", "an example")
    registry.pause_all("another")
    registry.resume_all("acme", "officer")
    assert registry.facts("acme-1", NOW).landlord.paused
    registry.pause_all("once more")
    registry.pause_all("and again")
    registry.resume_landlord("acme", "officer")
    assert registry.facts("acme-1", NOW).landlord.paused
    with pytest.raises(RegistryError, match="is not paused; if all automation is, resume all"):
        registry.resume_landlord("acme", "officer")
    registry.resume_all("acme", "officer")
    assert not registry.facts("acme-1", NOW).landlord.paused


def test_only_a_pause_of_all_is_ended_and_only_by_somebody_registered(registry: Registry) -> None:
    """It takes a pause, and a landlord's person: not a stranger, nor one since removed."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    with pytest.raises(RegistryError, match="not all automation is paused"):
        registry.resume_all("acme", "officer")
    registry.pause_all("an example")
    for landlord in ("acme", "brick"):
        with pytest.raises(NotRegisteredError, match="no person with that id"):
            registry.resume_all(landlord, "stranger" if landlord == "acme" else "officer")
    registry.remove_person("acme", "officer")
    with pytest.raises(NotRegisteredError, match="no person with that id"):
        registry.resume_all("acme", "officer")
    assert registry.all_paused()
    assert problems(lambda: registry.pause_all("")).keys() == {"/reason"}


# --- people -----------------------------------------------------------------------------------


@on_both_databases
def test_people_are_listed_found_and_removed(registry: Registry) -> None:
    """A landlord's people come back as registered until they are removed."""
    second = Person("another", "acme", "Second Example")
    registry.add_person(second)
    assert registry.people("acme") == (second, OFFICER)
    assert registry.person("acme", "officer") == OFFICER
    registry.remove_person("acme", "officer")
    assert registry.people("acme") == (second,)
    for act in (registry.person, registry.remove_person):
        with pytest.raises(NotRegisteredError):
            act("acme", "officer")


@on_both_databases
def test_a_person_is_registered_once_and_may_come_back(registry: Registry) -> None:
    """A second registration is refused; after a removal it gives the new particulars."""
    with pytest.raises(AlreadyRegisteredError):
        registry.add_person(OFFICER)
    registry.remove_person("acme", "officer")
    back = Person("officer", "acme", "Example Person", "supplier's operator")
    registry.add_person(back)
    assert registry.people("acme") == (back,)


def test_one_person_may_serve_several_landlords(registry: Registry) -> None:
    """A supplier's operator is registered for each landlord, and removed from each."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_person(replace(OFFICER, landlord_id="brick"))
    registry.remove_person("acme", "officer")
    assert registry.people("acme") == ()
    assert [person.id for person in registry.people("brick")] == ["officer"]


@on_both_databases
def test_an_account_is_no_person_and_a_person_no_account(registry: Registry) -> None:
    """An id cannot be both, or an account could vouch for its own code."""
    registry.add_account(bot(1))
    found = problems(lambda: registry.add_person(Person("acme-1", "acme", "Example")))
    assert found == {"/id": "is an automation account's (clause step-2.manual-code)"}
    found = problems(lambda: registry.add_account(bot(2, id="officer")))
    assert found == {"/id": "is a person's (clause step-2.own-account)"}


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"landlord_id": "x" * 201}, "/landlord_id"),
        ({"name": ""}, "/name"),
        ({"name": "a\x00b"}, "/name"),
        ({"role": ""}, "/role"),
    ],
)
def test_a_person_that_cannot_be_recorded(
    registry: Registry, changes: dict[str, Any], pointer: str
) -> None:
    """The field is named, and nothing is written."""
    person = replace(Person("new", "acme", "Example"), **changes)
    assert list(problems(lambda: registry.add_person(person))) == [pointer]
    assert registry.people("acme") == (OFFICER,)


@on_both_databases
def test_an_acknowledgement_is_kept_with_who_when_and_what(
    registry: Registry, clock: FrozenClock
) -> None:
    """Each one is on record for good, oldest first, even when the person has left."""
    given = []
    for version in ("1", "2"):
        given.append(
            registry.acknowledge(
                "acme",
                "officer",
                terms_version=version,
                terms_digest="sha256:00",
                clauses=["terms.own-risk", "terms.no-support"],
            )
        )
        clock.move_to(clock.now() + timedelta(days=1))
    registry.remove_person("acme", "officer")
    assert registry.acknowledgements("acme") == tuple(given)
    assert given[0].at == NOW
    assert given[1].clauses == ("terms.own-risk", "terms.no-support")


def test_an_acknowledgement_needs_a_person_and_clauses(registry: Registry) -> None:
    """Nobody unknown acknowledges, and nobody acknowledges nothing."""

    def acknowledge(person: str = "officer", version: str = "1", *clauses: str) -> None:
        registry.acknowledge(
            "acme", person, terms_version=version, terms_digest="sha256:00", clauses=clauses
        )

    with pytest.raises(NotRegisteredError):
        acknowledge("stranger", "1", "terms.own-risk")
    assert problems(acknowledge) == {"/clauses": "must name at least one clause"}
    assert list(problems(lambda: acknowledge("", "", "a\tb"))) == [
        "/person_id",
        "/terms_version",
        "/clauses/0",
    ]
    assert registry.acknowledgements("acme") == ()


# --- accounts ---------------------------------------------------------------------------------


@on_both_databases
def test_an_account_comes_back_as_it_was_registered(registry: Registry) -> None:
    """Every field is kept."""
    account = bot(1, todo_kind="confirm_housing_costs")
    registry.add_account(account)
    assert registry.account("acme-1") == account
    assert registry.accounts("acme") == (account,)


def test_an_account_may_use_another_name_of_the_landlord(registry: Registry) -> None:
    """A name that the landlord is also known by identifies it."""
    registry.add_account(bot(1, username="Cartrefi Acme Automation"))


def test_an_account_that_the_terms_rule_out_is_refused_with_every_clause(
    registry: Registry,
) -> None:
    """Each field that no lawful account has is named, with the clause and the remedy."""
    account = bot(
        1,
        username="Robot",
        email="robot@acme.example",
        roles=frozenset({"complete_todos", "provide_tenancy_details"}),
        two_factor=False,
        created_by_role="complete_todos",
    )
    assert problems(lambda: registry.add_account(account)) == {
        "/username": "must contain the word automation and the landlord's name, or another that "
        "it is known by, as whole words (step-2.identify)",
        "/email": "must contain automation before its one @ sign (step-2.identify)",
        "/roles": "must be complete_todos and nothing else (step-2.role, terms.role)",
        "/two_factor": "must be true: turn it on in the portal (step-2.two-factor)",
        "/created_by_role": "must be manage_users (step-2.own-account)",
    }
    assert registry.accounts("acme") == ()


def test_the_reading_automation_only_lets_a_nameless_account_in(registry: Registry) -> None:
    """Under that reading the username needs the word automation alone."""
    account = bot(1, username="Automation 1")
    assert list(problems(lambda: registry.add_account(account))) == ["/username"]
    found = problems(lambda: registry.add_account(bot(1, username="Robot"), automation_only=True))
    assert found == {
        "/username": "must contain the word automation, as whole words (step-2.identify)"
    }
    registry.add_account(account, automation_only=True)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"id": "a\x7fb"}, "/id"),
        ({"landlord_id": ""}, "/landlord_id"),
        ({"username": "x" * 1001}, "/username"),
        ({"email": 7}, "/email"),
        ({"roles": {"complete_todos"}}, "/roles"),
        ({"roles": frozenset({""})}, "/roles/0"),
        ({"two_factor": None}, "/two_factor"),
        ({"created_by_role": ""}, "/created_by_role"),
        ({"todo_kind": "complete_todos"}, "/todo_kind"),
        ({"status": AccountStatus.PAUSED}, "/status"),
        ({"status": "active"}, "/status"),
    ],
)
def test_an_account_that_cannot_be_recorded(
    registry: Registry, changes: dict[str, Any], pointer: str
) -> None:
    """The field is named, nothing is written, and an update is held to the same."""
    found = problems(lambda: registry.add_account(bot(1, **changes)))
    assert list(found) == [pointer]
    assert registry.accounts("acme") == ()
    if not changes.keys() & {"id", "landlord_id", "status"}:
        registry.add_account(bot(1))
        assert problems(lambda: registry.update_account("acme-1", **changes)) == found
        assert registry.account("acme-1") == bot(1)


@on_both_databases
def test_what_becomes_of_an_account_is_recorded_lawful_or_not(registry: Registry) -> None:
    """Facts may drift: the registry tells the truth, and the checks judge it."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    drifted: dict[str, Any] = {
        "username": "Robot",
        "email": "robot@acme.example",
        "roles": frozenset({"manage_users", "view_payments"}),
        "two_factor": False,
        "created_by_role": "somebody",
        "todo_kind": "other",
    }
    registry.update_account("acme-1", **drifted)
    registry.update_account("acme-1")
    assert registry.account("acme-1") == bot(1, **drifted)
    assert registry.account("acme-2") == bot(2)


@pytest.mark.parametrize("field", ["id", "landlord_id", "status"])
def test_some_fields_of_an_account_have_ways_of_their_own(registry: Registry, field: str) -> None:
    """Identity and status are not changed by an update."""
    registry.add_account(bot(1))
    changes: dict[str, Any] = {field: "x"}
    found = problems(lambda: registry.update_account("acme-1", **changes))
    assert found == {f"/{field}": "cannot be changed this way"}


@on_both_databases
def test_an_account_id_is_taken_for_good(registry: Registry) -> None:
    """Not even a removed account's id is used again: the log names it."""
    registry.add_account(bot(1))
    with pytest.raises(AlreadyRegisteredError, match="'acme-1' is taken"):
        registry.add_account(bot(1))
    registry.remove_account("acme-1")
    with pytest.raises(AlreadyRegisteredError, match="perhaps by one since removed"):
        registry.add_account(bot(1))


@on_both_databases
def test_a_third_account_is_refused(registry: Registry) -> None:
    """A landlord has two; the third is refused with the clauses and what to do."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    with pytest.raises(AccountLimitError, match=r"step-2.limit, terms.limit\): deactivate or rem"):
        registry.add_account(bot(3))
    assert [account.id for account in registry.accounts("acme")] == ["acme-1", "acme-2"]


def test_the_limit_is_each_landlords_own(registry: Registry) -> None:
    """Another landlord's accounts do not count."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    for number in (1, 2):
        registry.add_account(bot(number))
        username = f"Brick Trust Automation {number}"
        registry.add_account(bot(number, id=f"b{number}", landlord_id="brick", username=username))
    assert len(registry.accounts("acme")) == len(registry.accounts("brick")) == 2


def test_a_paused_account_counts(registry: Registry) -> None:
    """Pausing makes no room for another."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    registry.pause_account("acme-1", "an example")
    with pytest.raises(AccountLimitError):
        registry.add_account(bot(3))


@pytest.mark.parametrize("leave", ["deactivate", "remove"])
def test_a_deactivated_or_removed_account_does_not_count(registry: Registry, leave: str) -> None:
    """Either makes room for another."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    if leave == "deactivate":
        registry.deactivate_account("acme-1", "an example")
    else:
        registry.remove_account("acme-1")
    registry.add_account(bot(3))
    with pytest.raises(AccountLimitError):
        registry.add_account(bot(4))


@on_both_databases
def test_reactivating_is_held_to_the_limit(registry: Registry) -> None:
    """A deactivated account does not come back as a third."""
    for number in (1, 2):
        registry.add_account(bot(number))
    registry.deactivate_account("acme-1", "an example")
    registry.add_account(bot(3))
    with pytest.raises(AccountLimitError):
        registry.resume_account("acme-1", "officer")
    assert registry.account("acme-1").status is AccountStatus.DEACTIVATED
    registry.remove_account("acme-2")
    registry.resume_account("acme-1", "officer")
    assert registry.account("acme-1").status is AccountStatus.ACTIVE


def test_pausing_and_resuming_at_the_limit_is_free(registry: Registry) -> None:
    """A paused account of two resumes: it counted all the time."""
    for number in (1, 2):
        registry.add_account(bot(number))
    registry.pause_account("acme-1", "an example")
    registry.resume_account("acme-1", "officer")
    assert registry.account("acme-1") == bot(1)


@on_both_databases
def test_every_change_of_status_is_on_record(registry: Registry, clock: FrozenClock) -> None:
    """Who, why and when, in the order in which it happened, other landlords' left out."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.pause_landlord("brick", "an example")
    registry.add_account(bot(1))
    registry.pause_account("acme-1", "odd answers")
    registry.pause_account("acme-1", "odd again")
    registry.resume_account("acme-1", "officer")
    clock.move_to(NOW + timedelta(days=1))
    registry.deactivate_account("acme-1", "by the portal")
    registry.resume_account("acme-1", "officer")
    registry.remove_account("acme-1")
    later = clock.now()
    assert registry.status_changes("acme") == (
        StatusChange("acme", "acme-1", "paused", NOW, reason="odd answers"),
        StatusChange("acme", "acme-1", "paused", NOW, reason="odd again"),
        StatusChange("acme", "acme-1", "resumed", NOW, person_id="officer"),
        StatusChange("acme", "acme-1", "deactivated", later, reason="by the portal"),
        StatusChange("acme", "acme-1", "resumed", later, person_id="officer"),
        StatusChange("acme", "acme-1", "removed", later),
    )


def test_changes_of_status_that_make_no_sense_are_refused(registry: Registry) -> None:
    """What is active is not resumed, and what is deactivated is not paused back to life."""
    registry.add_account(bot(1))
    with pytest.raises(RegistryError, match="'acme-1' is active already"):
        registry.resume_account("acme-1", "officer")
    registry.deactivate_account("acme-1", "an example")
    with pytest.raises(RegistryError, match="'acme-1' is deactivated already"):
        registry.pause_account("acme-1", "an example")
    assert registry.account("acme-1").status is AccountStatus.DEACTIVATED


def test_an_account_is_resumed_by_a_person_of_its_landlord(registry: Registry) -> None:
    """Strangers, people of other landlords, people who left and accounts do not resume."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_person(Person("mason", "brick", "Example Mason"))
    registry.add_person(Person("left", "acme", "Example Gone"))
    registry.remove_person("acme", "left")
    registry.add_account(bot(1))
    registry.pause_account("acme-1", "an example")
    for person in ("stranger", "mason", "left", "acme-1"):
        with pytest.raises(NotRegisteredError, match="has no person with that id"):
            registry.resume_account("acme-1", person)
    assert registry.account("acme-1").status is AccountStatus.PAUSED


@pytest.mark.parametrize("reason", ["", "x" * 1001, "a\rb", None])
def test_a_pause_needs_a_reason_that_can_be_read(registry: Registry, reason: Any) -> None:
    """Whoever pauses or deactivates says why."""
    registry.add_account(bot(1))
    for act in (
        lambda: registry.pause_account("acme-1", reason),
        lambda: registry.deactivate_account("acme-1", reason),
        lambda: registry.pause_landlord("acme", reason),
    ):
        assert list(problems(act)) == ["/reason"]
    assert registry.account("acme-1") == bot(1)


def test_a_removed_account_is_gone_for_every_purpose(registry: Registry) -> None:
    """It is neither found nor listed, changed nor decided about."""
    registry.add_account(bot(1))
    registry.remove_account("acme-1")
    assert registry.accounts("acme") == ()
    for act in (
        lambda: registry.account("acme-1"),
        lambda: registry.update_account("acme-1", two_factor=True),
        lambda: registry.pause_account("acme-1", "an example"),
        lambda: registry.resume_account("acme-1", "officer"),
        lambda: registry.deactivate_account("acme-1", "an example"),
        lambda: registry.remove_account("acme-1"),
        lambda: registry.facts("acme-1", NOW),
    ):
        with pytest.raises(NotRegisteredError, match="no automation account 'acme-1'"):
            act()


# --- what is not there, and what cannot be ----------------------------------------------------


def look_ups(registry: Registry, key: str) -> list[Callable[[], object]]:
    """Return everything that can be asked about an id."""
    return [
        lambda: registry.landlord(key),
        lambda: registry.update_landlord(key, name="New"),
        lambda: registry.pause_landlord(key, "an example"),
        lambda: registry.resume_landlord(key, "officer"),
        lambda: registry.resume_all(key, "officer"),
        lambda: registry.status_changes(key),
        lambda: registry.people(key),
        lambda: registry.person(key, "officer"),
        lambda: registry.add_person(replace(OFFICER, landlord_id=key)),
        lambda: registry.remove_person(key, "officer"),
        lambda: registry.acknowledgements(key),
        lambda: registry.acknowledge(
            key, "officer", terms_version="1", terms_digest="d", clauses=["terms.own-risk"]
        ),
        lambda: registry.accounts(key),
        lambda: registry.add_account(bot(1, landlord_id=key)),
        lambda: registry.known_forms(key),
        lambda: registry.record_tested_form(KnownForm(key, "other", "f", DAY)),
        lambda: registry.account(key),
        lambda: registry.update_account(key, two_factor=True),
        lambda: registry.pause_account(key, "an example"),
        lambda: registry.resume_account(key, "officer"),
        lambda: registry.deactivate_account(key, "an example"),
        lambda: registry.remove_account(key),
        lambda: registry.facts(key, NOW),
        lambda: registry.remove_closure(key),
        lambda: registry.remove_notice(key),
    ]


@on_both_databases
def test_what_is_not_registered_is_told(registry: Registry) -> None:
    """Every method says that there is no such thing, and what it looked for."""
    for act in look_ups(registry, "nobody"):
        with pytest.raises(NotRegisteredError, match=r"there is no .* 'nobody'"):
            act()


@pytest.mark.parametrize("key", ["", "x" * 201, "a\x00b", "\udc80", None, 7, b"acme"])
def test_what_cannot_be_an_id_is_refused_before_the_database_sees_it(
    registry: Registry, key: Any
) -> None:
    """Every method names the argument."""
    for act in look_ups(registry, key):
        [pointer] = problems(act)
        assert pointer.endswith("id")


@on_both_databases
def test_errors_never_repeat_what_may_be_personal(registry: Registry) -> None:
    """Ids and names of people, usernames and reasons stay out of every message."""
    planted = "Zyxwv\x00Planted"
    clean = "Zyxwv Planted"
    registry.add_account(bot(1))
    registry.pause_account("acme-1", clean)
    registry.add_person(Person(clean, "acme", clean))
    for act in (
        lambda: registry.add_person(Person(planted, "acme", planted, planted)),
        lambda: registry.add_person(Person(clean, "acme", clean)),
        lambda: registry.person("acme", f"{clean} II"),
        lambda: registry.remove_person("acme", f"{clean} II"),
        lambda: registry.resume_account("acme-1", f"{clean} II"),
        lambda: registry.pause_account("acme-1", planted),
        lambda: registry.update_landlord("acme", partnership_manager=planted),
        lambda: registry.add_account(bot(2, username=clean, email=clean)),
    ):
        with pytest.raises((RegistryError, InvalidInputError)) as caught:
            act()
        assert "Zyxwv" not in "".join(traceback.format_exception(caught.value))
    registry.pause_all(clean)
    registry.resume_all("acme", clean)
    on_record = (registry.status_changes("acme"), registry.people("acme"), registry.switches())
    assert "Zyxwv" not in repr(on_record)


# --- what the portal announces ----------------------------------------------------------------


def closure(key: str, start: datetime, hours: float = 1, reason: str = "") -> PortalClosure:
    """Return a closure of some hours."""
    return PortalClosure(key, start, start + timedelta(hours=hours), reason)


@on_both_databases
def test_closures_are_kept_in_utc_and_listed_in_order(registry: Registry) -> None:
    """They come back exactly, in order of time, until they are withdrawn."""
    bst = timezone(timedelta(hours=1))
    later = closure("b", datetime(2026, 6, 3, 9, 0, 0, 1, tzinfo=bst), reason="maintenance")
    sooner = closure("z", NOW)
    registry.add_closure(later)
    registry.add_closure(sooner)
    assert registry.closures() == (sooner, later)
    assert registry.closures()[1].start.tzinfo is UTC
    registry.remove_closure("z")
    assert registry.closures() == (later,)


@pytest.mark.parametrize(
    ("changes", "pointer", "problem"),
    [
        ({"id": ""}, "/id", "1 to 200"),
        ({"start": NOW.replace(tzinfo=None)}, "/start", "has no UTC offset"),
        ({"end": "2026-06-02"}, "/end", "must be a date and time"),
        ({"end": NOW}, "/end", "must be later than start"),
        ({"end": NOW - timedelta(microseconds=1)}, "/end", "must be later than start"),
        ({"start": datetime.min.replace(tzinfo=UTC)}, "/start", "outside the years"),
        ({"end": datetime.max.replace(tzinfo=timezone.min)}, "/end", "outside the years"),
        ({"reason": "x" * 1001}, "/reason", "0 to 1000"),
        ({"reason": None}, "/reason", "must be text"),
    ],
)
def test_a_closure_that_cannot_be(
    registry: Registry, changes: dict[str, Any], pointer: str, problem: str
) -> None:
    """The field is named, and nothing is written."""
    found = problems(lambda: registry.add_closure(replace(closure("c", NOW), **changes)))
    assert list(found) == [pointer]
    assert problem in found[pointer]
    assert registry.closures() == ()


def test_a_closure_id_is_taken_once(registry: Registry) -> None:
    """Another closure with the id is refused, and the first one stays."""
    registry.add_closure(closure("c", NOW))
    with pytest.raises(AlreadyRegisteredError, match="closure id 'c' is taken"):
        registry.add_closure(closure("c", NOW, 2))
    assert registry.closures() == (closure("c", NOW),)


@on_both_databases
def test_notices_are_kept_and_listed_in_order(registry: Registry) -> None:
    """They come back exactly, in order of their days, until they are withdrawn."""
    later = AnnouncedChange("a", date(2026, 7, 1), affects_automation=False, title="New menu")
    sooner = AnnouncedChange("b", date(2026, 6, 1))
    registry.add_notice(later)
    registry.add_notice(sooner)
    assert registry.notices() == (sooner, later)
    with pytest.raises(AlreadyRegisteredError, match="notice id 'a' is taken"):
        registry.add_notice(AnnouncedChange("a", DAY))
    registry.remove_notice("b")
    assert registry.notices() == (later,)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"id": ""}, "/id"),
        ({"effective_on": NOW}, "/effective_on"),
        ({"affects_automation": None}, "/affects_automation"),
        ({"title": ""}, "/title"),
    ],
)
def test_a_notice_that_cannot_be(registry: Registry, changes: dict[str, Any], pointer: str) -> None:
    """The field is named, and nothing is written."""
    notice = replace(AnnouncedChange("n", DAY), **changes)
    assert list(problems(lambda: registry.add_notice(notice))) == [pointer]
    assert registry.notices() == ()


@on_both_databases
def test_the_last_tested_form_of_each_kind_is_kept(registry: Registry) -> None:
    """A new test takes the place of the last one of that landlord and kind."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    first = KnownForm("acme", "provide_tenancy_details", "v1", DAY)
    second = KnownForm("acme", "provide_tenancy_details", "v2", date(2026, 5, 1))
    other = KnownForm("acme", "confirm_housing_costs", "w1", DAY)
    bricks = KnownForm("brick", "provide_tenancy_details", "v0", DAY)
    for form in (first, other, bricks, second):
        registry.record_tested_form(form)
    assert registry.known_forms("acme") == (other, second)
    assert registry.known_forms("brick") == (bricks,)


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"landlord_id": ""}, "/landlord_id"),
        ({"todo_kind": "submit_todo"}, "/todo_kind"),
        ({"fingerprint": ""}, "/fingerprint"),
        ({"tested_on": NOW}, "/tested_on"),
    ],
)
def test_a_tested_form_that_cannot_be(
    registry: Registry, changes: dict[str, Any], pointer: str
) -> None:
    """The field is named, and nothing is written."""
    form = replace(KnownForm("acme", "other", "f", DAY), **changes)
    assert list(problems(lambda: registry.record_tested_form(form))) == [pointer]
    assert registry.known_forms("acme") == ()


# --- facts ------------------------------------------------------------------------------------


def hand_over(store: Store, account: str, entered: datetime, person: str = "officer") -> None:
    """Put a hand-over of a code on record."""
    with store.transaction() as connection:
        connection.execute(
            insert(tables.code_entries).values(
                id=f"{account} {entered.isoformat()}",
                account_id=account,
                landlord_id="acme",
                person_id=person,
                entered_at=entered,
                handed_over_at=entered + timedelta(seconds=5),
            )
        )


def test_facts_of_an_account_of_which_nothing_else_is_known(registry: Registry) -> None:
    """What is not on record is empty, not guessed."""
    registry.add_account(bot(1))
    facts = registry.facts("acme-1", NOW)
    assert facts.account == bot(1)
    assert facts.landlord == ACME
    assert facts.automation_accounts == ("acme-1",)
    assert (facts.closures, facts.notices, facts.known_forms) == ((), (), {})
    assert facts.code_entry is None


@on_both_databases
def test_facts_list_the_accounts_that_count_in_order(registry: Registry) -> None:
    """Paused ones are among them, deactivated and removed ones and others' are not."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_account(bot(9, landlord_id="brick", username="Brick Trust Automation"))
    registry.add_account(bot(4))
    registry.deactivate_account("acme-4", "an example")
    registry.add_account(bot(3))
    registry.remove_account("acme-3")
    registry.add_account(bot(2))
    registry.add_account(bot(1))
    registry.pause_account("acme-1", "an example")
    facts = registry.facts("acme-1", NOW)
    assert facts.automation_accounts == ("acme-1", "acme-2")
    assert facts.account.status is AccountStatus.PAUSED
    assert registry.facts("acme-4", NOW).automation_accounts == ("acme-1", "acme-2")


def test_facts_hold_the_closures_that_have_not_ended(registry: Registry) -> None:
    """Those to come are among them, for they end an answer's validity."""
    registry.add_account(bot(1))
    over = closure("over", NOW - timedelta(hours=1))
    running = closure("running", NOW - timedelta(hours=1) + timedelta(microseconds=1))
    to_come = closure("to come", NOW + timedelta(days=300))
    for one in (to_come, over, running):
        registry.add_closure(one)
    assert registry.facts("acme-1", NOW).closures == (running, to_come)


def test_facts_hold_the_notices_that_affect_automation(registry: Registry) -> None:
    """Notices of other changes are left out."""
    registry.add_account(bot(1))
    registry.add_notice(AnnouncedChange("a", DAY, affects_automation=False))
    registry.add_notice(AnnouncedChange("b", DAY))
    assert registry.facts("acme-1", NOW).notices == (AnnouncedChange("b", DAY),)


def test_facts_hold_the_tested_forms_by_kind(registry: Registry) -> None:
    """Each kind's last test is there, of this landlord alone."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_account(bot(1))
    form = KnownForm("acme", "other", "f", DAY)
    registry.record_tested_form(form)
    registry.record_tested_form(replace(form, landlord_id="brick", fingerprint="g"))
    assert registry.facts("acme-1", NOW).known_forms == {"other": form}


@on_both_databases
def test_facts_hold_the_last_code_entry_by_the_instant_asked_for(
    registry: Registry, store: Store
) -> None:
    """Later entries, and other accounts' entries, are not taken for it."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    registry.add_person(Person("colleague", "acme", "Second Example"))
    second = timedelta(seconds=1)
    hand_over(store, "acme-1", NOW - 2 * second, "colleague")
    hand_over(store, "acme-1", NOW)
    hand_over(store, "acme-1", NOW + second, "colleague")
    hand_over(store, "acme-2", NOW - second, "colleague")

    def entry(account: str, at: datetime) -> tuple[str, datetime, datetime] | None:
        found = registry.facts(account, at).code_entry
        if found is None:
            return None
        return found.provided_by, found.provided_at, found.handed_over_at

    assert entry("acme-1", NOW) == ("officer", NOW, NOW + 5 * second)
    before = NOW - timedelta(microseconds=1)
    assert entry("acme-1", before) == ("colleague", NOW - 2 * second, NOW + 3 * second)
    assert entry("acme-1", NOW - 3 * second) is None
    assert "officer" not in repr(registry.facts("acme-1", NOW).code_entry)


@on_both_databases
def test_facts_of_many_are_those_of_each(registry: Registry, store: Store) -> None:
    """Read together, every account has its own facts, and whom nobody registered is left out."""
    registry.add_landlord(Landlord("brick", "Brick Trust"))
    registry.add_person(Person("officer", "brick", "Example Officer"))
    for number in (1, 2):
        registry.add_account(bot(number))
    registry.add_account(bot(8, landlord_id="brick", username="Brick Trust Automation"))
    registry.add_account(bot(9, landlord_id="brick", username="Brick Trust Automation"))
    registry.remove_account("acme-9")
    for minutes in (3, 2, -1):
        hand_over(store, "acme-1", NOW - timedelta(minutes=minutes))
    hand_over(store, "acme-2", NOW - timedelta(minutes=4))
    registry.pause_landlord("brick", "an example")
    registry.add_closure(closure("c", NOW))
    registry.add_notice(AnnouncedChange("n", DAY))
    for landlord, fingerprint in (("acme", "f"), ("brick", "g")):
        registry.record_tested_form(KnownForm(landlord, "other", fingerprint, DAY))
    ids = ["acme-1", "acme-2", "acme-8"]
    found = registry.facts_of([*ids, "acme-9", "nobody"], NOW)
    assert found == {account: registry.facts(account, NOW) for account in ids}
    assert [found[account].landlord.paused for account in ids] == [False, False, True]
    entered = [found[account].code_entry for account in ids]
    assert [entry and NOW - entry.provided_at for entry in entered] == [
        timedelta(minutes=2),
        timedelta(minutes=4),
        None,
    ]
    assert registry.facts_of([], NOW) == {}
    with pytest.raises(InvalidInputError):
        registry.facts_of(["acme-1", "\x00"], NOW)


def test_facts_refuse_a_naive_instant(registry: Registry) -> None:
    """A time without an offset is no instant."""
    registry.add_account(bot(1))
    with pytest.raises(ClockError):
        registry.facts("acme-1", NOW.replace(tzinfo=None))


# --- a state of an earlier version -------------------------------------------------------------


def make_version_2(store: Store) -> None:
    """Make of a state what an earlier library would have left."""
    new = ("leases", "switches", "service_tokens", "activity_counters", "observations")
    with store.transaction() as connection:
        for name in new:
            connection.exec_driver_sql(f"DROP TABLE {name}")
        connection.execute(update(tables.meta).values(schema_version=2))


@on_both_databases
def test_a_state_of_version_2_keeps_all_that_is_in_it_and_goes_on(
    registry: Registry, store: Store, url: str, clock: FrozenClock
) -> None:
    """After the upgrade the registry answers as before, and everything new works with it."""
    registry.add_account(bot(1))
    registry.add_account(bot(2))
    hand_over(store, "acme-1", NOW)
    registry.pause_account("acme-2", "an example")
    registry.add_closure(closure("c", NOW))
    registry.add_notice(AnnouncedChange("n", DAY))
    registry.record_tested_form(KnownForm("acme", "other", "f", DAY))
    registry.acknowledge("acme", "officer", terms_version="1", terms_digest="d", clauses=["c"])

    def everything(registry: Registry) -> list[object]:
        return [
            registry.landlords(),
            registry.people("acme"),
            registry.accounts("acme"),
            registry.status_changes("acme"),
            registry.acknowledgements("acme"),
            registry.closures(),
            registry.notices(),
            registry.facts("acme-1", NOW),
            registry.facts("acme-2", NOW),
        ]

    before = everything(registry)
    make_version_2(store)
    store.close()
    with Store.open(url, clock=clock) as upgraded:
        again = Registry(upgraded, clock)
        assert everything(again) == before
        hand_over(upgraded, "acme-2", NOW)
        assert again.facts("acme-2", NOW).code_entry is not None
        assert Leases(upgraded, clock).take("acme-1", "acme", NOW, timedelta(minutes=1)).held
        again.pause_all("an example")
        again.resume_all("acme", "officer")
        again.add_person(Person("another", "acme", "Second Example"))
        again.resume_account("acme-2", "another")
        token = ServiceTokens(upgraded, clock).add("portal")
    with Store.open(url, clock=clock) as reopened:
        assert ServiceTokens(reopened, clock).verify(token) == "portal"
        assert Leases(reopened, clock).running("acme", NOW) == ("acme-1",)


# --- the race for two -------------------------------------------------------------------------


def race(registry: Registry, url: str, processes: int) -> Counter[str]:
    """Let processes add new accounts and resume deactivated ones, all at once."""
    for number in range(1, processes, 2):
        registry.add_account(bot(number))
        registry.deactivate_account(f"acme-{number}", "for the race")
    context = multiprocessing.get_context("spawn")
    start, results = context.Barrier(processes), context.SimpleQueue()
    workers = [
        context.Process(target=activated, args=(url, number, start, results))
        for number in range(processes)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert {worker.exitcode for worker in workers} == {0}
    outcomes = Counter(results.get() for _ in workers)
    results.close()
    return outcomes


def assert_two_won(registry: Registry, outcomes: Counter[str], processes: int) -> None:
    """Two accounts are active, and every other process was told why its own is not."""
    active = [a for a in registry.accounts("acme") if a.status is AccountStatus.ACTIVE]
    assert len(active) == 2
    assert outcomes.pop("activated") == 2
    assert set(outcomes) <= {"AccountLimitError", "StoreError"}
    assert outcomes["AccountLimitError"] + outcomes["StoreError"] == processes - 2


@on_both_databases
def test_eight_processes_racing_for_two_accounts_leave_two(registry: Registry, url: str) -> None:
    """However they interleave there is never a third, and no loser is left in the dark."""
    assert_two_won(registry, race(registry, url, 8), 8)


@pytest.mark.exhaustive
@on_both_databases
def test_sixty_four_processes_racing_for_two_accounts_leave_two(
    registry: Registry, url: str
) -> None:
    """However they interleave there is never a third, and no loser is left in the dark."""
    assert_two_won(registry, race(registry, url, 64), 64)


def test_field_errors_point_into_the_record(registry: Registry) -> None:
    """The command line shows where to look: the field in dotted form, then the remedy."""
    with pytest.raises(InvalidInputError) as caught:
        registry.add_closure(closure("", NOW))
    assert caught.value.errors == (FieldError("/id", "must be 1 to 200 characters long"),)
    assert str(caught.value) == "id: must be 1 to 200 characters long"
