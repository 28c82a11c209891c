"""Pages that opening an account, changing one's details and a forgotten password share."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from design.forms import Form
from design.views import FormPage
from django import forms
from django.contrib import messages
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from . import confirming

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse
    from django.utils.functional import Promise


class CodeForm(Form):
    """The code from the text message."""

    code = forms.CharField(
        label=_("Code"),
        help_text=_("The 6 digits in the text message that we sent."),
        max_length=30,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
        error_messages={"required": _("Enter the code")},
    )
    options: ClassVar = {"code": {"classes": "govuk-input--width-5"}}

    def clean_code(self) -> str:
        """Return it without the spaces that people put in."""
        return "".join(self.cleaned_data["code"].split())


class CodePage(FormPage):
    """Type in the code that was sent to the number of ``record``, or have another sent."""

    template_name = "tenant_services/profile/code.html"
    form_class = CodeForm
    heading = _("Enter the code that we sent you")
    record: Any

    @property
    def number(self) -> str:
        """The number that it went to."""
        raise NotImplementedError

    def confirm(self, code: str) -> Promise | str | None:
        """Use the code up, and keep what it confirms; return what is wrong with it."""
        raise NotImplementedError

    def is_confirmed(self) -> bool:
        """Whether the number is confirmed by now."""
        raise NotImplementedError

    def post(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponse:
        """Take the code, or send another."""
        if "again" not in request.POST:
            return super().post(request, *args, **named)
        problem = confirming.send_code(self.record, self.number)
        if problem:
            context = self.get_context_data(form=CodeForm(), problem=problem)
            return self.render_to_response(context)
        messages.success(request, gettext("We have sent a new code"))
        return redirect(request.path)

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Say where it went."""
        return super().get_context_data(**named) | {"number": self.number}

    def form_valid(self, form: Any) -> HttpResponse:
        """Go on when it is right, and after a second click on a right one."""
        problem = self.confirm(form.cleaned_data["code"])
        if problem and not self.is_confirmed():
            form.add_error("code", str(problem))
            return self.form_invalid(form)
        return super().form_valid(form)


USED = _("If you used it, sign in")


def link_is_dead(request: HttpRequest, **onward: Any) -> HttpResponse:
    """Say that a link confirms nothing; ``onward`` has a name of an address, and what it is for."""
    said = {
        "heading": gettext("This link does not work any more"),
        "text": gettext("It was used, it has expired, or there is a newer one."),
        "links": [(words, reverse(name)) for name, words in onward.items()],
    }
    return render(request, "design/problem.html", said, status=404)
