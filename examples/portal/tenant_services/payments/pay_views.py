"""Paying by card at any hour: how much, where it is paid, and what became of it."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from csp.decorators import csp_update
from demo_portal.jinja import language
from design.forms import Form, MoneyField
from design.views import FormPage, ShowMoreView
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView

from ..access import TenancyView, TenantView
from . import ledger, paying
from .models import pounds
from .pay_models import CardPayment
from .provider import LEAST_PENCE, MOST_PENCE, ProviderError

if TYPE_CHECKING:
    from decimal import Decimal

    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse, HttpResponseBase


class LeadsToProvider:
    """A page whose form may lead to the provider's pages, as no other form may."""

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer, and let the browser follow."""
        answer = super().dispatch  # type: ignore[misc]
        origins = list(settings.PORTAL_PAY_PAGES)
        return csp_update({"form-action": origins})(answer)(request, *args, **named)  # type: ignore[no-any-return,arg-type]


class AmountForm(Form):
    """How much is paid. ``form`` makes what is sent twice one payment."""

    amount = MoneyField(
        label=_("How much do you want to pay?"),
        help_text=_("From £1 to £100,000. For example, 95.50"),
        required_message=_("Enter how much you want to pay"),
        invalid_message=_("The amount must be pounds and pence, like 95.50"),
    )
    form = forms.CharField(required=False, widget=forms.HiddenInput, strip=False)

    def clean_amount(self) -> int:
        """Return pence that the provider takes."""
        amount: Decimal = self.cleaned_data["amount"]
        pence = int(amount * 100)
        if pence < LEAST_PENCE:
            raise ValidationError(_("The amount must be £1 or more"))
        if pence > MOST_PENCE:
            raise ValidationError(_("The amount must be £100,000 or less"))
        return pence

    def clean_form(self) -> uuid.UUID:
        """Return the form's own number; what is none was not ours."""
        try:
            return uuid.UUID(self.cleaned_data["form"])
        except ValueError:
            return uuid.uuid4()


class PayRent(LeadsToProvider, TenancyView, FormPage):
    """How much to pay towards a tenancy; then on to the provider."""

    form_class = AmountForm
    template_name = "tenant_services/payments/pay/amount.html"
    heading = _("Pay by card")
    button = _("Continue to pay")

    def get_back(self) -> str:
        """Return the address of the tenancy's account."""
        return reverse("rent_account", kwargs={"tenancy": self.tenancy.reference})

    def get_initial(self) -> dict[str, Any]:
        """Suggest what is owed, if it can be paid at once."""
        owed = -ledger.balance(self.tenancy.reference)
        suggested = pounds(owed) if LEAST_PENCE <= owed <= MOST_PENCE else None
        return {"amount": suggested, "form": uuid.uuid4()}

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add how the account stands, and what was begun to be paid before."""
        if self.request.method == "GET":
            paying.catch_up(self.account)
        return super().get_context_data(**named) | {
            "tenancy": self.tenancy,
            "standing": ledger.standing(ledger.balance(self.tenancy.reference)),
            "waiting": self.account.card_payments.filter(
                tenancy=self.tenancy.reference, state__in=CardPayment.UNFINISHED
            ),
        }

    def form_valid(self, form: AmountForm) -> HttpResponse:
        """Keep the payment, and lead to where it is paid."""
        payment = paying.keep(
            self.account,
            self.tenancy.reference,
            form.cleaned_data["amount"],
            form=form.cleaned_data["form"],
            language=language(),
            return_url=lambda made: self.request.build_absolute_uri(page_of(made)),
        )
        return way_on(payment)


class CardPayments(TenantView, ShowMoreView):
    """Every payment by card that the tenant began, newest first."""

    template_name = "tenant_services/payments/pay/payments.html"

    def get_queryset(self) -> QuerySet[CardPayment]:
        """Return the account's, as they stand now."""
        self.is_known = paying.catch_up(self.account)
        return self.account.card_payments.all()

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add where the back link leads to, and whether the provider could be asked."""
        more = {"back": reverse("rent"), "is_known": self.is_known}
        return super().get_context_data(**named) | more


class OwnPaymentView(TenantView):
    """A view of one of the tenant's card payments. Somebody else's is not there."""

    kwargs: dict[str, Any]

    @cached_property
    def payment(self) -> CardPayment:
        """The payment of the address."""
        return get_object_or_404(self.account.card_payments, pk=self.kwargs["payment"])


class CardPaymentPage(LeadsToProvider, OwnPaymentView, TemplateView):
    """What became of a payment. The provider sends tenants back to here, and is asked anew."""

    template_name = "tenant_services/payments/pay/payment.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the payment as it stands now, as far as the provider can be asked."""
        payment = self.payment
        try:
            paying.check(payment)
            is_known = True
        except ProviderError:
            is_known = False
        account = {"tenancy": payment.tenancy}
        return super().get_context_data(**named) | {
            "payment": payment,
            "is_known": is_known,
            "account": reverse("rent_account", kwargs=account),
            "again": reverse("pay_rent", kwargs=account),
            "back": reverse("card_payments"),
        }


class ContinuePayment(OwnPaymentView, View):
    """Goes on with a payment that is not finished."""

    def post(self, _request: HttpRequest, **_named: Any) -> HttpResponse:
        """Lead to where it is paid."""
        return way_on(self.payment)


class CancelPayment(OwnPaymentView, View):
    """Ends a payment that is not finished."""

    def post(self, _request: HttpRequest, **_named: Any) -> HttpResponse:
        """End it if that can be; its page says what became of it."""
        with suppress(ProviderError):  # Its page asks again.
            paying.cancel(self.payment)
        return redirect(page_of(self.payment))


def page_of(payment: CardPayment) -> str:
    """Return the address of a payment's page."""
    return reverse("card_payment", kwargs={"payment": payment.pk})


def way_on(payment: CardPayment) -> HttpResponse:
    """Lead to where it is paid; where that is unknown, to the page that says why."""
    try:
        address = paying.way_on(payment)
    except ProviderError:
        address = None
    return redirect(address or page_of(payment))
