"""The report for people: the counts are the log's, and everybody can read the page."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import tracemalloc
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree, html  # type: ignore[import-untyped]

from automation_rules.audit import Entry
from automation_rules.errors import InvalidInputError, VerificationError
from automation_rules.leaf import draft_decision
from automation_rules.merkle import Head
from automation_rules.report import COLUMNS, Counts, Key, Report, count, to_csv, to_html
from automation_rules.terms import clauses_for
from automation_rules.texts import LANGUAGES, ui
from log_helpers import PORTAL, decided, request
from test_siem import PERSONAL, finished, rollback

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from automation_rules.texts import Lang

AT: Final = datetime(2026, 8, 1, 9, tzinfo=UTC)
HEAD: Final = Head(3, bytes(range(32)))
MONTH: Final = (date(2026, 6, 1), date(2026, 7, 1))


def entry_at(time: str, account: str = "acme-1", *, facts: str = "registry", **more: Any) -> Entry:
    """Return the entry of an account's decision at a time."""
    decision = PORTAL.decide(
        request(
            facts=facts,
            context__time=time,
            subject__id=account,
            subject__properties__sms_code__provided_at=f"{time[:10]}T00:30:00+01:00",
            resource__properties__tenant="tenant-5",
            **more,
        )
    )
    return finished(draft_decision(decision, readings=PORTAL.readings, request_id="req-9"))


WORKDAY: Final = entry_at("2026-06-02T09:00:00+01:00")
SATURDAY: Final = entry_at("2026-06-06T09:00:00+01:00")
OTHER: Final = entry_at("2026-06-02T09:00:00+01:00", "acme-2", action__name="pay_rent")
TEST: Final = entry_at("2026-06-02T09:00:00+01:00", context__mode="test")
CLAIMED: Final = entry_at("2026-06-03T09:00:00+01:00", "<x>", facts="claimed")
SAMPLE: Final = (WORKDAY, WORKDAY, SATURDAY, OTHER, TEST, CLAIMED, rollback())


def page(report: Report, lang: Lang = "en") -> Any:
    """Return the page of a report, as a browser would read it."""
    text = to_html(report, lang=lang, at=AT, head=HEAD)
    root = html.document_fromstring(text)
    # It is also well-formed, so nothing was mended on the way.
    etree.fromstring(re.sub(r"<!DOCTYPE html>\n|<meta [^>]*>|&nbsp;", "", text))
    return root


def words(element: Any) -> str:
    """Return the text of an element, with single spaces."""
    return " ".join(element.text_content().split())


def rows_of(root: Any, caption: str) -> list[list[str]]:
    """Return the cells of the body of the table that is called ``caption``."""
    [table] = [one for one in root.iter("table") if words(one.find("caption")) == caption]
    return [[words(cell) for cell in row] for row in table.find("tbody")]


# --- counting


def test_decisions_are_counted_by_day_account_and_mode() -> None:
    """Each day, account and mode has its allowed and denied; other entries count for nothing."""
    report = count(SAMPLE, *MONTH)
    assert {key: (c.allowed, c.denied) for key, c in report.counts.items()} == {
        Key(date(2026, 6, 2), "acme", "acme-1", "live"): (2, 0),
        Key(date(2026, 6, 2), "acme", "acme-1", "test"): (0, 1),
        Key(date(2026, 6, 2), "acme", "acme-2", "live"): (0, 1),
        Key(date(2026, 6, 3), "", "", "live"): (0, 1),
        Key(date(2026, 6, 6), "acme", "acme-1", "live"): (0, 1),
    }
    assert list(report.counts) == sorted(report.counts)


def test_a_denial_counts_once_for_every_clause_it_cites() -> None:
    """Two checks that cite the same clause are one denial that cites it."""
    saturday = count([SATURDAY, SATURDAY], *MONTH)
    [counts] = saturday.counts.values()
    assert counts.citing == {"when.core-hours": 2}
    both = entry_at(
        "2026-06-02T09:00:00+01:00", action__name="pay_rent", subject__properties__two_factor=False
    )
    [counts] = count([both], *MONTH).counts.values()
    assert set(counts.citing) == {
        *clauses_for("action", "other_portal_function"),
        *clauses_for("two_factor", "two_factor_off"),
    }
    assert set(counts.citing.values()) == {1}


@pytest.mark.parametrize(
    ("time", "day"),
    [
        ("2026-06-02T00:30:00+01:00", date(2026, 6, 2)),
        ("2026-06-01T23:30:00Z", date(2026, 6, 2)),
        ("2026-12-01T23:30:00Z", date(2026, 12, 1)),
    ],
)
def test_days_are_those_of_london(time: str, day: date) -> None:
    """In summer, half past eleven by UTC is the next day in London."""
    entry = entry_at(time)
    [key] = count([entry], day, day + timedelta(days=1)).counts
    assert key.day == day
    assert not count([entry], day - timedelta(days=1), day).counts
    assert not count([entry], day + timedelta(days=1), day + timedelta(days=9)).counts


def test_leaving_counts_as_allowed() -> None:
    """Signing out was let through, whatever was found, and cites nothing."""
    decision = decided(action__name="sign_out", subject__properties__two_factor=False)
    entry = finished(draft_decision(decision.let_through(), readings=PORTAL.readings))
    [counts] = count([entry], *MONTH).counts.values()
    assert (counts.allowed, counts.denied, counts.citing) == (1, 0, {})


@pytest.mark.parametrize("leaf", [b"{}", WORKDAY.leaf.replace(b"2026-06-02T08", b"2026-06-42T08")])
def test_what_is_no_entry_is_refused(leaf: bytes) -> None:
    """A leaf that was never recorded is not counted around."""
    with pytest.raises(VerificationError, match="entry 4"):
        count([Entry(4, leaf)], *MONTH)


def naive(entries: Iterable[Entry], start: date, end: date) -> Counter[tuple[str, ...]]:
    """Count again, from the leaves and the decisions' own clauses, one row of the CSV at a time."""
    found: Counter[tuple[str, ...]] = Counter()
    for entry in entries:
        leaf = json.loads(entry.leaf)
        # These requests lie in British Summer Time.
        at = datetime.fromisoformat(leaf["time"]) + timedelta(hours=1)
        if leaf["type"] != "decision" or not start <= at.date() < end:
            continue
        about = (
            at.date().isoformat(), leaf["landlord"] or "", leaf["account"] or "", leaf["mode"]
        )  # fmt: skip
        found[(*about, "allowed" if leaf["decision"] else "denied", "")] += 1
        cited = set()
        for check in leaf["checks"]:
            if check["outcome"] == "fail" and not leaf["decision"]:
                cited |= set(clauses_for(check["check"], check["code"]))
        for clause in cited:
            found[(*about, "denied_citing", clause)] += 1
    return found


@st.composite
def logs(draw: st.DrawFn) -> list[Entry]:
    """Logs of up to thirty entries out of a few kinds, on days around the span."""
    kinds = draw(
        st.lists(
            st.tuples(
                st.integers(1, 9),
                st.sampled_from(["07", "09", "23"]),
                st.sampled_from(["acme-1", "acme-2"]),
                st.sampled_from(["sign_in", "pay_rent", "submit_todo"]),
                st.sampled_from(["live", "test"]),
                st.sampled_from(["registry", "claimed"]),
            ),
            max_size=30,
        )
    )
    return [
        entry_at(
            f"2026-06-{day:02}T{hour}:30:00+01:00",
            account,
            facts=facts,
            action__name=action,
            context__mode=mode,
        )
        for day, hour, account, action, mode, facts in kinds
    ]


def rows(data: bytes) -> list[dict[str, str]]:
    """Read CSV as a spreadsheet does."""
    return list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(logs())
def test_the_numbers_are_those_of_a_naive_count(entries: list[Entry]) -> None:
    """CSV and page say what counting every entry by itself says, row by row."""
    span = (date(2026, 6, 2), date(2026, 6, 8))
    report, expected = count(entries, *span), naive(entries, *span)
    found = rows(to_csv(report))
    told = {tuple(row[name] for name in COLUMNS[:-1]): int(row["decisions"]) for row in found}
    assert told == expected
    assert len(found) == len(expected)
    root = page(report)
    summary = dict(rows_of(root, "In all"))
    for label, measure in (("Allowed", "allowed"), ("Denied", "denied")):
        assert int(summary[label]) == sum(n for key, n in expected.items() if key[4] == measure)
    if expected:
        by_day = rows_of(root, "Allowed and denied, by day")
        assert len(by_day) == 6
        assert sum(int(row[1]) for row in by_day) == int(summary["Allowed"])
        assert sum(int(row[2]) for row in by_day) == int(summary["Denied"])


# --- CSV


def test_csv_begins_as_spreadsheets_want_it() -> None:
    """A byte order mark, the columns in their order, lines that end as RFC 4180 says."""
    data = to_csv(count([WORKDAY], *MONTH))
    assert data == (
        b"\xef\xbb\xbfdate,landlord,account,mode,measure,clause,decisions\r\n"
        b"2026-06-02,acme,acme-1,live,allowed,,1\r\n"
    )


@pytest.mark.parametrize("first", [*list("=+-@\t\r\n"), "＝", "＋", "－", "＠"])  # noqa: RUF001
def test_what_could_be_a_formula_is_text(first: str) -> None:
    """No cell begins as a formula does; an apostrophe goes before it."""
    key = Key(MONTH[0], f"{first}1+1", f'{first}cmd|"x",', "live")
    counts = Counts(denied=1, citing=Counter({f"{first}c": 1}))
    found = rows(to_csv(Report(*MONTH, {key: counts})))
    for row in found:
        assert row["landlord"] == f"'{key.landlord}"
        assert row["account"] == f"'{key.account}"
    assert found[1]["clause"] == f"'{first}c"


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), st.text(max_size=5))
def test_csv_reads_back(landlord: str, account: str) -> None:
    """Whatever an identifier holds, it comes back, but for the apostrophe of a formula."""
    key = Key(MONTH[0], landlord, account.encode(errors="replace").decode(), "live")
    [row] = rows(to_csv(Report(*MONTH, {key: Counts(allowed=7)})))
    assert row["landlord"].removeprefix("'") == landlord.removeprefix("'")
    assert row["account"].removeprefix("'") == key.account.removeprefix("'")
    assert row["decisions"] == "7"


# --- the page


SPANS: Final = {
    "nothing": (MONTH, ()),
    "one day": ((date(2026, 6, 2), date(2026, 6, 3)), SAMPLE),
    "a month": (MONTH, SAMPLE),
    "a year": ((date(2026, 1, 1), date(2027, 1, 1)), SAMPLE),
    "ten years": ((date(2021, 1, 1), date(2031, 1, 1)), SAMPLE),
}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("name", SPANS)
def test_the_page_is_made_for_everybody(name: str, lang: Lang) -> None:
    """Language, title, one h1, headings in order, a main part, captions, scopes, and named charts.

    By WCAG 2.2: 1.1.1, 1.3.1, 2.4.1, 2.4.2, 2.4.6 and 3.1.1.
    """
    span, entries = SPANS[name]
    root = page(count(entries, *span), lang)
    assert root.get("lang") == lang
    assert words(root.find(".//title"))
    levels = [int(one.tag[1]) for one in root.iter("h1", "h2", "h3", "h4")]
    assert levels.count(1) == 1 == levels[0]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    assert len(list(root.iter("main"))) == 1
    [skip] = root.xpath("//a[@class='skip']")
    ids = root.xpath("//@id")
    assert len(ids) == len(set(ids))
    for target in [*root.xpath("//a/@href"), skip.get("href")]:
        assert target.startswith("#")
        assert target[1:] in ids
    for named in root.xpath("//@aria-labelledby"):
        assert set(named.split()) <= set(ids)
    for table in root.iter("table"):
        assert words(table.find("caption"))
        assert all(cell.get("scope") in ("row", "col") for cell in table.iter("th"))
        assert len(table.xpath("./tbody/tr")) == len(table.xpath("./tbody/tr/th[@scope='row']"))
    charts = list(root.iter("svg"))
    assert len(charts) == (2 if entries else 0)
    for chart in charts:
        assert chart.get("role") == "img"
        assert words(chart.find("title"))
        assert words(chart.find("desc"))
        fills = {one.get("fill") for one in chart.xpath("./rect")}
        assert fills <= {"url(#dots)", "url(#stripes)"}
    for text in ("DWP", ui("disclaimer").to(lang), f"3:{bytes(range(32)).hex()}"):
        assert text in words(root)


@pytest.mark.parametrize("lang", LANGUAGES)
def test_the_page_asks_for_nothing_else(lang: Lang) -> None:
    """No script, and no address of anything outside the file."""
    text = to_html(count(SAMPLE, *MONTH), lang=lang, at=AT, head=HEAD)
    root = html.document_fromstring(text)
    for tag in ("script", "link", "img", "iframe", "object", "form"):
        assert list(root.iter(tag)) == []
    assert not re.search(r"https?:|//[a-z]|@import|javascript:|\bon[a-z]+=", text)
    assert set(re.findall(r"url\(([^)]*)\)", text)) <= {"#dots", "#stripes"}


def test_the_page_is_in_one_language() -> None:
    """Neither page holds the other's headings."""
    report = count(SAMPLE, *MONTH)
    english, welsh = (words(page(report, lang)) for lang in LANGUAGES)
    for key in ("report.title", "report.summary", "report.by_clause", "report.by_account"):
        assert ui(key).en in english
        assert ui(key).en not in welsh
        assert ui(key).cy in welsh
    assert "Saturday 6 June 2026" in english
    assert "dydd Sadwrn 6 Mehefin 2026" in welsh


def test_another_language_is_refused() -> None:
    """There is no page in a language that the words are not known in."""
    with pytest.raises(InvalidInputError):
        to_html(count((), *MONTH), lang="fr", at=AT, head=HEAD)  # type: ignore[arg-type]


def test_the_tables_say_what_the_charts_show() -> None:
    """Heights and widths are in the proportion of the numbers, and the tables hold the numbers."""
    root = page(count(SAMPLE, *MONTH))
    by_day = {row[0]: row[1:] for row in rows_of(root, "Allowed and denied, by day")}
    assert len(by_day) == 30
    assert by_day["Tuesday 2 June 2026"] == ["2", "2"]
    assert by_day["Monday 1 June 2026"] == ["0", "0"]
    time, clauses = root.iter("svg")
    columns = [one for one in time.xpath("./rect") if float(one.get("y")) > 30]
    assert [float(one.get("height")) for one in columns] == [100.0, 100.0, 50.0, 50.0]
    cited = rows_of(root, "Denials, by clause")
    assert len(cited) > 2
    assert {row[0]: row[2] for row in cited}["when.core-hours"] == "1"
    widths = [float(one.get("width")) for one in clauses.xpath("./rect")]
    numbers = [int(row[2]) for row in cited]
    assert numbers == sorted(numbers, reverse=True)
    assert widths == [round(420 * number / numbers[0], 2) for number in numbers]


def test_every_account_has_its_days() -> None:
    """Each account has a table of its days, runs and clauses; the unregistered share one."""
    root = page(count(SAMPLE, *MONTH))
    assert [row[0] for row in rows_of(root, "Accounts")] == [
        "Not registered",
        "acme-1 (acme)",
        "acme-2 (acme)",
    ]
    days = rows_of(root, "Decisions by day: acme-1 (acme)")
    assert days == [
        ["Tuesday 2 June 2026", "Live run", "2", "0", "none"],
        ["Tuesday 2 June 2026", "Test run", "0", "1", days[1][4]],
        ["Saturday 6 June 2026", "Live run", "0", "1", "when.core-hours: 1"],
    ]
    assert "step-3.test: 1" in days[1][4]


def test_what_was_recorded_is_shown_as_text() -> None:
    """Markup, controls and reordering marks in an identifier stay text that can be seen."""
    key = Key(MONTH[0], "<b>&amp;\u202e", "<script>alert(1)</script>\x00\x1b", "live")
    counts = Counts(denied=1, citing=Counter({"check:</style><i>": 1, "check:" + "x" * 99: 1}))
    text = to_html(Report(*MONTH, {key: counts}), lang="en", at=AT, head=HEAD)
    assert "\u202e" not in text
    assert "\x1b" not in text
    assert "<script" not in text
    root = page(Report(*MONTH, {key: counts}))
    assert list(root.iter("script", "b", "i")) == []
    shown = rows_of(root, "Accounts")[0][0]
    assert shown == "<script>alert(1)</script>\\x00\\x1b (<b>&amp;\\u202e)"
    own = {row[0]: row[1] for row in rows_of(root, "Denials, by clause")}
    assert (
        own["check:</style><i>"]
        == "A rule of the policy\N{RIGHT SINGLE QUOTATION MARK}s own: </style><i>"
    )


def test_neither_form_names_a_person() -> None:
    """Tenants, to-dos and people are in neither form, and no token is."""
    report = count(SAMPLE, *MONTH)
    tokens = [token for entry in SAMPLE for token in entry.document["tokens"].values()]
    forms = [to_html(report, lang=lang, at=AT, head=HEAD) for lang in LANGUAGES]
    for text in (*forms, to_csv(report).decode()):
        assert [word for word in (*PERSONAL, *tokens) if word in text] == []


@pytest.mark.parametrize(
    ("days", "unit"), [(1, "day"), (92, "day"), (93, "month"), (2_700, "month"), (3_000, "year")]
)
def test_long_spans_are_drawn_by_months_and_years(days: int, unit: str) -> None:
    """However long the span, its columns can be told apart, and lie within the chart."""
    start = date(2026, 6, 2)
    root = page(count(SAMPLE, start, start + timedelta(days=days)))
    assert words(root.find(".//h2[@id='time']")) == ui(f"report.by_{unit}").en
    time = next(root.iter("svg"))
    for column in time.xpath("./rect"):
        assert float(column.get("width")) >= 4
        assert 0 <= float(column.get("x")) <= 720 - float(column.get("width"))
        assert 0 <= float(column.get("y")) <= 240
    labels = [float(one.get("x")) for one in time.xpath("./text[@text-anchor='middle']")]
    assert all(after - before > 50 for before, after in itertools.pairwise(labels))


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**9), st.integers(0, 10**9))
def test_columns_stay_within_the_chart(allowed: int, denied: int) -> None:
    """Whatever the numbers, the highest column fits, and the scale has a few round steps."""
    key = Key(MONTH[0], "acme", "acme-1", "live")
    root = page(Report(*MONTH, {key: Counts(allowed=allowed, denied=denied)}))
    time = next(root.iter("svg"))
    assert all(float(one.get("y")) >= 39.9 for one in time.xpath("./rect[@height > 18]"))
    ticks = [int(one.text.replace(",", "")) for one in time.xpath("./text[@text-anchor='end']")]
    assert ticks[-1] >= allowed + denied
    assert 2 <= len(ticks) <= 5


# --- many


def _many(number: int) -> Iterator[Entry]:
    for index in range(number):
        yield replace(SAMPLE[index % len(SAMPLE)], index=index)


def _peak(number: int) -> int:
    count(_many(7), *MONTH)
    tracemalloc.start()
    try:
        count(_many(number), *MONTH)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_does_not_grow_with_the_log() -> None:
    """Ten times the entries of the same days and accounts take no more memory."""
    assert _peak(1_000) < _peak(100) + 200_000


@pytest.mark.exhaustive
def test_a_hundred_thousand_entries_are_counted_in_little_memory() -> None:
    """A log of 10^5 entries is counted in less than 2 MB."""
    assert _peak(100_000) < 2_000_000
