"""What a landlord's compliance officer reads and decides: the log, its proof, pauses and tests.

Everything is the officer's own landlord's alone, save that a log is verified whole.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from demo_portal import clock
from demo_portal.jinja import language
from design.forms import Form
from design.views import PAGE, FormPage
from django import forms
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.urls import reverse_lazy
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView

from automation_rules import (
    Action,
    AutomationRulesError,
    LogError,
    RegistryError,
    TodoKind,
    VerificationError,
    terms_at,
)
from automation_rules.accounts import AccountStatus
from automation_rules.audit import DecisionLog
from automation_rules.enforcer import open_log
from automation_rules.gateway.problems import problem_title
from automation_rules.leaf_reasons import reasons
from automation_rules.monitor import Level, read_observations
from automation_rules.report import count, to_csv, to_html
from automation_rules.store import KnownForm
from automation_rules.texts import ui

from .library import registry, store
from .models import TODO_NAMES
from .roles import GuardedView
from .todos.views import form_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest

    from automation_rules.accounts import AutomationAccount
    from automation_rules.audit import Entry
    from automation_rules.leaf_reasons import Reason

    from .models import User

STEPS = {
    Action.SIGN_IN: _("Sign in"),
    Action.ENTER_ACCESS_CODE: _("Enter the access code"),
    Action.SIGN_OUT: _("Sign out"),
    Action.VIEW_UPDATES: _("Read the updates"),
    Action.LIST_TODOS: _("List the to-dos"),
    Action.OPEN_TODO: _("Open a to-do"),
    Action.SAVE_ANSWERS: _("Save answers"),
    Action.SUBMIT_TODO: _("Submit a to-do"),
}
STATUSES = {
    AccountStatus.ACTIVE: _("Active"),
    AccountStatus.PAUSED: _("Paused"),
    AccountStatus.DEACTIVATED: _("Deactivated"),
}
CHANGES = {
    "paused": _("Paused"),
    "resumed": _("Resumed"),
    "deactivated": _("Deactivated"),
    "removed": _("Removed"),
}
LEVELS = {Level.WARNING: _("Noted"), Level.PAUSE: _("Account paused")}
AT_ONCE = 500
"""How many entries are in memory at a time."""

REPORTS = {30: _("The last 30 days"), 365: _("The last 365 days")}


class ComplianceView(GuardedView):
    """A page for a landlord's compliance officer, who is a person."""

    people_only = True

    def may_enter(self, user: User) -> bool:
        """Whether the page is for ``user``."""
        return super().may_enter(user) and user.is_compliance_officer


# --- the log ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Found:
    """What one check found, in the user's language; clauses by their ids, with their titles."""

    check: str
    outcome: str
    text: str
    clauses: list[tuple[str, str]]


class Decided:
    """A decision as it stands on the log, in the user's language."""

    def __init__(self, entry: Entry) -> None:
        """Read it."""
        self.index, self.leaf, self.leaf_hash = entry.index, entry.document, entry.leaf_hash.hex()

    def is_of(self, landlord_id: str) -> bool:
        """Whether it is a decision, and about the landlord's automation."""
        return bool(self.leaf["type"] == "decision" and self.leaf["landlord"] == landlord_id)

    @property
    def account(self) -> str:
        """The automation account."""
        return self.leaf["account"] or ""

    @property
    def allowed(self) -> bool:
        """The answer."""
        return bool(self.leaf["decision"])

    @property
    def at(self) -> datetime:
        """When it was decided."""
        return datetime.fromisoformat(self.leaf["time"])

    @property
    def retry_after(self) -> datetime | None:
        """When the same would be allowed, if waiting helps."""
        text = self.leaf["retry_after"]
        return None if text is None else datetime.fromisoformat(text)

    @property
    def step(self) -> str:
        """What the bot wanted to do."""
        known = {action.value: name for action, name in STEPS.items()}
        return str(known.get(self.leaf["action"], _("Another page")))

    @property
    def todo_name(self) -> str:
        """The kind of to-do, by the portal's own name."""
        return {kind.value: name for kind, name in TODO_NAMES.items()}.get(
            self.leaf["todo_kind"], ""
        )

    @property
    def why(self) -> list[str]:
        """Why it was denied, in a few words each."""
        return [_title(reason.check, reason.code) for reason in reasons(self.leaf)]

    @property
    def findings(self) -> list[Found]:
        """What every check found."""
        failed: dict[str, list[Reason]] = {}
        for reason in reasons(self.leaf):
            failed.setdefault(reason.check, []).append(reason)
        titles = terms_at(self.at).clauses
        return [
            Found(
                _label("check", check["check"]),
                _label("outcome", check["outcome"]),
                _title(check["check"], check["code"]) if check["code"] else "",
                [
                    (clause, titles[clause].title.to(language()) if clause in titles else "")
                    for reason in failed.get(check["check"], [])
                    for clause in reason.clauses
                ],
            )
            for check in self.leaf["checks"]
        ]


def _title(check: str, code: str) -> str:
    return problem_title(check, code).to(language())


def _label(kind: str, name: str) -> str:
    try:
        return ui(f"{kind}.{name}").to(language())
    except LookupError:  # a check of a policy's own
        return name


def decisions(log: DecisionLog, landlord_id: str, before: int | None) -> Iterator[Decided]:
    """Give a landlord's decisions that came before an entry, newest first."""
    size, first = log.head().size, log.first()
    for after in range(size if before is None else min(before, size), first, -AT_ONCE):
        for entry in reversed(list(log.entries(max(first, after - AT_ONCE), after))):
            decided = Decided(entry)
            if decided.is_of(landlord_id):
                yield decided


class FilterForm(Form):
    """Which decisions are shown."""

    account = forms.ChoiceField(label=_("Account"), required=False)
    answer = forms.ChoiceField(
        label=_("Answer"),
        choices=[("", _("Both")), ("allowed", _("Allowed")), ("denied", _("Denied"))],
        required=False,
    )
    step = forms.ChoiceField(
        label=_("Step"),
        choices=[
            ("", _("Every step")),
            *((action.value, name) for action, name in STEPS.items()),
            ("unknown", _("Another page")),
        ],
        required=False,
    )

    def __init__(self, data: Any, *, accounts: list[str]) -> None:
        """Offer the landlord's accounts."""
        super().__init__(data)
        asked: Any = self.fields["account"]
        asked.choices = [("", _("Every account")), *((name, name) for name in accounts)]

    def takes(self, decided: Decided) -> bool:
        """Whether a decision is wanted; what cannot be understood filters nothing."""
        self.is_valid()
        asked = self.cleaned_data
        return (
            asked.get("account", "") in ("", decided.account)
            and asked.get("answer", "") in ("", "allowed" if decided.allowed else "denied")
            and asked.get("step", "") in ("", decided.leaf["action"])
        )


class Decisions(ComplianceView, TemplateView):
    """The landlord's decisions, newest first, a page at a time."""

    template_name = "landlord_portal/compliance/decisions.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Read no more of the log than the page needs."""
        landlord_id, asked = self.request.user.landlord_id, self.request.GET
        accounts = [account.id for account in registry().accounts(landlord_id)]
        form = FilterForm(asked, accounts=accounts)
        text = asked.get("before", "")
        before = int(text) if text.isdecimal() and len(text) < 19 else None
        found: list[Decided] = []
        with DecisionLog(store()) as log:
            for decided in decisions(log, landlord_id, before):
                if form.takes(decided):
                    found.append(decided)
                    if len(found) > PAGE:
                        break
        chosen = {name: asked[name] for name in form.fields if asked.get(name)}
        shown = found[:PAGE]
        return super().get_context_data(**named) | {
            "form": form,
            "decisions": shown,
            "reports": REPORTS,
            "newest": urlencode(chosen) if before is not None else None,
            "older": urlencode(chosen | {"before": shown[-1].index}) if found[PAGE:] else None,
        }


class OneDecision(ComplianceView, TemplateView):
    """A decision with what every check found."""

    template_name = "landlord_portal/compliance/decision.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Find it among the landlord's own."""
        with DecisionLog(store()) as log:
            try:
                decided = Decided(log.entry(self.kwargs["index"]))
            except LogError as error:
                raise Http404 from error
            if not decided.is_of(self.request.user.landlord_id):
                raise Http404
            proof = log.prove_inclusion(decided.index)
        return super().get_context_data(**named) | {"decided": decided, "proof": proof}


class VerifyLog(ComplianceView, FormPage):
    """Recompute the whole log, of all landlords, and say whether it holds."""

    template_name = "landlord_portal/compliance/verification.html"
    form_class = Form
    heading = _("Verify the log")
    button = _("Verify now")
    success_url = reverse_lazy("compliance")

    def form_valid(self, form: Any) -> HttpResponse:
        """Show what came of it."""
        head, broken_at, failed = None, None, True
        try:
            with open_log(store()) as log:
                head, failed = log.verify(), False
        except VerificationError as error:
            broken_at = error.index
        except AutomationRulesError:
            form.add_error(None, _("The log cannot be verified at the moment. Try again later"))
            return self.form_invalid(form)
        found = {"head": head, "broken_at": broken_at, "failed": failed}
        return self.render_to_response(self.get_context_data(form=form, **found))


class Reports(ComplianceView, View):
    """The library's own report, as a page that needs nothing else or for spreadsheets."""

    def get(self, _request: HttpRequest, days: int, kind: str) -> HttpResponse:
        """Count the landlord's decisions."""
        if days not in REPORTS or kind not in ("html", "csv"):
            raise Http404
        landlord_id, today = self.request.user.landlord_id, clock.today()
        with DecisionLog(store()) as log:
            head = log.head()
            own = (
                entry
                for entry in log.entries(stop=head.size)
                if entry.document.get("landlord") == landlord_id
            )
            found = count(own, today - timedelta(days=days - 1), today + timedelta(days=1))
        if kind == "csv":
            disposition = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
            return HttpResponse(to_csv(found), content_type="text/csv", headers=disposition)
        page = to_html(found, lang=language(), at=clock.now(), head=head)  # type: ignore[arg-type]
        return HttpResponse(page, headers={"Content-Security-Policy": _own_style(page)})


def _own_style(page: str) -> str:
    """Return the content security policy of a page whose style stands in itself."""
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}'"
        for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    )
    others = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return f"default-src 'none'; style-src {digests}; {others}"


# --- automation -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TestedForm:
    """A to-do's form, and the landlord's last test of automation with it."""

    kind: TodoKind
    known: KnownForm | None

    @property
    def name(self) -> str:
        """What the portal calls the to-do."""
        return TODO_NAMES[self.kind]

    @property
    def is_current(self) -> bool:
        """Whether the form is still the one that was tested."""
        return self.known is not None and self.known.fingerprint == form_fingerprint(self.kind)


class Automation(ComplianceView, TemplateView):
    """The accounts and whether they may work, the tested forms, what the monitor saw."""

    template_name = "landlord_portal/compliance/automation.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Read it from the registry."""
        known, landlord_id = registry(), self.request.user.landlord_id
        tested = {form.todo_kind: form for form in known.known_forms(landlord_id)}
        seen = read_observations(store(), landlord_id=landlord_id)
        return super().get_context_data(**named) | {
            "landlord": known.landlord(landlord_id),
            "all_paused": known.all_paused(),
            "accounts": known.accounts(landlord_id),
            "forms": [TestedForm(kind, tested.get(kind.value)) for kind in TODO_NAMES],
            "seen": [(one, one.text().to(language())) for one in reversed(seen)],
            "changes": reversed(known.status_changes(landlord_id)),
            "status_names": STATUSES,
            "change_names": CHANGES,
            "level_names": LEVELS,
        }


class AutomationForm(ComplianceView, FormPage):
    """A form about one account, or about all of the landlord's automation."""

    success_url = reverse_lazy("automation")

    @cached_property
    def account(self) -> AutomationAccount | None:
        """The landlord's account that the address names; None: all of its automation."""
        name = self.kwargs.get("account")
        for account in registry().accounts(self.request.user.landlord_id):
            if account.id == name:
                return account
        if name is not None:
            raise Http404
        return None

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Show which it is."""
        account = self.account
        line = _("All of your automation") if account is None else account.username
        return super().get_context_data(**named) | {"lines": [line]}

    def form_valid(self, form: Any) -> HttpResponse:
        """Do it, unless it has been done or undone meanwhile."""
        try:
            self.change(form)
        except RegistryError:
            form.add_error(None, _("It has changed meanwhile. Go back and look at it again"))
            return self.form_invalid(form)
        return super().form_valid(form)

    def change(self, form: Any) -> None:
        """Change the registry."""
        raise NotImplementedError


class ReasonForm(Form):
    """Why automation is paused."""

    reason = forms.CharField(
        label=_("Why?"),
        help_text=_("Do not name any tenant."),
        max_length=500,
        error_messages={
            "required": _("Say why"),
            "max_length": _("The reason must be 500 characters or fewer"),
        },
    )


class Pause(AutomationForm):
    """Stop an account, or all of the landlord's, within a second."""

    form_class = ReasonForm
    heading = _("Pause automation")
    button = _("Pause")
    success = _("Automation was paused")

    def change(self, form: Any) -> None:
        """Pause it."""
        reason = form.cleaned_data["reason"]
        if self.account is None:
            registry().pause_landlord(self.request.user.landlord_id, reason)
        else:
            registry().pause_account(self.account.id, reason)


class Resume(AutomationForm):
    """Let it work again, on the officer's word."""

    form_class = Form
    heading = _("Resume automation")
    button = _("Resume")
    success = _("Automation was resumed")

    def change(self, form: Any) -> None:
        """Resume it."""
        del form
        person = self.request.user.registry_id
        if self.account is None:
            registry().resume_landlord(self.request.user.landlord_id, person)
        else:
            registry().resume_account(self.account.id, person)


class FingerprintForm(Form):
    """The form that was tested, as it was when the page was opened."""

    fingerprint = forms.CharField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, now: str, **named: Any) -> None:
        """Know what it is now."""
        super().__init__(*args, initial={"fingerprint": now}, **named)
        self._now = now

    def clean_fingerprint(self) -> str:
        """Refuse a test of another form."""
        fingerprint: str = self.cleaned_data["fingerprint"]
        if fingerprint != self._now:
            raise ValidationError(str(_("The form has changed meanwhile. Test it again")))
        return fingerprint


class RecordTest(ComplianceView, FormPage):
    """Put on record that automation was tested with a form as it is today."""

    form_class = FingerprintForm
    heading = _("Record that automation was tested with this form")
    button = _("Record")
    success = _("The test was recorded")
    success_url = reverse_lazy("automation")

    @cached_property
    def kind(self) -> TodoKind:
        """The kind of to-do that the address names."""
        for kind in TODO_NAMES:
            if kind.value == self.kwargs["kind"]:
                return kind
        raise Http404

    def get_form_kwargs(self) -> dict[str, Any]:
        """Give the form today's fingerprint."""
        given = super().get_form_kwargs()
        given.pop("initial")
        return given | {"now": form_fingerprint(self.kind)}

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Show which form it is."""
        name = format_html('<span lang="en">{}</span>', TODO_NAMES[self.kind])
        lines = [name, form_fingerprint(self.kind)]
        return super().get_context_data(**named) | {"lines": lines}

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it."""
        landlord_id = self.request.user.landlord_id
        fingerprint = form.cleaned_data["fingerprint"]
        registry().record_tested_form(
            KnownForm(landlord_id, self.kind.value, fingerprint, clock.today())
        )
        return super().form_valid(form)
