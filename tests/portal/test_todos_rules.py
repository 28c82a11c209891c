"""What the to-dos' forms demand, what answers come to, and what a form's fingerprint covers."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st
from landlord_portal.models import Frequency
from landlord_portal.todos.forms import PAGES, fingerprint, walk
from landlord_portal.todos.rules import annual_change_year, first_monday_in_april, monthly
from todo_answers import ANSWERS, CONFIRM, PROVIDE, SUBMITTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules import TodoKind

TODAY = date(2027, 6, 1)
MONEY = st.decimals(Decimal("0.01"), Decimal("99999.99"), places=2)
QUESTION = {
    "page": "rent",
    "name": "heating_charge",
    "type": "money",
    "label_en": "Heating charge",
    "label_cy": "Tâl gwresogi",
    "required": True,
}


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    """Speak English, whatever language an earlier request in this process was in."""
    with translation.override("en"):
        yield


def errors(kind: TodoKind, page: str, **changed: str) -> dict[str, list[str]]:
    """Return a page's errors when its answers are changed so."""
    typed = ANSWERS[kind] | {page: ANSWERS[kind][page] | changed}
    walked = walk(kind, typed, TODAY)
    found = {slug.slug: form for slug, form in walked.reached}[page].errors
    return {name: [str(text) for text in texts] for name, texts in found.items()}


@pytest.mark.parametrize("kind", [PROVIDE, CONFIRM])
def test_whole_answers_hold(kind: TodoKind) -> None:
    """The usual answers are complete, and read as numbers, text and days."""
    walked = walk(kind, ANSWERS[kind], TODAY)
    assert walked.complete
    assert walked.document() == SUBMITTED[kind]


def test_published_example_of_a_month() -> None:
    """A weekly rent counts 52 times a year, less the rent-free weeks."""
    assert monthly(Decimal("100.00"), Frequency.WEEKLY) == Decimal("433.33")
    assert monthly(Decimal("100.00"), Frequency.WEEKLY, 4) == Decimal("400.00")
    assert monthly(Decimal("200.00"), Frequency.FORTNIGHTLY) == Decimal("433.33")
    assert monthly(Decimal("400.00"), Frequency.FOUR_WEEKLY) == Decimal("433.33")
    assert monthly(Decimal("433.33"), Frequency.MONTHLY, 4) == Decimal("433.33")
    assert monthly(Decimal("0.03"), Frequency.WEEKLY, 50) == Decimal("0.01")


@given(amount=MONEY, weeks=st.sampled_from([1, 2, 4]), free=st.integers(0, 52))
def test_month_is_within_half_a_penny(amount: Decimal, weeks: int, free: int) -> None:
    """No amount strays from the exact one by more than rounding to the penny."""
    frequency = {1: "weekly", 2: "fortnightly", 4: "four_weekly"}[weeks]
    exact = Fraction(amount) * (52 - free) / weeks / 12
    assert abs(Fraction(monthly(amount, frequency, free)) - exact) <= Fraction(1, 200)


def test_first_monday_in_april() -> None:
    """It is a Monday among the first seven days, in every year of a century."""
    for year in range(2000, 2100):
        day = first_monday_in_april(year)
        assert (day.year, day.month, day.weekday()) == (year, 4, 0)
        assert 1 <= day.day <= 7
    assert first_monday_in_april(2024) == date(2024, 4, 1)


@given(st.dates(date(2001, 1, 1), date(2099, 12, 31)))
def test_annual_change_is_the_nearest(today: date) -> None:
    """No other 1 April is nearer."""
    nearest = abs(date(annual_change_year(today), 4, 1) - today)
    assert all(nearest <= abs(date(today.year + n, 4, 1) - today) for n in (-1, 0, 1))


@pytest.mark.parametrize(
    ("kind", "page", "changed", "field", "text"),
    [
        (PROVIDE, "tenant", {"is_tenant": ""}, "is_tenant", "Select yes if this person"),
        (PROVIDE, "tenant", {"is_tenant": "perhaps"}, "is_tenant", "Select yes if this person"),
        (PROVIDE, "tenant", {"tenant_reference": " "}, "tenant_reference", "Enter the tenant"),
        (PROVIDE, "tenant", {"tenant_reference": "x" * 51}, "tenant_reference", "50 characters"),
        (PROVIDE, "tenant", {"is_tenant": "no"}, "reason", "Select why"),
        (PROVIDE, "tenant", {"is_tenant": "no"}, "use_and_occupation", "Select yes if you accept"),
        (
            PROVIDE,
            "tenant",
            {"is_tenant": "no", "reason": "moved_out", "use_and_occupation": "yes"},
            "use_and_occupation",
            "moved out cannot pay",
        ),
        (PROVIDE, "tenancy", {"people_on_tenancy": ""}, "people_on_tenancy", "Enter how many"),
        (PROVIDE, "tenancy", {"people_on_tenancy": "1"}, "people_on_tenancy", "from 2 to 20"),
        (PROVIDE, "tenancy", {"people_on_tenancy": "2.5"}, "people_on_tenancy", "from 2 to 20"),
        (PROVIDE, "tenancy", {"bedrooms": "-1"}, "bedrooms", "from 0 to 20"),
        (PROVIDE, "tenancy", {"bedrooms": "21"}, "bedrooms", "from 0 to 20"),
        (PROVIDE, "tenancy", {"rent_free_weeks": "0"}, "rent_free_weeks", "from 1 to 52"),
        (PROVIDE, "tenancy", {"rent_free_weeks": "53"}, "rent_free_weeks", "from 1 to 52"),
        (PROVIDE, "tenancy", {"rent_free_weeks": ""}, "rent_free_weeks", "Enter how many"),
        (PROVIDE, "rent", {"rent": ""}, "rent", "Enter the rent"),
        (PROVIDE, "rent", {"rent": "0.00"}, "rent", "£0.01 or more"),
        (PROVIDE, "rent", {"rent": "100000.00"}, "rent", "£99,999.99 or less"),
        (PROVIDE, "rent", {"rent": "104.5"}, "rent", "pounds and pence"),
        (PROVIDE, "rent", {"rent": "104.505"}, "rent", "pounds and pence"),
        (PROVIDE, "rent", {"rent": "-104.50"}, "rent", "pounds and pence"),
        (PROVIDE, "rent", {"rent": "1e3"}, "rent", "pounds and pence"),
        (PROVIDE, "rent", {"rent": "NaN"}, "rent", "pounds and pence"),
        (PROVIDE, "rent", {"rent_frequency": "daily"}, "rent_frequency", "Select how often"),
        (PROVIDE, "rent", {"rent_frequency": "monthly"}, "rent_frequency", "rent-free weeks"),
        (PROVIDE, "rent", {"service_charge": ""}, "service_charge", "or 0 if there is none"),
        (
            PROVIDE,
            "rent",
            {"service_charge_frequency": ""},
            "service_charge_frequency",
            "Select how often the service charge",
        ),
        (CONFIRM, "tenant", {"is_tenant": "no"}, "reason", "Select why"),
        (CONFIRM, "rent", {"effective_date": ""}, "effective_date", "Select when"),
        (CONFIRM, "rent", {"effective_date": "april_first"}, "effective_date", "monthly rent"),
        (CONFIRM, "rent", {"rent_frequency": "monthly"}, "effective_date", "due by the week"),
        (CONFIRM, "rent", {"effective_date": "another"}, "effective_on", "Enter the date"),
    ],
)
def test_refused(kind: TodoKind, page: str, changed: dict[str, str], field: str, text: str) -> None:
    """Each rule refuses its own field, in words that say what to do."""
    found = errors(kind, page, **changed)
    assert any(text in error for error in found[field])


@pytest.mark.parametrize(
    ("day", "month", "year", "text"),
    [
        ("31", "2", "2027", "must be a real date"),
        ("", "4", "2027", "must be a real date"),
        ("1", "4", "27", "must be a real date"),
        ("first", "4", "2027", "must be a real date"),
        ("30", "5", "2026", "within a year"),
        ("3", "6", "2028", "within a year"),
    ],
)
def test_refused_date(day: str, month: str, year: str, text: str) -> None:
    """Another date is a real one, whole, and not years away."""
    found = errors(
        CONFIRM,
        "rent",
        effective_date="another",
        effective_on_day=day,
        effective_on_month=month,
        effective_on_year=year,
    )
    assert any(text in error for error in found["effective_on"])


@pytest.mark.parametrize(
    ("kind", "page", "changed"),
    [
        (PROVIDE, "rent", {"rent": "£1,104.50"}),
        (PROVIDE, "rent", {"rent": " 104 "}),
        (PROVIDE, "rent", {"rent": "99999.99"}),
        (PROVIDE, "rent", {"service_charge": "0", "service_charge_frequency": ""}),
        (PROVIDE, "tenancy", {"bedrooms": "0"}),
        (PROVIDE, "tenancy", {"rent_free_weeks": "52"}),
        (PROVIDE, "tenancy", {"anyone_else": "no", "people_on_tenancy": "many"}),
        (PROVIDE, "tenant", {"reason": "nonsense"}),
        (CONFIRM, "rent", {"rent_frequency": "four_weekly"}),
        (CONFIRM, "rent", {"rent_frequency": "monthly", "effective_date": "april_first"}),
    ],
)
def test_taken(kind: TodoKind, page: str, changed: dict[str, str]) -> None:
    """What is right is taken; what no choice asks for does not matter."""
    assert errors(kind, page, **changed) == {}


def test_what_is_not_asked_is_not_answered() -> None:
    """What was typed under a choice that was not made is no part of the answers."""
    typed = ANSWERS[PROVIDE] | {
        "tenant": {
            "is_tenant": "no",
            "reason": "not_liable",
            "use_and_occupation": "no",
            "tenant_reference": "typed before",
        }
    }
    walked = walk(PROVIDE, typed, TODAY)
    assert walked.complete
    assert walked.document() == {
        "is_tenant": "no",
        "reason": "not_liable",
        "use_and_occupation": "no",
    }


def test_charges_for_living_there_are_asked_for() -> None:
    """Whoever is no tenant and pays for living there has the other pages too."""
    typed = {"tenant": {"is_tenant": "no", "reason": "not_liable", "use_and_occupation": "yes"}}
    walked = walk(PROVIDE, typed, TODAY)
    assert [page.slug for page, _form in walked.reached] == ["tenant", "tenancy"]
    assert not walked.complete


@settings(max_examples=150)
@given(
    kind=st.sampled_from([PROVIDE, CONFIRM]),
    data=st.data(),
    today=st.dates(date(2020, 1, 1), date(2090, 1, 1)),
)
def test_nothing_typed_breaks_a_form(kind: TodoKind, data: Any, today: date) -> None:
    """Whatever is typed where, a page has answers or errors, and answers can be shown."""
    value = st.text(max_size=20) | st.sampled_from(["yes", "no", "0", "31", "another", "weekly"])
    typed = {
        page.slug: {
            name: data.draw(value | st.just(ANSWERS[kind][page.slug].get(name, "")))
            for name in page.form(today=today, earlier={}).box_names()
        }
        for page in PAGES[kind]
    }
    walked = walk(kind, typed, today)
    last = walked.reached[-1][1]
    assert walked.complete == (not last.errors)
    for _page, form in walked.reached[: None if walked.complete else -1]:
        assert all(text for _question, text in form.rows())
    assert all(amount >= 0 for amount in walked.monthly.values())


def test_fingerprints_differ_and_stay() -> None:
    """Each form has its own fingerprint, the same in both languages and at every look."""
    assert fingerprint(PROVIDE) != fingerprint(CONFIRM)
    with translation.override("cy"):
        welsh = [fingerprint(kind, [QUESTION]) for kind in (PROVIDE, CONFIRM)]
    assert welsh == [fingerprint(kind, [QUESTION]) for kind in (PROVIDE, CONFIRM)]
    assert fingerprint(PROVIDE).startswith("sha256:")


@pytest.mark.parametrize(
    "changed",
    [
        {"page": "tenant"},
        {"name": "water_charge"},
        {"type": "text"},
        {"type": "yes_no"},
        {"required": False},
    ],
)
def test_fingerprint_covers_fields(changed: dict[str, Any]) -> None:
    """A field's page, name, type and necessity all count."""
    whole = {fingerprint(CONFIRM), fingerprint(CONFIRM, [QUESTION])}
    assert fingerprint(CONFIRM, [QUESTION | changed]) not in whole


def test_fingerprint_covers_order_and_not_words() -> None:
    """The order of fields counts; what they are called on the page does not."""
    other = QUESTION | {"name": "water_charge"}
    assert fingerprint(CONFIRM, [QUESTION, other]) != fingerprint(CONFIRM, [other, QUESTION])
    reworded = QUESTION | {"label_en": "Charge for heating"}
    assert fingerprint(CONFIRM, [reworded]) == fingerprint(CONFIRM, [QUESTION])


@pytest.mark.parametrize("field", ["rent", "bedrooms", "tenant_reference", "rent_frequency"])
def test_fingerprint_covers_limits(field: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit or a choice that changes makes another form."""
    before = fingerprint(PROVIDE)
    [form] = [page.form for page in PAGES[PROVIDE] if field in page.form.base_fields]
    limit = {"rent": "max_value", "bedrooms": "min_value", "tenant_reference": "max_length"}
    name = limit.get(field, "choices")
    changed: Any = 1 if field in limit else [("weekly", "")]
    monkeypatch.setattr(form.base_fields[field], name, changed)
    assert fingerprint(PROVIDE) != before


def test_extra_question_is_asked_in_the_users_language() -> None:
    """A published question is a field like any other, and is asked until it is answered."""
    with translation.override("cy"):
        walked = walk(CONFIRM, ANSWERS[CONFIRM], TODAY, [QUESTION])
        form = walked.reached[-1][1]
        assert str(form.fields["heating_charge"].label) == "Tâl gwresogi"
        assert "heating_charge" in form.errors
    typed = ANSWERS[CONFIRM] | {"rent": ANSWERS[CONFIRM]["rent"] | {"heating_charge": "3.10"}}
    walked = walk(CONFIRM, typed, TODAY, [QUESTION])
    assert walked.document()["heating_charge"] == "3.10"


def test_tie_of_annual_changes_goes_to_the_later() -> None:
    """Halfway between two changes, the one to come counts."""
    ties = [
        day
        for day in (date(2027, 1, 1) + timedelta(days=n) for n in range(365))
        if date(2028, 4, 1) - day == day - date(2027, 4, 1)
    ]
    assert [annual_change_year(day) for day in ties] == [2028]
