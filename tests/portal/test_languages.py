"""Everything is in Welsh as well: words, dates and money; names of roles, to-dos and tabs stay."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import set_up
from babel.messages.pofile import read_po
from demo_portal.jinja import date_text, instant_text, money_text, time_text
from design.forms import DateField, Form, MoneyField
from django import forms
from django.apps import apps
from django.utils.translation import gettext, override
from landlord_portal.models import ROLE_NAMES, TODO_NAMES
from landlord_portal.navigation import TABS
from lxml import html  # type: ignore[import-untyped]
from test_pages import ADMINISTRATION, PAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from babel.messages.catalog import Catalog
    from portal_world import PortalWorld


@pytest.fixture(scope="module")
def catalogue() -> Catalog:
    """Read the Welsh catalogue."""
    with set_up.CATALOGUE.open("rb") as file:
        return read_po(file, locale="cy")


def texts(message: Any) -> list[str]:
    """Return a message's texts: one, or every form of a plural."""
    return [message] if isinstance(message, str) else list(message)


def test_every_text_has_its_welsh(catalogue: Catalog) -> None:
    """What the source says is in the catalogue, and in Welsh; nothing else is in it."""
    said = {message.id for message in set_up.messages() if message.id}
    known = {message.id: message for message in catalogue if message.id}
    assert said == set(known)
    assert [key for key, message in known.items() if not all(texts(message.string))] == []
    assert not [key for key, message in known.items() if message.fuzzy]


def test_welsh_fills_in_the_same_values(catalogue: Catalog) -> None:
    """No translation loses a value or names one that is not given."""
    for message in catalogue:
        if message.id:
            wanted = set(re.findall(r"%\([a-z_]+\)[sd]", " ".join(texts(message.id))))
            for text in texts(message.string):
                assert set(re.findall(r"%\([a-z_]+\)[sd]", text)) == wanted, message.id


def test_names_are_not_translated(catalogue: Catalog) -> None:
    """Roles, to-dos and tabs have one name, which is no text to be translated."""
    tabs = [name for _address, name, _role in TABS]
    for name in [*ROLE_NAMES.values(), *TODO_NAMES.values(), *tabs]:
        assert catalogue.get(name) is None, name
        with override("cy"):
            assert gettext(name) == name


def test_dates_and_money_in_both_languages() -> None:
    """As a reader of each language writes them, in London's time."""
    at = datetime(2027, 6, 1, 8, 5, tzinfo=UTC)
    assert date_text(date(2027, 4, 1)) == "1 April 2027"
    assert instant_text(at) == "1 June 2027, 9:05am"
    assert money_text(Decimal("1234.5")) == "£1,234.50"
    with override("cy"):
        assert date_text(date(2027, 4, 1)) == "1 Ebrill 2027"
        assert instant_text(at) == "1 Mehefin 2027, 9:05am"
        assert money_text(Decimal("1234.5")) == "£1,234.50"
    assert (date_text(None), instant_text(None), money_text(None)) == ("", "", "")


@pytest.mark.parametrize(
    ("at", "english", "welsh"),
    [
        (time(0), "midnight", "hanner nos"),
        (time(0, 1), "12:01am", "12:01am"),
        (time(11, 59), "11:59am", "11:59am"),
        (time(12), "midday", "hanner dydd"),
        (time(17, 30), "5:30pm", "5:30pm"),
        (time(22), "10pm", "10pm"),
        (datetime(2027, 3, 28, 0, 59, tzinfo=UTC), "12:59am", "12:59am"),
        (datetime(2027, 3, 28, 1, tzinfo=UTC), "2am", "2am"),
        (datetime(2027, 10, 31, 0, 30, tzinfo=UTC), "1:30am (BST)", "1:30am (BST)"),
        (datetime(2027, 10, 31, 1, 30, tzinfo=UTC), "1:30am (GMT)", "1:30am (GMT)"),
        (datetime(2027, 10, 31, 2, tzinfo=UTC), "2am", "2am"),
    ],
)
def test_times_in_both_languages(at: time | datetime, english: str, welsh: str) -> None:
    """By a clock of twelve hours; of the hour that comes twice it is said which one is meant."""
    assert time_text(at) == english
    with override("cy"):
        assert time_text(at) == welsh


def words_of(page: Any) -> set[str]:
    """Return every text of a page that is not marked as English, labels for machines included."""
    unmarked = "[not(ancestor-or-self::*[@lang='en' and not(self::html)])]"
    shown = page.xpath(f"//body//text()[not(parent::script)]{unmarked.replace('-or-self', '')}")
    labels = page.xpath(f"//body//*{unmarked}/@aria-label | //title/text()")
    return {" ".join(text.split()) for text in [*shown, *labels]} - {""}


def data() -> set[str]:
    """Return every text in the tables."""
    found: set[str] = set()
    for model in apps.get_app_config("landlord_portal").get_models():
        for record in model.objects.values_list():
            found |= {str(value) for value in record}
    return found


def every_page(portal: PortalWorld, lang: str) -> Iterator[tuple[str, Any]]:
    """Give every page in a language, and every form with what is wrong with it when empty."""
    for username, paths in [("enid.example", PAGES), ("portal.administrator", ADMINISTRATION)]:
        client = portal.client(username)
        client.cookies["django_language"] = lang
        for path in [*paths, "/sign-out/", "/welcome-back/", "/nowhere/"]:
            address = portal.fill(path) if "{" in path else path
            yield path, client.get(address)
            if not any(done in path for done in ("remove", "deactivate", "roles", "sign-out")):
                yield f"{path} sent empty", client.post(address)
    client = portal.client()
    client.cookies["django_language"] = lang
    yield "/sign-in/", client.get("/sign-in/?idle=1")
    yield "/sign-in/ sent empty", client.post("/sign-in/", {"sign_in-current_step": "auth"})
    yield "/sign-in/ second step", portal.give_password(client, "sam.sampleson")
    yield "/sign-in/ wrong code", portal.give_code(client, "nonsense")


def test_no_english_is_left_on_welsh_pages(portal: PortalWorld, catalogue: Catalog) -> None:
    """What both languages' pages show alike is data, or the same word in both."""
    alike = {message.id for message in catalogue if message.id == message.string}
    known = alike | data() | {"English", "Cymraeg"} | set(ROLE_NAMES.values())
    english = dict(every_page(portal, "en"))
    compared = 0
    for path, answer in every_page(portal, "cy"):
        if answer.status_code == 405:
            continue
        page = html.fromstring(answer.content)
        assert page.get("lang") == "cy", path
        both = words_of(html.fromstring(english[path].content)) & words_of(page)
        left = {
            text
            for text in both - known
            if re.search(r"[a-z]{3}", text)
            and not any(part in known for part in (text, text.rsplit(" ", 1)[0]))
        }
        assert left == set(), path
        compared += 1
    assert compared > 35


def test_english_names_on_welsh_pages_are_marked_as_english(portal: PortalWorld) -> None:
    """Who listens to a Welsh page hears tabs and roles pronounced as English."""
    client = portal.client("enid.example")
    client.cookies["django_language"] = "cy"
    page = html.fromstring(client.get("/users/add/").content)
    for name in [*ROLE_NAMES.values(), "Updates", "Payments"]:
        [*found] = page.xpath(f"//body//*[normalize-space(text())='{name}']")
        assert found, name
        for element in found:
            assert element.xpath("ancestor-or-self::*[@lang][1]/@lang") == ["en"], name


class Every(Form):  # type: ignore[misc]
    """A form with fields of each kind, which say nothing of their own."""

    text = forms.CharField(max_length=3)
    pick = forms.ChoiceField(choices=[("a", "A")])
    picks = forms.MultipleChoiceField(choices=[("a", "A")])
    money = MoneyField(required_message="required", invalid_message="invalid")
    day = DateField(required_message="required", invalid_message="invalid")


@pytest.mark.parametrize(
    "sent",
    [
        {"text": "four", "pick": "b", "picks": ["b"], "money": "1.2.3", "day_day": "32"},
        {"text": "a\x00b", "pick": "", "picks": "b", "money": "", "day_year": "x"},
        {"money": "99999999.99", "day_day": "1", "day_month": "1", "day_year": "1"},
    ],
)
def test_frameworks_own_words_are_not_shown(sent: dict[str, Any]) -> None:
    """Whatever a browser could send, what is said of it is ours, so it is in Welsh as well."""
    with override("cy"):
        form = Every(sent)
        said = {str(error) for errors in form.errors.values() for error in errors}
    ours = {"required", "invalid"}
    with override("cy"):
        ours |= {gettext("Select one of the answers")}
        ours |= {
            gettext("The answer must be %(limit_value)d characters or fewer") % {"limit_value": 3}
        }
        ours |= {gettext("The answer has a character that cannot be kept")}
        ours |= {gettext("Answer this question")}
    assert said
    assert said <= ours
