"""What Hypothesis draws: requests, instants, closures, readings and policies."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st

from ..actions import AUTOMATION_ACTIONS, HOUSING_COST_KINDS, Action, TodoKind
from ..checks import AllOf, AnyOf, Not, RoleCheck, SuspensionCheck, TwoFactorCheck
from ..clock import LONDON, to_london, to_utc
from ..landlord_portal import landlord_portal
from ..readings import READINGS
from ..request import Request
from ..windows import BankHolidays, Closure, Nation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ..checks import Check
    from ..policy import Policy

__all__ = [
    "allowed_request_document",
    "closures",
    "instants",
    "policies",
    "readings",
    "request_documents",
    "requests",
]


def allowed_request_document() -> dict[str, Any]:
    """Return a request document that the published terms allow, made anew at each call.

    A to-do of the made-up landlord Acme Homes is submitted on Tuesday 2 June 2026 at 09:00.
    Change whatever the test is about.
    """
    return {
        "subject": {
            "type": "automation_account",
            "id": "acme-1",
            "properties": {
                "username": "Acme Homes Automation 1",
                "email": "automation1@acme.example",
                "roles": ["complete_todos"],
                "two_factor": True,
                "status": "active",
                "created_by_role": "manage_users",
                "sms_code": {
                    "provided_at": "2026-06-02T08:05:00+01:00",
                    "provided_by": "housing-officer-7",
                    "channel": "manual",
                },
            },
        },
        "action": {"name": "submit_todo"},
        "resource": {
            "type": "todo",
            "id": "td-17",
            "properties": {"kind": "provide_tenancy_details"},
        },
        "context": {
            "time": "2026-06-02T09:00:00+01:00",
            "mode": "live",
            "landlord": {
                "id": "acme",
                "name": "Acme Homes",
                "sector": "social",
                "portal_access": True,
                "nation": "england-and-wales",
                "declared_on": "2026-01-05",
                "partnership_manager": "North West partnership manager",
                "automation_accounts": ["acme-1", "acme-2"],
            },
        },
    }


_YEARS: Final = (2024, 2025, 2026, 2027, 2028)
_EDGES: Final = (time(0), time(1), time(2), time(8), time(12), time(18), time(23, 59))
_STEPS: Final = (
    timedelta(0),
    timedelta(microseconds=1),
    timedelta(microseconds=-1),
    timedelta(minutes=1),
    timedelta(minutes=-1),
)


@cache
def _days(years: tuple[int, ...]) -> tuple[date, ...]:
    """The London days on which answers change or clocks do, and those beside them."""
    found: set[date] = set()
    for year in years:
        found |= {date(year, 4, 1), date(year, 5, 15), date(year, 12, 31), date(year, 1, 1)}
        for day in (date(year, 1, 1) + timedelta(n) for n in range(365)):
            if any(day in BankHolidays(nation) for nation in Nation):
                found.add(day)
            noon = datetime.combine(day, time(12), LONDON)
            if noon.utcoffset() != (noon - timedelta(days=1)).utcoffset():
                found.add(day)
    beside = (timedelta(-1), timedelta(0), timedelta(1))
    return tuple(sorted({day + step for day in found for step in beside if day.year in years}))


@cache
def instants(years: tuple[int, ...] = _YEARS) -> st.SearchStrategy[datetime]:
    """Draw instants (UTC) of some London years, most of them where answers change.

    Edges of the hours, of the annual window and of bank holidays of each nation, clock changes
    and year ends, each also a microsecond and a minute to either side; the others anywhere.
    """

    def beside(day: date, edge: time, fold: int, step: timedelta) -> datetime:
        return to_utc(datetime.combine(day, edge, LONDON).replace(fold=fold)) + step

    edges = st.builds(
        beside,
        st.deferred(lambda: st.sampled_from(_days(years))),
        st.sampled_from(_EDGES),
        st.sampled_from((0, 1)),
        st.sampled_from(_STEPS),
    )
    begins = datetime(min(years), 1, 1, tzinfo=UTC)
    length = datetime(max(years) + 1, 1, 1, tzinfo=UTC) - begins
    anywhere = st.timedeltas(timedelta(0), length).map(lambda passed: begins + passed)
    return st.one_of(edges, anywhere).filter(lambda at: to_london(at).year in years)


def closures(around: st.SearchStrategy[datetime] | None = None) -> st.SearchStrategy[Closure]:
    """Draw closures that begin within a day of an instant, by default of `instants`."""
    return st.builds(
        lambda at, before, length: Closure(at + before, at + before + length, "maintenance"),
        instants() if around is None else around,
        _MINUTES_AROUND,
        _LENGTHS,
    )


@cache
def readings() -> st.SearchStrategy[dict[str, str]]:
    """Draw values of some of the named readings, for `landlord_portal`."""
    return st.fixed_dictionaries(
        {}, optional={name: st.sampled_from(values) for name, values in READINGS.items()}
    )


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Draw the published terms under any readings, half of them with a combined check added."""
    policy = _portal(tuple(sorted(draw(readings()).items())))
    if draw(st.booleans()):
        return policy
    return policy.with_checks(AllOf(draw(_combined_checks()), id="added"))


@cache
def _portal(chosen: tuple[tuple[str, str], ...]) -> Policy:
    return landlord_portal(**dict(chosen))


@cache
def _combined_checks() -> st.SearchStrategy[Check]:
    single: st.SearchStrategy[Check] = st.sampled_from(
        (TwoFactorCheck(), RoleCheck(), SuspensionCheck())
    )
    return st.recursive(
        single,
        lambda child: st.one_of(
            st.builds(AllOf, child, child), st.builds(AnyOf, child, child), st.builds(Not, child)
        ),
        max_leaves=5,
    )


_ABSENT: Final = object()

_SUBJECT: Final = ("subject", "properties")
_LANDLORD: Final = ("context", "landlord")
_CODE: Final = (*_SUBJECT, "sms_code")

_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "time": ("context", "time"),
    "mode": ("context", "mode"),
    "action": ("action", "name"),
    "kind": ("resource", "properties", "kind"),
    "nation": (*_LANDLORD, "nation"),
    "expected_duration": ("context", "expected_duration"),
    "closures": ("context", "closures"),
}
"""The fields that `request_documents` takes by name."""

_TURNS: Final[tuple[tuple[tuple[str, ...], Sequence[Any]], ...]] = (
    (("subject", "type"), ("person", "")),
    (("subject", "id"), ("acme-2", "acme-3")),
    ((*_SUBJECT, "username"), (_ABSENT, "Acme Homes", "Automation 1", "ACME—homes automation")),
    ((*_SUBJECT, "email"), (_ABSENT, "one@acme.example", "automation@a@acme.example")),
    ((*_SUBJECT, "roles"), (_ABSENT, [], ["complete_todos", "provide_tenancy_details"])),
    ((*_SUBJECT, "two_factor"), (_ABSENT, False)),
    ((*_SUBJECT, "status"), (_ABSENT, "paused", "deactivated")),
    ((*_SUBJECT, "created_by_role"), (_ABSENT, "complete_todos", "administrator")),
    (_CODE, (_ABSENT, {})),
    ((*_CODE, "provided_at"), (_ABSENT, "2100-01-01T00:00:00Z", "2024-01-01T08:00:00Z")),
    ((*_CODE, "provided_by"), (_ABSENT, "", "acme-2")),
    ((*_CODE, "channel"), (_ABSENT, "automated")),
    (("resource", "type"), ("portal", "tenancy")),
    ((*_LANDLORD, "name"), (_ABSENT, "Other Homes")),
    ((*_LANDLORD, "also_known_as"), (_ABSENT, [], ["Acme Homes", "Cartrefi Tŷ Acme"])),
    ((*_LANDLORD, "sector"), (_ABSENT, "private")),
    ((*_LANDLORD, "portal_access"), (_ABSENT, False)),
    ((*_LANDLORD, "declared_on"), (_ABSENT, None, "2100-12-31")),
    ((*_LANDLORD, "partnership_manager"), (_ABSENT, " ")),
    ((*_LANDLORD, "automation_accounts"), (_ABSENT, [], ["acme-1", "acme-2", "acme-3"])),
    ((*_LANDLORD, "running_accounts"), ([], ["acme-1", "acme-2"], ["acme-2", "acme-3"])),
    ((*_LANDLORD, "paused"), (True, False)),
    (("context", "answers"), ({"rent": 1, "pets": None}, {"rent": True}, {})),
    (("context", "record"), ({"rent": 1.0}, {"pets": None}, {})),
    (
        ("context", "form"),
        (
            {},
            {"fingerprint": "a", "tested_fingerprint": "a", "tested_on": "2024-01-01"},
            {"fingerprint": "a", "tested_fingerprint": "b", "tested_on": "2024-01-01"},
        ),
    ),
)

_ACTIONS: Final = ["submit_todo"] * 10 + [action.value for action in Action] + ["", "Submit_todo"]
_KINDS: Final = ["confirm_housing_costs"] * 5 + [kind.value for kind in TodoKind] + ["", _ABSENT]
_NATIONS: Final = [_ABSENT, *(nation.value for nation in Nation)]
_DURATIONS: Final = [_ABSENT] * 6 + ["PT0.000001S", "PT2M", "PT10H", "P1D", "P45D", "P400D"]


@cache
def _varied() -> Mapping[str, st.SearchStrategy[Any]]:
    return {
        "time": instants(),
        "mode": st.sampled_from(["live", "live", "live", "test", _ABSENT]),
        "action": st.sampled_from(_ACTIONS),
        "kind": st.sampled_from(_KINDS),
        "nation": st.sampled_from(_NATIONS),
        "expected_duration": st.sampled_from(_DURATIONS),
    }


@cache
def _plain() -> Mapping[str, st.SearchStrategy[Any]]:
    return {
        "time": st.builds(_working_time, st.sampled_from(_YEARS), _OF_WEEK, st.integers(0, 599)),
        "action": st.sampled_from([action.value for action in AUTOMATION_ACTIONS]),
        "kind": st.sampled_from([kind.value for kind in HOUSING_COST_KINDS]),
        "nation": st.sampled_from(_NATIONS),
        "expected_duration": st.sampled_from([_ABSENT, "PT2M"]),
    }


def _working_time(year: int, day: int, minutes: int) -> datetime:
    """An instant within the hours of a week without a bank holiday, if it is not a weekend."""
    return to_utc(datetime(year, 6, 16 + day, 8, tzinfo=LONDON)) + timedelta(minutes=minutes)


_OF_WEEK: Final = st.integers(0, 6)
_PARTS: Final = st.floats(0, 1)
_FEW_TURNS: Final = st.lists(st.sampled_from(_TURNS), max_size=1)
_MORE_TURNS: Final = st.lists(st.sampled_from(_TURNS), max_size=3)
_MINUTES_AROUND: Final = st.integers(-24 * 60, 24 * 60).map(lambda n: timedelta(minutes=n))
_LENGTHS: Final = st.one_of(
    st.sampled_from((timedelta(microseconds=1), timedelta(hours=1), timedelta(days=1))),
    st.integers(1, 10 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes)),
)
_NO_CLOSURES: Final[st.SearchStrategy[list[tuple[timedelta, timedelta]]]] = st.just([])
_CLOSURES: Final = st.lists(st.tuples(_MINUTES_AROUND, _LENGTHS), max_size=3)
_NOTICES: Final = st.lists(
    st.tuples(
        st.integers(-2, 2),
        st.fixed_dictionaries(
            {"id": st.sampled_from(["n-1", "n-2"])},
            optional={"affects_automation": st.sampled_from([True, False, None])},
        ),
    ),
    max_size=2,
)


@st.composite
def request_documents(draw: st.DrawFn, /, **fields: Any) -> dict[str, Any]:
    """Draw valid request documents: `allowed_request_document` at some instant, turned a little.

    About a third of them are allowed by `landlord_portal`. ``fields`` fixes, or draws from a
    strategy, one of ``time``, ``mode``, ``action``, ``kind``, ``nation``, ``expected_duration``
    and ``closures``, as JSON values, but aware datetimes for ``time``; None leaves a field out.

    Raises:
        TypeError: another field.
    """
    unknown = fields.keys() - _PLACES.keys()
    if unknown:
        raise TypeError(f"{min(unknown)} is no field: use {', '.join(_PLACES)}")
    is_plain = draw(st.booleans())
    drawn = {
        name: draw(value) if isinstance(value, st.SearchStrategy) else value
        for name, value in {**(_plain() if is_plain else _varied()), **fields}.items()
    }
    at = drawn["time"]
    day = to_london(at).date()
    if "closures" not in drawn:
        drawn["closures"] = [
            {"from": (at + before).isoformat(), "to": (at + before + length).isoformat()}
            for before, length in draw(_NO_CLOSURES if is_plain else _CLOSURES)
        ]
    drawn["time"] = at.isoformat()
    document = allowed_request_document()
    for name, value in drawn.items():
        _put(document, _PLACES[name], _ABSENT if value is None else value)
    _put(document, (*_LANDLORD, "declared_on"), f"{day.year - 1}-06-30")
    begins = to_utc(datetime.combine(day, time(0), LONDON))
    provided_at = begins + (at - begins) * draw(_PARTS)
    _put(document, (*_CODE, "provided_at"), provided_at.isoformat())
    notices = [
        {**notice, "effective_on": (day + timedelta(days=days)).isoformat()}
        for days, notice in draw(_NOTICES)
    ]
    _put(document, ("context", "notices"), notices)
    for place, values in draw(_FEW_TURNS if is_plain else _MORE_TURNS):
        _put(document, place, draw(st.sampled_from(values)))
    return document


def requests(**fields: Any) -> st.SearchStrategy[Request]:
    """Draw requests: those that `request_documents` says."""
    return request_documents(**fields).map(Request.from_document)


def _put(document: dict[str, Any], place: tuple[str, ...], value: object) -> None:
    """Set one field; where something above it was taken away, nothing is set."""
    *above, name = place
    for key in above:
        if not isinstance(document.get(key), dict):
            return
        document = document[key]
    if value is _ABSENT:
        document.pop(name, None)
    else:
        document[name] = value
