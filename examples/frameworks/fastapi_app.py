"""A portal on FastAPI behind the gateway; what a bot may do is in ``../routes.toml``.

AUTOMATION_RULES_STATE=sqlite:///state.sqlite3 PORTAL_SECRET=... \
    uvicorn --app-dir examples/frameworks fastapi_app:app
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from pydantic import BaseModel
from starlette.middleware.sessions import SessionMiddleware

from automation_rules import Action
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Caller, Person, Visitor, open_gateway
from automation_rules.gateway.asgi import AutomationRulesMiddleware
from automation_rules.gateway.problems import denial

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


def identify(scope: Any) -> Caller | None:
    """Say who asks, as the portal's own session has it."""
    return caller_of(scope["session"].get("user"))


app = FastAPI()
app.add_middleware(AutomationRulesMiddleware, gateway=gateway, identify=identify)
# Added last, it comes first: the gateway knows by the session who asks.
app.add_middleware(SessionMiddleware, secret_key=os.environ["PORTAL_SECRET"])


class Credentials(BaseModel):
    """What somebody signs in with; a real portal asks for more than a name."""

    user: str


@app.post("/sign-in")
def sign_in(given: Credentials, request: Request) -> Any:
    """Sign somebody in, and a bot only if the terms allow it to begin."""
    if given.user not in USERS:
        raise HTTPException(401)
    passage = gateway.ask(caller_of(given.user), Step(Action.SIGN_IN))
    if not passage.allowed:
        asked = request.headers
        told = denial(
            passage,
            accept=asked.get("accept", ""),
            accept_language=asked.get("accept-language", ""),
        )
        return Response(told.body, told.status, dict(told.headers))
    request.session["user"] = given.user
    return {"signed_in": given.user}


@app.post("/sign-out")
def sign_out(request: Request) -> Any:
    """Sign the user out."""
    request.session.clear()
    return {"signed_in": None}


@app.get("/todos")
@app.get("/todos/{todo}/rent")
@app.post("/todos/{todo}/rent")
@app.get("/payments")
@app.post("/payments")
def show(request: Request) -> Any:
    """Show a page of the portal to whoever is signed in."""
    if "user" not in request.session:
        raise HTTPException(401)
    return {"page": request.url.path, "method": request.method}


@app.get("/health")
def health() -> Response:
    """Say that the portal is there, to anybody."""
    return Response("ok", media_type="text/plain")


@app.websocket("/updates")
@app.websocket("/payments/live")
async def updates(websocket: WebSocket) -> None:
    """Send one update."""
    await websocket.accept()
    await websocket.send_text("Nothing new.")
    await websocket.close()
