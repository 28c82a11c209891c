"""Pages for what went wrong, in the portal's layout and the user's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.models import AnonymousUser
from django.shortcuts import render
from django.utils.translation import gettext as _

from .systems import system_at

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse


def _page(request: HttpRequest, status: int, heading: str, text: str) -> HttpResponse:
    said = {"heading": heading, "text": text, "status": status}
    return render(request, "design/problem.html", said, status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Say that the request could not be read."""
    return _page(
        request,
        400,
        _("There is a problem with what was sent"),
        _("Go back and try again."),
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Say that the page is not for the user."""
    return _page(
        request,
        403,
        _("You cannot use this page"),
        str(system_at(request.path).FORBIDDEN),
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:  # noqa: ARG001
    """Say that there is no such page; another landlord's pages are no pages either."""
    return _page(
        request,
        404,
        _("Page not found"),
        _("Check the web address. If you followed a link, the page may have gone."),
    )


def not_allowed(request: HttpRequest, allowed: str) -> HttpResponse:
    """Say that an address is there, but not for what was asked of it."""
    page = _page(
        request,
        405,
        _("This page cannot be opened like this"),
        _("Go back and use the buttons and links of the page that you came from."),
    )
    page.headers["Allow"] = allowed
    return page


def failed(request: HttpRequest) -> HttpResponse:
    """Say that the portal failed; nothing is asked of the session, which may be what failed."""
    request.user = AnonymousUser()
    # Neither shown here nor put away on the way out: the next page shows what waits.
    vars(request).pop("_messages", None)
    return _page(
        request,
        500,
        _("Sorry, there is a problem with the service"),
        _(
            "Try again later. If you sent or paid something, check whether it went through before "
            "you do it again."
        ),
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:  # noqa: ARG001
    """Say that a form did not come from this portal, or is too old."""
    return _page(
        request,
        403,
        _("Your page is out of date"),
        _("Go back, load the page again and send your answers once more."),
    )
