"""The documentation says what is so: its code runs, its output is real and its links lead on."""

from __future__ import annotations

import doctest
import itertools
import pkgutil
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from typing import TYPE_CHECKING

import pytest
import structlog
from markdown_it import MarkdownIt

import automation_rules
from automation_rules.checks import STANDARD_CHECKS
from automation_rules.clock import SystemClock
from automation_rules.remembered_heads import HEADS_VARIABLE
from automation_rules.terms import clauses_of
from automation_rules.vault import WRAPPING_KEY_VARIABLE
from doc_pages import (
    LANGUAGES,
    NOW,
    ROOT,
    Page,
    blocks,
    matches,
    pages,
    prepare,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGES = {str(path.relative_to(ROOT)): path for path in pages()}
RUNNABLE = [name for name in PAGES if not name.startswith("docs/reference/python/")]
"""The pages of docstrings hold fragments; the examples among them are run where they stand."""
MODULES = [
    module.name
    for module in pkgutil.walk_packages(automation_rules.__path__, "automation_rules.")
    if not module.name.endswith("__main__")
]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of its own to run a page in, with a clock that stands at `NOW`."""
    for name, value in prepare(tmp_path).items():
        monkeypatch.setenv(name, value)
    for name in (HEADS_VARIABLE, WRAPPING_KEY_VARIABLE):
        monkeypatch.delenv(name, raising=False)
    now = datetime.fromisoformat(NOW).astimezone(UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: now)
    work = tmp_path / "work"
    made = shutil.ignore_patterns("node_modules", "build", "var", "__pycache__")
    shutil.copytree(ROOT / "examples", work / "examples", ignore=made)
    monkeypatch.chdir(work)
    configured = structlog.get_config()
    yield work
    structlog.configure(**configured)


@pytest.mark.parametrize("name", RUNNABLE)
def test_what_a_page_shows_is_what_happens(name: str, place: Path) -> None:
    """Every command, program and file on the page works, and prints what the page shows."""
    Page(PAGES[name], place).run()


@pytest.mark.parametrize("name", PAGES)
def test_every_block_has_a_language_that_is_checked(name: str) -> None:
    """No page holds a block that the tests would pass over."""
    found = {block.language for block in blocks(PAGES[name].read_text("utf-8"))}
    assert found <= set(LANGUAGES)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("```ruby\nputs 1\n```", id="unknown language"),
        pytest.param("Text.\n\n    indented\n", id="indented block"),
        pytest.param("```console\n$ automation-rules check none.json\n…\n```", id="exit code"),
        pytest.param("```console\n$ echo one\ntwo\n```", id="other output"),
        pytest.param("```console\n$ echo one\n```", id="output not shown"),
        pytest.param("```console\n$ make no-such-target\n```", id="no such make target"),
        pytest.param("```python\n>>> 1 + 1\n3\n```", id="doctest"),
        pytest.param("```python\nassert 1 == 2\n```", id="assertion"),
        pytest.param("```python\nprint(1)\n```\n\n```text\n2\n```", id="printed text"),
        pytest.param("```toml\na = \n```", id="toml"),
        pytest.param("```json\n{\n```", id="json"),
        pytest.param('```json\n{"subject": {}}\n```', id="not a request"),
        pytest.param("```sh\ntrue\n```", id="a script that is not saved"),
    ],
)
def test_a_page_that_is_wrong_is_found_out(text: str, place: Path) -> None:
    """The runner of the pages fails for each kind of thing that can be wrong with a block."""
    page = Page(ROOT / "docs" / "no-page.md", place)
    with pytest.raises((AssertionError, ValueError)):
        page.run_text(text)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_are_true(name: str) -> None:
    """What a docstring shows is what happens; it may use what the package exports."""
    exported = {public: getattr(automation_rules, public) for public in automation_rules.__all__}
    assert doctest.testmod(import_module(name), extraglobs=exported).failed == 0


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("a\n…\nd", "a\nb\nc\nd\n", True),
        ("a\n…\nd", "a\nd\n", True),
        ("a … c", "a b c\n", True),
        ("a … c", "a\nc\n", False),
        ("", "", True),
        ("", "a\n", False),
        ("a.c", "abc\n", False),
    ],
)
def test_an_ellipsis_stands_for_anything(expected: str, actual: str, same: bool) -> None:
    """Within a line it stands for text, alone on a line for lines; all else is literal."""
    assert matches(expected, actual) is same


def slug(heading: str) -> str:
    """Return the anchor that a heading gets."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    tokens = MarkdownIt("commonmark").parse(path.read_text("utf-8"))
    titles = (
        "".join(child.content for child in after.children or [])
        for token, after in itertools.pairwise(tokens)
        if token.type == "heading_open"
    )
    return {slug(title) for title in titles}


def links(path: Path) -> list[str]:
    """Return where the links of a page lead."""
    tokens = MarkdownIt("commonmark").parse(path.read_text("utf-8"))
    return [
        str(child.attrGet("href"))
        for token in tokens
        for child in token.children or []
        if child.type == "link_open"
    ]


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """Every link within the repository names a file that exists, and a heading that it has."""
    path = PAGES[name]
    for link in links(path):
        if link.startswith(("https://", "mailto:")):
            continue
        target, _, fragment = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        assert file.exists(), link
        if fragment:
            assert fragment in anchors(file), link


def test_every_page_is_reached_from_the_front() -> None:
    """A reader who follows links from the README finds every page."""
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in seen or path.suffix != ".md":
            continue
        seen.add(path)
        targets = (link.partition("#")[0] for link in links(path) if ":" not in link)
        ahead += [(path.parent / target).resolve() for target in targets if target]
    assert set(PAGES.values()) <= seen


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/policy-statement.md"])
def test_front_pages_say_whose_word_this_is(name: str) -> None:
    """The pages that people see first say that DWP neither made nor endorsed this."""
    text = " ".join(PAGES[name].read_text("utf-8").split())
    assert "independent of the Department for Work and Pensions (DWP)" in text
    assert "not endorsed by it" in text


def test_the_policy_statement_names_the_clauses_that_each_check_enforces() -> None:
    """The table for auditors is what the checks cite, check by check and in their order."""
    text = PAGES["docs/policy-statement.md"].read_text("utf-8")
    rows = [line.split("|")[2:4] for line in text.splitlines() if line.startswith("| ")]
    stated = [tuple(re.findall("`([^`]+)`", cell) for cell in row) for row in rows if "`" in row[0]]
    assert stated == [([check.id], list(clauses_of(check.id))) for check in STANDARD_CHECKS]


def test_the_reference_is_up_to_date() -> None:
    """The reference pages are what `make docs` makes of the code as it stands."""
    done = subprocess.run(
        [sys.executable, "scripts/reference.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
