"""Writes ``docs/reference``, and the README's help, from the code: each fact stands in one place.

``python scripts/reference.py`` writes the pages; with ``--check`` it only says, by its exit code,
whether they are up to date.
"""

from __future__ import annotations

import inspect
import re
import sys
import tomllib
from datetime import UTC, datetime
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from automation_rules.checks import STANDARD_CHECKS, WindowCheck
from automation_rules.gateway.problems import STATUS, problem_type
from automation_rules.readings import READINGS
from automation_rules.terms import clauses_for, clauses_of, reading_texts, terms_at
from automation_rules.texts import LANGUAGES, Text, load, ui
from automation_rules.windows import WindowCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ROOT: Final = Path(__file__).parent.parent
README: Final = ROOT / "README.md"
REFERENCE: Final = ROOT / "docs" / "reference"
BY_HAND: Final = {REFERENCE / "formats.md"}
"""Pages of the reference that are written, not made: their examples are run by the tests."""
MEANINGS: Final = Path(__file__).with_name("fields.toml")

PACKAGE: Final = "automation_rules"
MODULES: Final = (
    "request",
    "decision",
    "policy",
    "landlord_portal",
    "policyfile",
    "policycases",
    "checks",
    "readings",
    "actions",
    "terms",
    "texts",
    "windows",
    "calendar_export",
    "accounts",
    "access_codes",
    "store",
    "store.codes",
    "vault",
    "audit",
    "signed_log",
    "signing_key",
    "signed_note",
    "checkpoint",
    "tlog_proof",
    "tiles",
    "witness",
    "privacy",
    "subject_access",
    "replay",
    "incident",
    "siem",
    "report",
    "shadow",
    "enforcer",
    "activity",
    "monitor",
    "permit",
    "robot",
    "routes",
    "gateway",
    "gateway.asgi",
    "gateway.wsgi",
    "gateway.problems",
    "gateway.marks",
    "gateway.service",
    "gateway.forward_auth",
    "testing",
    "clock",
    "errors",
)
"""The modules whose public names are documented."""

_SHORT: Final = 60

_INDEPENDENT: Final = (
    "This project is independent of the Department for Work and Pensions (DWP) and not endorsed "
    "by it."
)


def pages() -> dict[Path, str]:
    """Return every page that is made from the code: the reference, and the README's help."""
    made = {
        "clauses.md": _clauses(),
        "checks.md": _checks(),
        "readings.md": _readings(),
        "problems.md": _problems(),
        "request.md": _fields_page("request"),
        "decision.md": _fields_page("decision"),
        "command-line.md": _command_line(),
        **_python(),
    }
    generated = "<!-- Made from the code by `make docs`. Do not edit. -->\n\n"
    return {
        README: _readme(),
        **{REFERENCE / name: f"{generated}{text.strip()}\n" for name, text in made.items()},
    }


def _readme() -> str:
    before, shown, after = README.read_text("utf-8").partition("$ automation-rules --help\n")
    _, end, rest = after.partition("\n```")
    return f"{before}{shown}{next(_help_texts())[1]}{end}{rest}"


def _both(text: Text) -> str:
    return "<br>".join(_cell(text.to(lang)) for lang in LANGUAGES)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in lines)


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _clauses() -> str:
    terms = terms_at(datetime.max.replace(tzinfo=UTC))
    clauses = terms.clauses.values()
    first = next(iter(clauses))
    parts = [
        "# Clauses",
        f"The {len(terms.clauses)} clauses of the published terms, version {terms.version}, in "
        "our own words, in English and in Welsh. They summarise the source, which is what counts: "
        f"“{first.source.document.en}”, {first.source.publisher.en}, read on "
        f"{first.retrieved_on.isoformat()}. {_INDEPENDENT}",
        f"Digest of this version: `{terms.digest}`",
    ]
    for clause in clauses:
        kinds = ", ".join(ui(f"kind.{kind}").en for kind in clause.kinds)
        parts += [
            f"## {clause.id}",
            f"**{clause.title.en}** ({kinds}; {clause.source.section.en})",
            clause.text.en,
            f"**{clause.title.cy}**",
            clause.text.cy,
            f"Reached by: {_names(clause.reached_by)}",
        ]
        parts += [
            f"The languages differ: English “{s.en}”, Welsh “{s.cy}”. {s.note.en} Enforced: "
            f"{'English' if s.enforced == 'en' else 'Welsh'}."
            for s in clause.strength
        ]
    return "\n\n".join(parts)


def _checks() -> str:
    codes: dict[str, dict[str, Any]] = load("codes.json")
    parts = [
        "# Checks and their codes",
        "The fourteen checks of the published terms, in the order in which a decision lists them. "
        "Each gives one finding. A fact that a check needs and that is absent gives "
        "`missing_fact`, which comes before its other codes; among those the order in the table "
        "decides. Words in braces are filled in. English comes first, then Welsh.",
    ]
    for check in STANDARD_CHECKS:
        parts += [
            f"## {check.id}",
            f"{_sentence(check)} Clauses: {_names(clauses_of(check.id))}.",
            _codes(_in_order(codes[check.id], check), check.id),
        ]
    known = {check.id for check in STANDARD_CHECKS} | {"*"}
    parts += [
        "## Any check",
        "A check of your own, and a combination of checks, can give these as well.",
        _codes(codes["*"]),
    ]
    for name in (name for name in codes if name not in known):
        parts += [f"## {name}", ui(f"check.{name}").en + ".", _codes(codes[name])]
    return "\n\n".join(parts)


def _in_order(codes: Mapping[str, Any], check: type[Any]) -> dict[str, Any]:
    """Return the codes in the order in which the check looks for them, the answers last."""
    source = inspect.getdoc(check.evaluate) or ""
    last = [name for name in ("pass", "not_applicable") if name in codes]
    if check is WindowCheck:
        order = [*(code.value for code in WindowCode)]
    else:
        order = sorted(codes.keys() - set(last), key=lambda code: source.index(f"``{code}``"))
    return {code: codes[code] for code in (*order, *last)}


def _sentence(check: type[Any]) -> str:
    return _markdown((inspect.getdoc(check) or "").split("\n\n")[0])


def _codes(codes: Mapping[str, Any], check: str | None = None) -> str:
    rows = []
    for code, texts in codes.items():
        cited = ""
        if check and clauses_for(check, code) != clauses_of(check):
            cited = f"<br>cites {_names(clauses_for(check, code))}"
        advice = _both(Text(**texts["remedy"])) if "remedy" in texts else ""
        rows.append((f"`{code}`{cited}", _both(Text(**texts["message"])), advice))
    return _table(("Code", "What it says", "What to do"), rows)


def _readings() -> str:
    parts = [
        "# Readings",
        "Where the terms can be read in more than one way, the way that is used has a name. The "
        "first value of each is the default. [What readings are, and how to choose]"
        "(../explanation/readings.md).",
    ]
    for name, texts in reading_texts().items():
        values = [(f"`{value}`", _both(texts.values[value])) for value in READINGS[name]]
        parts += [
            f"## {name}",
            f"{texts.question.en}<br>{texts.question.cy}",
            _table(("Value", "Meaning"), values),
            f"Why `{READINGS[name][0]}`: {texts.why.en}<br>{texts.why.cy}",
            f"Clauses: {_names(texts.clauses)}",
        ]
    return "\n\n".join(parts)


def _problems() -> str:
    codes: dict[str, dict[str, Any]] = load("codes.json")
    titles: dict[str, dict[str, Any]] = load("problems.json")
    general = titles["*"].pop("other")
    parts = [
        "# Problem types",
        f"How the gateway tells a denial: a response with the status {STATUS}, always, whose body "
        "is problem details by RFC 9457 (`application/problem+json`), or a page for a client that "
        "prefers `text/html`. English, unless `Accept-Language` prefers Welsh. [When a denial "
        "comes about](../explanation/gateway.md).",
        "## Members",
        _table(
            ("Member", "Meaning"),
            (
                ("`type`", "the code of the finding that matters most, as a URI: see below"),
                ("`title`", "what the type is called, in the language of the response"),
                ("`status`", str(STATUS)),
                ("`detail`", "what was found, and what would mend it, in the same language"),
                ("`instance`", "the decision as a URI, `urn:uuid:` and its `decision_id`"),
                (
                    "`decision_id`, `reasons`, `next_action`, `retry_after`, `obligations`, …",
                    "the `context` of the [decision](decision.md), whole. When nothing could be "
                    "decided, these five alone, and `decision_id` is null",
                ),
            ),
        ),
        "Who asks matters more than what for, and what no waiting mends more than what it does. "
        "`reasons` lists everything, in both languages.",
        "## Header fields",
        _table(
            ("Field", "Meaning"),
            (
                ("`Retry-After`", "whole seconds, rounded up, when waiting is all that is needed"),
                ("`X-Decision-Id`", "the decision, when there is one"),
                ("`Content-Language`", "`en` or `cy`"),
                ("`Vary`", "`Accept, Accept-Language`"),
                ("`Cache-Control`", "`no-store`"),
            ),
        ),
        "## Types",
        f"A code of a check of your own is a type in the same way. Its title is “{general['en']}” "
        f"or “{general['cy']}”.",
        _table(
            ("Type", "Title", "What it says", "Check"),
            (
                (
                    f"`{problem_type(code)}`",
                    _both(Text(**title)),
                    _both(Text(**codes[check][code]["message"])),
                    "any" if check == "*" else f"`{check}`",
                )
                for check, named in titles.items()
                for code, title in named.items()
            ),
        ),
    ]
    return "\n\n".join(parts)


_TITLES: Final = {
    "request": (
        "# Request document",
        "A request is an evaluation request of the OpenID AuthZEN Authorization API 1.0. Fields "
        "that are not listed are ignored. A field of another type, a time without a UTC offset or "
        "an absent required field is an error that names the field. `null` is the same as absent, "
        "but for `declared_on`, and inside `answers` and `record`.",
    ),
    "decision": (
        "# Decision document",
        "A decision is an evaluation response of the OpenID AuthZEN Authorization API 1.0. "
        "`preflight` adds to its context `log` (`index`, `leaf_hash`, `size` and `root` of the "
        "entry that records it) or, for a dry run, `dry_run`.",
    ),
}


def _fields_page(kind: str) -> str:
    schema = _schema(kind)
    meanings: dict[str, str] = tomllib.loads(MEANINGS.read_text("utf-8"))[kind]
    rows = list(_fields(schema, schema, ""))
    named = {path for path, _, _ in rows}
    if named != meanings.keys():
        raise SystemExit(
            f"{MEANINGS.name}, {kind}: missing {sorted(named - meanings.keys())}, "
            f"unknown {sorted(meanings.keys() - named)}"
        )
    title, about = _TITLES[kind]
    table = _table(
        ("Field", "Type", "Meaning"),
        ((f"`{path}`{mark}", shape, meanings[path]) for path, shape, mark in rows),
    )
    return "\n\n".join(
        (
            title,
            about,
            f"`automation-rules schema {kind}` prints the JSON Schema that this page is made "
            "from. A field with * is required wherever the object around it is given.",
            table,
        )
    )


def _schema(kind: str) -> dict[str, Any]:
    """Return the shipped schema, with the object that a single evaluation is as its root."""
    document: dict[str, Any] = load(f"{kind}.schema.json")
    shapes = document["$defs"]
    root = dict(shapes["Evaluation"])
    if kind == "decision":
        answer, error = shapes["DecisionContext"], shapes["ErrorContext"]
        context = {**answer, "properties": {**answer["properties"], **error["properties"]}}
        root["properties"] = {**root["properties"], "context": context}
    root.pop("anyOf", None)
    return {**root, "$defs": shapes}


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
            continue
        choices = [part for part in schema["anyOf"] if part.get("type") != "null"]
        if len(choices) != 1:
            break
        schema = choices[0]
    return schema


def _fields(
    schema: Mapping[str, Any], root: Mapping[str, Any], path: str, around: tuple[int, ...] = ()
) -> Iterator[tuple[str, str, str]]:
    if id(schema) in around:
        return
    around = (*around, id(schema))
    for name, field in schema.get("properties", {}).items():
        found = _resolve(field, root)
        here = f"{path}.{name}" if path else name
        required = " *" if name in schema.get("required", ()) else ""
        item = _resolve(found.get("items", {}), root)
        empty = {"type": "null"} in field.get("anyOf", ()) and required
        yield here, _shape(found, item) + (" or null" if empty else ""), required
        yield from _fields(found, root, here, around)
        yield from _fields(item, root, f"{here}[]", around)


def _shape(field: Mapping[str, Any], item: Mapping[str, Any]) -> str:
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"] if value is not None)
    if "const" in field:
        return f"`{field['const']}`"
    kinds = field.get("type", "any")
    kind = " or ".join(k for k in kinds if k != "null") if isinstance(kinds, list) else kinds
    if kind == "array":
        return f"array of {_shape(item, {})}"
    return str(field.get("format", kind))


def _command_line() -> str:
    parts = [
        "# Command line",
        "Data goes to standard output, everything else to standard error.",
        _table(
            ("Exit code", "Meaning"),
            (
                ("0", "allowed, or holds"),
                ("1", "denied, or does not hold"),
                ("2", "usage, configuration, or an invalid document"),
                ("3", "internal error, or not recorded: treat as denied"),
                ("130", "interrupted"),
            ),
        ),
    ]
    parts += [
        f"{'##' if depth < 2 else '###'} {path}\n\n{_console(path, text)}"
        for path, text, depth in _help_texts()
    ]
    return "\n\n".join(parts)


def _help_texts() -> Iterator[tuple[str, str, int]]:
    """Yield each command's path, its help and its depth, the program's own first."""
    from automation_rules.cli import commands

    return _help(commands, "automation-rules", None)


def _console(path: str, text: str) -> str:
    return f"```console\n$ {path} --help\n{text}\n```"


def _help(
    command: click.Command, name: str, parent: click.Context | None
) -> Iterator[tuple[str, str, int]]:
    context = click.Context(
        command, parent=parent, info_name=name, terminal_width=78, **command.context_settings
    )
    text = command.get_help(context)
    path = context.command_path
    yield path, "\n".join(line.rstrip() for line in text.splitlines()), path.count(" ")
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None and not found.hidden:
                yield from _help(found, child, context)


def _python() -> dict[str, str]:
    made: dict[str, str] = {}
    home: dict[int, str] = {}
    listed: list[tuple[str, str]] = []
    for name in MODULES:
        module = import_module(f"{PACKAGE}.{name}")
        page = f"python/{name.replace('.', '-').replace('_', '-')}.md"
        about = _markdown(inspect.getdoc(module) or "")
        parts = [f"# {module.__name__}", about]
        for public in module.__all__:
            value = getattr(module, public)
            if getattr(value, "__module__", module.__name__).startswith(module.__name__):
                parts += _documented(public, value)
                home.setdefault(id(value), f"{page}#{public.lower()}")
        made[page] = "\n\n".join(parts)
        listed.append((f"[`{module.__name__}`]({page})", _cell(about.split("\n\n")[0])))
    package = import_module(PACKAGE)
    exported = (f"[`{name}`]({home[id(getattr(package, name))]})" for name in package.__all__)
    made["python.md"] = "\n\n".join(
        (
            "# Python",
            "What is public, from the docstrings. What a module does not list in `__all__` may "
            "change without notice.",
            f"From `{PACKAGE}` itself: {', '.join(exported)}.",
            _table(("Module", "What it holds"), listed),
        )
    )
    return made


def _documented(name: str, value: object) -> list[str]:
    if inspect.isclass(value):
        parts = [f"## {name}", _signature(name, value), _markdown(inspect.getdoc(value) or "")]
        if issubclass(value, Enum):
            return [*parts[:1], parts[2], f"Values: {_names(str(m.value) for m in value)}."]
        for member, attribute in vars(value).items():
            if member.startswith("_"):
                continue
            function = getattr(attribute, "__func__", attribute)
            if inspect.isfunction(function):
                parts += [f"### {name}.{member}", _signature(member, function)]
                parts.append(_markdown(inspect.getdoc(function) or ""))
            elif isinstance(attribute, property):
                parts += [f"### {name}.{member}", _markdown(inspect.getdoc(attribute) or "")]
        return [part for part in parts if part]
    value = inspect.unwrap(value) if callable(value) else value
    if inspect.isfunction(value):
        return [f"## {name}", _signature(name, value), _markdown(inspect.getdoc(value) or "")]
    shown = repr(value)
    constant = f": `{shown}`" if len(shown) <= _SHORT and " at 0x" not in shown else ""
    return [f"## {name}", f"A constant of type `{type(value).__name__}`{constant}."]


def _signature(name: str, value: Any) -> str:
    if inspect.isclass(value) and (
        issubclass(value, Enum | Exception) or getattr(value, "_is_protocol", False)
    ):
        return ""
    try:
        signature = inspect.signature(value)
    except (TypeError, ValueError):
        return ""
    parameters = [p for p in signature.parameters.values() if p.name not in ("self", "cls")]
    shown = str(signature.replace(parameters=parameters))
    shown = re.sub(r"(: |-> )'([^']*)'", r"\1\2", shown)
    shown = re.sub(r"<(\w+\.\w+): [^>]*>", r"\1", shown)
    shown = re.sub(r"<factory>|<[^>]* at 0x[^>]*>", "…", shown)
    return f"`{name}{shown.removesuffix(' -> None') if inspect.isclass(value) else shown}`"


def _markdown(text: str) -> str:
    """Turn a docstring's markup into Markdown's."""
    text = re.sub(r":\w+:`~?([\w.]+)`", r"`\1`", text)
    text = re.sub(r"``([^`]+)``", r"`\1`", text)
    lines: list[str] = []
    listing = False
    for line in text.splitlines():
        if line in ("Args:", "Raises:", "Returns:", "Yields:"):
            listing = True
            lines += [line, ""]
        elif listing and (match := re.match(r"    (\w+): (.*)", line)):
            lines.append(f"- `{match[1]}`: {match[2]}")
        elif listing and line.startswith("    "):
            lines.append(f"  {line.strip()}")
        else:
            listing = listing and not line
            lines.append(line)
    return _fenced(lines)


def _fenced(lines: list[str]) -> str:
    """Fence what a docstring indents, and its examples."""
    out: list[str] = []
    fence = ""
    for line in lines:
        opens = "python" if line.startswith(">>> ") else "text" if line[:4] == "    " else ""
        ends = not line if fence == "python" else bool(line) and not opens
        if fence and ends:
            while not out[-1]:
                out.pop()
            out += ["```", ""]
            fence = ""
        if opens and not fence:
            fence = opens
            out.append(f"```{fence}")
        out.append(line.removeprefix("    ") if fence else line)
    return "\n".join([*out, "```"] if fence else out).strip()


def main(arguments: list[str]) -> int:
    """Write the pages, or with ``--check`` compare them; return the exit code."""
    made = pages()
    present = {README, *REFERENCE.rglob("*.md")} - BY_HAND
    stale = sorted(
        page
        for page in present | made.keys()
        if page not in present or made.get(page) != page.read_text("utf-8")
    )
    for page in stale:
        if arguments == ["--check"]:
            name = page.relative_to(ROOT).as_posix()
            sys.stderr.write(f"{name} is not up to date: run `make docs`\n")
        elif page in made:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(made[page], "utf-8", newline="\n")
        else:
            page.unlink()
    return 1 if stale and arguments == ["--check"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
