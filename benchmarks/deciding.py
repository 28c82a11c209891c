"""`Policy.decide` beside the same rules written by hand as one function."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from holidays import country_holidays

from automation_rules.accounts import (
    MAX_AUTOMATION_ACCOUNTS,
    AccountStatus,
    email_identifies,
    username_identifies,
)
from automation_rules.actions import (
    AUTOMATION_ACTIONS,
    CODE_EXEMPT_ACTIONS,
    HOUSING_COST_KINDS,
    TODO_ACTIONS,
    Action,
    Role,
    TodoKind,
)
from automation_rules.checks.standard import same_json
from automation_rules.clock import LONDON
from automation_rules.landlord_portal import landlord_portal
from automation_rules.request import NOT_DECLARED, Channel, Mode, Request
from automation_rules.testing import allowed_request_document
from automation_rules.windows import Nation

from .measure import at_most, compare, each, rounds, row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measure import Row, Size

__all__ = ["decide", "decide_growth", "failing_checks", "landlords", "standard_requests"]


def failing_checks(request: Request) -> list[str]:
    """Return the names of the checks that fail by the default readings: the yardstick.

    All the rules of the published terms, evaluated one after another without findings, readings
    or texts, as somebody would write them who needs nothing but the names.
    """
    failing = []
    subject = request.subject
    context = request.context
    landlord = context.landlord
    action = request.action
    accounts = landlord.automation_accounts
    today = request.today

    if landlord.sector != "social" or not landlord.portal_access:
        failing.append("landlord")
    declared_on = landlord.declared_on
    if declared_on is None or declared_on is NOT_DECLARED or declared_on > today:
        failing.append("declaration")
    if (
        subject.type != "automation_account"
        or accounts is None
        or subject.id not in accounts
        or subject.created_by_role is not _MANAGE_USERS
    ):
        failing.append("account")
    if subject.roles != _ONLY_ROLE:
        failing.append("role")
    if accounts is None or len(set(accounts)) > MAX_AUTOMATION_ACCOUNTS:
        failing.append("account_limit")
    username, email, name = subject.username, subject.email, landlord.name
    if (
        username is None
        or email is None
        or name is None
        or not username_identifies(username, (name, *landlord.also_known_as))
        or not email_identifies(email)
    ):
        failing.append("identity")
    if not subject.two_factor:
        failing.append("two_factor")
    if action not in CODE_EXEMPT_ACTIONS and not _has_code(request):
        failing.append("manual_code")
    if action in TODO_ACTIONS:
        if request.resource.type != "todo" or request.resource.kind not in HOUSING_COST_KINDS:
            failing.append("action")
    elif action not in AUTOMATION_ACTIONS:
        failing.append("action")
    if context.mode is _TEST and action is _SUBMIT:
        failing.append("test_mode")
    if action is not _SIGN_OUT:
        if not _is_in_hours(request):
            failing.append("window")
        if subject.status is not _ACTIVE or landlord.paused:
            failing.append("suspension")
    if context.form is not None and context.mode is _LIVE and not _is_tested(request):
        failing.append("form")
    answers, record = context.answers, context.record
    if action is _SUBMIT and answers is not None and record is not None:
        for field, value in record.items():
            if field not in answers or not same_json(answers[field], value):
                failing.append("answers")
                break
    return failing


# A member's name is looked up once: on its enum it costs more than some of the rules.
_MANAGE_USERS: Final = Role.MANAGE_USERS
_ONLY_ROLE: Final = frozenset({Role.COMPLETE_TODOS})
_MANUAL: Final = Channel.MANUAL
_TEST: Final = Mode.TEST
_LIVE: Final = Mode.LIVE
_SUBMIT: Final = Action.SUBMIT_TODO
_SIGN_OUT: Final = Action.SIGN_OUT
_ACTIVE: Final = AccountStatus.ACTIVE
_CONFIRM: Final = TodoKind.CONFIRM_HOUSING_COSTS


def _has_code(request: Request) -> bool:
    code = request.subject.sms_code
    if code is None or code.channel is not _MANUAL:
        return False
    provided_at, provided_by = code.provided_at, code.provided_by
    if provided_at is None or provided_by is None or not provided_by.strip():
        return False
    if provided_by in (request.context.landlord.automation_accounts or ()):
        return False
    return provided_at <= request.time and provided_at.astimezone(LONDON).date() == request.today


def _is_in_hours(request: Request) -> bool:
    at, local, context = request.time, request.local, request.context
    is_annual = request.resource.kind is _CONFIRM and (4, 1) <= (local.month, local.day) <= (5, 15)
    if not is_annual and (
        not 8 <= local.hour < 18
        or local.weekday() >= 5
        or request.today in _BANK_HOLIDAYS[context.landlord.nation]
    ):
        return False
    closures, duration = context.closures, context.expected_duration
    if closures and any(closure.start <= at < closure.end for closure in closures):
        return False
    if duration is None:
        return True
    ends = at + duration
    closes = (
        datetime(local.year, 5, 16, tzinfo=LONDON)
        if is_annual
        else datetime(local.year, local.month, local.day, 18, tzinfo=LONDON)
    )
    return ends <= closes and not any(at < closure.start < ends for closure in closures)


_YEARS: Final = range(2023, 2031)
_NATIONS: Final = {
    None: ("ENG", "WLS", "SCT", "NIR"),
    Nation.UNION: ("ENG", "WLS", "SCT", "NIR"),
    Nation.ENGLAND_AND_WALES: ("ENG", "WLS"),
    Nation.SCOTLAND: ("SCT",),
    Nation.NORTHERN_IRELAND: ("NIR",),
}
_BANK_HOLIDAYS: Final = {
    nation: frozenset(
        day
        for subdivision in subdivisions
        for day in country_holidays("GB", subdiv=subdivision, years=_YEARS, expand=False)
    )
    for nation, subdivisions in _NATIONS.items()
}


def _is_tested(request: Request) -> bool:
    form, today = request.context.form, request.today
    if form is None or form.tested_on is None or form.tested_on > today:
        return False
    if form.fingerprint is None or form.fingerprint != form.tested_fingerprint:
        return False
    return not any(
        notice.affects_automation and form.tested_on < notice.effective_on <= today
        for notice in request.context.notices
    )


def standard_requests() -> dict[str, Request]:
    """Return the requests that are measured, by what becomes of them."""
    document = allowed_request_document()
    allowed = Request.from_document(document)
    code = document["subject"]["properties"]["sms_code"]
    document["context"]["time"] = "2026-06-06T09:00:00+01:00"
    code["provided_at"] = "2026-06-06T08:05:00+01:00"
    weekend = Request.from_document(document)
    document = allowed_request_document()
    document["subject"]["properties"]["roles"].append("view_payments")
    document["subject"]["properties"]["sms_code"]["provided_at"] = "2026-06-01T08:05:00+01:00"
    return {
        "allowed": allowed,
        "denied: weekend": weekend,
        "denied: extra role, stale code": Request.from_document(document),
    }


def decide(size: Size) -> Iterator[Row]:
    """Measure `Policy.decide`, and the instants that a decision works out when it is asked."""
    policy = landlord_portal()
    times = size.times(1_000)
    requests = standard_requests()
    for name, request in requests.items():
        asked = [request] * times
        yield compare(
            size.short_rounds,
            f"decide, {name}",
            "one hand-written function",
            (each(policy.decide, asked), each(failing_checks, asked)),
            operations=times,
            bar=at_most(1.5 if name == "allowed" else 2.0),
        )
    times = size.times(200)
    allowed, weekend = requests["allowed"], requests["denied: weekend"]
    found = policy.decide(weekend).findings
    for name, request, ask in (
        ("valid_until, allowed", allowed, policy.valid_until),
        ("retry_after, weekend", weekend, lambda request: policy.retry_after(request, found)),
    ):
        asked = [request] * times
        yield compare(
            size.short_rounds,
            name,
            "decide, the same request",
            (each(ask, asked), each(policy.decide, asked)),
            operations=times,
        )


def landlords(count: int) -> list[Request]:
    """Return an allowed request for each of ``count`` landlords, who share nothing."""
    model = standard_requests()["allowed"]
    return [_landlord(model, number) for number in range(count)]


def _landlord(model: Request, number: int) -> Request:
    name = f"Landlord {number} Homes"
    account = f"landlord-{number}-1"
    code = model.subject.sms_code
    assert code is not None
    assert code.provided_at is not None
    landlord = replace(
        model.context.landlord,
        id=f"landlord-{number}",
        name=name,
        automation_accounts=(account, f"landlord-{number}-2"),
    )
    subject = replace(
        model.subject,
        id=account,
        username=f"{name} Automation 1",
        email=f"automation1@landlord-{number}.example",
        sms_code=replace(code, provided_at=code.provided_at + timedelta(milliseconds=number)),
    )
    return replace(model, subject=subject, context=replace(model.context, landlord=landlord))


def decide_growth(size: Size) -> Iterator[Row]:
    """Measure `Policy.decide` over ever more landlords, who take turns."""
    policy = landlord_portal()
    counts = size.landlords
    times = counts[-1]
    requests = landlords(times)
    turns = [requests[:count] * (times // count) for count in counts]
    smallest, *larger = rounds(size.rounds, *(each(policy.decide, turn) for turn in turns))
    for count, taken in zip(counts[1:], larger, strict=True):
        yield row(
            f"decide, {count:,} landlords",
            f"decide, {counts[0]} landlords",
            taken,
            smallest,
            operations=times,
            bar=at_most(1.5),
        )
