"""Signing in: user name and password, then the access code sent by SMS.

django-two-factor-auth keeps the steps, django-axes counts wrong passwords, and the rules' own
`PortalCodes` makes, limits and uses up the codes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from demo_portal.systems import system_at
from design.forms import Form
from django import forms
from django.contrib.auth import logout
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.forms import AuthenticationForm
from django.core.exceptions import ValidationError
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from django.views.generic import TemplateView
from two_factor.plugins.registry import MethodBase
from two_factor.views import LoginView

from automation_rules import Action, Role

from . import automation, codes
from .models import Notice, Phone

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

    from .models import User


class Refused(Exception):  # noqa: N818
    """The terms do not let a bot take the next step of signing in."""

    def __init__(self, response: HttpResponse) -> None:
        """Keep what the bot is told."""
        super().__init__()
        self.response = response


class PasswordForm(Form, AuthenticationForm):
    """User name and password. Which of the two is wrong is not said."""

    error_messages: ClassVar[dict[str, Any]] = {
        "invalid_login": _("The user name or the password is wrong"),
        "inactive": _("The user name or the password is wrong"),
    }
    username = forms.CharField(
        label=_("User name"),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "username", "spellcheck": False}),
        error_messages={"required": _("Enter your user name")},
    )
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
        error_messages={"required": _("Enter your password")},
    )

    def __init__(self, request: HttpRequest | None = None, *args: Any, **named: Any) -> None:
        """Take the request, without which nobody could count the guesses."""
        super().__init__(request, *args, **named)

    def confirm_login_allowed(self, user: User) -> None:
        """Refuse users of another system, and who has no phone: a password alone lets nobody in."""
        super().confirm_login_allowed(user)
        own = system_at(self.request.path).serves(user)
        if not (own and Phone.objects.filter(user=user).exists()):
            raise self.get_invalid_login_error()


class AccessCodeForm(Form):
    """The code from the text message."""

    idempotent = False
    otp_token = forms.CharField(
        label=_("Access code"),
        help_text=_("The 6 digits in the text message that we sent."),
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        error_messages={"required": _("Enter the access code")},
    )
    options: ClassVar = {"otp_token": {"classes": "govuk-input--width-5"}}

    def __init__(self, user: User, initial_device: Phone, **named: Any) -> None:
        """Verify against the user's phone."""
        super().__init__(**named)
        self._user, self._phone = user, initial_device

    def clean_otp_token(self) -> str:
        """Use the code up."""
        code: str = self.cleaned_data["otp_token"].strip()
        problem = codes.try_code(self._phone, code)
        if problem:
            raise ValidationError(str(problem))
        self._user.otp_device = self._phone  # type: ignore[attr-defined]
        return code


class TextMessage(MethodBase):  # type: ignore[misc]
    """How django-two-factor-auth finds a user's phone and asks for the code."""

    code = "sms"
    verbose_name = _("Text message")

    def get_devices(self, user: User) -> Any:
        """Return the user's phones."""
        return Phone.objects.filter(user=user)

    def recognize_device(self, device: object) -> bool:
        """Whether the device is one of ours."""
        return isinstance(device, Phone)

    def get_token_form_class(self) -> type[Form]:
        """Return the form for the code."""
        return AccessCodeForm


class SignIn(LoginView):  # type: ignore[misc]
    """Both steps at one address."""

    template_name = "landlord_portal/sign_in.html"
    form_list = ((LoginView.AUTH_STEP, PasswordForm), (LoginView.TOKEN_STEP, AccessCodeForm))
    redirect_authenticated_user = True
    landing = "landing"
    welcome_back = "welcome_back"

    def get(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        """Begin; or, as when the language was changed, show the code's page again as it was."""
        waiting = self.storage.current_step == self.TOKEN_STEP and not self.expired
        if waiting and self.get_user():
            return super(LoginView, self).render(self.get_form())
        return super().get(request, *args, **named)

    def post(self, *args: Any, **named: Any) -> HttpResponse:
        """Take a step, unless the terms say no."""
        try:
            response: HttpResponse = super().post(*args, **named)
        except Refused as refused:
            self.storage.reset()
            return refused.response
        return response

    def process_step(self, form: Any) -> Any:
        """Before a right password or code is of use to a bot, ask whether the terms let it in."""
        if self.steps.current == self.AUTH_STEP:
            refusal = automation.refusal(self.request, form.get_user(), Action.SIGN_IN)
        else:
            refusal = automation.refusal(self.request, self.get_user(), Action.ENTER_ACCESS_CODE)
        if refusal is not None:
            raise Refused(refusal)
        return super().process_step(form)

    def get_context_data(self, form: Any, **named: Any) -> dict[str, Any]:
        """Say which step it is."""
        at_code = self.steps.current == self.TOKEN_STEP
        heading = gettext("Enter your access code") if at_code else gettext("Sign in")
        idle = "idle" in self.request.GET
        return super().get_context_data(form, **named) | {"heading": heading, "idle": idle}

    def get_success_url(self) -> str:
        """Welcome back whoever was elsewhere; others land."""
        url = self.get_redirect_url()
        if not url or url == reverse(self.landing):
            return reverse(self.landing)
        return f"{reverse(self.welcome_back)}?{urlencode({'next': url})}"


class WelcomeBack(TemplateView):
    """On the way back to where the user was before the time-out."""

    template_name = "landlord_portal/welcome_back.html"
    landing = "landing"

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Lead back, never to another site."""
        target = self.request.GET.get("next", "")
        safe = url_has_allowed_host_and_scheme(
            target, {self.request.get_host()}, self.request.is_secure()
        )
        return super().get_context_data(**named) | {
            "target": target if safe else reverse(self.landing)
        }


@method_decorator(login_not_required, name="dispatch")
class SignOut(View):
    """Asks, then ends the session."""

    sign_in = "sign_in"

    def get(self, request: HttpRequest) -> HttpResponse:
        """Ask."""
        return render(request, "landlord_portal/sign_out.html")

    def post(self, request: HttpRequest) -> HttpResponse:
        """End the session."""
        logout(request)
        return redirect(self.sign_in)


class Landing(View):
    """Where everybody begins: at Updates when a notice is unread, else at the to-dos."""

    def get(self, request: HttpRequest) -> HttpResponse:
        """Lead on."""
        user: User = request.user  # type: ignore[assignment]
        if user.is_administrator:
            return redirect("notices")
        unread = Notice.objects.exclude(read_by=user).exists()
        return redirect("todos" if user.has_role(Role.COMPLETE_TODOS) and not unread else "updates")


def locked_out(request: HttpRequest, *_args: Any, **_named: Any) -> HttpResponse:
    """Say that there were too many wrong passwords."""
    context = {
        "heading": gettext("Too many wrong passwords"),
        "text": gettext("Wait 15 minutes before you try again."),
    }
    return render(request, "design/problem.html", context, status=429)
