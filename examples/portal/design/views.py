"""Views that more than one page is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo_portal.records import RecordsUnavailableError
from django.contrib import messages
from django.shortcuts import render
from django.views.generic import FormView, ListView

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, HttpResponseBase

PAGE = 20
"""How many entries a list shows at first, and how many more at a time."""

WARNING = "govuk-button--warning"
"""The classes of a button that does what is not easily undone."""


class ShowMoreView(ListView):  # type: ignore[type-arg]
    """A list that begins short and shows more on a link, with script or without."""

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add the entries shown, how many there are, and how many the link would show."""
        wanted = self.request.GET.get("shown", "")
        shown = int(wanted) if wanted.isdecimal() and len(wanted) < 7 else PAGE
        total = self.object_list.count()  # type: ignore[call-arg]
        return super().get_context_data(**named) | {
            "entries": self.object_list[:shown],
            "total": total,
            "more": shown + PAGE if total > shown else None,
        }


class FormPage(FormView):  # type: ignore[type-arg]
    """A page that is one form. ``back`` and ``success_url`` may be worked out by methods."""

    template_name = "design/form_page.html"
    heading: Any = ""
    button: Any = None
    button_classes = ""
    success: Any = ""

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Show the form or take it, unless there is another answer."""
        return self.elsewhere() or super().dispatch(request, *args, **named)

    def elsewhere(self) -> HttpResponse | None:
        """Return what is answered instead, if the form is not for the user now."""
        return None

    def get_back(self) -> str:
        """Return the address that the back link leads to."""
        return self.get_success_url()

    def get_context_data(self, **named: Any) -> dict[str, Any]:
        """Add what the page says."""
        said = {
            "heading": self.heading,
            "back": self.get_back(),
            "button_classes": self.button_classes,
        }
        if self.button:
            said["button"] = self.button
        return super().get_context_data(**said | named)

    def form_valid(self, form: Any) -> HttpResponse:
        """Say that it was done, on the page that comes next."""
        if self.success:
            messages.success(self.request, self.success)
        return super().form_valid(form)


class RecordsView:
    """A view that asks other systems.

    When one of them does not answer, a page says so and offers to send the same again, but for
    passwords, which are in no page. ``request.records_are_down`` tells what is shown around it to
    wait for nothing more.
    """

    def dispatch(self, request: HttpRequest, *args: Any, **named: Any) -> HttpResponseBase:
        """Answer, or say that the records cannot be reached."""
        try:
            return super().dispatch(request, *args, **named)  # type: ignore[misc, no-any-return]
        except RecordsUnavailableError:
            request.records_are_down = True  # type: ignore[attr-defined]
            sent = {
                name: request.POST.getlist(name)
                for name in request.POST
                if name != "csrfmiddlewaretoken" and "password" not in name
            }
            answer = render(request, "design/unavailable.html", {"sent": sent}, status=503)
            answer.headers["Retry-After"] = "60"
            return answer
