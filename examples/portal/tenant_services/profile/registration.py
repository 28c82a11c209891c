"""Opening an account: who somebody is, how they are reached, and that they are reached there.

Who could take over whom, and what is done about it:

- Tenancy reference, name and date of birth are known to more people than the tenant: to whoever
  opens their letters, and to whoever they lived with. So the three open no account by themselves.
  One of the two contacts that are confirmed, the telephone or the e-mail address, must be one that
  the customer directory held already; only then may the other be new. Where it holds neither, or
  both are new, staff must look at the person first. This is only said at the very end, to someone
  who confirmed both, so that nobody learns what is on record of a contact that is not theirs.
- An address is no password: a link that the tenant is talked into opening confirms nothing without
  the password that was chosen when the registration began. It may be opened on another device.
- Who has an account already is told by e-mail, at the address on record and not on the page: up to
  the last page, everything is as it is for someone who has none. So it is with an e-mail address
  that is somebody's user name: its owner reads of it, the one who typed it does not.
- Whatever comes of it, the contacts on record are told.
- Guesses are counted at the tenancy that was claimed and at the person who was claimed, because a
  guesser varies one of the two; and, as with passwords, not by where they come from: that would
  stop a whole library, or everybody behind one proxy, and no guesser with many addresses.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Final

from demo_portal import clock
from demo_portal.records import RecordsUnavailableError
from demo_portal.tries import digest, give_back, use_try
from design.forms import DateField, Form
from design.views import FormPage, RecordsView
from django import forms
from django.contrib import messages
from django.contrib.auth.hashers import check_password, make_password
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import IntegrityError, transaction
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse, reverse_lazy
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from landlord_portal.models import Phone, User

from ..access import OpenView
from ..models import TenantAccount
from . import confirming
from .confirming import mobile, plain_email
from .customers import customer_directory, plain_name
from .fields import Email, Mobile, NewPassword, OwnPassword
from .messages import HELPLINE, if_not_you, send_email, tell, tell_by_sms
from .models import Registration
from .pages import USED, CodePage, link_is_dead

if TYPE_CHECKING:
    from datetime import date

    from django.http import HttpRequest, HttpResponse, HttpResponseBase
    from django.utils.functional import Promise

    from .customers import Customer

WRONG_ANSWERS: Final = 10
"""How many wrong answers there may be in a day about a tenancy, and about a person."""
WRONG_PASSWORDS: Final = 5
TIME: Final = timedelta(hours=24)
"""How long a registration may take."""

_BEGUN = "tenant_registration"
_DASHES = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212"), "-")


class WhoForm(Form):
    """What somebody knows who is a tenant."""

    reference = forms.CharField(
        label=_("Tenancy reference"),
        help_text=_("It is on your tenancy agreement and on our letters, for example T-123456."),
        max_length=50,
        widget=forms.TextInput(attrs={"autocomplete": "off", "spellcheck": False}),
        error_messages={"required": _("Enter your tenancy reference")},
        validators=[
            RegexValidator(
                r"^[A-Za-z0-9 \u2010-\u2014\u2212-]+$",
                _("The tenancy reference must be letters, numbers and hyphens"),
            )
        ],
    )
    name = forms.CharField(
        label=_("Full name"),
        help_text=_("As it is on your tenancy agreement."),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name", "spellcheck": False}),
        error_messages={"required": _("Enter your full name")},
    )
    born_on = DateField(
        label=_("Date of birth"),
        help_text=_("For example, 31 3 1980."),
        autocomplete="bday",
        required_message=_("Enter your date of birth"),
        invalid_message=_("The date of birth must be a real date, like 31 3 1980"),
    )
    options: ClassVar = {"reference": {"classes": "govuk-input--width-10"}}

    def clean_reference(self) -> str:
        """Return it as it is kept."""
        typed: str = self.cleaned_data["reference"]
        return re.sub(r"\s", "", typed.translate(_DASHES)).upper()

    def clean_born_on(self) -> date:
        """Refuse a day that has yet to come."""
        born_on: date = self.cleaned_data["born_on"]
        if born_on > clock.today():
            raise ValidationError(_("The date of birth must be in the past"))
        return born_on


class ContactForm(Form):
    """How somebody is reached, and a password."""

    email = Email(
        label=_("Email address"),
        help_text=_("You sign in with it. We send you a link to confirm it."),
    )
    telephone = Mobile(
        label=_("Mobile phone number"),
        help_text=_("We send a code to it now, and whenever you sign in."),
    )
    password = NewPassword(label=_("Password"))


class ChosenPasswordForm(Form):
    """The password that was chosen before."""

    password = OwnPassword(label=_("The password that you chose"))


class RegistrationView(OpenView, RecordsView):
    """A page of the registration."""

    request: Any

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Lead whoever has an account to it."""
        if request.user.is_authenticated:
            return redirect("my_home")
        return super().dispatch(request, *args, **named)


class Who(RegistrationView, FormPage):
    """The three questions."""

    template_name = "tenant_services/profile/who.html"
    form_class = WhoForm
    heading = _("Open an account")
    success_url = reverse_lazy("register_contact")

    def get_back(self) -> str:
        """Return to where one signs in."""
        return reverse("my_home_sign_in")

    def form_valid(self, form: Any) -> HttpResponse:
        """Ask the customer directory, if there are tries left."""
        told = form.cleaned_data
        person = f"{plain_name(told['name'])}|{told['born_on']}"
        keys = [f"tenancy:{digest(told['reference'])}", f"person:{digest(person)}"]
        left = [use_try(key, WRONG_ANSWERS) for key in keys]
        if not all(left):
            said = {
                "heading": gettext("Too many wrong answers"),
                "text": gettext("Wait 24 hours before you try again."),
            }
            return render(self.request, "design/problem.html", said, status=429)
        try:
            found = customer_directory().find(told["reference"], told["name"], told["born_on"])
        except RecordsUnavailableError:
            give_back(*keys)
            raise
        if found is None:
            form.add_error(None, gettext("What you entered does not match our records"))
            return self.form_invalid(form)
        give_back(*keys)
        now = clock.now()
        Registration.objects.filter(begun_at__lte=now - TIME).exclude(
            link_sent_at__gt=now - confirming.LINK_LASTS
        ).delete()
        registration = Registration.objects.create(person=found.reference, begun_at=now)
        # A session that somebody else may know stops here.
        self.request.session.cycle_key()
        self.request.session[_BEGUN] = registration.pk
        return super().form_valid(form)


def next_page(registration: Registration | None) -> str:
    """Return the name of the page whose turn it is."""
    if registration is None:
        return "register"
    if not registration.telephone:
        return "register_contact"
    return "register_email" if registration.telephone_confirmed_at else "register_code"


class LaterPage(RegistrationView):
    """A page about the registration that the browser has begun, when it is one of ``turns``."""

    turns: tuple[str, ...]

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer, or lead to the page whose turn it is."""
        self.record: Any = Registration.objects.filter(
            pk=request.session.get(_BEGUN), begun_at__gt=clock.now() - TIME
        ).first()
        turn = next_page(self.record)
        if turn not in self.turns:
            return redirect(turn)
        return super().dispatch(request, *args, **named)


class Contact(LaterPage, FormPage):
    """How they are reached, and a password."""

    template_name = "tenant_services/profile/contact_details.html"
    form_class = ContactForm
    heading = _("How we reach you")
    success_url = reverse_lazy("register_code")
    turns = ("register_contact", "register_code", "register_email")

    def get_back(self) -> str:
        """Return to the questions."""
        return reverse("register")

    def get_initial(self) -> dict[str, str]:
        """Begin with what was entered before, but for the password."""
        return {"email": self.record.email, "telephone": self.record.telephone}

    def form_valid(self, form: Any) -> HttpResponse:
        """Keep it, and send a code to the telephone."""
        registration = self.keep(**form.cleaned_data)
        if registration.telephone_confirmed_at:
            send_link(self.request, registration)
            return redirect("register_email")
        problem = confirming.send_code(registration, registration.telephone)
        if problem:
            form.add_error("telephone", str(problem))
            return self.form_invalid(form)
        return super().form_valid(form)

    def keep(self, email: str, telephone: str, password: str) -> Registration:
        """Keep what was entered; what another number or address confirmed counts no more."""
        kept = Registration.objects.filter(pk=self.record.pk)
        with transaction.atomic():
            kept.exclude(telephone=telephone).update(
                telephone=telephone, telephone_confirmed_at=None, code_hash="", code_sent_at=None
            )
            kept.exclude(email=email).update(email=email, link_hash="", link_sent_at=None)
            kept.update(password=make_password(password))
            return get_object_or_404(kept)


class TelephoneCode(LaterPage, CodePage):
    """The code that was sent to the telephone."""

    success_url = reverse_lazy("register_email")
    turns = ("register_code",)

    @property
    def number(self) -> str:
        """The number that was entered."""
        return str(self.record.telephone)

    def get_back(self) -> str:
        """Return to what was entered."""
        return reverse("register_contact")

    def confirm(self, code: str) -> Promise | str | None:
        """Use it up, and send the link."""
        with transaction.atomic():
            problem = confirming.try_code(self.record, self.number, code)
            if not problem:
                Registration.objects.filter(pk=self.record.pk).update(
                    telephone_confirmed_at=clock.now()
                )
        if not problem:
            send_link(self.request, self.record)
        return problem

    def is_confirmed(self) -> bool:
        """Whether another click was first."""
        found = Registration.objects.filter(pk=self.record.pk).first()
        return next_page(found) not in self.turns


class EmailSent(LaterPage, TemplateView):
    """Where the link went, and a way to have it sent again."""

    template_name = "tenant_services/profile/email_sent.html"
    turns = ("register_email",)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say where it went."""
        return super().get_context_data(**named) | {"registration": self.record}

    def post(self, request: HttpRequest) -> HttpResponse:
        """Send it again."""
        problem = send_link(request, self.record)
        if problem:
            return self.render_to_response(self.get_context_data(problem=problem))
        messages.success(request, gettext("We have sent the email again"))
        return redirect("register_email")


def send_link(request: HttpRequest, registration: Registration) -> Any:
    """Send the link; or, to an address that somebody signs in with, that it is in use."""
    address = registration.email

    def send(token: str) -> None:
        if User.objects.filter(username=address).exists():
            send_email(
                address,
                gettext("You have an account already"),
                gettext(
                    "Somebody, perhaps you, tried to open an account for tenant services with "
                    "this email address. There is an account with it already."
                ),
                gettext("You can sign in here:"),
                request.build_absolute_uri(reverse("my_home_sign_in")),
                gettext("If you do not know your password any more, choose a new one here:"),
                request.build_absolute_uri(reverse("forgotten_password")),
            )
            return
        send_email(
            address,
            gettext("Confirm your email address"),
            gettext(
                "Somebody, we hope you, is opening an account for tenant services with this email "
                "address. To confirm it, open this link within 24 hours and enter the password "
                "that you chose:"
            ),
            request.build_absolute_uri(reverse("register_confirm", kwargs={"token": token})),
            gettext("If it was not you, do nothing. Nobody can use your address without you."),
        )

    return confirming.send_link(registration, address, send)


class Confirm(RegistrationView, FormPage):
    """What the link leads to: the account is opened, or it is said who can do it."""

    form_class = ChosenPasswordForm
    heading = _("Confirm your email address")
    success_url = reverse_lazy("my_home_sign_in")
    kwargs: dict[str, Any]

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer while the link counts."""
        self.registration: Any = Registration.objects.filter(
            link_hash=confirming.link_hash(named["token"]),
            link_sent_at__gt=clock.now() - confirming.LINK_LASTS,
            telephone_confirmed_at__isnull=False,
        ).first()
        if self.registration is None:
            return self.dead()
        return super().dispatch(request, *args, **named)

    def dead(self) -> HttpResponse:
        """Say that the link counts no more, and where to begin again."""
        again = _("If it has expired, open an account from the start")
        return link_is_dead(self.request, my_home_sign_in=USED, register=again)

    def get_back(self) -> str:
        """Lead nowhere: they come from an e-mail."""
        return ""

    def form_valid(self, form: Any) -> HttpResponse:
        """Open the account, if the password is the one that was chosen."""
        registration = self.registration
        at_link = f"registration:{registration.pk}"
        if not use_try(at_link, WRONG_PASSWORDS):
            form.add_error(
                "password", gettext("Too many wrong passwords. Open an account from the start")
            )
            return self.form_invalid(form)
        if not check_password(form.cleaned_data["password"], registration.password):
            form.add_error("password", gettext("This is not the password that you chose"))
            return self.form_invalid(form)
        give_back(at_link)
        before = customer_directory().customer(registration.person)
        with transaction.atomic():
            if not Registration.objects.filter(
                pk=registration.pk, link_hash=registration.link_hash
            ).delete()[0]:
                return self.dead()
            opened = before is not None and open_account(registration, before)
        if before is not None:
            tell_on_record(self.request, registration, before, opened=opened)
        if not opened:
            return redirect("register_not_opened")
        messages.success(self.request, gettext("Your account is open. Sign in to see your home"))
        return super().form_valid(form)


class NotOpened(RegistrationView, TemplateView):
    """What to do when no account was opened, whatever the reason."""

    template_name = "tenant_services/profile/not_opened.html"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say whom to call."""
        return super().get_context_data(**named) | {"telephone": HELPLINE}


def open_account(registration: Registration, customer: Customer) -> bool:
    """Open the account and write what was confirmed to the directory; whether it was opened.

    In a transaction: when the directory does not take it, nothing is kept.
    """
    email, telephone = registration.email, registration.telephone
    known = email == plain_email(customer.email), telephone == mobile(customer.telephone)
    if not any(known):
        return False
    try:
        with transaction.atomic():
            user = User.objects.create(
                username=email,
                email=email,
                full_name=customer.name,
                password=registration.password,
            )
            TenantAccount.objects.create(user=user, person=customer.reference)
            Phone.objects.create(user=user, holder=user, name="default", number=telephone)
    except IntegrityError:
        # The person has an account, or the address is a user name.
        return False
    if not known[0]:
        customer_directory().change_email(customer.reference, email)
    if not known[1]:
        customer_directory().change_telephone(customer.reference, telephone)
    return True


def tell_on_record(
    request: HttpRequest, registration: Registration, before: Customer, *, opened: bool
) -> None:
    """Tell the contacts that were on record ``before`` what came of the registration."""
    sign_in = request.build_absolute_uri(reverse("my_home_sign_in"))
    forgotten = request.build_absolute_uri(reverse("forgotten_password"))
    account = TenantAccount.objects.filter(person=before.reference).select_related("user").first()
    addresses = {plain_email(before.email)}
    number = mobile(before.telephone)

    def of_opening() -> tuple[str, ...]:
        return (
            gettext("Your account is open"),
            gettext("An account for tenant services was opened in your name."),
            if_not_you(),
        )

    def of_account() -> tuple[str, ...]:
        return (
            gettext("You have an account already"),
            gettext(
                "Somebody, perhaps you, tried to open an account for tenant services in your "
                "name. You have one already, and nothing was changed."
            ),
            gettext("You can sign in here:"),
            sign_in,
            gettext("If you do not know your password any more, choose a new one here:"),
            forgotten,
            gettext("If it was not you, call us on %(number)s.") % {"number": HELPLINE},
        )

    def of_refusal() -> tuple[str, ...]:
        return (
            gettext("No account was opened"),
            gettext(
                "Somebody, perhaps you, tried to open an account for tenant services in your "
                "name with an email address and a telephone number that we do not know. It was "
                "not opened."
            ),
            gettext("Whether it was you or not, call us on %(number)s.") % {"number": HELPLINE},
        )

    if opened:
        said = of_opening
    elif account:
        said = of_account
        addresses.add(account.user.email)
    else:
        said = of_refusal
    if number and number != registration.telephone and said is not of_account:
        tell_by_sms(number, lambda: " ".join(said()[1:]))
    for address in sorted(addresses - {""}):
        tell(address, said)
