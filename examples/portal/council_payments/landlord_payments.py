"""Landlord payments: the first of the council's sensitive services.

What is searched for travels in the body of a request, never in an address: addresses are logged.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Any, ClassVar

from design.forms import DateField, Form, MoneyField
from django import forms
from django.core.validators import RegexValidator
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import FormView, TemplateView

from .back_office import Search, back_office
from .schedule import schedule
from .sensitive import CouncilView, Questions, SensitiveService, Service

if TYPE_CHECKING:
    from demo_portal.records import Page
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

    from .back_office import Creditor, Payment, Totals

METHODS = {"bacs": _("Bank transfer (BACS)"), "cheque": _("Cheque")}


class LandlordQuestions(Questions):
    """What a landlord knows from its last payment. The questions are this demonstration's own."""

    reference = forms.CharField(
        label=_("Creditor reference"),
        help_text=_("It is on every payment schedule, for example 7654321."),
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": False}),
        error_messages={"required": _("Enter your creditor reference")},
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9 /-]+$",
                _("The creditor reference must be letters, numbers, hyphens and slashes"),
            )
        ],
    )
    payee = forms.CharField(
        label=_("Payee name"),
        help_text=_("The name that payments are made out to."),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "organization", "spellcheck": False}),
        error_messages={"required": _("Enter the payee name")},
    )
    amount = MoneyField(
        label=_("Amount of your last payment"),
        help_text=_("In pounds and pence, for example 1,234.56."),
        max_digits=12,
        required_message=_("Enter the amount of your last payment"),
        invalid_message=_("The amount must be pounds and pence, like 1,234.56"),
    )
    options: ClassVar = {
        "reference": {"classes": "govuk-input--width-10"},
        "amount": {"classes": "govuk-input--width-10"},
    }

    def claimed(self) -> str:
        """Return the creditor reference."""
        return "".join(self.cleaned_data["reference"].split()).upper()

    def are_right(self) -> bool:
        """Whether it is the reference of that payee, whose last payment was that amount."""
        last = back_office().last_payment(self.claimed())
        if last is None:
            return False
        name, amount = last
        answers = plain(self.cleaned_data["payee"]), self.cleaned_data["amount"]
        return answers == (plain(name), amount)


LANDLORD_PAYMENTS = Service(
    slug="landlord-payments",
    questions=LandlordQuestions,
    home="landlord_payments",
    prove="prove_landlord_payments",
)


def plain(name: str) -> str:
    """Return a name without what people write differently: case, spaces, full stops."""
    return re.sub(r"[\W_]+", " ", unicodedata.normalize("NFKC", name).casefold()).strip()


class Landing(CouncilView, View):
    """Where everybody begins; there is one service so far."""

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Lead on."""
        return redirect(LANDLORD_PAYMENTS.home)


class CreditorPage(SensitiveService):
    """A page about one of the account's creditor references."""

    service = LANDLORD_PAYMENTS
    kwargs: dict[str, Any]
    reference: str

    def at(self, name: str, **named: Any) -> str:
        """Return the address of a page about the same creditor."""
        return reverse(name, kwargs={"proof": self.kwargs["proof"], **named})

    def creditor(self) -> Creditor:
        """Return who is paid."""
        found = back_office().creditor(self.reference)
        if found is None:
            raise Http404
        return found

    def payment(self) -> tuple[Payment, Totals]:
        """Return the payment that the address names, if it went to the creditor."""
        found = back_office().payment(self.reference, self.kwargs["number"])
        if found is None:
            raise Http404
        return found


class Creditors(SensitiveService, TemplateView):
    """The account's creditor references; a single one is shown at once."""

    service = LANDLORD_PAYMENTS
    template_name = "council_payments/creditors.html"

    def get(self, _request: HttpRequest) -> HttpResponse:
        """Show them."""
        proofs = list(self.proofs())
        if len(proofs) == 1:
            return redirect("creditor", proof=proofs[0].pk)
        found = [(proof, back_office().creditor(proof.reference)) for proof in proofs]
        return self.render_to_response({"found": found})


class Summary(CreditorPage, TemplateView):
    """Who is paid, how the council reaches them, and the most recent payment."""

    template_name = "council_payments/summary.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Ask the back office."""
        creditor = self.creditor()
        latest = back_office().payments(self.reference, Search(), 1).rows[:1]
        found = back_office().payment(self.reference, latest[0].number) if latest else None
        payment, totals = found or (None, None)
        return super().get_context_data(**named) | {
            "creditor": creditor,
            "payment": payment,
            "method": METHODS.get(payment.method, payment.method) if payment else None,
            "totals": totals,
            "several": self.proofs().count() > 1,
        }


class SearchForm(Form):
    """What is looked for, and which page of it."""

    page = forms.IntegerField(
        widget=forms.HiddenInput, required=False, min_value=1, max_value=1_000_000
    )


class PaymentsForm(SearchForm):
    """Which payments."""

    words = forms.CharField(
        label=_("Search by payment number or whole claim reference"), required=False, max_length=50
    )
    since = DateField(
        label=_("Paid from"),
        required=False,
        required_message=_("Enter a date"),
        invalid_message=_("The date must be a real date, like 1 4 2027"),
    )
    until = DateField(
        label=_("Paid until"),
        required=False,
        required_message=_("Enter a date"),
        invalid_message=_("The date must be a real date, like 1 4 2027"),
    )
    options: ClassVar = {"words": {"classes": "govuk-input--width-20"}}

    def clean(self) -> dict[str, Any]:
        """Refuse a span that ends before it begins."""
        asked = self.cleaned_data
        since, until = asked.get("since"), asked.get("until")
        if since and until and until < since:
            self.add_error("until", _("The last day must not be before the first"))
        return asked


class LinesForm(SearchForm):
    """Which lines."""

    words = forms.CharField(
        label=_("Search by claim reference, claimant or property"), required=False, max_length=200
    )
    options: ClassVar = {"words": {"classes": "govuk-input--width-20"}}


class SearchPage(CreditorPage, FormView):  # type: ignore[type-arg]
    """A list with a form above it. The buttons to other pages send the same search again."""

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what was found: everything, until something right is asked."""
        context = super().get_context_data(**named)
        form = context["form"]
        asked = form.cleaned_data if form.is_bound and form.is_valid() else {}
        return context | {"page": self.find(asked, asked.get("page") or 1)}

    def find(self, asked: dict[str, Any], page: int) -> Page[Any]:
        """Return the page."""
        raise NotImplementedError

    def form_valid(self, form: SearchForm) -> HttpResponse:
        """Show what was found."""
        return self.render_to_response(self.get_context_data(form=form))


class Payments(SearchPage):
    """Every payment, newest first."""

    template_name = "council_payments/payments.html"
    form_class = PaymentsForm

    def find(self, asked: dict[str, Any], page: int) -> Page[Payment]:
        """Return a page of the payments that were looked for."""
        search = Search(asked.get("words", "").strip(), asked.get("since"), asked.get("until"))
        return back_office().payments(self.reference, search, page)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add whose they are."""
        return super().get_context_data(**named) | {
            "creditor": self.creditor(),
            "methods": METHODS,
            "back": self.at("creditor"),
        }


class PaymentLines(SearchPage):
    """What one payment is made up of."""

    template_name = "council_payments/payment.html"
    form_class = LinesForm

    def find(self, asked: dict[str, Any], page: int) -> Page[Any]:
        """Return a page of the lines that were looked for."""
        number = self.kwargs["number"]
        return back_office().lines(self.reference, number, asked.get("words", ""), page)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the payment and its sums."""
        payment, totals = self.payment()
        return super().get_context_data(**named) | {
            "payment": payment,
            "method": METHODS.get(payment.method, payment.method),
            "totals": totals,
            "schedule": self.at("payment_schedule", number=payment.number),
            "back": self.at("creditor_payments"),
        }


class Schedule(CreditorPage, View):
    """The lines of a payment to take away."""

    def get(self, _request: HttpRequest, **_named: Any) -> HttpResponseBase:
        """Send the file."""
        payment, _totals = self.payment()
        lines = back_office().every_line(self.reference, payment.number)
        return schedule(self.reference, payment, lines)
