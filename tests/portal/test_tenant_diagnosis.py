"""The diagnosis: a tree whose every way ends in one thing, in both languages, on the real pages."""

from __future__ import annotations

import re
import tomllib
from html import unescape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.contrib.staticfiles import finders
from django.urls import reverse
from django.utils.translation import override
from hypothesis import given, settings
from hypothesis import strategies as st
from repairs_world import REPAIRS, START, answer, text_of
from tenant_services.content import ContentError, Text, read
from tenant_services.profile.customers import Tenancy
from tenant_services.repairs.diagnosis import PLACE, Diagnosis, Finding, diagnosis, wrong_with
from tenant_services.repairs.diagnosis_films import Film, read_captions
from tenant_services.repairs.housing import Priority
from tenant_world import GARAGE, HOME, signed_in

if TYPE_CHECKING:
    from django.test import Client
    from portal_world import PortalWorld

TREE = PLACE.read_text(encoding="utf-8")
FINDINGS = list(diagnosis().findings())
LANGUAGES = ["en", "cy"]
findings = st.sampled_from(FINDINGS)


def tenancy(kind: str, building: str = "") -> Tenancy:
    """Return a tenancy of that kind."""
    from datetime import date

    return Tenancy("T", kind, "1 Mock Lane", "EX99 9AA", "X", building, date(2020, 1, 1), None)


# --- the tree that ships ------------------------------------------------------------------------


def test_tree_is_large_enough_for_a_home() -> None:
    """Eight places and more, with three problems or more in each."""
    tree = diagnosis()
    assert len(tree.locations) >= 8
    assert all(3 <= len(location.problems) <= 6 for location in tree.locations)
    assert len(FINDINGS) >= 100


@given(finding=findings)
def test_every_way_ends_in_one_thing(finding: Finding) -> None:
    """A way is found by its answers, and is exactly one of repair, self-help and emergency."""
    tree = diagnosis()
    assert tree.find(*finding.slugs) == finding
    last = finding.last
    assert (
        sum(outcome is not None for outcome in (last.repair, last.self_help, last.emergency)) == 1
    )
    if finding.repair:
        assert tree.finding_of(finding.repair.code) == finding
        assert Priority.EMERGENCY <= finding.repair.priority <= Priority.INSPECTION
        assert not (finding.is_communal and finding.repair.bookable)
    elif last.self_help:
        assert tree.self_help(last.self_help)
    else:
        assert tree.emergency(last.emergency or "")


@given(finding=findings)
def test_every_way_is_said_in_both_languages(finding: Finding) -> None:
    """Each language has its own words for the whole way, and no word of the other's sentence."""
    with override("en"):
        english = str(finding)
    with override("cy"):
        welsh = str(finding)
    assert english == finding.english != welsh
    assert english.count(": ") == welsh.count(": ") == len(finding.answers) - 1
    for text in finding.answers:
        assert (len(text.en.split()) > 1) <= (text.en != text.cy)


@given(finding=findings, other=findings)
def test_ways_are_told_apart_by_their_words(finding: Finding, other: Finding) -> None:
    """Two ways never read the same, in either language."""
    for lang in LANGUAGES:
        with override(lang):
            assert (str(finding) == str(other)) == (finding.slugs == other.slugs)


@pytest.mark.parametrize("slug", ["gas", "fire", "flood", "no-power"])
def test_emergencies_are_for_the_telephone(slug: str) -> None:
    """Gas, fire, flood and no power are reached from the questions, and have numbers and steps."""
    leading = [finding for finding in FINDINGS if finding.last.emergency == slug]
    assert leading
    emergency = diagnosis().emergency(slug)
    assert emergency is not None
    assert {"gas": "0800111999", "fire": "999", "no-power": "105"}.get(slug, "01632960911") == (
        emergency.telephones[0].digits
    )
    # What is no emergency service's number is one that nobody has.
    for telephone in (one for entry in diagnosis().emergencies for one in entry.telephones):
        assert re.fullmatch(r"999|105|0800111999|01632960[0-9]{3}", telephone.digits)


@pytest.mark.parametrize(
    ("word", "slug"), [("gas", "gas"), ("fire", "fire"), ("spark", "electric-danger")]
)
def test_danger_is_nowhere_booked(word: str, slug: str) -> None:
    """Whoever answers that there is gas, fire or sparks is told to ring, wherever it is."""
    pattern = re.compile(
        rf"smell {word}|smoke or {word}|{word}s, smells|something is burning", re.I
    )
    found = [finding for finding in FINDINGS if pattern.search(finding.last.en)]
    assert found
    for finding in found:
        assert finding.last.emergency in {slug, "fire"}, finding.english


@pytest.mark.parametrize(
    ("kind", "building", "expected"),
    [
        ("general-needs", "", {"home"}),
        ("sheltered", "Sample Court", {"home", "building"}),
        ("leasehold", "Sample Court", {"building"}),
        ("shared-ownership", "", set()),
        ("garage", "", {"garage"}),
    ],
)
def test_places_are_those_of_what_is_rented(kind: str, building: str, expected: set[str]) -> None:
    """Owners see to the inside; what is shared is asked of those who share it."""
    found = diagnosis().locations_of(tenancy(kind, building))
    assert {location.of for location in found} == expected


# --- trees that are wrong -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "instead", "said"),
    [
        ('slug = "sink"', 'slug = "tap"', "kitchen: 'tap' is there twice"),
        ('"DEMO-PL-101"', '"DEMO-PL-102"', "DEMO-PL-102: is used 2 times"),
        ('"DEMO-PL-101"', '"PL-101"', "locations.0.problems.0.details.0.repair.code: String"),
        ('cy = "Sinc"', 'cy = " "', "locations.0.problems.1.cy: String should have at least 1"),
        ('cy = "Sinc"\n', "", "locations.0.problems.1.cy: Field required"),
        ('cy = "Sinc"\n', 'cy = "Sinc"\nfr = "Évier"\n', "locations.0.problems.1.fr: Extra inputs"),
        ('self_help = "pests"', 'self_help = "cats"', "there is no self_help 'cats'"),
        (', self_help = "pests"', "", "whole-home.pests.small: has 0 outcomes"),
        ('emergency = "lift"', 'emergency = "fire"', "emergency 'lift': nothing leads to it"),
        ('self_help = "pests"', 'self_help = "pests", emergency = "gas"', "has 2 outcomes"),
        ("priority = 4, trade", "priority = 1, trade", "repair.priority: Input should be greater"),
        ("priority = 4, trade", "priority = 6, trade", "repair.priority: Input should be 1, 2"),
        ('trade = "plumbing"', 'trade = "magic"', "repair.trade: Input should be 'plumbing'"),
        (", bookable = false", "", "nobody is visited for a communal repair"),
        ("[[locations]]", "[[locations", "This is not TOML"),
        (
            'slug = "fan"',
            'slug = "fan"\ndetails = [{slug="x",en="x",cy="y",emergency="gas"}]',
            "own",
        ),
    ],
)
def test_wrong_trees_are_refused_with_the_place(what: str, instead: str, said: str) -> None:
    """What is wrong is said with where it stands, before any page is served."""
    assert what in TREE
    with pytest.raises(ContentError, match=re.escape(said)):
        read(Diagnosis, TREE.replace(what, instead), wrong_with)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_no_tree_with_a_gap_is_taken(data: st.DataObject) -> None:
    """Take away any text in either language, anywhere: the tree is refused."""
    lines = TREE.splitlines()
    places = [n for n, line in enumerate(lines) if re.match(r"(en|cy|slug) = ", line)]
    gone = data.draw(st.sampled_from(places))
    with pytest.raises(ContentError):
        read(Diagnosis, "\n".join(lines[:gone] + lines[gone + 1 :]), wrong_with)


def test_tree_says_nothing_that_is_not_used() -> None:
    """What stands in the file is what the tree has, entry by entry."""
    raw = tomllib.loads(TREE)
    assert diagnosis().model_dump(exclude_unset=True, mode="json") == raw


# --- films --------------------------------------------------------------------------------------


FILMS = [one for one in diagnosis().self_helps if one.video]


@pytest.mark.parametrize("slug", [one.video for one in FILMS])
def test_films_are_captioned_alike_in_both_languages(slug: str) -> None:
    """Both languages have the same cues at the same times, one to a step of the help."""
    film = Film(slug)
    assert film.video
    times = []
    for lang in LANGUAGES:
        found = finders.find(film.captions(lang))
        assert isinstance(found, str)
        text = Path(found).read_text(encoding="utf-8")
        assert text.startswith("WEBVTT\n\n")
        times.append(re.findall(r".* --> .*", text))
        assert len(read_captions(text)) == len(times[-1]) == len(film.transcript(lang))
        assert all(film.transcript(lang))
    assert times[0] == times[1]
    [help_] = [one for one in FILMS if one.video == slug]
    assert len(times[0]) == len(help_.steps)
    assert film.transcript("en") != film.transcript("cy")


def test_captions_are_read_whatever_the_file_says_beside_them() -> None:
    """Names of cues, notes, settings and line ends of Windows are no words of the film."""
    text = (
        "WEBVTT - Title\r\n\r\nNOTE\r\nnot said\r\n\r\n1\r\n00:00.000 --> 00:05.000 align:start\r\n"
        "One\r\ntwo\r\n\r\n00:00:05.000 --> 00:00:06.000\r\nŵy\r\n"
    )
    assert read_captions(text) == ["One two", "ŵy"]


def test_film_that_is_not_there_yet_is_no_film() -> None:
    """A slot without a file has nothing to play, and nothing to read."""
    film = Film("nowhere")
    assert film.video is None
    assert film.transcript("en") == []


# --- on the pages -------------------------------------------------------------------------------


def offer(text: Text) -> str:
    """Return how an answer is offered: a place with what helps to find it."""
    such_as = getattr(text, "such_as", None)
    return f"{text} ({such_as})" if such_as else str(text)


def walked(client: Client, finding: Finding, lang: str) -> None:
    """Answer as the finding has it: each answer is offered in the language, and leads on."""
    client.cookies["django_language"] = lang
    home = GARAGE if finding.location.of == "garage" else HOME
    path = answer(client, START, home)
    with override(lang):
        for text, slug in zip(finding.answers, filter(None, finding.slugs), strict=True):
            page = text_of(client, path)
            offered = re.findall(
                r'value="([a-z0-9-]+)"[^<]*>\s*<label[^>]*>\s*(.*?)\s*</label>', page
            )
            assert (slug, offer(text)) in [(value, unescape(label)) for value, label in offered]
            path = answer(client, path, slug)
        last = finding.last
        if finding.repair:
            assert path.endswith("/describe/")
            sent: Any = client.post(path, {})
            page = text_of(client, sent.url)
            for text in finding.answers:
                assert str(text) in unescape(page)
            assert "<form" in page
            return
        page = unescape(text_of(client, path))
        if last.emergency:
            emergency = diagnosis().emergency(last.emergency)
            assert emergency is not None
            assert path.startswith(reverse("repair_emergency", kwargs={"slug": last.emergency}))
            # Nothing can be sent from here: it is for the telephone.
            assert "<form" not in page
            assert f'href="tel:{emergency.telephones[0].digits}"' in page
            said = [emergency, *emergency.steps, *emergency.telephones]
        else:
            self_help = diagnosis().self_help(last.self_help or "")
            assert self_help is not None
            said = [self_help, *self_help.steps, self_help.otherwise]
        assert f'<html lang="{lang}"' in page
        for text in said:
            assert str(text) in page


@pytest.mark.parametrize("lang", LANGUAGES)
def test_walk_through_some_of_the_tree(portal: PortalWorld, lang: str) -> None:
    """One of every kind of outcome in every place, through the real pages."""
    client = signed_in(portal)
    kinds = {}
    for finding in FINDINGS:
        kind = (finding.location.of, finding.last.emergency, bool(finding.last.self_help))
        kinds.setdefault(kind, finding)
    for finding in kinds.values():
        walked(client, finding, lang)


@pytest.mark.exhaustive
@pytest.mark.parametrize("lang", LANGUAGES)
def test_walk_through_the_whole_tree(portal: PortalWorld, lang: str) -> None:
    """Every way there is, through the real pages."""
    client = signed_in(portal)
    for finding in FINDINGS:
        walked(client, finding, lang)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_help_and_emergencies_can_be_read_without_a_report(portal: PortalWorld, lang: str) -> None:
    """Each has an address of its own, and a list leads there; others are not there."""
    client = signed_in(portal)
    client.cookies["django_language"] = lang
    listed = text_of(client, f"{REPAIRS}self-help/")
    for self_help in diagnosis().self_helps:
        assert f'href="{REPAIRS}self-help/{self_help.slug}/"' in listed
    text_of(client, f"{REPAIRS}self-help/{diagnosis().self_helps[0].slug}/?report=nonsense")
    page = unescape(text_of(client, f"{REPAIRS}emergency/"))
    with override(lang):
        for emergency in diagnosis().emergencies:
            assert str(emergency) in page
            assert emergency.telephones[0].number in page
    for nothing in ("emergency/none/", "self-help/none/"):
        text_of(client, REPAIRS + nothing, 404)
