"""The fourteen checks: every code, in its order, with its clauses, facts and readings.

Written from the contract's table alone: the documents, the codes and the clauses are spelt out.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from automation_rules.checks import (
    DeclarationCheck,
    ManualCodeCheck,
    RoleCheck,
    TestModeCheck,
    WindowCheck,
)
from automation_rules.landlord_portal import landlord_portal
from automation_rules.readings import READINGS
from automation_rules.request import Request
from patching import ABSENT, patched

if TYPE_CHECKING:
    from automation_rules.decision import Finding

SP = "/subject/properties"
CODE = f"{SP}/sms_code"
LL = "/context/landlord"
KIND = "/resource/properties/kind"
TIME = "/context/time"
FORM = "/context/form"

CORE = ["when.core-hours"]
BOTH = ["when.core-hours", "when.annual-window"]
CLAUSES = {
    "landlord": ["scope.landlord"],
    "declaration": ["step-1.declare"],
    "account": ["step-2.own-account"],
    "role": ["step-2.role", "terms.role"],
    "account_limit": ["step-2.limit", "terms.limit"],
    "identity": ["step-2.identify"],
    "two_factor": ["step-2.two-factor"],
    "manual_code": ["step-2.manual-code"],
    "action": ["terms.housing-costs-only", "terms.no-other-functions"],
    "test_mode": ["step-3.no-test-environment", "step-3.test"],
    "suspension": ["terms.suspension", "terms.suspension-resolution"],
    "form": ["terms.portal-changes", "terms.change-notice"],
    "answers": ["terms.accuracy"],
    "window.closure": ["when.maintenance", "terms.suspension"],
    "window.annual_window_wrong_todo": BOTH,
    "window.weekend": CORE,
    "window.bank_holiday": BOTH,
    "window.outside_hours": CORE,
    "window.insufficient_time_left": CORE,
}


def code_at(at: str) -> dict[str, Any]:
    """A code that a person supplied at that instant."""
    return {"provided_at": at, "provided_by": "housing-officer-7", "channel": "manual"}


def moment(at: str, **more: Any) -> dict[str, Any]:
    """Changes that ask at that instant, with a code of that instant."""
    return {TIME: at, CODE: code_at(at), **more}


def form(tested_on: str | None = "2026-06-01", **more: Any) -> dict[str, Any]:
    """A form that is the one that was tested."""
    return {"fingerprint": "f1", "tested_fingerprint": "f1", "tested_on": tested_on, **more}


def notice(effective_on: str, **more: Any) -> dict[str, Any]:
    """An announced change."""
    return {"id": "n-1", "effective_on": effective_on, **more}


def closure(begins: str, ends: str) -> dict[str, Any]:
    """A closure on 2 June 2026, by London's clocks."""
    return {"from": f"2026-06-02T{begins}+01:00", "to": f"2026-06-02T{ends}+01:00"}


def reasons(changes: dict[str, Any], **readings: str) -> list[dict[str, Any]]:
    """The reasons that the published terms give for the document with those changes."""
    decision = landlord_portal(**readings).decide(Request.from_document(patched(changes)))
    found: list[dict[str, Any]] = decision.to_document()["context"]["reasons"]
    return found


def brief(found: list[dict[str, Any]]) -> list[str]:
    """Reasons as ``check.code``, warnings with a question mark, passes with a plus sign."""
    marks = {"fail": "", "warn": "?", "pass": "+"}
    return [f"{r['check']}.{r['code'] or ''}{marks[r['outcome']]}" for r in found]


# fmt: off
ONE_REASON: list[tuple[str, dict[str, Any]]] = [
    # landlord
    ("landlord.not_social_landlord", {f"{LL}/sector": "private"}),
    ("landlord.not_social_landlord", {f"{LL}/sector": ""}),
    ("landlord.not_social_landlord", {f"{LL}/sector": "Social"}),
    ("landlord.not_social_landlord", {f"{LL}/sector": "private", f"{LL}/portal_access": False}),
    ("landlord.no_portal_access", {f"{LL}/portal_access": False}),
    # declaration
    ("declaration.not_declared", {f"{LL}/declared_on": None}),
    ("declaration.declared_later", {f"{LL}/declared_on": "2026-06-03"}),
    ("declaration.no_partnership_manager?", {f"{LL}/partnership_manager": ABSENT}),
    ("declaration.no_partnership_manager?", {f"{LL}/partnership_manager": None}),
    ("declaration.no_partnership_manager?", {f"{LL}/partnership_manager": " "}),
    # account
    ("account.not_automation_account", {"/subject/type": "person"}),
    ("account.not_automation_account", {"/subject/type": ""}),
    ("account.not_automation_account", {"/subject/type": "person", f"{SP}/created_by_role": None}),
    ("account.unregistered_account", {"/subject/id": "acme-3"}),
    ("account.unregistered_account", {"/subject/id": "ACME-1"}),
    ("account.unregistered_account", {"/subject/id": "x", f"{SP}/created_by_role": "bot"}),
    ("account.unregistered_account", {f"{LL}/automation_accounts": []}),
    ("account.wrong_creator", {f"{SP}/created_by_role": "complete_todos"}),
    ("account.wrong_creator", {f"{SP}/created_by_role": "Manage users"}),
    ("account.wrong_creator", {f"{SP}/created_by_role": ""}),
    # role: the role and the to-do 'Provide tenancy details' share a name
    ("role.missing_role", {f"{SP}/roles": []}),
    ("role.missing_role", {f"{SP}/roles": ["provide_tenancy_details"]}),
    ("role.missing_role", {f"{SP}/roles": ["Complete to-dos", "manage_users"]}),
    ("role.extra_role", {f"{SP}/roles": ["complete_todos", "provide_tenancy_details"]}),
    ("role.extra_role", {f"{SP}/roles": ["complete_todos", "confirm_housing_costs"]}),
    ("role.extra_role", {f"{SP}/roles": ["complete_todos", ""]}),
    # account_limit
    ("account_limit.too_many_accounts", {f"{LL}/automation_accounts": ["acme-1", "b", "c"]}),
    # identity
    ("identity.username_not_identifiable", {f"{SP}/username": "Acme Homes Automations 1"}),
    ("identity.username_not_identifiable", {f"{SP}/username": "Acme Homes 1"}),
    ("identity.username_not_identifiable", {f"{SP}/username": "Acme Homestead Automation"}),
    ("identity.username_not_identifiable", {f"{SP}/username": "Acme Lovely Homes Automation"}),
    ("identity.username_not_identifiable", {f"{SP}/username": "", f"{SP}/email": "x"}),
    ("identity.email_not_identifiable", {f"{SP}/email": "bot@acme.example"}),
    ("identity.email_not_identifiable", {f"{SP}/email": "bot@automation.example"}),
    ("identity.email_not_identifiable", {f"{SP}/email": "automation"}),
    ("identity.email_not_identifiable", {f"{SP}/email": "automation@acme@acme.example"}),
    ("identity.email_not_identifiable", {f"{SP}/email": ""}),
    # two_factor
    ("two_factor.two_factor_off", {f"{SP}/two_factor": False}),
    # manual_code
    ("manual_code.no_code", {CODE: ABSENT}),
    ("manual_code.no_code", {CODE: None}),
    ("manual_code.no_code", {CODE: {}}),
    ("manual_code.no_code", {f"{CODE}/provided_at": ABSENT}),
    ("manual_code.no_code", {f"{CODE}/provided_by": None}),
    ("manual_code.no_code", {f"{CODE}/provided_by": " "}),
    ("manual_code.no_code", {f"{CODE}/channel": ABSENT}),
    ("manual_code.no_code", {f"{CODE}/channel": "automated", f"{CODE}/provided_by": ABSENT}),
    ("manual_code.automated_code", {f"{CODE}/channel": "automated"}),
    ("manual_code.automated_code",
     {f"{CODE}/channel": "automated", f"{CODE}/provided_by": "acme-1"}),
    ("manual_code.code_from_account", {f"{CODE}/provided_by": "acme-1"}),
    ("manual_code.code_from_account", {f"{CODE}/provided_by": "acme-2"}),
    ("manual_code.code_from_account",
     {f"{CODE}/provided_by": "acme-2", f"{CODE}/provided_at": "2026-06-09T08:00:00Z"}),
    ("manual_code.code_from_future", {f"{CODE}/provided_at": "2026-06-02T08:00:00.000001Z"}),
    ("manual_code.code_from_future", {f"{CODE}/provided_at": "2026-06-03T00:00:00+01:00"}),
    ("manual_code.stale_code", {f"{CODE}/provided_at": "2026-06-01T08:00:00Z"}),
    ("manual_code.stale_code", {f"{CODE}/provided_at": "2025-06-02T08:05:00+01:00"}),
    # action
    ("action.unknown_action", {"/action/name": "fly"}),
    ("action.unknown_action", {"/action/name": ""}),
    ("action.unknown_action", {"/action/name": "Submit_todo"}),
    ("action.not_housing_costs", {KIND: "other"}),
    ("action.not_housing_costs", {KIND: "repairs"}),
    ("action.not_housing_costs", {KIND: ""}),
    ("action.not_housing_costs", {KIND: "complete_todos"}),
    ("action.not_housing_costs", {"/resource/type": "portal"}),
    ("action.not_housing_costs", {"/resource/type": "Todo", "/action/name": "open_todo"}),
    *(("action.other_portal_function", {"/action/name": name}) for name in (
        "request_apa", "request_arrears_deduction", "request_more_frequent_payments",
        "change_tenant_reference", "view_payments", "export_payments", "add_property",
        "remove_property", "manage_users", "create_account", "change_roles", "view_tenant",
        "report_repair", "pay_rent")),
    # test_mode
    ("test_mode.submit_in_test_mode", {"/context/mode": "test"}),
    # window
    ("window.closure", {"/context/closures": [closure("09:00:00", "09:00:00.000001")]}),
    ("window.closure",
     {"/context/closures": [closure("08:00:00", "08:01:00"), closure("08:59:00", "10:00:00")]}),
    ("window.closure", {**moment("2026-06-06T09:00:00+01:00"),
     "/context/closures": [{"from": "2026-06-06T00:00:00Z", "to": "2026-06-07T00:00:00Z"}]}),
    ("window.weekend", moment("2026-06-06T00:00:00+01:00")),
    ("window.weekend", moment("2026-06-07T23:59:59.999999+01:00")),
    ("window.weekend", {**moment("2026-06-06T00:00:00+01:00"), KIND: "confirm_housing_costs"}),
    ("window.weekend", moment("2026-12-26T10:00:00+00:00")),
    ("window.bank_holiday", moment("2026-05-25T00:00:00+01:00")),
    ("window.bank_holiday", moment("2026-05-25T12:00:00+01:00")),
    ("window.bank_holiday", moment("2026-12-25T23:59:59.999999+00:00")),
    ("window.bank_holiday", moment("2026-12-28T09:00:00+00:00")),
    ("window.outside_hours", moment("2026-06-02T07:59:59.999999+01:00")),
    ("window.outside_hours", moment("2026-06-02T18:00:00+01:00")),
    ("window.outside_hours", moment("2026-06-02T00:00:00+01:00")),
    ("window.outside_hours",
     {**moment("2026-06-02T18:00:00+01:00"), "/context/expected_duration": "PT2M"}),
    ("window.insufficient_time_left", {"/context/expected_duration": "PT9H0.000001S"}),
    ("window.insufficient_time_left", {"/context/expected_duration": "P3650D"}),
    ("window.insufficient_time_left",
     {"/context/expected_duration": "PT31M",
      "/context/closures": [closure("09:30:00", "10:00:00")]}),
    ("window.annual_window_wrong_todo", moment("2026-04-04T12:00:00+01:00")),
    ("window.annual_window_wrong_todo", moment("2026-05-15T18:00:00+01:00")),
    ("window.annual_window_wrong_todo", moment("2026-04-01T00:00:00+01:00")),
    ("window.annual_window_wrong_todo", moment("2026-04-03T09:00:00+01:00")),
    ("window.outside_hours", moment("2026-03-31T23:59:59.999999+01:00")),
    ("window.weekend", {**moment("2026-05-16T00:00:00+01:00"), KIND: "confirm_housing_costs"}),
    # suspension
    ("suspension.account_paused", {f"{SP}/status": "paused"}),
    ("suspension.account_paused", {f"{SP}/status": "paused", f"{LL}/paused": True}),
    ("suspension.account_deactivated", {f"{SP}/status": "deactivated"}),
    ("suspension.account_deactivated", {f"{SP}/status": "deactivated", f"{LL}/paused": True}),
    ("suspension.landlord_paused", {f"{LL}/paused": True}),
    # form
    ("form.form_changed", {FORM: form(fingerprint="f2")}),
    ("form.form_changed", {FORM: form("2026-06-03", fingerprint="f2")}),
    ("form.retest_needed", {FORM: form("2026-06-03")}),
    ("form.retest_needed",
     {FORM: form("2026-06-01"), "/context/notices": [notice("2026-06-02")]}),
    ("form.retest_needed",
     {FORM: form("2026-06-01"), "/context/notices": [notice("2026-06-03"), notice("2026-06-02")]}),
    ("form.change_announced?", {FORM: form(), "/context/notices": [notice("2026-06-03")]}),
    ("form.change_announced?", {FORM: form(), "/context/notices":
     [notice("2026-06-03", affects_automation=None), notice("2026-06-01")]}),
    # answers
    ("answers.answers_differ", {"/context/record": {"rent": 1}, "/context/answers": {}}),
    ("answers.answers_differ", {"/context/record": {"pets": None}, "/context/answers": {}}),
    ("answers.answers_differ", {"/context/record": {"a": 1}, "/context/answers": {"a": True}}),
    ("answers.answers_differ", {"/context/record": {"a": 0}, "/context/answers": {"a": False}}),
    ("answers.answers_differ", {"/context/record": {"a": True}, "/context/answers": {"a": False}}),
    ("answers.answers_differ", {"/context/record": {"a": 2}, "/context/answers": {"a": 1}}),
    ("answers.answers_differ", {"/context/record": {"a": 1}, "/context/answers": {"a": 2}}),
    ("answers.answers_differ", {"/context/record": {"a": "1"}, "/context/answers": {"a": 1}}),
    ("answers.answers_differ",
     {"/context/record": {"a": [1, 2]}, "/context/answers": {"a": [2, 1]}}),
    ("answers.answers_differ", {"/context/record": {"a": [1]}, "/context/answers": {"a": [1, 1]}}),
    ("answers.answers_differ",
     {"/context/record": {"a": {"b": 1}}, "/context/answers": {"a": {"b": 1, "c": 2}}}),
    ("answers.answers_differ",
     {"/context/record": {"a": 2**53 + 1}, "/context/answers": {"a": 2.0**53}}),
]
# fmt: on


@pytest.mark.parametrize(("expected", "changes"), ONE_REASON)
def test_each_code_alone(expected: str, changes: dict[str, Any]) -> None:
    """One thing wrong gives that reason and no other, with its outcome and its clauses."""
    found = reasons(changes)
    assert brief(found) == [expected]
    (reason,) = found
    bare = expected.rstrip("?")
    check, code = bare.split(".")
    assert reason["check"] == check
    assert reason["code"] == code
    assert reason["clauses"] == CLAUSES.get(bare, CLAUSES.get(check))
    assert set(reason["message"]) == {"en", "cy"}
    assert set(reason["remedy"]) == {"en", "cy"}
    assert "facts" not in reason


def test_every_code_of_the_table_is_tried() -> None:
    """The cases above leave no code of the contract's table out."""
    table = """landlord.not_social_landlord landlord.no_portal_access declaration.not_declared
    declaration.declared_later declaration.no_partnership_manager? account.not_automation_account
    account.unregistered_account account.wrong_creator role.missing_role role.extra_role
    account_limit.too_many_accounts identity.username_not_identifiable
    identity.email_not_identifiable two_factor.two_factor_off manual_code.no_code
    manual_code.automated_code manual_code.code_from_account manual_code.code_from_future
    manual_code.stale_code action.unknown_action action.other_portal_function
    action.not_housing_costs test_mode.submit_in_test_mode window.closure
    window.annual_window_wrong_todo window.weekend window.bank_holiday window.outside_hours
    window.insufficient_time_left suspension.account_paused suspension.account_deactivated
    suspension.landlord_paused form.form_changed form.retest_needed form.change_announced?
    answers.answers_differ"""
    assert {expected for expected, _ in ONE_REASON} == set(table.split())


# fmt: off
ALLOWED: list[dict[str, Any]] = [
    {},
    {f"{LL}/declared_on": "2026-06-02"},
    {f"{LL}/automation_accounts": ["acme-1"]},
    {f"{LL}/automation_accounts": ["acme-1", "acme-2", "acme-1", "acme-2"]},
    {f"{SP}/roles": ["complete_todos", "complete_todos"]},
    {f"{SP}/username": "AUTOMATION: acme--homes"},
    {f"{SP}/username": "acme_homes/automation\u00a07"},
    {f"{SP}/username": "\uff21\uff43\uff4d\uff45 Homes \uff21utomation"},
    {f"{SP}/username": "Cartrefi Tŷ Awel Automation",
     f"{LL}/also_known_as": ["Cartrefi Ty\u0302 Awel"]},
    {f"{SP}/username": "TYDDYN \u0174Y automation", f"{LL}/name": "Tyddyn \u0175y"},
    {f"{SP}/email": "Acme.AUTOMATION.1@acme.example"},
    {f"{SP}/email": "preautomationist@acme.example"},
    {f"{CODE}/provided_at": "2026-06-02T09:00:00+01:00"},
    {f"{CODE}/provided_at": "2026-06-02T00:00:00+01:00"},
    {f"{CODE}/provided_at": "2026-06-01T23:00:00Z"},
    {f"{CODE}/provided_by": "ACME-1"},
    {KIND: "confirm_housing_costs"},
    {"/action/name": "sign_in", CODE: ABSENT, KIND: ABSENT, "/resource/type": "portal"},
    {"/action/name": "enter_access_code", KIND: ABSENT, "/resource/type": "portal"},
    {"/action/name": "list_todos", KIND: "other", "/resource/type": "portal"},
    {"/action/name": "open_todo"},
    {"/action/name": "save_answers"},
    {"/context/mode": ABSENT},
    {"/context/mode": None},
    {"/context/mode": "test", "/action/name": "save_answers"},
    {TIME: "2026-06-02T08:00:00+01:00", f"{CODE}/provided_at": "2026-06-02T07:00:00+01:00"},
    {TIME: "2026-06-02T17:59:59.999999+01:00"},
    {"/context/expected_duration": "PT9H"},
    {"/context/closures": []},
    {"/context/closures": [closure("08:00:00", "09:00:00")]},
    {"/context/closures": [closure("09:00:00.000001", "18:00:00")]},
    {"/context/expected_duration": "PT30M", "/context/closures": [closure("09:30:00", "18:00:00")]},
    moment("2026-11-30T09:00:00+00:00"),
    {f"{LL}/nation": "northern-ireland", **moment("2026-08-03T09:00:00+01:00")},
    {f"{LL}/paused": False},
    {f"{LL}/paused": None},
    {FORM: None},
    {FORM: form()},
    {FORM: form("2026-06-02"), "/context/notices": [notice("2026-06-02")]},
    {FORM: form("2026-06-01"), "/context/notices": [notice("2026-06-01")]},
    {FORM: form("2026-05-01"),
     "/context/notices": [notice("2026-06-01", affects_automation=False)]},
    {FORM: form("2026-05-01"),
     "/context/notices": [notice("2026-07-01", affects_automation=False)]},
    {FORM: form(fingerprint="f2"), "/context/mode": "test", "/action/name": "open_todo"},
    {"/context/notices": [notice("2026-06-02")]},
    {"/context/record": {"a": 1}},
    {"/context/answers": {"a": 1}},
    {"/context/record": {}, "/context/answers": {"a": 1}},
    {"/context/record": {"a": True, "b": [False]}, "/context/answers": {"a": True, "b": [False]}},
    {"/context/record": {"a": 1, "b": [1.0, {"c": None}]},
     "/context/answers": {"b": [1, {"c": None}], "a": 1.0, "z": 9}},
    {"/context/record": {"a": 1}, "/context/answers": {}, "/action/name": "save_answers"},
    {"/subject/properties/shoe_size": 7, "/context/landlord/motto": None, "/extra": []},
]
# fmt: on


@pytest.mark.parametrize("changes", ALLOWED)
def test_what_breaks_no_rule_is_allowed_without_a_reason(changes: dict[str, Any]) -> None:
    """A request that breaks nothing, on every side of every edge, is allowed and needs no word."""
    assert reasons(changes) == []


# fmt: off
MISSING: list[tuple[str, list[str], dict[str, Any]]] = [
    ("landlord", [f"{LL}/sector"], {f"{LL}/sector": ABSENT}),
    ("landlord", [f"{LL}/sector"], {f"{LL}/sector": None, f"{LL}/portal_access": False}),
    ("landlord", [f"{LL}/portal_access"],
     {f"{LL}/portal_access": ABSENT, f"{LL}/sector": "private"}),
    ("landlord", [f"{LL}/sector", f"{LL}/portal_access"],
     {f"{LL}/sector": ABSENT, f"{LL}/portal_access": ABSENT}),
    ("declaration", [f"{LL}/declared_on"], {f"{LL}/declared_on": ABSENT}),
    ("account", [f"{SP}/created_by_role"], {f"{SP}/created_by_role": ABSENT, "/subject/id": "x"}),
    ("role", [f"{SP}/roles"], {f"{SP}/roles": ABSENT}),
    ("role", [f"{SP}/roles"], {f"{SP}/roles": None}),
    ("identity", [f"{SP}/username"], {f"{SP}/username": ABSENT}),
    ("identity", [f"{SP}/email"], {f"{SP}/email": None, f"{SP}/username": "x"}),
    ("identity", [f"{SP}/username", f"{SP}/email", f"{LL}/name"],
     {f"{SP}/email": ABSENT, f"{SP}/username": ABSENT, f"{LL}/name": ABSENT}),
    ("two_factor", [f"{SP}/two_factor"], {f"{SP}/two_factor": None}),
    ("action", [KIND], {KIND: ABSENT}),
    ("action", [KIND], {KIND: None, "/resource/type": "portal"}),
    ("suspension", [f"{SP}/status"], {f"{SP}/status": ABSENT, f"{LL}/paused": True}),
    ("form", [f"{FORM}/fingerprint", f"{FORM}/tested_fingerprint", f"{FORM}/tested_on"],
     {FORM: {}}),
    ("form", [f"{FORM}/tested_on"], {FORM: form(None, fingerprint="f2")}),
    ("form", [f"{FORM}/tested_fingerprint"], {FORM: form("2026-06-09", tested_fingerprint=None)}),
]
# fmt: on


@pytest.mark.parametrize(("check", "facts", "changes"), MISSING)
def test_a_missing_fact_comes_before_every_other_code(
    check: str, facts: list[str], changes: dict[str, Any]
) -> None:
    """A check that lacks a fact says which, before it says anything else."""
    found = reasons(changes)
    assert brief(found) == [f"{check}.missing_fact"]
    assert found[0]["facts"] == facts
    assert found[0]["clauses"] == CLAUSES[check]


def test_accounts_that_nobody_listed_are_missing_for_both_checks_that_need_them() -> None:
    """Without a list of accounts, neither the account nor their number can be judged."""
    for gone in (ABSENT, None):
        found = reasons({f"{LL}/automation_accounts": gone})
        assert brief(found) == ["account.missing_fact", "account_limit.missing_fact"]
        assert [r["facts"] for r in found] == [[f"{LL}/automation_accounts"]] * 2


def test_what_is_no_automation_account_needs_no_further_facts() -> None:
    """That the subject is no automation account comes even before what is missing."""
    changes = {"/subject/type": "person", f"{LL}/automation_accounts": ABSENT}
    assert brief(reasons(changes)) == [
        "account.not_automation_account",
        "account_limit.missing_fact",
    ]


def test_a_document_with_nothing_in_it_lacks_everything_at_once() -> None:
    """All checks are evaluated, so one answer names everything that is wrong, in order."""
    bare = {
        "subject": {"type": "automation_account", "id": "x"},
        "action": {"name": "submit_todo"},
        "resource": {"type": "todo", "id": "y"},
        "context": {"time": "2026-06-06T09:00:00Z"},
    }
    decision = landlord_portal().decide(Request.from_document(bare))
    found = decision.to_document()["context"]["reasons"]
    assert brief(found) == [
        "landlord.missing_fact",
        "declaration.missing_fact",
        "account.missing_fact",
        "role.missing_fact",
        "account_limit.missing_fact",
        "identity.missing_fact",
        "two_factor.missing_fact",
        "manual_code.no_code",
        "action.missing_fact",
        "window.weekend",
        "suspension.missing_fact",
    ]


def test_explain_lists_every_check_in_the_order_of_the_table() -> None:
    """With ``explain`` the passes, and the checks that do not apply, are listed as well."""
    found = reasons({"/context/explain": True})
    expected = "landlord declaration account role account_limit identity two_factor manual_code"
    expected += " action test_mode window suspension form answers"
    assert [r["check"] for r in found] == expected.split()
    assert [r["outcome"] for r in found] == ["pass"] * 12 + ["not_applicable"] * 2
    assert all(r["code"] is None and r["remedy"] is None for r in found)


def test_signing_in_and_out_need_no_code() -> None:
    """Before the code exists, and when leaving, none is asked for."""
    for name in ("sign_in", "sign_out"):
        assert reasons({"/action/name": name, CODE: ABSENT}) == []
        assert reasons({"/action/name": name, f"{CODE}/channel": "automated"}) == []
    assert brief(reasons({"/action/name": "enter_access_code", CODE: ABSENT})) == [
        "manual_code.no_code"
    ]


def test_leaving_is_bound_by_neither_hours_nor_pauses() -> None:
    """``sign_out`` at night, paused, is allowed; ``sign_in`` is not."""
    night = {TIME: "2026-06-06T03:00:00+01:00", f"{SP}/status": "paused", CODE: ABSENT}
    assert reasons({"/action/name": "sign_out", **night}) == []
    assert reasons({"/action/name": "sign_out", **night, f"{SP}/status": ABSENT}) == []
    assert brief(reasons({"/action/name": "sign_in", **night})) == [
        "window.weekend",
        "suspension.account_paused",
    ]


def test_the_annual_window_is_for_the_run_that_is_named() -> None:
    """A step on the portal may say which kind of to-do the run is for; none is core hours only."""
    night = {**moment("2026-04-04T03:00:00+01:00"), "/resource/type": "portal"}
    for name in ("sign_in", "list_todos"):
        action = {"/action/name": name}
        assert reasons({**night, **action, KIND: "confirm_housing_costs"}) == []
        for kind in (ABSENT, "provide_tenancy_details", "other", "repairs"):
            found = reasons({**night, **action, KIND: kind})
            assert brief(found) == ["window.annual_window_wrong_todo"]


def test_only_names_of_differing_fields_are_told() -> None:
    """What was answered, and what the record says, stays out of the decision."""
    changes = {
        "/context/record": {"rent": 43217, "name": "made-up-1", "same": 1},
        "/context/answers": {"rent": 43218, "name": "made-up-2", "same": 1},
    }
    decision = landlord_portal().decide(Request.from_document(patched(changes)))
    (reason,) = decision.to_document()["context"]["reasons"]
    assert reason["fields"] == ["name", "rent"]
    told = f"{decision.to_document()} {decision.explain()} {decision!r}"
    assert "4321" not in told
    assert "made-up" not in told


def test_facts_that_fill_a_message_are_told() -> None:
    """Days, numbers and names of roles and notices stand in the message."""
    for changes, wanted in (
        ({f"{LL}/declared_on": "2026-06-08"}, "8 June 2026"),
        ({f"{SP}/roles": ["complete_todos", "view_payments", "b"]}, "b, view_payments"),
        ({f"{LL}/automation_accounts": ["acme-1", "b", "c", "c"]}, "3"),
        ({"/context/expected_duration": "PT10H"}, "6pm"),
    ):
        assert wanted in reasons(changes)[0]["message"]["en"]
    assert "n-1" in str(reasons({FORM: form(), "/context/notices": [notice("2026-07-01")]}))


# Each reading: what the document is, its value, what the finding says, and what others would.
# fmt: off
ENGLISH = "england-and-wales"
SATURDAY_TEST = {**moment("2026-06-06T09:00:00+01:00"), "/context/mode": "test",
                 "/action/name": "open_todo"}
HOLIDAY = moment("2026-05-25T09:00:00+01:00")
ULSTER = {**moment("2026-07-13T09:00:00+01:00"), f"{LL}/nation": ABSENT}
ANNUAL = moment("2026-04-04T09:00:00+01:00")
THREE = {f"{LL}/automation_accounts": ["acme-1", "b", "c"]}
RUNNING = f"{LL}/running_accounts"
YESTERDAY = {f"{CODE}/provided_at": "2026-06-01T09:00:00.000001+01:00"}
UPDATES = {"/action/name": "view_updates", "/resource/type": "portal", KIND: ABSENT}
NAMELESS = {f"{SP}/username": "Automation 7"}

READ: list[tuple[dict[str, Any], dict[str, str], str, dict[str, str]]] = [
    # bank_holidays
    (HOLIDAY, {"bank_holidays": "closed"}, "window.bank_holiday", {"open": "pass"}),
    (HOLIDAY, {"bank_holidays": "open"}, "window.+", {"closed": "bank_holiday"}),
    (moment("2026-05-25T18:00:00+01:00"), {"bank_holidays": "closed"}, "window.bank_holiday",
     {"open": "outside_hours"}),
    (moment("2026-05-25T18:00:00+01:00"), {"bank_holidays": "open"}, "window.outside_hours",
     {"closed": "bank_holiday"}),
    # nation
    (ULSTER, {"nation": "england-and-wales"}, "window.+",
     {"union": "bank_holiday", "scotland": "pass", "northern-ireland": "bank_holiday"}),
    (ULSTER, {"nation": "scotland"}, "window.+",
     {"union": "bank_holiday", ENGLISH: "pass", "northern-ireland": "bank_holiday"}),
    # annual_scope
    (ANNUAL, {"annual_scope": "annual-rent-change"}, "window.annual_window_wrong_todo",
     {"any-housing-cost": "pass"}),
    (ANNUAL, {"annual_scope": "any-housing-cost"}, "window.+",
     {"annual-rent-change": "annual_window_wrong_todo"}),
    # at_a_time
    (THREE, {"at_a_time": "registered"}, "account_limit.too_many_accounts",
     {"running": "missing_fact"}),
    ({**THREE, RUNNING: ["acme-1", "b"]}, {"at_a_time": "registered"},
     "account_limit.too_many_accounts", {"running": "pass"}),
    ({**THREE, RUNNING: ["acme-1", "b"]}, {"at_a_time": "running"}, "account_limit.+",
     {"registered": "too_many_accounts"}),
    ({RUNNING: ["b", "c"]}, {"at_a_time": "running"}, "account_limit.too_many_accounts",
     {"registered": "pass"}),
    ({RUNNING: ["b", "c"]}, {"at_a_time": "registered"}, "account_limit.+",
     {"running": "too_many_accounts"}),
    ({}, {"at_a_time": "running"}, "account_limit.missing_fact", {"registered": "pass"}),
    (THREE, {"at_a_time": "running"}, "account_limit.missing_fact",
     {"registered": "too_many_accounts"}),
    # daily
    (YESTERDAY, {"daily": "london-day"}, "manual_code.stale_code", {"24-hours": "pass"}),
    (YESTERDAY, {"daily": "24-hours"}, "manual_code.+", {"london-day": "stale_code"}),
    # test_runs
    (SATURDAY_TEST, {"test_runs": "keep-hours"}, "window.weekend", {"any-time": "pass"}),
    (SATURDAY_TEST, {"test_runs": "any-time"}, "window.+", {"keep-hours": "weekend"}),
    # updates_tab
    (UPDATES, {"updates_tab": "permitted"}, "action.+", {"denied": "other_portal_function"}),
    (UPDATES, {"updates_tab": "denied"}, "action.other_portal_function", {"permitted": "pass"}),
    # identity_pattern
    (NAMELESS, {"identity_pattern": "name-and-automation"}, "identity.username_not_identifiable",
     {"automation-only": "pass"}),
    (NAMELESS, {"identity_pattern": "automation-only"}, "identity.+",
     {"name-and-automation": "username_not_identifiable"}),
    ({**NAMELESS, f"{SP}/email": "x@acme.example"}, {"identity_pattern": "automation-only"},
     "identity.email_not_identifiable", {"name-and-automation": "username_not_identifiable"}),
    ({**NAMELESS, f"{SP}/email": "x@acme.example"}, {"identity_pattern": "name-and-automation"},
     "identity.username_not_identifiable", {"automation-only": "email_not_identifiable"}),
    ({f"{LL}/name": ABSENT}, {"identity_pattern": "name-and-automation"}, "identity.missing_fact",
     {"automation-only": "pass"}),
    ({f"{LL}/name": ABSENT}, {"identity_pattern": "automation-only"}, "identity.+",
     {"name-and-automation": "missing_fact"}),
]
# fmt: on


@pytest.mark.parametrize(("changes", "chosen", "expected", "otherwise"), READ)
def test_a_finding_names_the_reading_that_it_rests_on(
    changes: dict[str, Any], chosen: dict[str, str], expected: str, otherwise: dict[str, str]
) -> None:
    """A finding, a pass too, says which reading it used and what the others would have said."""
    (found,) = reasons(changes, **chosen)
    assert brief([found]) == [expected]
    ((name, value),) = chosen.items()
    assert found["reading"] == {"name": name, "value": value, "otherwise": otherwise}
    assert "readings" not in found


def test_every_value_of_every_reading_is_tried() -> None:
    """The cases above leave no reading out, and no value but the union of nations."""
    tried = {pair for _, chosen, _, _ in READ for pair in chosen.items()}
    assert {(n, v) for n, values in READINGS.items() for v in values} - tried == {
        ("nation", "union"),
        ("nation", "northern-ireland"),
    }


def test_a_finding_that_rests_on_several_readings_names_them_all() -> None:
    """The first stands in ``reading``, all of them, in the order of the table, in ``readings``."""
    (found,) = reasons(ULSTER)
    holidays = {"name": "bank_holidays", "value": "closed", "otherwise": {"open": "pass"}}
    nation = {
        "name": "nation",
        "value": "union",
        "otherwise": {ENGLISH: "pass", "scotland": "pass", "northern-ireland": "bank_holiday"},
    }
    assert brief([found]) == ["window.bank_holiday"]
    assert found["reading"] == holidays
    assert found["readings"] == [holidays, nation]


def test_each_reading_is_turned_alone() -> None:
    """A test run on a bank holiday would pass if either of two readings were another."""
    changes = {**HOLIDAY, "/context/mode": "test", "/action/name": "open_todo"}
    (found,) = reasons(changes)
    assert [use["otherwise"] for use in found["readings"]] == [
        {"open": "pass"},
        {"any-time": "pass"},
    ]


def test_a_nation_on_record_leaves_no_reading_of_it() -> None:
    """The reading ``nation`` is used only when the landlord's record names none."""
    (found,) = reasons({**ULSTER, f"{LL}/nation": "union"})
    assert brief([found]) == ["window.bank_holiday"]
    assert "readings" not in found
    assert reasons({**ULSTER, f"{LL}/nation": ENGLISH}, nation="union") == []


# fmt: off
UNCONTESTED: list[tuple[str, dict[str, Any]]] = [
    ("account_limit.too_many_accounts", {**THREE, RUNNING: ["b", "c", "d"]}),
    ("identity.username_not_identifiable", {f"{SP}/username": "Bot 7"}),
    ("identity.email_not_identifiable", {f"{SP}/email": "x@acme.example"}),
    ("identity.missing_fact", {f"{SP}/username": ABSENT, f"{LL}/name": ABSENT}),
    ("manual_code.stale_code", {f"{CODE}/provided_at": "2026-06-01T09:00:00+01:00"}),
    ("manual_code.code_from_future", {f"{CODE}/provided_at": "2026-06-02T09:00:01+01:00"}),
    ("window.weekend", moment("2026-06-06T09:00:00+01:00")),
    ("window.annual_window_wrong_todo", {**ANNUAL, KIND: "other", "/action/name": "list_todos"}),
    ("window.closure", {**HOLIDAY, "/context/closures": [
        {"from": "2026-05-25T00:00:00Z", "to": "2026-05-26T00:00:00Z"}]}),
    ("action.other_portal_function", {"/action/name": "view_payments"}),
]
# fmt: on


@pytest.mark.parametrize(("expected", "changes"), UNCONTESTED)
@pytest.mark.parametrize("index", [0, -1])
def test_what_every_reading_denies_rests_on_none(
    expected: str, changes: dict[str, Any], index: int
) -> None:
    """A finding that no reading would change names none, whatever the readings are."""
    chosen = {name: values[index] for name, values in READINGS.items() if name != "nation"}
    found = [r for r in reasons({RUNNING: ["acme-1"], **changes}, **chosen) if r["code"]]
    assert brief(found) == [expected]
    assert found[0]["reading"] is None


def test_those_in_use_count_whoever_asks() -> None:
    """Under ``running``, only those in use are counted, once each, and whoever asks is one."""
    running = {"at_a_time": "running"}
    assert reasons({RUNNING: []}, **running) == []
    assert reasons({RUNNING: ["b", "b"]}, **running) == []
    assert reasons({RUNNING: ["acme-1", "b"]}, **running) == []
    found = reasons({RUNNING: ["b"], f"{LL}/automation_accounts": ABSENT}, **running)
    assert brief(found) == ["account.missing_fact", "account_limit.+"]
    assert found[1]["reading"]["otherwise"] == {"registered": "missing_fact"}
    found = reasons({f"{LL}/automation_accounts": ABSENT}, **running)
    assert found[1]["facts"] == [RUNNING]


def test_a_code_lasts_a_london_day_or_24_hours_to_the_microsecond() -> None:
    """Both values of ``daily`` end half-open, on days of 23 and of 25 hours as well."""
    for day, following, length in (
        ("2026-03-28", "2026-03-29", 24),
        ("2026-03-29", "2026-03-30", 23),
        ("2026-10-25", "2026-10-26", 25),
    ):
        begins = parse_instant(f"{day}T00:00:00Z") - parse_offset(day)
        ends = parse_instant(f"{following}T00:00:00Z") - parse_offset(following)
        assert ends - begins == timedelta(hours=length)
        for at, reading, expected in (
            (ends - TICK, "london-day", "pass"),
            (ends, "london-day", "stale_code"),
            (begins + timedelta(hours=24) - TICK, "24-hours", "pass"),
            (begins + timedelta(hours=24), "24-hours", "stale_code"),
        ):
            changes = {TIME: at.isoformat(), CODE: code_at(begins.isoformat())}
            codes = [r["code"] or "pass" for r in reasons(changes, daily=reading)]
            assert (expected == "stale_code") == ("stale_code" in codes)


TICK = timedelta(microseconds=1)


def parse_instant(text: str) -> datetime:
    """An instant from text."""
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def parse_offset(day: str) -> timedelta:
    """How far London was ahead of UTC when that day of 2026 began."""
    return timedelta(hours=1 if "2026-03-29" < day <= "2026-10-25" else 0)


def test_work_may_reach_over_days_that_the_readings_contest() -> None:
    """Work that only fits when another reading holds says so."""
    # Begun in the annual window, ending with it.
    end_of_window = {
        **moment("2026-05-15T12:00:00+01:00"),
        KIND: "confirm_housing_costs",
        "/context/expected_duration": "PT12H",
    }
    assert reasons(end_of_window) == []
    assert brief(reasons({**end_of_window, "/context/expected_duration": "PT12H0.000001S"})) == [
        "window.insufficient_time_left"
    ]
    (found,) = reasons({**end_of_window, KIND: "provide_tenancy_details"})
    assert found["code"] == "insufficient_time_left"
    assert found["reading"]["name"] == "annual_scope"
    assert found["reading"]["otherwise"] == {"any-housing-cost": "pass"}


@pytest.mark.parametrize("at", ["2100-12-31T17:00:00Z", "2100-12-31T23:59:59.999999Z"])
def test_work_that_reaches_past_the_calendars_is_told(at: str) -> None:
    """Past the years known nothing is open, and the message still says when it closes."""
    changes = {
        **moment(at),
        "/context/mode": "test",
        "/action/name": "open_todo",
        "/context/expected_duration": "P10D",
        f"{LL}/declared_on": "2026-01-01",
    }
    (found,) = reasons(changes, test_runs="any-time")
    assert found["code"] == "insufficient_time_left"
    assert "2101" in found["message"]["en"]


def test_a_policy_with_the_portals_hours_out_of_the_calendars_denies() -> None:
    """An instant whose calendar is unknown is denied as an error of the check, never allowed."""
    request = Request.from_document(patched({}))
    for year in (1900, 2101, 9990):
        decision = landlord_portal().decide(request.at(datetime(year, 6, 1, 9, tzinfo=UTC)))
        assert not decision.allowed
        assert "check_error" in {finding.code for finding in decision.failures}
        assert decision.retry_after is None


def test_only_findings_about_known_roles_are_kept() -> None:
    """However many roles are made up, they do not fill the memory of a policy."""

    def found(*roles: str) -> Finding:
        changes = {f"{SP}/roles": ["complete_todos", *roles]}
        return check.evaluate(Request.from_document(patched(changes)))

    check = RoleCheck()
    assert found("manage_users") is found("manage_users")
    assert found("made_up") is not found("made_up")
    assert found("made_up") == found("made_up")


@pytest.mark.parametrize(
    ("provided_at", "changes_at"),
    [
        ("2026-06-02T09:30:00+01:00", "2026-06-02T09:30:00+01:00"),
        ("2026-06-02T08:30:00+01:00", "2026-06-03T00:00:00+01:00"),
        ("2026-06-01T08:30:00+01:00", None),
    ],
)
def test_a_code_begins_to_count_and_lapses_once(provided_at: str, changes_at: str | None) -> None:
    """What changes for a code is still to come: one that has lapsed never changes again."""
    request = Request.from_document(
        patched({TIME: "2026-06-02T09:00:00+01:00", CODE: code_at(provided_at)})
    )
    expected = None if changes_at is None else parse_instant(changes_at)
    assert ManualCodeCheck().next_change(request) == expected


def test_no_check_is_taken_for_tests() -> None:
    """A test module may import the check of the test mode: pytest collects no test from it."""
    assert TestModeCheck.__test__ is False


@pytest.mark.parametrize(
    ("declared_on", "changes_at"),
    [
        ("2026-06-04", "2026-06-04T00:00:00+01:00"),
        ("2026-06-03", "2026-06-03T00:00:00+01:00"),
        ("2026-06-02", None),
        ("2026-01-05", None),
        (None, None),
    ],
)
def test_a_declaration_counts_from_its_day(declared_on: str | None, changes_at: str | None) -> None:
    """What changes for a declaration is the start of its London day, while that is to come."""
    request = Request.from_document(
        patched({**moment("2026-06-02T09:00:00+01:00"), f"{LL}/declared_on": declared_on})
    )
    expected = None if changes_at is None else parse_instant(changes_at)
    assert DeclarationCheck().next_change(request) == expected


def test_the_hours_of_a_nation_may_be_asked_for() -> None:
    """A nation named when asking for the hours comes before the reading."""
    # The last Monday of August is a bank holiday everywhere but in Scotland.
    monday = parse_instant("2026-08-31T09:00:00+01:00")
    check = WindowCheck(nation="england-and-wales")
    assert [check.portal_hours(nation).is_open(monday) for nation in (None, "scotland")] == [
        False,
        True,
    ]
