"""``automation-rules policy``: policies as files, and the cases that they must pass."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ..texts import ui
from .common import (
    DENIED,
    OK,
    InvalidFilesError,
    Output,
    naming,
    output_options,
    policy_options,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rich.table import Table

    from ..activity import ActivityLimits
    from ..checks import Check
    from ..errors import FieldError
    from ..policy import Policy
    from ..policycases import CaseResult
    from ..texts import Lang

__all__ = ["policy"]

S = TypeVar("S")
T = TypeVar("T")


@click.group()
def policy() -> None:
    """Show and check policies, and test them with cases."""


@policy.command()
@policy_options
@output_options("text", "json")
def show(policy: Policy, out: Output) -> int:
    """Explain a policy: its checks, what the monitor watches, and the readings that it decides by.

    With -o json the result is a policy file, which --policy accepts.
    """
    if out.format == "json":
        out.write_json(policy.describe())
        return OK
    from rich.padding import Padding

    from ..readings import READINGS
    from ..terms import reading_texts
    from .render.text import grid, styled

    lang = out.lang
    console = out.console()
    info = policy.info
    if policy.title is not None:
        console.print(styled(policy.title.to(lang), "bold"))
    console.print(styled(f"{ui('policy').to(lang)}: {info.id}, {info.version}"))
    console.print(styled(info.digest, "dim"))
    console.print()
    console.print(styled(ui("checks").to(lang), "bold"))
    console.print(Padding(_checks(policy.checks, lang), (0, 0, 0, 2)))
    console.print()
    if policy.monitor is not None:
        console.print(styled(ui("monitor").to(lang), "bold"))
        console.print(Padding(_monitored(policy.monitor, lang), (0, 0, 0, 2)))
        console.print()
    console.print(styled(ui("readings").to(lang), "bold"))
    for name, value in policy.readings.items():
        texts = reading_texts()[name]
        default = READINGS[name][0]
        marks = {default: f" ({ui('default').to(lang)})"}
        console.print()
        console.print(
            Padding(styled(f"{name} = {value}{marks.get(value, '')}", "cyan"), (0, 0, 0, 2))
        )
        console.print(Padding(styled(texts.question.to(lang)), (0, 0, 0, 4)))
        console.print(Padding(styled(texts.values[value].to(lang), "bold"), (0, 0, 0, 4)))
        others = (
            (styled(f"{other}{marks.get(other, '')}", "dim"), styled(meaning.to(lang), "dim"))
            for other, meaning in texts.values.items()
            if other != value
        )
        console.print(Padding(grid(others), (0, 0, 0, 4)))
        if value == default:
            why = f"{ui('why').to(lang)}: {texts.why.to(lang)}"
            console.print(Padding(styled(why, "dim"), (0, 0, 0, 4)))
    out.write_console(console)
    return OK


def _checks(checks: Sequence[Check], lang: Lang) -> Table:
    from .render.labels import label_of_check
    from .render.text import grid, styled

    return grid(
        (
            styled(check.id),
            styled(label_of_check(check.id, lang)),
            styled(", ".join(check.clauses), "dim"),
        )
        for check in checks
    )


def _monitored(monitor: ActivityLimits, lang: Lang) -> Table:
    from .render.text import grid, styled

    return grid(
        (
            styled(activity),
            styled(
                ", ".join(
                    ui(f"monitor.{level}", threshold=threshold).to(lang)
                    for level, threshold in bounds.items()
                )
            ),
        )
        for activity, bounds in monitor.describe().items()
    )


@policy.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@output_options("text", "json")
def check(files: tuple[str, ...], out: Output) -> int:
    """Check that each FILE is a policy; every error is told at once, with its place."""
    from ..policyfile import load_policy

    policies = _read_all(files, load_policy)
    if out.format == "json":
        out.write_json(
            {
                "policies": [
                    {"file": name, "valid": True, **policy.info.to_document()}
                    for name, policy in policies
                ]
            }
        )
        return OK
    from .render.text import styled

    console = out.console()
    for name, policy in policies:
        words = ui("policy.valid", file=name, id=policy.info.id, version=policy.info.version)
        console.print(styled(f"✓ {words.to(out.lang)}", "green"))
    out.write_console(console)
    return OK


@policy.command()
@click.argument("cases", nargs=-1, required=True, metavar="CASES...")
@policy_options
@output_options("text", "json", "junit")
def test(cases: tuple[str, ...], policy: Policy, out: Output) -> int:
    """Test a policy with the cases in CASES... (TOML or JSON).

    Exits 1 when any decision differs from what its case expects, and says how; 2 when a case
    file is wrong in itself.
    """
    from ..policycases import load_cases, run_cases

    files = _read_all(cases, load_cases)
    ran = _each(files, lambda file: list(run_cases(file, policy)))
    results = [(name, result) for name, found in ran for result in found]
    failed = [result for _, result in results if not result.passed]
    if out.format == "json":
        out.write_json(
            {"passed": not failed, "cases": [_document(name, result) for name, result in results]}
        )
    elif out.format == "junit":
        out.write(_junit(results, out.lang))
    else:
        _show_results(results, out)
    return DENIED if failed else OK


def _read_all(files: tuple[str, ...], read: Callable[[Path], T]) -> list[tuple[str, T]]:
    return _each([(name, Path(name)) for name in files], read)


def _each(items: list[tuple[str, S]], work: Callable[[S], T]) -> list[tuple[str, T]]:
    """Return ``work`` done on every item; the errors of all files are told together."""
    done: list[tuple[str, T]] = []
    errors: list[tuple[str, FieldError]] = []
    for name, item in items:
        try:
            with naming(name):
                done.append((name, work(item)))
        except InvalidFilesError as error:
            errors += error.errors
    if errors:
        raise InvalidFilesError(errors)
    return done


def _document(name: str, result: CaseResult) -> dict[str, Any]:
    return {
        "file": name,
        "name": result.case.name,
        "passed": result.passed,
        "differences": [
            {"what": found.what, "expected": found.expected, "found": found.found}
            for found in result.differences
        ],
    }


def _junit(results: list[tuple[str, CaseResult]], lang: Lang) -> str:
    from .render.junit import Case, report

    return report(
        "automation-rules policy test",
        (
            Case(result.case.name, name, result.decision.explain(lang))
            if result.passed
            else Case(
                result.case.name,
                name,
                "\n".join(_lines(result, lang)),
                "failure",
                "difference",
                ", ".join(found.what for found in result.differences),
            )
            for name, result in results
        ),
    )


def _lines(result: CaseResult, lang: Lang) -> Iterator[str]:
    """Yield what differs as a diff from what was expected to what was found."""
    yield f"--- {ui('cases.expected').to(lang)}"
    yield f"+++ {ui('cases.found').to(lang)}"
    for difference in result.differences:
        yield f"-{difference.what}: {difference.expected}"
        yield f"+{difference.what}: {difference.found}"


def _show_results(results: list[tuple[str, CaseResult]], out: Output) -> None:
    from rich.padding import Padding

    from .render.text import styled

    console = out.console()
    for name, result in results:
        mark, style = ("✓", "green") if result.passed else ("✗", "bold red")
        console.print(styled(f"{mark} {name}: {result.case.name}", style))
        if not result.passed:
            for line in _lines(result, out.lang):
                colour = {"-": "red", "+": "green"}[line[0]]
                console.print(Padding(styled(line, colour), (0, 0, 0, 4)))
    passed = sum(result.passed for _, result in results)
    console.print()
    count = ui("cases.count", passed=passed, total=len(results)).to(out.lang)
    console.print(styled(count, "bold"))
    out.write_console(console)
