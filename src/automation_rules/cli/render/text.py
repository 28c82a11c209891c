"""Answers as text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...actions import Action, TodoKind
from ...decision import Decision, Outcome
from ...request import Mode
from ...terms import reading_texts, terms_at
from ...texts import ui
from ..common import printable
from .labels import label_of_check

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console, RenderableType

    from ...decision import Finding, ReadingUse
    from ...texts import Lang
    from . import Answer

__all__ = ["grid", "show_answers", "styled"]

_MARKS: Final = {
    Outcome.PASS: ("✓", "green"),
    Outcome.FAIL: ("✗", "bold red"),
    Outcome.WARN: ("!", "yellow"),
    Outcome.NOT_APPLICABLE: ("-", "dim"),
}
_ERROR: Final = ("?", "bold magenta")


def show_answers(console: Console, answers: Sequence[Answer], lang: Lang) -> None:
    """Print the answers.

    One answer is told in words, as a table of all its checks, then reason by reason. Several are
    listed in one table, followed by the reasons of those that are not plainly allowed.
    """
    if len(answers) == 1:
        _show_one(console, answers[0], lang)
    else:
        _show_many(console, answers, lang)
    if any(answer.decision for answer in answers):
        console.print()
        console.print(styled(ui("disclaimer.heading").to(lang), "bold"))
        console.print(styled(ui("disclaimer").to(lang), "dim"))


def styled(text: str, style: str = "") -> Text:
    """Return text that shows as it is: nothing in it acts on the terminal."""
    return Text(printable(text), style=style)


def grid(rows: Iterable[tuple[RenderableType, ...]]) -> Table:
    """Return rows whose last column wraps, without any rules."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    return table


def _show_one(console: Console, answer: Answer, lang: Lang) -> None:
    if answer.decision is None:
        _show_errors(console, answer, lang)
        return
    _show_headline(console, answer.decision, lang)
    console.print()
    console.print(_facts(answer.decision, lang))
    console.print(styled(ui(f"facts.{answer.decision.request.facts}").to(lang), "dim"))
    console.print()
    console.print(_checks(answer.decision, lang))
    _show_reasons(console, answer.decision, lang)
    _show_times(console, answer.decision, lang)
    for note in answer.notes:
        console.print()
        console.print(styled(note))


def _show_many(console: Console, answers: Sequence[Answer], lang: Lang) -> None:
    console.print(_summary(answers, lang))
    for answer in answers:
        decision = answer.decision
        if decision is not None and decision.allowed and not decision.reasons:
            continue
        console.print()
        console.rule(style="dim", characters="-")
        console.print(styled(answer.place, "bold"))
        if decision is None:
            _show_errors(console, answer, lang)
        else:
            _show_headline(console, decision, lang)
            _show_reasons(console, decision, lang)
            _show_times(console, decision, lang)
        for note in answer.notes:
            console.print(styled(note))


def _show_headline(console: Console, decision: Decision, lang: Lang) -> None:
    mark, style = _MARKS[Outcome.PASS if decision.allowed else Outcome.FAIL]
    words = ui("decision.allowed" if decision.allowed else "decision.denied").to(lang)
    console.print(styled(f"{mark} {words}", style))


def _show_errors(console: Console, answer: Answer, lang: Lang) -> None:
    mark, style = _ERROR
    console.print(styled(f"{mark} {ui('error').to(lang)}", style))
    if not isinstance(answer.outcome, Decision):
        for error in answer.outcome.errors:
            console.print(Padding(styled(str(error)), (0, 0, 0, 2)))


def _facts(decision: Decision, lang: Lang) -> Table:
    request = decision.request
    action = request.action.value if isinstance(request.action, Action) else request.action
    kind = request.resource.kind
    named = kind.value if isinstance(kind, TodoKind) else kind
    mode = ui("test_run" if request.context.mode is Mode.TEST else "live_run").to(lang)
    landlord = request.context.landlord.name
    account = f"{request.subject.id} ({landlord})" if landlord else request.subject.id
    policy = f"{decision.policy.id}, {decision.policy.version}"
    terms = f"{ui('terms').to(lang)}: {terms_at(request.time).version}"
    rows = [
        (ui("decided_at").to(lang), ui("at", at=request.time).to(lang)),
        (ui("account").to(lang), account),
        (ui("step").to(lang), ", ".join(filter(None, (action, named, mode)))),
        (ui("policy").to(lang), f"{policy} ({terms})"),
    ]
    if request.ignored:
        rows.append((ui("facts.ignored").to(lang), ", ".join(request.ignored)))
    return grid((styled(label, "dim"), styled(value)) for label, value in rows)


def _checks(decision: Decision, lang: Lang) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    table.add_column(ui("check").to(lang))
    table.add_column(ui("result").to(lang))
    table.add_column(ui("reason").to(lang))
    for finding in decision.findings:
        mark, style = _MARKS[finding.outcome]
        table.add_row(
            Text(mark, style),
            styled(label_of_check(finding.check, lang)),
            styled(ui(f"outcome.{finding.outcome.value}").to(lang), style),
            styled(finding.code or ""),
        )
    return table


def _summary(answers: Sequence[Answer], lang: Lang) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    table.add_column("")
    table.add_column(ui("request").to(lang))
    table.add_column(ui("decision").to(lang))
    table.add_column(ui("reason").to(lang))
    for answer in answers:
        decision = answer.decision
        if decision is None:
            mark, style = _ERROR
            word, why = ui("error").to(lang), _first_error(answer)
        else:
            mark, style = _MARKS[Outcome.PASS if decision.allowed else Outcome.FAIL]
            word = ui("allowed" if decision.allowed else "denied").to(lang)
            why = ", ".join(f"{f.check}.{f.code}" for f in decision.reasons if f.code)
        table.add_row(Text(mark, style), styled(answer.place), styled(word, style), styled(why))
    return table


def _first_error(answer: Answer) -> str:
    return "" if isinstance(answer.outcome, Decision) else str(answer.outcome.errors[0])


def _show_reasons(console: Console, decision: Decision, lang: Lang) -> None:
    for finding in decision.reasons:
        console.print()
        _show_finding(console, finding, lang, 0)


def _show_finding(console: Console, finding: Finding, lang: Lang, indent: int) -> None:
    mark, style = _MARKS[finding.outcome]
    code = f" ({finding.code})" if finding.code else ""
    title = Text.assemble(
        (f"{mark} ", style), (printable(label_of_check(finding.check, lang)), "bold")
    )
    title.append(printable(code), "dim")
    console.print(Padding(title, (0, 0, 0, indent)))
    console.print(Padding(styled(finding.message.to(lang)), (0, 0, 0, indent + 2)))
    rows: list[tuple[str, str]] = []
    if finding.remedy is not None:
        rows.append((ui("what_to_do").to(lang), finding.remedy.to(lang)))
    if finding.clauses:
        rows.append((ui("clauses").to(lang), ", ".join(finding.clauses)))
    rows += [(ui("reading").to(lang), _reading(use, lang)) for use in finding.readings]
    console.print(
        Padding(
            grid((styled(name, "dim"), styled(value)) for name, value in rows),
            (0, 0, 0, indent + 2),
        )
    )
    for child in finding.children:
        if child.outcome is not Outcome.NOT_APPLICABLE:
            _show_finding(console, child, lang, indent + 4)


def _reading(use: ReadingUse, lang: Lang) -> str:
    texts = reading_texts().get(use.name)
    meaning = texts.values[use.value].to(lang) if texts else ""
    otherwise = "; ".join(
        f"{ui('reading.otherwise', value=value).to(lang)}: "
        f"{ui('outcome.pass').to(lang) if answer == 'pass' else answer}"
        for value, answer in use.otherwise.items()
    )
    return f"{use.name} = {use.value}. {meaning} {otherwise}."


def _show_times(console: Console, decision: Decision, lang: Lang) -> None:
    lines = []
    if decision.retry_after is not None:
        lines.append(ui("decision.retry_after", at=decision.retry_after).to(lang))
    lines += [ui(f"obligation.{duty.id}").to(lang) for duty in decision.obligations]
    if decision.valid_until is not None:
        lines.append(ui("decision.valid_until", at=decision.valid_until).to(lang))
    if lines:
        console.print()
    for line in lines:
        console.print(styled(line, "bold"))
