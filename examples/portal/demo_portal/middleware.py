"""Who may see a page, for how long, and what may be kept of it."""

from __future__ import annotations

import time
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from django.conf import settings
from django.contrib.auth import logout
from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.cache import add_never_cache_headers

from .errors import not_allowed
from .systems import system_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from django.http import HttpRequest, HttpResponse

    Respond = Callable[[HttpRequest], HttpResponse]

LAST_SEEN = "last_seen"


class NotAllowedMiddleware:
    """Gives an answer 405, which Django leaves empty, the portal's page."""

    def __init__(self, get_response: Respond) -> None:
        """Work in front of ``get_response``."""
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, with words."""
        response = self._respond(request)
        if response.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            return not_allowed(request, response.headers["Allow"])
        return response


class PrivatePagesMiddleware:
    """Nothing is kept in caches, for every page may show personal data."""

    def __init__(self, get_response: Respond) -> None:
        """Work in front of ``get_response``."""
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, to this browser alone."""
        response = self._respond(request)
        add_never_cache_headers(response)
        return response


class IdleMiddleware:
    """Signs out whoever did nothing for too long, and remembers where they were."""

    def __init__(self, get_response: Respond) -> None:
        """Work in front of ``get_response``."""
        self._respond = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer, or ask to sign in again."""
        if request.user.is_authenticated:
            seen = request.session.get(LAST_SEEN)
            now = time.time()
            if seen is not None and now - seen > settings.PORTAL_IDLE_SECONDS:
                logout(request)
                query = urlencode({"next": request.path, "idle": "1"})
                return redirect(f"{reverse(system_at(request.path).SIGN_IN)}?{query}")
            request.session[LAST_SEEN] = now
        return self._respond(request)


class SignedInMiddleware(LoginRequiredMiddleware):
    """Every page is for users who gave both their password and an access code, unless it says so.

    One that only gave the password is nobody yet.
    """

    def process_view(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponse],
        view_args: tuple[Any, ...],
        view_kwargs: dict[str, Any],
    ) -> HttpResponse | None:
        """Send others to sign in."""
        if request.user.is_authenticated and not request.user.is_verified():
            logout(request)
        return super().process_view(request, view_func, view_args, view_kwargs)

    def handle_no_permission(
        self,
        request: HttpRequest,
        view_func: Callable[..., HttpResponse],  # noqa: ARG002
    ) -> HttpResponse:
        """Lead to where the page's own system signs its users in."""
        return redirect_to_login(request.get_full_path(), reverse(system_at(request.path).SIGN_IN))
