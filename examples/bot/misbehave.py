"""What a bot must not do, done all the same, to see it refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from automation_rules import Action
from automation_rules.accounts import AutomationAccount
from automation_rules.clock import to_london
from automation_rules.enforcer import Step
from automation_rules.errors import AccountLimitError
from automation_rules.store import AnnouncedChange, KnownForm, Registry

from .pages import Portal, PortalError
from .run import LONGEST_TODO

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from automation_rules import TodoKind

    from .run import Run

MANAGER = "enid.example"
"""The person of the example data who manages users."""

ADMINISTRATOR = "portal.administrator"
"""The person of the example data who publishes changes of the portal."""

RELEASE = "R170"
"""The release number of the change that is published."""


@dataclass
class Misbehaviour:
    """A bot that asks, does not listen, and goes on."""

    run: Run

    def show(self, way: str) -> bool:
        """Misbehave in one of `WAYS`; whether the portal refused it."""
        try:
            WAYS[way](self)
        except PortalError as refusal:
            self.run.say(f"The portal refused it:\n{refusal}\n")
            return True
        finally:
            self.run.portal.sign_out()
        self.run.say("The portal did not refuse it.")
        return False

    def ask_for_an_apa(self) -> None:
        """Ask for an alternative payment arrangement."""
        self._sign_in()
        self._ask(Step(Action.REQUEST_APA))
        self.run.portal.go("/tenants/1/requests/request_apa/")

    def work_on_a_saturday(self) -> None:
        """Sign in, whatever day it is."""
        kind = self.run.who.kind
        self._ask(Step(Action.SIGN_IN, kind, expected_duration=LONGEST_TODO))
        self._sign_in()

    def add_a_third_account(self) -> None:
        """Let a person add one automation account more than the terms allow."""
        landlord = self.run.who.account.landlord_id
        username, email = "Acme Homes Automation 3", "automation3@acme.example"
        third = AutomationAccount(f"{landlord}-3", landlord, username, email)
        try:
            Registry(self.run.store, self.run.clock).add_account(third)
        except AccountLimitError as limit:
            self.run.say(f"Our own registry says:\n{limit}\n")
        portal = self.run.portal
        self._sign_in_person(portal, MANAGER)
        portal.go("/users/add/")
        portal.page.get_by_role("radio", name="Automation").check()
        portal.page.get_by_role("checkbox", name="Complete to-dos").check()
        for label, text in {
            "User name": username,
            "Email address": email,
            "Mobile phone number for access codes": "07700 900 300",
            "First password": self.run.who.password,
        }.items():
            portal.type(label, text)
        portal.press("Add")

    def meet_a_changed_form(self) -> None:
        """Go on with a form that was changed without notice since it was tested."""
        run, kind = self.run, self.run.who.kind
        self._sign_in()
        first = run.portal.todos(kind, lambda: None)[0]
        run.portal.open(first.id)
        tested = run.portal.form_fingerprint or ""
        today = to_london(run.clock.now()).date()
        registry = Registry(run.store, run.clock)
        landlord, day_before = run.who.account.landlord_id, today - timedelta(days=1)
        registry.record_tested_form(KnownForm(landlord, kind.value, tested, day_before))
        self._publish_a_change(kind, today)
        registry.add_notice(AnnouncedChange(RELEASE, today, title="One more question"))
        self._ask(Step(Action.SAVE_ANSWERS, kind, todo=first.id, form_fingerprint=tested))
        run.portal.press("Start now")
        run.portal.answer({"Is this person your tenant?": "Yes"})
        run.portal.press("Continue")

    def _publish_a_change(self, kind: TodoKind, day: date) -> None:
        """Let the portal's administrator add a question to a form, from today."""
        portal = self.run.portal.another()
        self._sign_in_person(portal, ADMINISTRATOR)
        portal.go("/notices/form/")
        for label, text in {
            "Release number": RELEASE,
            "Title in English": "One more question",
            "Title in Welsh": "Un cwestiwn arall",
            "Text in English": "The form asks one more question from today.",
            "Text in Welsh": "Mae'r ffurflen yn gofyn un cwestiwn arall o heddiw ymlaen.",
            "Day": str(day.day),
            "Month": str(day.month),
            "Year": str(day.year),
            "Question in English": "How many garages are there?",
            "Question in Welsh": "Sawl garej sydd?",
        }.items():
            portal.type(label, text)
        portal.page.get_by_label("Page of the new question").select_option(f"{kind.value}/rent")
        portal.page.get_by_role("radio", name="Text", exact=True).check()
        portal.press("Publish")
        portal.sign_out()
        self.run.say(f"The portal has published a change of the form, {RELEASE}, as of today.")

    def _ask(self, step: Step) -> None:
        """Say what our own pre-flight check answers, and take no notice of it."""
        verdict = self.run.gate.enforcer.preflight(self.run.who.account.id, step)
        self.run.say(f"Our own pre-flight check says:\n{verdict.decision.explain('en')}\n")

    def _sign_in(self) -> None:
        run, account = self.run, self.run.who.account
        run.portal.give_password(account.username, run.who.password)
        run.portal.give_code(run.code())

    def _sign_in_person(self, portal: Portal, username: str) -> None:
        portal.give_password(username, self.run.who.password)
        portal.give_code(self.run.who.type_code(username))


WAYS: dict[str, Callable[[Misbehaviour], None]] = {
    "apa": Misbehaviour.ask_for_an_apa,
    "saturday": Misbehaviour.work_on_a_saturday,
    "third-account": Misbehaviour.add_a_third_account,
    "changed-form": Misbehaviour.meet_a_changed_form,
}
