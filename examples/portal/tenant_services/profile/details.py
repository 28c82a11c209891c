"""How a tenant is reached: what is on record, and changing it.

A new number counts when the code that was sent to it is typed in, a new address when the link
that was sent to it is opened by the same user; until then the old ones stay, and are told. Both
are asked for with the password: who finds a browser signed in cannot make the account their own.
An address that somebody else signs in with is not said to be in use, except to its owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from demo_portal import clock
from demo_portal.tries import give_back, use_try
from design.forms import Form
from design.views import FormPage
from django.contrib import messages
from django.db import IntegrityError, transaction
from django.http import Http404
from django.shortcuts import redirect
from django.urls import reverse, reverse_lazy
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView
from landlord_portal.models import Phone, User

from ..access import TenantView
from ..models import TenantAccount
from . import confirming
from .confirming import mobile, plain_email
from .customers import customer_directory
from .fields import Email, Mobile, OwnPassword
from .messages import HELPLINE, if_not_you, send_email, tell, tell_by_sms
from .models import Change
from .pages import CodePage, link_is_dead

if TYPE_CHECKING:
    from django.db.models import QuerySet
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import Promise

    from .customers import Customer

WRONG_PASSWORDS: Final = 5
TELEPHONE, EMAIL = Change.Kind.TELEPHONE, Change.Kind.EMAIL


class DetailsView(TenantView):
    """A page about how the user is reached."""

    def changes(self) -> QuerySet[Change]:
        """Return what the user asked for that can still be confirmed."""
        lasts = clock.now() - confirming.LINK_LASTS
        return Change.objects.filter(account=self.account, asked_at__gt=lasts)

    @property
    def telephone(self) -> str:
        """The number that access codes go to."""
        phone = Phone.objects.filter(user=self.request.user).order_by("pk")[0]
        return phone.number

    @cached_property
    def customer(self) -> Customer | None:
        """What the customer directory says of the user."""
        return customer_directory().customer(self.account.person)

    def own(self) -> dict[str, str]:
        """Return how the account has it that the user is reached."""
        return {TELEPHONE: self.telephone, EMAIL: self.request.user.email}

    def others(self) -> dict[str, str]:
        """Return what the directory has that differs from what the account has."""
        if self.customer is None:
            return {}
        kept = {
            TELEPHONE: mobile(self.customer.telephone) or self.customer.telephone,
            EMAIL: plain_email(self.customer.email),
        }
        own = self.own()
        return {kind: value for kind, value in kept.items() if value != own[kind]}


class Details(DetailsView, TemplateView):
    """What is on record."""

    template_name = "tenant_services/profile/details.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add it, and what waits to be confirmed."""
        user = self.request.user
        return super().get_context_data(**named) | {
            "name": self.customer.name if self.customer else user.full_name,
            "telephone": self.telephone,
            "email": user.email,
            "others": [other for other in self.others().values() if other],
            "waiting": {change.kind: change for change in self.changes()},
        }


class ChangeForm(Form):
    """What is new, and the password."""

    password = OwnPassword(label=_("Your password"))


class TelephoneForm(ChangeForm):
    """Another number."""

    value = Mobile(
        label=_("New mobile phone number"), help_text=_("We send a code to it, now and at sign-in.")
    )
    field_order: ClassVar = ["value", "password"]


class EmailForm(ChangeForm):
    """Another address."""

    value = Email(
        label=_("New email address"),
        help_text=_("We send a link to it. From then on you sign in with it."),
    )
    field_order: ClassVar = ["value", "password"]


class AskForChange(DetailsView, FormPage):
    """Ask for something to be changed."""

    kind: Change.Kind
    success_url = reverse_lazy("profile")

    def send(self, change: Change) -> Any:
        """Send what confirms it; return what is wrong."""
        raise NotImplementedError

    def warn(self) -> None:
        """Tell the old one."""
        raise NotImplementedError

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it until it is confirmed."""
        at_account = f"password:{self.account.pk}"
        if not use_try(at_account, WRONG_PASSWORDS):
            form.add_error("password", gettext("Too many wrong passwords. Wait 24 hours"))
            return self.form_invalid(form)
        if not self.request.user.check_password(form.cleaned_data["password"]):
            form.add_error("password", gettext("This is not your password"))
            return self.form_invalid(form)
        give_back(at_account)
        value = form.cleaned_data["value"]
        if value == self.own()[self.kind] and self.kind not in self.others():
            form.add_error("value", gettext("This is what we have on record already"))
            return self.form_invalid(form)
        change, is_new = self.keep(value)
        problem = self.send(change)
        if problem:
            if is_new:
                change.delete()
            form.add_error("value", str(problem))
            return self.form_invalid(form)
        if is_new:
            self.warn()
        return super().form_valid(form)

    def keep(self, value: str) -> tuple[Change, bool]:
        """Keep it in the place of an earlier one; whether it was not asked for before."""
        with transaction.atomic():
            # One request at a time, so that a second click finds what the first one kept.
            TenantAccount.objects.select_for_update().get(pk=self.account.pk)
            same = self.changes().filter(kind=self.kind, value=value).first()
            if same:
                self.changes().filter(pk=same.pk).update(asked_at=clock.now())
                return same, False
            Change.objects.filter(account=self.account, kind=self.kind).delete()
            made = Change.objects.create(
                account=self.account, kind=self.kind, value=value, asked_at=clock.now()
            )
            return made, True


class ChangeTelephone(AskForChange):
    """Ask for another number."""

    kind = TELEPHONE
    form_class = TelephoneForm
    heading = _("Change your mobile phone number")
    success_url = reverse_lazy("confirm_telephone")

    def get_back(self) -> str:
        """Return to what is on record."""
        return reverse("profile")

    def send(self, change: Change) -> Any:
        """Send the code."""
        return confirming.send_code(change, change.value)

    def warn(self) -> None:
        """Tell the old number."""
        tell_by_sms(
            self.telephone,
            lambda: (
                gettext(
                    "Somebody, we hope you, asked to change your mobile number for tenant "
                    "services. If it was not you, call us at once on %(number)s."
                )
                % {"number": HELPLINE}
            ),
        )


class ChangeEmail(AskForChange):
    """Ask for another address."""

    kind = EMAIL
    form_class = EmailForm
    heading = _("Change your email address")
    success = _("We have sent a link to the new address. Open it within 24 hours")

    def send(self, change: Change) -> Any:
        """Send the link; or, to an address that somebody else signs in with, that it is in use."""

        def sent(token: str) -> None:
            others = User.objects.exclude(pk=self.request.user.pk)
            if others.filter(username=change.value).exists():
                send_email(
                    change.value,
                    gettext("You have an account already"),
                    gettext(
                        "Somebody tried to use your email address for their account of tenant "
                        "services. There is an account with it already. Nothing was changed, and "
                        "you need not do anything."
                    ),
                )
                return
            send_email(
                change.value,
                gettext("Confirm your email address"),
                gettext(
                    "Somebody, we hope you, would like to use this email address for their "
                    "account of tenant services. To confirm it, open this link within 24 hours "
                    "and sign in:"
                ),
                self.request.build_absolute_uri(reverse("confirm_email", kwargs={"token": token})),
                gettext("If it was not you, do nothing. Nobody can use your address without you."),
            )

        return confirming.send_link(change, change.value, sent)

    def warn(self) -> None:
        """Tell the old address."""
        tell(
            self.request.user.email,
            lambda: (
                gettext("Your email address is about to change"),
                gettext(
                    "Somebody, we hope you, asked to change your email address for tenant services."
                ),
                if_not_you(),
            ),
        )


class ConfirmTelephone(DetailsView, CodePage):
    """Type in the code that went to the new number."""

    success = _("Your mobile phone number was changed")
    success_url = reverse_lazy("profile")

    def elsewhere(self) -> HttpResponse | None:
        """Lead back who has not asked for a change."""
        self.record = self.changes().filter(kind=TELEPHONE).first()
        return None if self.record else redirect("profile")

    @property
    def number(self) -> str:
        """The new number."""
        return str(self.record.value)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Offer to cancel it."""
        return super().get_context_data(**named) | {"change": self.record}

    def confirm(self, code: str) -> Promise | str | None:
        """Write it to the account and to the directory, or to neither."""
        old = self.telephone
        # The code is not used up when the directory does not take the number.
        with transaction.atomic():
            problem = confirming.try_code(self.record, self.number, code)
            if problem:
                return problem
            Change.objects.filter(pk=self.record.pk).delete()
            Phone.objects.filter(user=self.request.user).update(number=self.number)
            customer_directory().change_telephone(self.account.person, self.number)
        if old != self.number:
            tell_by_sms(
                old,
                lambda: (
                    gettext(
                        "Your mobile number for tenant services was changed to another. If it "
                        "was not you, call us at once on %(number)s."
                    )
                    % {"number": HELPLINE}
                ),
            )
        return None

    def is_confirmed(self) -> bool:
        """Whether another click was first."""
        gone = not Change.objects.filter(pk=self.record.pk).exists()
        return gone and self.telephone == self.number


class ConfirmEmail(DetailsView, FormPage):
    """What the link leads to. It is its user's alone."""

    template_name = "tenant_services/profile/confirm_email.html"
    form_class = Form
    heading = _("Confirm your email address")
    button = _("Confirm")
    success = _("Your email address was changed. Sign in with it from now on")
    success_url = reverse_lazy("profile")
    change: Any
    kwargs: dict[str, Any]

    def elsewhere(self) -> HttpResponse | None:
        """Say when the link does not count any more."""
        hashed = confirming.link_hash(self.kwargs["token"])
        self.change = self.changes().filter(kind=EMAIL, link_hash=hashed).first()
        return None if self.change else link_is_dead(self.request, profile=_("Go to your details"))

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Show which."""
        return super().get_context_data(**named) | {"address": self.change.value}

    def form_valid(self, form: Any) -> HttpResponse:
        """Write it to the account and to the directory, or to neither."""
        change, user = self.change, self.request.user
        old = user.email
        try:
            with transaction.atomic():
                if not Change.objects.filter(pk=change.pk, link_hash=change.link_hash).delete()[0]:
                    return link_is_dead(self.request, profile=_("Go to your details"))
                User.objects.filter(pk=user.pk).update(email=change.value, username=change.value)
                customer_directory().change_email(self.account.person, change.value)
        except IntegrityError:
            # Somebody opened an account with it since the link was sent.
            form.add_error(None, gettext("There is another account with this email address"))
            return self.form_invalid(form)
        if old != change.value:
            tell(
                old,
                lambda: (
                    gettext("Your email address was changed"),
                    gettext(
                        "Your email address for tenant services was changed to another. You sign "
                        "in with the new one."
                    ),
                    if_not_you(),
                ),
            )
        return super().form_valid(form)


class CancelChange(DetailsView, View):
    """Take back what was asked for."""

    def post(self, request: HttpRequest, kind: str) -> HttpResponse:
        """Forget it, and stay with what there is."""
        if kind not in Change.Kind.values:
            raise Http404
        if self.changes().filter(kind=kind).delete()[0]:
            messages.success(request, gettext("The change was cancelled"))
        return redirect("profile")
