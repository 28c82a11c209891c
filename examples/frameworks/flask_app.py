"""A portal on Flask behind the gateway; what a bot may do is in ``../routes.toml``.

AUTOMATION_RULES_STATE=sqlite:///state.sqlite3 PORTAL_SECRET=... \
    gunicorn --chdir examples/frameworks --threads 8 flask_app:app
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request, session

from automation_rules import Action
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Caller, Person, Visitor, open_gateway
from automation_rules.gateway.problems import denial
from automation_rules.gateway.wsgi import AutomationRulesMiddleware

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


app = Flask(__name__)
app.secret_key = os.environ["PORTAL_SECRET"]


def identify(environ: Any) -> Caller | None:
    """Say who asks, as the portal's own session has it."""
    found = app.session_interface.open_session(app, app.request_class(environ))
    return None if found is None else caller_of(found.get("user"))


app.wsgi_app = AutomationRulesMiddleware(app.wsgi_app, gateway, identify)  # type: ignore[method-assign]


@app.post("/sign-in")
def sign_in() -> Any:
    """Sign somebody in, and a bot only if the terms allow it to begin."""
    user = request.get_json()["user"]  # A real portal asks for more than a name.
    if user not in USERS:
        abort(401)
    passage = gateway.ask(caller_of(user), Step(Action.SIGN_IN))
    if not passage.allowed:
        asked = request.headers
        told = denial(
            passage,
            accept=asked.get("Accept", ""),
            accept_language=asked.get("Accept-Language", ""),
        )
        return Response(told.body, told.status, list(told.headers))
    session["user"] = user
    return {"signed_in": user}


@app.post("/sign-out")
def sign_out() -> Any:
    """Sign the user out."""
    session.clear()
    return {"signed_in": None}


@app.get("/todos")
@app.route("/todos/<todo>/rent", methods=["GET", "POST"])
@app.route("/payments", methods=["GET", "POST"])
def show(todo: str = "") -> Any:
    """Show a page of the portal to whoever is signed in."""
    if "user" not in session:
        abort(401)
    return {"page": request.path, "method": request.method, "todo": todo}


@app.get("/health")
def health() -> Response:
    """Say that the portal is there, to anybody."""
    return Response("ok", mimetype="text/plain")
