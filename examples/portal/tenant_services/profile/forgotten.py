"""A forgotten password: a link by e-mail to choose another.

A password by itself lets nobody in, so the link is no way round the code to the telephone.
Whoever asks sees the same page, and an e-mail goes out, whether there is an account or not: the
page and its time tell nobody who is a tenant, and who has forgotten their address learns it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from axes.utils import reset as forget_guesses
from demo_portal import clock
from demo_portal.tries import digest, give_back, use_try
from design.forms import Form
from design.views import FormPage
from django.contrib import messages
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.contrib.auth.views import PasswordResetConfirmView
from django.db import transaction
from django.urls import reverse, reverse_lazy
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.generic import TemplateView
from landlord_portal.models import User

from ..access import OpenView, is_staff, is_tenant
from .fields import Email, NewPassword
from .messages import NotSentError, if_not_you, send_email, tell
from .models import Change
from .pages import USED, link_is_dead

if TYPE_CHECKING:
    from datetime import datetime

    from django.http import HttpRequest, HttpResponse, HttpResponseBase

SENT_A_DAY: Final = 5
"""How many of these e-mails go to an address. That there were more is not said."""


class Tokens(PasswordResetTokenGenerator):
    """Makes the links' tokens, by the portal's clock."""

    key_salt = "tenant_services.profile.forgotten"

    def _now(self) -> datetime:
        return clock.now().replace(tzinfo=None)


tokens = Tokens()


def user_at(address: str) -> User | None:
    """Return the person of tenant services' who signs in with ``address``."""
    user: User | None = User.objects.filter(username=address, is_active=True).first()
    return user if user and (is_tenant(user) or is_staff(user)) else None


class ForgottenForm(Form):
    """Whose password."""

    email = Email(label=_("Email address"), help_text=_("The one that you sign in with."))


class Forgotten(OpenView, FormPage):
    """Ask for the link."""

    template_name = "tenant_services/profile/forgotten.html"
    form_class = ForgottenForm
    heading = _("I have forgotten my password")
    button = _("Send the link")
    success_url = reverse_lazy("forgotten_password_sent")

    def get_back(self) -> str:
        """Return to where one signs in."""
        return reverse("my_home_sign_in")

    def form_valid(self, form: Any) -> HttpResponse:
        """Send it, or say to the address alone that there is no account."""
        address = form.cleaned_data["email"]
        at_address = f"forgotten:{digest(address)}"
        if use_try(at_address, SENT_A_DAY):
            try:
                self.send(address)
            except NotSentError:
                give_back(at_address)
                form.add_error(
                    None, gettext("We could not send it. Wait a few minutes, then try again")
                )
                return self.form_invalid(form)
        return super().form_valid(form)

    def send(self, address: str) -> None:
        """Send one e-mail or the other."""
        user = user_at(address)
        if user is None:
            send_email(
                address,
                gettext("There is no account with this email address"),
                gettext(
                    "Somebody, perhaps you, asked for a new password for tenant services with "
                    "this email address. There is no account with it. Perhaps you have one with "
                    "another address."
                ),
                gettext("If it was not you, do nothing."),
            )
            return
        parts = {
            "uidb64": urlsafe_base64_encode(force_bytes(user.pk)),
            "token": tokens.make_token(user),
        }
        send_email(
            address,
            gettext("Choose a new password"),
            gettext(
                "Somebody, we hope you, asked for a new password for tenant services. To choose "
                "one, open this link within an hour:"
            ),
            self.request.build_absolute_uri(reverse("new_password", kwargs=parts)),
            gettext("If it was not you, do nothing. Your password has not changed."),
        )


class ForgottenSent(OpenView, TemplateView):
    """What to do next."""

    template_name = "tenant_services/profile/forgotten_sent.html"


class NewPasswordForm(Form):
    """Another password."""

    new_password = NewPassword(label=_("New password"))

    def __init__(self, user: User, *args: Any, **named: Any) -> None:
        """Keep whose it is."""
        super().__init__(*args, **named)
        self.user = user

    def save(self) -> User:
        """Change it, which ends every session that is signed in."""
        self.user.set_password(self.cleaned_data["new_password"])
        self.user.save(update_fields=["password"])
        return self.user


class ChooseNewPassword(OpenView, PasswordResetConfirmView):
    """Where the link leads. The token waits in the session, so that no address shows it."""

    template_name = "design/form_page.html"
    form_class = NewPasswordForm  # type: ignore[assignment]
    success_url = reverse_lazy("my_home_sign_in")
    token_generator = tokens
    extra_context = {"heading": _("Choose a new password"), "button": _("Save")}  # noqa: RUF012

    def get_user(self, uidb64: str) -> User | None:
        """Return whose the link is, if it is somebody of tenant services'."""
        user = super().get_user(uidb64)
        return user_at(user.get_username()) if user else None

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer while the link counts."""
        answer = super().dispatch(request, *args, **named)
        if answer.status_code == 200 and not self.validlink:
            return self.dead()
        return answer

    def dead(self) -> HttpResponse:
        """Say that the link counts no more, and where to get another."""
        again = _("If it has expired, ask for a new link")
        return link_is_dead(self.request, my_home_sign_in=USED, forgotten_password=again)

    def form_valid(self, form: Any) -> HttpResponse:
        """Change the password once, whoever else has the same link open."""
        with transaction.atomic():
            user = User.objects.select_for_update().get(pk=self.user.pk)
            token = self.request.session.get("_password_reset_token")
            if not tokens.check_token(user, token):
                return self.dead()
            form.user = user
            answer = super().form_valid(form)
            # Whoever had the old password may have begun to change what is left to them.
            Change.objects.filter(account__user=user).delete()
        forget_guesses(username=user.username)
        tell(
            user.email,
            lambda: (
                gettext("Your password was changed"),
                gettext("You have a new password for tenant services."),
                if_not_you(),
            ),
        )
        messages.success(
            self.request, gettext("Your password was changed. Sign in with the new one")
        )
        return answer
