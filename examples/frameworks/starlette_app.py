"""A portal on Starlette behind the gateway; what a bot may do is in ``../routes.toml``.

AUTOMATION_RULES_STATE=sqlite:///state.sqlite3 PORTAL_SECRET=... \
    uvicorn --app-dir examples/frameworks starlette_app:app
"""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute

from automation_rules import Action
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation, Person, Visitor, open_gateway
from automation_rules.gateway.asgi import AutomationRulesMiddleware
from automation_rules.gateway.problems import denial

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.websockets import WebSocket

    from automation_rules.gateway import Caller

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


async def sign_in(request: Request) -> Response:
    """Sign somebody in, and a bot only if the terms allow it to begin."""
    user = (await request.json())["user"]  # A real portal asks for more than a name.
    if user not in USERS:
        return Response(status_code=401)
    passage = await gateway.ask_async(caller_of(user), Step(Action.SIGN_IN))
    if not passage.allowed:
        asked = request.headers
        told = denial(
            passage,
            accept=asked.get("accept", ""),
            accept_language=asked.get("accept-language", ""),
        )
        return Response(told.body, told.status, dict(told.headers))
    request.session["user"] = user
    return JSONResponse({"signed_in": user})


async def sign_out(request: Request) -> Response:
    """Sign the user out."""
    request.session.clear()
    return JSONResponse({"signed_in": None})


async def show(request: Request) -> Response:
    """Show a page of the portal to whoever is signed in."""
    if "user" not in request.session:
        return Response(status_code=401)
    return JSONResponse({"page": request.url.path, "method": request.method})


async def health(_request: Request) -> Response:
    """Say that the portal is there, to anybody."""
    return Response("ok", media_type="text/plain")


async def updates(websocket: WebSocket) -> None:
    """Send one update."""
    await websocket.accept()
    await websocket.send_text("Nothing new.")
    await websocket.close()


app = Starlette(
    routes=[
        Route("/health", health),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
        Route("/todos", show),
        Route("/todos/{todo}/rent", show, methods=["GET", "POST"]),
        Route("/payments", show, methods=["GET", "POST"]),
        WebSocketRoute("/updates", updates),
        WebSocketRoute("/payments/live", updates),
    ],
    middleware=[
        # The session first, by which the gateway knows who asks.
        Middleware(SessionMiddleware, secret_key=os.environ["PORTAL_SECRET"]),
        Middleware(AutomationRulesMiddleware, gateway=gateway, identify=identify),
    ],
)
