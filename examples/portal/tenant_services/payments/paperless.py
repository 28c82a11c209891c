"""How someone wants their statements: here, or on paper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal import clock
from design.forms import Form
from design.views import FormPage
from django import forms
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _

from ..access import TenantView
from .models import StatementChoice

if TYPE_CHECKING:
    from django.http import HttpResponse

    from ..models import TenantAccount

DIGITAL, PAPER = "digital", "paper"


def last_choice(account: TenantAccount) -> StatementChoice | None:
    """Return what someone chose last; None if they never chose, and get statements on paper."""
    choice: StatementChoice | None = account.statement_choices.last()
    return choice


def choose(account: TenantAccount, *, digital: bool) -> None:
    """Keep a choice, unless it is the present one."""
    present = last_choice(account)
    if present is None or present.digital != digital:
        StatementChoice.objects.create(account=account, digital=digital, chosen_at=clock.now())


class StatementsForm(Form):
    """Digital or paper."""

    sent = forms.ChoiceField(
        label=_("How do you want your statements?"),
        widget=forms.RadioSelect,
        choices=[
            (DIGITAL, _("Only here, in my account: send me no paper")),
            (PAPER, _("On paper, by post")),
        ],
        error_messages={
            "required": _("Select how you want your statements"),
            "invalid_choice": _("Select how you want your statements"),
        },
    )


class ChooseStatements(TenantView, FormPage):
    """The choice, which can be changed at any time."""

    form_class = StatementsForm
    heading = _("How we send your statements")
    button = _("Save")
    success = _("Your choice is saved")
    success_url = reverse_lazy("rent")

    def get_initial(self) -> dict[str, Any]:
        """Begin with the present choice."""
        choice = last_choice(self.account)
        return {"sent": (DIGITAL if choice.digital else PAPER) if choice else None}

    def form_valid(self, form: StatementsForm) -> HttpResponse:
        """Keep it."""
        choose(self.account, digital=form.cleaned_data["sent"] == DIGITAL)
        return super().form_valid(form)
