"""The words: complete in both languages, filled safely, read only when they are needed."""

# ruff: noqa: RUF001 - typographic marks are what is tested

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import automation_rules
from automation_rules.errors import ClockError, InvalidInputError
from automation_rules.texts import LANGUAGES, Text, load, message, remedy, ui

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(automation_rules.__file__).parent
DATA_FILES = ("clauses.json", "codes.json", "readings.json", "ui.json")

# The contract, written out here by itself: the codes that each check can give.
CODES: dict[str, tuple[str, ...]] = {
    "landlord": ("not_social_landlord", "no_portal_access"),
    "declaration": ("not_declared", "declared_later", "no_partnership_manager"),
    "account": ("not_automation_account", "unregistered_account", "wrong_creator"),
    "role": ("missing_role", "extra_role"),
    "account_limit": ("too_many_accounts",),
    "identity": ("username_not_identifiable", "email_not_identifiable"),
    "two_factor": ("two_factor_off",),
    "manual_code": (
        "no_code",
        "automated_code",
        "code_from_account",
        "code_from_future",
        "stale_code",
    ),
    "action": ("unknown_action", "other_portal_function", "not_housing_costs"),
    "test_mode": ("submit_in_test_mode",),
    "window": (
        "closure",
        "annual_window_wrong_todo",
        "weekend",
        "bank_holiday",
        "outside_hours",
        "insufficient_time_left",
    ),
    "suspension": ("account_paused", "account_deactivated", "landlord_paused"),
    "form": ("form_changed", "retest_needed", "change_announced"),
    "answers": ("answers_differ",),
}
COMBINED = {"all_of": ("not_all_passed",), "any_of": ("none_passed",), "not": ("negated",)}
FROM_ANY_CHECK = ("missing_fact", "check_error", "empty_combinator")
ELSEWHERE = {
    "enforcement": ("shadow",),
    "gateway": ("clock_unreadable", "facts_unavailable", "policy_unreadable", "request_unreadable"),
    "log": ("not_recorded",),
    "policy": ("nothing_applied",),
}

PARAMETERS: dict[str, Any] = {
    "facts": ["/context/landlord/sector"],
    "declared_on": date(2026, 6, 8),
    "roles": ["manage_users"],
    "count": 3,
    "closes": datetime(2026, 6, 8, 17, tzinfo=UTC),
    "notices": ["notice-1"],
    "fields": ["rent"],
}


def texts_in(document: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object of a data file that has a text in some language, with its path."""
    if isinstance(document, dict):
        if {"en", "cy"} & document.keys():
            yield path, document
        for key, value in document.items():
            yield from texts_in(value, f"{path}/{key}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from texts_in(value, f"{path}/{index}")


def unquoted(text: str) -> str:
    """The text without its placeholders and without names, which stay in English."""
    return re.sub(r"‘[A-Z][^‘]*?’(?!\w)|\{\w+\}", "", text)


@pytest.mark.parametrize(
    ("check", "code"),
    [
        (check, code)
        for table in (CODES, COMBINED, ELSEWHERE)
        for check, codes in table.items()
        for code in codes
    ]
    + [(check, code) for check in (*CODES, "my_own_check") for code in FROM_ANY_CHECK],
)
def test_every_code_says_what_was_found_and_what_to_do(check: str, code: str) -> None:
    """Every code of every check has a filled message and a filled remedy in both languages."""
    advice = remedy(check, code, **PARAMETERS)
    assert advice is not None
    for text in (message(check, code, **PARAMETERS), advice):
        for lang in LANGUAGES:
            assert text.to(lang).endswith(".")
            assert "{" not in text.to(lang)


@pytest.mark.parametrize("check", [*CODES, *COMBINED])
@pytest.mark.parametrize("outcome", ["pass", "not_applicable"])
def test_every_check_can_say_that_it_passed_or_does_not_apply(check: str, outcome: str) -> None:
    """Passing and not applying are told too, and there is nothing to put right."""
    assert message(check, outcome).en.endswith(".")
    assert remedy(check, outcome) is None


def test_the_catalogue_has_no_code_that_nothing_gives() -> None:
    """The catalogue holds the codes of the contract and no other."""
    expected = {"*": set(FROM_ANY_CHECK)}
    for table in (CODES, COMBINED):
        expected |= {check: {*codes, "pass", "not_applicable"} for check, codes in table.items()}
    expected |= {check: set(codes) for check, codes in ELSEWHERE.items()}
    assert {check: set(codes) for check, codes in load("codes.json").items()} == expected


@pytest.mark.parametrize("name", DATA_FILES)
def test_every_text_is_in_both_languages_with_the_same_placeholders(name: str) -> None:
    """No text lacks a language, is empty, or names a parameter in one language only."""
    found = list(texts_in(load(name)))
    assert found
    for path, text in found:
        for lang in LANGUAGES:
            assert text.get(lang, "").strip() == text.get(lang) != "", path
        placeholders = [sorted(re.findall(r"\{.*?\}", text[lang])) for lang in LANGUAGES]
        assert placeholders[0] == placeholders[1], path
        assert all(re.fullmatch(r"\{[a-z_]+\}", p) for p in placeholders[0]), path


@pytest.mark.parametrize("name", DATA_FILES)
def test_no_language_stands_in_for_the_other(name: str) -> None:
    """The two texts differ, and neither is left in the other's language."""
    english = re.compile(r"\b(the|and|of|not|with|for|this|must|has|was|from)\b", re.IGNORECASE)
    welsh = re.compile(r"\b(yn|mae|nid|ac|gan|wedi|heb|sydd|neu|nac)\b|[âêîôûŵŷ]", re.IGNORECASE)
    for path, text in texts_in(load(name)):
        if unquoted(text["en"]).strip():
            assert text["en"] != text["cy"], path
        assert not english.search(unquoted(text["cy"])), path
        assert not welsh.search(unquoted(text["en"])), path


@pytest.mark.parametrize("name", DATA_FILES)
def test_names_in_the_portal_are_the_same_in_both_languages(name: str) -> None:
    """Roles, to-dos and tabs keep their English names in Welsh."""
    names = (
        "‘Complete to-dos’",
        "‘Manage users’",
        "‘Provide tenancy details’",
        "‘Confirm tenant’s housing costs’",
        "‘Updates’",
    )
    for path, text in texts_in(load(name)):
        for portal_name in names:
            assert (portal_name in text["en"]) == (portal_name in text["cy"]), path


@pytest.mark.parametrize("name", DATA_FILES)
def test_quotation_marks_and_apostrophes_are_typographic(name: str) -> None:
    """No text mixes straight marks with curly ones, nor holds control characters."""
    for path, text in texts_in(load(name)):
        for lang in LANGUAGES:
            assert not re.search(r"['\"`\x00-\x1f]", text[lang]), path


def test_labels_are_in_alphabetical_order() -> None:
    """A label is found where it is looked for."""
    assert list(load("ui.json")) == sorted(load("ui.json"))


@pytest.mark.parametrize("name", DATA_FILES)
def test_no_key_is_given_twice(name: str) -> None:
    """A data file never says one thing twice, of which only the last would count."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        assert len(keys) == len(set(keys)), keys
        return dict(pairs)

    json.loads((PACKAGE / "data" / name).read_text("utf-8"), object_pairs_hook=unique)


def test_every_label_that_the_code_asks_for_exists() -> None:
    """Labels named in the source are there; those made from a prefix have some with it."""
    labels = load("ui.json")
    asked = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in re.findall(r"\bui\(\s*f?\"([^\"]+)\"", path.read_text("utf-8"))
    }
    assert "moment" in asked
    for name in asked:
        prefix, brace, _ = name.partition("{")
        found = any(label.startswith(prefix) for label in labels) if brace else name in labels
        assert found, name


@pytest.mark.parametrize("check", [*CODES, *COMBINED, *ELSEWHERE])
def test_every_check_has_a_title(check: str) -> None:
    """A table of checks can name each of them."""
    assert ui(f"check.{check}").en


def test_the_disclaimer_says_that_this_is_independent_and_no_permission() -> None:
    """In both languages it says who does not stand behind this, and what allowed is not."""
    disclaimer = ui("disclaimer")
    assert "independent of DWP" in disclaimer.en
    assert "not permission" in disclaimer.en
    assert "annibynnol ar DWP" in disclaimer.cy
    assert "Nid caniatâd" in disclaimer.cy


def test_a_text_is_read_in_one_language_or_as_a_document() -> None:
    """A text gives either language, both as a document, and refuses a third language."""
    text = Text("yes", "ie")
    assert [text.to(lang) for lang in LANGUAGES] == ["yes", "ie"]
    assert text.to_document() == {"en": "yes", "cy": "ie"}
    with pytest.raises(InvalidInputError, match="use en or cy"):
        text.to("fr")


@pytest.mark.parametrize(
    ("ask", "needed"),
    [
        (lambda: message("window", "closed"), "check 'window' has no code 'closed'"),
        (lambda: remedy("my_own_check", "weekend"), "check 'my_own_check' has no code"),
        (lambda: ui("no such"), "no label 'no such'"),
        (lambda: load("no-such.json"), "no-such.json"),
    ],
)
def test_what_is_not_there_is_refused_by_name(ask: Any, needed: str) -> None:
    """An unknown check, code, label or file is an error that names it."""
    with pytest.raises((LookupError, FileNotFoundError), match=needed):
        ask()


def test_a_parameter_that_is_absent_is_refused_and_one_too_many_is_not() -> None:
    """A text with a hole is never shown; a message's parameters can be given to its remedy."""
    with pytest.raises(TypeError, match="needs facts"):
        message("landlord", "missing_fact")
    assert message("landlord", "pass", facts=["/a"]) == message("landlord", "pass")


@pytest.mark.parametrize("value", [None, True, 1.5, {"a": 1}, b"x"])
def test_a_parameter_of_another_type_is_refused(value: Any) -> None:
    """Only what can be shown well in both languages is accepted."""
    with pytest.raises(TypeError, match=f"cannot show a {type(value).__name__}"):
        message("landlord", "missing_fact", facts=value)


@given(st.text() | st.sampled_from(["{facts}", "{0}", "{", "}}", "\\1", "\\g<0>", "%s"]))
def test_values_are_shown_as_they_are(value: str) -> None:
    """A value is data: no brace, backslash or percent sign in it is taken for a template."""
    template = load("codes.json")["*"]["missing_fact"]["message"]
    text = message("landlord", "missing_fact", facts=value)
    for lang in LANGUAGES:
        before, _, after = template[lang].partition("{facts}")
        assert text.to(lang) == before + value + after


@pytest.mark.parametrize(
    ("values", "shown"),
    [(["/a", "/b"], "/a, /b"), (("/a",), "/a"), (7, "7")],
)
def test_lists_and_numbers_are_shown(values: Any, shown: str) -> None:
    """A list is joined by commas and a number is shown in figures."""
    text = message("landlord", "missing_fact", facts=values)
    assert text.en.endswith(f" {shown}.")
    assert text.cy.endswith(f" {shown}.")


def test_an_empty_list_says_so() -> None:
    """A list without anything in it is shown as none, in each language."""
    text = message("form", "retest_needed", notices=[])
    assert text.en.endswith(": none.")
    assert text.cy.endswith(": dim.")


def shown_moment(value: Any) -> tuple[str, str]:
    """A date, time or duration as each language shows it."""
    label = ui("decision.reading", name="", value="", others=value)
    return label.en.rpartition("Otherwise: ")[2][:-1], label.cy.rpartition("arall: ")[2][:-1]


@pytest.mark.parametrize(
    ("value", "en", "cy"),
    [
        (date(2026, 6, 8), "Monday 8 June 2026", "dydd Llun 8 Mehefin 2026"),
        (
            datetime(2026, 6, 8, 7, tzinfo=UTC),
            "Monday 8 June 2026 at 8am",
            "dydd Llun 8 Mehefin 2026 am 8am",
        ),
        (
            datetime(2026, 12, 1, 17, 58, tzinfo=UTC),
            "Tuesday 1 December 2026 at 5:58pm",
            "dydd Mawrth 1 Rhagfyr 2026 am 5:58pm",
        ),
        (
            datetime(2026, 1, 7, 12, tzinfo=UTC),
            "Wednesday 7 January 2026 at midday",
            "dydd Mercher 7 Ionawr 2026 am hanner dydd",
        ),
        (
            datetime(2026, 5, 15, 23, tzinfo=UTC),
            "Saturday 16 May 2026 at midnight (start of the day)",
            "dydd Sadwrn 16 Mai 2026 am hanner nos (dechrau’r diwrnod)",
        ),
        (
            datetime(2026, 2, 5, 0, 0, 9, tzinfo=UTC),
            "Thursday 5 February 2026 at 12:00:09am",
            "dydd Iau 5 Chwefror 2026 am 12:00:09am",
        ),
        (
            datetime(2026, 9, 4, 13, 0, tzinfo=timezone(timedelta(hours=2))),
            "Friday 4 September 2026 at midday",
            "dydd Gwener 4 Medi 2026 am hanner dydd",
        ),
        (timedelta(0), "0 seconds", "0 eiliad"),
        (timedelta(days=-1), "0 seconds", "0 eiliad"),
        (
            timedelta(days=1, hours=1, minutes=1, seconds=1.9),
            "1 day 1 hour 1 minute 1 second",
            "1 diwrnod 1 awr 1 munud 1 eiliad",
        ),
        (
            timedelta(days=2, hours=2, minutes=2, seconds=2),
            "2 days 2 hours 2 minutes 2 seconds",
            "2 ddiwrnod 2 awr 2 funud 2 eiliad",
        ),
        (
            timedelta(days=3, hours=5, minutes=10, seconds=59),
            "3 days 5 hours 10 minutes 59 seconds",
            "3 diwrnod 5 awr 10 munud 59 eiliad",
        ),
    ],
)
def test_dates_times_and_durations_read_naturally(value: Any, en: str, cy: str) -> None:
    """Times are on London's clocks, in the words of each language, Welsh mutations included."""
    assert shown_moment(value) == (en, cy)


DAYS = (
    ("Monday", "dydd Llun"),
    ("Tuesday", "dydd Mawrth"),
    ("Wednesday", "dydd Mercher"),
    ("Thursday", "dydd Iau"),
    ("Friday", "dydd Gwener"),
    ("Saturday", "dydd Sadwrn"),
    ("Sunday", "dydd Sul"),
)
MONTHS = (
    ("January", "Ionawr"),
    ("February", "Chwefror"),
    ("March", "Mawrth"),
    ("April", "Ebrill"),
    ("May", "Mai"),
    ("June", "Mehefin"),
    ("July", "Gorffennaf"),
    ("August", "Awst"),
    ("September", "Medi"),
    ("October", "Hydref"),
    ("November", "Tachwedd"),
    ("December", "Rhagfyr"),
)


def test_every_day_and_month_has_its_name() -> None:
    """Each day of the week and each month is named as people name it, in full and short."""
    named = [(f"day.{n}", f"day_short.{n}", *day) for n, day in enumerate(DAYS, 1)]
    named += [(f"month.{n:02}", f"month_short.{n:02}", *m) for n, m in enumerate(MONTHS, 1)]
    for full, short, en, cy in named:
        assert ui(full) == Text(en, cy)
        assert en.startswith(ui(short).en)
        assert cy.removeprefix("dydd ").startswith(ui(short).cy)


@pytest.mark.parametrize(
    ("at", "en", "cy"),
    [
        (
            datetime(2026, 3, 29, 0, 59, tzinfo=UTC),
            "Sunday 29 March 2026 at 12:59am",
            "dydd Sul 29 Mawrth 2026 am 12:59am",
        ),
        (
            datetime(2026, 3, 29, 1, tzinfo=UTC),
            "Sunday 29 March 2026 at 2am",
            "dydd Sul 29 Mawrth 2026 am 2am",
        ),
        (
            datetime(2026, 10, 25, 0, 30, tzinfo=UTC),
            "Sunday 25 October 2026 at 1:30am (British Summer Time)",
            "dydd Sul 25 Hydref 2026 am 1:30am (Amser Haf Prydain)",
        ),
        (
            datetime(2026, 10, 25, 1, 30, tzinfo=UTC),
            "Sunday 25 October 2026 at 1:30am (Greenwich Mean Time)",
            "dydd Sul 25 Hydref 2026 am 1:30am (Amser Safonol Greenwich)",
        ),
        (
            datetime(2026, 10, 25, 2, tzinfo=UTC),
            "Sunday 25 October 2026 at 2am",
            "dydd Sul 25 Hydref 2026 am 2am",
        ),
    ],
)
def test_times_across_the_clock_changes_are_told_apart(at: datetime, en: str, cy: str) -> None:
    """The hour that comes twice names its zone; no other time does."""
    assert shown_moment(at) == (en, cy)


def test_a_naive_time_is_refused() -> None:
    """A time without an offset is no instant, and is never shown as one."""
    with pytest.raises(ClockError, match="no UTC offset"):
        shown_moment(datetime(2026, 6, 8, 8))  # noqa: DTZ001


def test_importing_reads_no_words() -> None:
    """The data files are read when a text is first asked for, once, and not at import."""
    script = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import automation_rules.terms, automation_rules.texts
def read(): return [path for path in opened if path.endswith(".json")]
assert read() == [], read()
heavy = {"holidays", "sqlalchemy", "cryptography", "rich", "click"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for _ in range(2):
    automation_rules.texts.message("landlord", "pass")
    automation_rules.texts.remedy("role", "missing_role")
assert [path.rpartition("codes")[1:] for path in read()] == [("codes", ".json")], read()
"""
    subprocess.run([sys.executable, "-c", script], check=True)
