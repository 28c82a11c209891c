"""What the terms say of accounts: how one identifies itself, and how many there may be."""

from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from automation_rules.accounts import (
    MAX_AUTOMATION_ACCOUNTS,
    AccountStatus,
    AutomationAccount,
    Landlord,
    Person,
    email_identifies,
    has_words,
    normalise,
    one_account_per_todo,
    username_identifies,
)

ACME = ("Acme Homes",)


def wide(text: str) -> str:
    """Return ASCII text in full-width characters, as East Asian keyboards type it."""
    return "".join("\N{IDEOGRAPHIC SPACE}" if c == " " else chr(ord(c) + 0xFEE0) for c in text)


def test_the_limit_is_two() -> None:
    """A landlord may have two automation accounts at a time."""
    assert MAX_AUTOMATION_ACCOUNTS == 2


def test_the_closed_list_of_statuses() -> None:
    """An account is active, paused or deactivated, and nothing else."""
    assert [status.value for status in AccountStatus] == ["active", "paused", "deactivated"]


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Acme Homes", "acme homes"),
        ("  Acme\t--  Homes_2! ", "acme homes 2"),
        ("ACME\N{NO-BREAK SPACE}HOMES", "acme homes"),
        (wide("Acme"), "acme"),
        ("Straße", "strasse"),
        ("ﬁrst", "first"),
        ("Tŷ", "tŷ"),
        ("Ty\N{COMBINING CIRCUMFLEX ACCENT}", "tŷ"),
        ("①", "1"),
        ("٣", "٣"),
        ("ǅ", "dž"),
        ("a\N{SOFT HYPHEN}b", "a b"),
        ("!!!", ""),
        ("", ""),
    ],
)
def test_normalise_folds_and_spaces(text: str, normal: str) -> None:
    """Texts are compared composed, case-folded and with one space between words."""
    assert normalise(text) == normal


@given(st.text(max_size=40))
@example("\N{GREEK SMALL LETTER ALPHA}\N{COMBINING GREEK YPOGEGRAMMENI}")
def test_normalise_leaves_only_words_and_single_spaces(text: str) -> None:
    """What is left is letters and digits, with single spaces between them."""
    normal = normalise(text)
    assert normal == " ".join(normal.split())
    assert all(
        c == " " or unicodedata.category(c)[0] == "L" or unicodedata.category(c) == "Nd"
        for c in normal
    )


@given(st.text(max_size=40), st.text(max_size=40))
def test_normalise_is_blind_to_what_stands_between_words(first: str, second: str) -> None:
    """Spaces, hyphens and underscores between two words are all the same."""
    spaced = normalise(f"{first} x {second}")
    assert normalise(f"{first}-x_{second}") == spaced
    assert normalise(f" {first}/x.{second}? ") == spaced


@pytest.mark.parametrize("length", [999, 1000, 1001, 100_000])
def test_normalise_treats_long_texts_like_short_ones(length: int) -> None:
    """A text too long for the cache gives the same answer."""
    assert normalise("A" * length) == "a" * length


def test_normalise_keeps_no_long_text_in_memory() -> None:
    """Hostile long texts do not pile up in the cache."""
    from automation_rules import accounts

    before = accounts._cached_spaced.cache_info().currsize
    for index in range(10):
        normalise(f"{index}" * 1001)
    assert accounts._cached_spaced.cache_info().currsize == before


@pytest.mark.exhaustive
def test_normalise_is_stable_for_every_character() -> None:
    """Normalising twice changes nothing, whatever the character."""
    for code in range(sys.maxunicode + 1):
        once = normalise(f"a{chr(code)}b")
        assert normalise(once) == once, hex(code)


@pytest.mark.parametrize("name", ["A", "7", " ŵ ", "...x..."])
def test_a_name_with_a_letter_or_a_digit_has_words(name: str) -> None:
    """One letter or digit is enough to be told by."""
    assert has_words(name)


@pytest.mark.parametrize("name", ["", " ", "--", "!?", "\N{COMBINING ACUTE ACCENT}", "\u200b"])
def test_a_name_of_marks_alone_has_no_words(name: str) -> None:
    """Punctuation, marks and invisible characters are no name."""
    assert not has_words(name)


@pytest.mark.parametrize(
    "username",
    [
        "Acme Homes Automation 1",
        "automation acme homes",
        "ACME-HOMES_AUTOMATION",
        "acme.homes.automation.1",
        wide("Acme Homes Automation"),
        "The Acme Homes automation account",
    ],
)
def test_a_username_that_says_whose_and_what_it_is(username: str) -> None:
    """The landlord's name and the word automation, in any order, case and spacing."""
    assert username_identifies(username, ACME)


@pytest.mark.parametrize(
    "username",
    [
        "",
        "Acme Homes",
        "Automation 1",
        "AcmeHomes Automation",
        "Acme Homes Automation1",
        "Acme Homes automations",
        "Acme Automation Homes",
        "Homes Acme Automation",
        "Bigacme Homes Automation",
        "Acme Homesteads Automation",
        "Acme Homes \N{CYRILLIC CAPITAL LETTER A}utomation",
    ],
)
def test_a_username_that_does_not(username: str) -> None:
    """Parts of words, words apart, other words and look-alike letters do not identify."""
    assert not username_identifies(username, ACME)


def test_any_of_the_landlords_names_will_do() -> None:
    """A landlord known by several names may use any one of them."""
    names = ("Acme Homes Limited", "Cartrefi Acme")
    assert username_identifies("Cartrefi Acme Automation", names)
    assert not username_identifies("Acme Homes Automation", names)
    assert username_identifies("Cartrefi Acme Automation", iter(names))


def test_a_name_that_holds_the_word_automation_itself() -> None:
    """The one word may belong to the landlord's name: both conditions are met."""
    assert username_identifies("Automation Homes 1", ["Automation Homes"])


def test_a_name_without_words_identifies_nobody() -> None:
    """Marks that pass for a name never match, and no name never does either."""
    assert not username_identifies("Acme Homes -- Automation", ["--"])
    assert not username_identifies("automation", [""])
    assert not username_identifies("Acme Homes Automation", [])


def test_the_reading_automation_only_asks_for_no_name() -> None:
    """Under that reading the word automation is enough, and still needed."""
    assert username_identifies("Automation 1", ACME, automation_only=True)
    assert username_identifies("Automation 1", (), automation_only=True)
    assert not username_identifies("Acme Homes 1", ACME, automation_only=True)


@pytest.mark.parametrize(
    "email",
    [
        "automation1@acme.example",
        "Acme.AUTOMATION@acme.example",
        "acmeautomationbot@acme.example",
        wide("automation") + "@acme.example",
        "automation\N{FULLWIDTH COMMERCIAL AT}acme.example",
    ],
)
def test_an_email_that_says_automation(email: str) -> None:
    """The part before the one @ contains the word, in any case and width."""
    assert email_identifies(email)


@pytest.mark.parametrize(
    "email",
    [
        "",
        "automation",
        "bot@automation.example",
        "auto-mation@acme.example",
        "automation@x@acme.example",
        "automation\N{FULLWIDTH COMMERCIAL AT}x@acme.example",
        "@automation",
        "bot@acme.example",
    ],
)
def test_an_email_that_does_not(email: str) -> None:
    """The domain does not count, and an address has exactly one @ of any width."""
    assert not email_identifies(email)


@settings(max_examples=50)
@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_identification_never_raises(username: str, name: str, email: str) -> None:
    """Any text gets an answer."""
    assert username_identifies(username, [name]) in (True, False)
    assert email_identifies(email) in (True, False)


def account(kind: str | None) -> AutomationAccount:
    """Return an account meant for one kind of to-do."""
    return AutomationAccount("a", "acme", "Acme automation", "automation@x.example", todo_kind=kind)


@pytest.mark.parametrize(
    ("kinds", "holds"),
    [
        ([], True),
        (["confirm_housing_costs"], True),
        (["confirm_housing_costs", "provide_tenancy_details"], True),
        (["confirm_housing_costs", "confirm_housing_costs"], False),
        (["confirm_housing_costs", None], False),
        ([None], False),
    ],
)
def test_one_account_per_kind_of_todo_is_advised(kinds: list[str | None], holds: bool) -> None:
    """Each account should be meant for a kind of to-do that no other is meant for."""
    assert one_account_per_todo(account(kind) for kind in kinds) is holds


def test_people_are_not_shown_in_reprs() -> None:
    """Names and ids of people stay out of what logs and tracebacks print."""
    person = Person("officer-seven", "acme", "Zyxwv Planted", "housing officer")
    landlord = Landlord("acme", "Acme Homes", partnership_manager="Zyxwv Planted")
    assert "officer-seven" not in repr(person)
    assert "Zyxwv" not in repr(person) + repr(landlord)


def test_accounts_import_nothing_heavy() -> None:
    """The module loads without the libraries that only the state or the calendars need."""
    program = (
        "import sys, automation_rules.accounts;"
        "heavy = {'holidays', 'sqlalchemy', 'cryptography', 'rich', 'click'};"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
