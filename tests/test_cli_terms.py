"""``automation-rules terms``: the clauses in both languages."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from automation_rules.landlord_portal import landlord_portal
from automation_rules.request import Request
from automation_rules.terms import terms_at
from automation_rules.testing import allowed_request_document
from cli_helpers import ran, set_locale

TERMS = terms_at(Request.from_document(allowed_request_document()).time)


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test starts in English."""
    set_locale(monkeypatch, "en_GB.UTF-8")


@pytest.mark.parametrize("lang", ["en", "cy"])
def test_the_list_names_every_clause_once_in_80_columns(lang: str) -> None:
    """All clauses are listed by their step, with their kind and what enforces them."""
    done = ran("terms", "--lang", lang)
    listed = [line.split()[0] for line in done.out.splitlines() if line.startswith("  ")]
    assert done.code == 0
    assert sorted(name for name in listed if name in TERMS.clauses) == sorted(TERMS.clauses)
    assert max(map(cell_len, done.out.splitlines())) <= 80


def test_the_steps_come_in_their_order() -> None:
    """Step 1 before step 2, the hours after the steps, the general terms last."""
    lines = ran("terms").out.splitlines()
    places = [
        next(i for i, line in enumerate(lines) if line.startswith(f"  {prefix}"))
        for prefix in ("scope.", "step-1.", "step-2.", "step-3.", "when.", "terms.")
    ]
    assert places == sorted(places)


@pytest.mark.parametrize("clause", TERMS.clauses)
def test_every_clause_is_shown_in_both_languages(clause: str) -> None:
    """The title, the text, the kinds, the source and what enforces it, 80 columns wide."""
    for lang in ("en", "cy"):
        done = ran("terms", clause, "--lang", lang)
        flat = " ".join(done.out.split())
        assert done.code == 0
        assert TERMS[clause].title.to(lang) in flat
        assert " ".join(TERMS[clause].text.to(lang).split()) in flat
        assert clause in flat
        assert TERMS[clause].source.section.to(lang) in flat
        assert max(map(cell_len, done.out.splitlines())) <= 80


def test_the_languages_are_set_side_by_side_where_they_differ() -> None:
    """Where one language binds more strongly, both are quoted and the stricter is enforced."""
    text = ran("terms", "step-2.role").out
    assert "The languages differ; the stricter is enforced" in text
    assert "must not" in text
    assert "ni ddylech" in text


def test_json_is_the_whole_version_or_one_clause() -> None:
    """The documents are those of the library."""
    assert ran("terms", "-o", "json").json == TERMS.to_document()
    assert ran("terms", "terms.role", "-o", "json").json == TERMS["terms.role"].to_document()


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ("step-2.rol", "did you mean step-2.role"),
        ("role", "did you mean terms.role"),
        ("zzzz", "lists them all"),
        ("\x1b[31m", "\\x1b[31m"),
        ("", "is no clause"),
    ],
)
def test_an_unknown_clause_exits_2_with_a_suggestion(asked: str, named: str) -> None:
    """What is near is offered; what is asked for is shown as an escape if need be."""
    done = ran("terms", asked)
    assert (done.code, done.out) == (2, "")
    assert named in done.err
    assert "\x1b" not in done.err


def test_every_clause_that_the_shipped_policy_cites_is_listed() -> None:
    """A clause named in a decision can be looked up."""
    for check in landlord_portal().checks:
        for clause in check.clauses:
            assert ran("terms", clause, "-q").code == 0
