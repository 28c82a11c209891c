"""One run: every to-do of one kind that is on the rent roll, each step asked for before it."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

from automation_rules import Action, TodoKind
from automation_rules.clock import to_london
from automation_rules.errors import NotPermittedError
from automation_rules.report import neutral
from automation_rules.request import Mode
from automation_rules.store import KnownForm, Registry

from .codes import hand_over
from .pages import BrowserError, PortalError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from automation_rules.accounts import AutomationAccount
    from automation_rules.clock import Clock
    from automation_rules.permit import Gate, Permit, TodoPermit
    from automation_rules.store import Store

    from .pages import Found, Portal
    from .rent_roll import Tenancy

LONGEST_TODO = timedelta(minutes=2)
"""The longest that one to-do took when it was measured, and some more."""

COLUMNS = ("at", "to_do", "tenant_reference", "outcome", "why")


class Outcome(Enum):
    """What became of a to-do."""

    SUBMITTED = "submitted"
    TRIED_OUT = "tried out"
    NOT_BEGUN = "not begun"
    NOT_ON_RENT_ROLL = "not on the rent roll"
    FOR_A_PERSON = "left to a person"


@dataclass
class Account:
    """Whose run it is, who types the codes and how, and the rent roll."""

    account: AutomationAccount
    password: str
    person_id: str
    type_code: Callable[[str], str]
    roll: Mapping[tuple[str, str], Tenancy]

    @property
    def kind(self) -> TodoKind:
        """The kind of to-do that the account is for (clause ``step-2.one-account-per-todo``)."""
        return TodoKind(self.account.todo_kind)


@dataclass
class Report:
    """What the run did, to-do by to-do; ``trouble`` is what ended it early."""

    rows: dict[str, tuple[str, Found, Outcome, str]] = field(default_factory=dict)
    trouble: str = ""

    @property
    def clean(self) -> bool:
        """Whether nothing is left that a person should look at now."""
        bad = {Outcome.FOR_A_PERSON, Outcome.NOT_BEGUN}
        return not self.trouble and not any(row[2] in bad for row in self.rows.values())

    def summary(self) -> str:
        """Return how many to-dos came to what."""
        outcomes = [row[2] for row in self.rows.values()]
        counts = [f"{outcomes.count(o)} {o.value}" for o in Outcome if o in outcomes]
        return f"{len(outcomes)} to-dos: {', '.join(counts) or 'nothing to do'}."

    def write(self, path: Path) -> None:
        """Write it as CSV, in which no spreadsheet finds a formula."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(COLUMNS)
            for at, found, outcome, why in self.rows.values():
                cells = (at, found.id, found.tenant_reference, outcome.value, why)
                rows.writerow([neutral(cell) for cell in cells])


@dataclass
class Run:
    """A run of one account at the portal, in test mode or for real."""

    gate: Gate
    store: Store
    clock: Clock
    portal: Portal
    who: Account
    mode: Mode
    say: Callable[[str], None]
    report: Report = field(default_factory=Report)
    _forms: set[str] = field(default_factory=set)

    def go(self) -> Report:
        """Sign in, do what there is time for, and sign out, whatever happens."""
        try:
            with self.gate.permit(
                self.who.account.id,
                todo_kind=self.who.kind,
                expected_duration=LONGEST_TODO,
                mode=self.mode,
                sign_out=self.portal.sign_out,
            ) as permit:
                self._sign_in(permit)
                self._read_updates(permit)
                self._work(permit, self._list(permit))
        except NotPermittedError as denial:
            self.report.trouble = str(denial)
        except PortalError as error:
            self.report.trouble = f"The portal said no.\n{error}"
        except BrowserError:
            # Its own text may hold what was typed; the screenshot shows the page.
            self.portal.picture("problem")
            self.report.trouble = "A page was not as this bot knows it, or did not come."
        if self.mode is Mode.TEST and self.report.clean:
            self._record_tested_form()
        return self.report

    def code(self) -> str:
        """Return the account's code, once it is on record that a person has typed it in."""
        account = self.who.account
        code = self.who.type_code(account.username)
        hand_over(self.store, self.clock, account.id, self.who.person_id, code)
        return code

    def _sign_in(self, permit: Permit) -> None:
        self.portal.give_password(self.who.account.username, self.who.password)
        code = self.code()
        permit.require(Action.ENTER_ACCESS_CODE)
        self.portal.give_code(code)

    def _read_updates(self, permit: Permit) -> None:
        permit.require(Action.VIEW_UPDATES)
        for notice in self.portal.updates():
            self.say(f"New in Updates, for a person to read: {notice}")

    def _list(self, permit: Permit) -> dict[str, tuple[Found, Tenancy]]:
        """Return the to-dos that the rent roll knows; put the others on the report."""
        known = {}
        for found in self.portal.todos(self.who.kind, lambda: permit.require(Action.LIST_TODOS)):
            tenancy = self.who.roll.get((found.name, found.postcode))
            if tenancy is None:
                self._note(found, Outcome.NOT_ON_RENT_ROLL)
            else:
                known[found.id] = found, tenancy
                self._note(found, Outcome.NOT_BEGUN)
        return known

    def _work(self, permit: Permit, known: dict[str, tuple[Found, Tenancy]]) -> None:
        for todo in permit.todos(known):
            found, tenancy = known[todo.id]
            self._note(found, Outcome.FOR_A_PERSON, "begun and not known to be submitted")
            try:
                self._do(todo, found, tenancy)
            except NotPermittedError as denial:
                codes = [finding.code for finding in denial.decision.failures]
                if codes != ["answers_differ"]:
                    raise
                [differing] = denial.decision.failures
                self._note(found, Outcome.FOR_A_PERSON, differing.message.to("en"))
            except RefusedError:
                raise
            except PortalError as problem:
                self._note(found, Outcome.FOR_A_PERSON, str(problem))
        if permit.stopped is not None:
            self.report.trouble = permit.stopped.explain("en")

    def _do(self, todo: TodoPermit, found: Found, tenancy: Tenancy) -> None:
        portal, kind = self.portal, self.who.kind
        met = portal.open(todo.id) | {"Tenant reference": found.tenant_reference}
        portal.press("Start now")
        while not portal.at_check:
            portal.answer(tenancy.answers(kind))
            todo.saving(form_fingerprint=portal.form_fingerprint)
            portal.press("Continue")
        portal.picture("to-do-check")
        if self.mode is Mode.TEST:
            self._forms.add(portal.form_fingerprint or "")
            self._note(found, Outcome.TRIED_OUT)
            return
        with todo.submitting(
            answers=met | portal.summary(),
            record=tenancy.identity() | tenancy.answers(kind),
            form_fingerprint=portal.form_fingerprint,
        ):
            portal.press("Submit")
        portal.picture("to-do-done")
        self._note(found, Outcome.SUBMITTED)

    def _note(self, found: Found, outcome: Outcome, why: str = "") -> None:
        at = to_london(self.clock.now()).isoformat(timespec="seconds")
        self.report.rows[found.id] = (at, found, outcome, why)
        if outcome in (Outcome.SUBMITTED, Outcome.TRIED_OUT):
            self.say(f"To-do {found.id}: {outcome.value}")

    def _record_tested_form(self) -> None:
        """Put on record the form that every to-do of the test had, for the check ``form``."""
        if len(self._forms) == 1:
            [fingerprint] = self._forms
            today = to_london(self.clock.now()).date()
            landlord, kind = self.who.account.landlord_id, self.who.kind.value
            form = KnownForm(landlord, kind, fingerprint, today)
            Registry(self.store, self.clock).record_tested_form(form)
            self.say("The form that was tested is on record.")
