"""A portal on Django behind the gateway; what a bot may do is in ``../routes.toml``.

AUTOMATION_RULES_STATE=sqlite:///state.sqlite3 PORTAL_SECRET=... \
    gunicorn --chdir examples/frameworks --threads 8 django_app:application

A whole portal on Django, with its settings where Django has them, is in ``../portal``.
"""

from __future__ import annotations

import atexit
import json
import os
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.http import require_http_methods

from automation_rules import Action
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Person, Visitor, open_gateway
from automation_rules.gateway.problems import denial
from automation_rules.gateway.wsgi import AutomationRulesMiddleware

if TYPE_CHECKING:
    from automation_rules.gateway import Caller

settings.configure(
    SECRET_KEY=os.environ["PORTAL_SECRET"],
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    # A real portal has its protection against forged requests here as well.
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
)

USERS = {"officer": None, "bot-1": "acme-1", "bot-2": "acme-2", "stranger": "acme-9"}
"""Who can sign in, with the automation account of those that are no people."""

# One gateway for the process, from its first request to its end.
_open = ExitStack()
gateway = _open.enter_context(open_gateway(routes=Path(__file__).parents[1] / "routes.toml"))
atexit.register(_open.close)


def caller_of(user: str | None) -> Caller | None:
    """Say who a signed-in user is."""
    if user is None:
        return Visitor()
    account = USERS[user]
    return Person() if account is None else Automation(account)


def identify(environ: Any) -> Caller | None:
    """Say who asks, as the portal's own session has it."""
    sessions = import_module(settings.SESSION_ENGINE)
    key = WSGIRequest(environ).COOKIES.get(settings.SESSION_COOKIE_NAME)
    return caller_of(sessions.SessionStore(key).get("user"))


@require_http_methods(["POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Sign somebody in, and a bot only if the terms allow it to begin."""
    user = json.loads(request.body)["user"]  # A real portal asks for more than a name.
    if user not in USERS:
        return HttpResponse(status=401)
    passage = gateway.ask(caller_of(user), Step(Action.SIGN_IN))
    if not passage.allowed:
        asked = request.headers
        told = denial(
            passage,
            accept=asked.get("Accept", ""),
            accept_language=asked.get("Accept-Language", ""),
        )
        return HttpResponse(told.body, status=told.status, headers=dict(told.headers))
    request.session["user"] = user
    return JsonResponse({"signed_in": user})


@require_http_methods(["POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """Sign the user out."""
    request.session.flush()
    return JsonResponse({"signed_in": None})


def show(request: HttpRequest, todo: str = "") -> HttpResponse:
    """Show a page of the portal to whoever is signed in."""
    if "user" not in request.session:
        return HttpResponse(status=401)
    return JsonResponse({"page": request.path, "method": request.method, "todo": todo})


def health(_request: HttpRequest) -> HttpResponse:
    """Say that the portal is there, to anybody."""
    return HttpResponse("ok", content_type="text/plain")


urlpatterns = [
    path("health", health),
    path("sign-in", sign_in),
    path("sign-out", sign_out),
    path("todos", show),
    path("todos/<str:todo>/rent", show),
    path("payments", show),
]

application = AutomationRulesMiddleware(get_wsgi_application(), gateway, identify)
