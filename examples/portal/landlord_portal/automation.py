"""The gateway in front of the portal: bots do what the terms allow, people notice nothing.

What a page means to the terms stands in ``routes.toml``. Here is only what the portal alone
knows: who is signed in, which kind a to-do is of, and what its form looks like today.
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from demo_portal.clock import portal_clock
from demo_portal.jinja import language
from demo_portal.systems import system_at
from django.conf import settings
from django.contrib.auth import get_user
from django.core.handlers.wsgi import WSGIRequest, get_path_info
from django.db import close_old_connections
from django.http import HttpResponse
from django.utils.translation import get_language_from_request

from automation_rules import Action, NotRegisteredError, TodoKind
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Person, Visitor, open_gateway
from automation_rules.gateway.problems import denial
from automation_rules.gateway.wsgi import AutomationRulesMiddleware
from automation_rules.remembered_heads import HEADS_VARIABLE

from . import navigation
from .library import policy, registry
from .models import ToDo
from .todos.views import form_fingerprint

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    from django.http import HttpRequest

    from automation_rules.gateway import Caller, Gateway

ROUTES = Path(__file__).with_name("routes.toml")
PEOPLE_ONLY = settings.BASE_DIR / "people_only.toml"
"""The policy of every other system: no bot does anything there, whatever the address."""

USER = "landlord_portal.user"
"""Where in the environment the signed-in user is; no client can set it."""


_opened = ExitStack()
atexit.register(_opened.close)


@cache
def gateway() -> Gateway:
    """Return this process's gateway, opened when it is first asked for."""
    return _open(policy=policy(), routes=ROUTES)


@cache
def people_only() -> Gateway:
    """Return this process's gateway in front of the other systems, for which there is no route."""
    return _open(policy=PEOPLE_ONLY)


def _open(**options: Any) -> Gateway:
    # The log's heads are remembered with what else the portal keeps, unless told otherwise.
    os.environ.setdefault(HEADS_VARIABLE, str(settings.HOME / "heads.sqlite3"))
    return _opened.enter_context(
        open_gateway(settings.PORTAL_STATE, clock=portal_clock(), **options)
    )


def gateway_at(path: str) -> Gateway:
    """Return the gateway of the system that a page belongs to."""
    return gateway() if system_at(path) is navigation else people_only()


def close() -> None:
    """Close the gateways; the next one that asks opens another."""
    _opened.close()
    gateway.cache_clear()
    people_only.cache_clear()


def caller_of(user: Any) -> Caller:
    """Return who a user is to the gateway. A bot that the registry does not know is still one."""
    if not user.is_authenticated:
        return Visitor()
    return Automation(user.account_id) if user.is_automation else Person()


def identify(environ: WSGIEnvironment) -> Caller:
    """Return who asks, by the session, as the portal itself will find it."""
    request: Any = WSGIRequest(environ)
    sessions = import_module(settings.SESSION_ENGINE)
    request.session = sessions.SessionStore(request.COOKIES.get(settings.SESSION_COOKIE_NAME))
    environ[USER] = get_user(request)
    return caller_of(environ[USER])


def refine(environ: WSGIEnvironment, step: Step) -> Step:
    """Return a bot's step with what the terms ask of it that the address does not show.

    Another landlord's to-do has no kind, as one that does not exist.
    """
    user = environ[USER]
    if step.todo is None:
        return of_account(user, step)
    if not step.todo.isdecimal():
        return step
    todo = ToDo.objects.of(user).filter(pk=int(step.todo)).first()
    if todo is None:
        return step
    kind = todo.todo_kind
    return replace(step, todo_kind=kind, form_fingerprint=form_fingerprint(kind))


def of_account(user: Any, step: Step) -> Step:
    """Return a step that is about no one to-do with the kind that the account is there for."""
    try:
        kind = registry().account(user.account_id).todo_kind if user.account_id else None
    except NotRegisteredError:
        return step
    return step if kind is None else replace(step, todo_kind=TodoKind(kind))


def guarded(portal: WSGIApplication) -> WSGIApplication:
    """Return the portal with the gateway in front of it, opened when the first request comes.

    A denial is in the language that was chosen in the portal, if one was.
    """

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        environ["HTTP_ACCEPT_LANGUAGE"] = get_language_from_request(WSGIRequest(environ))
        # As Django will read it: whatever else it begins with is the Landlord Portal's.
        stands_at = gateway_at(get_path_info(environ))
        guard = AutomationRulesMiddleware(portal, stands_at, identify, refine)
        try:
            return guard(environ, start_response)
        finally:
            # Of what was denied Django has never heard, so that it would not let go by itself.
            close_old_connections()

    return application


def refusal(request: HttpRequest, user: Any, action: Action) -> HttpResponse | None:
    """Return what a bot is told that may not sign in now; None for whoever may.

    The gateway sees no bot before it is signed in, so the portal asks about these steps.
    """
    caller = caller_of(user)
    if isinstance(caller, Person):
        return None
    if user.account_id is not None:
        # That a person has supplied the code is on record since a moment ago.
        gateway().forget(user.account_id)
    passage = gateway().ask(caller, of_account(user, Step(action)))
    if passage.allowed:
        return None
    told = denial(passage, accept=request.headers.get("Accept", ""), accept_language=language())
    return HttpResponse(told.body, status=told.status, headers=dict(told.headers))
