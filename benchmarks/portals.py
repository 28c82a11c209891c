"""The servers whose processor time is measured: two small portals, and the decision service.

``python -m benchmarks.portals APP STATE`` serves one of `APPS` on a free port of this machine,
prints the port, and serves until it is told to end. ``STATE`` is a directory that `make_state`
has filled.

Both portals do the same for a page: read one row by its key from SQLite, and render one Jinja2
template of 5 kB. They are as their frameworks' own introductions write them: the Starlette one has
a plain function and no other middleware, the Django one the settings of ``startproject``.
"""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import threading
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.actions import Action, TodoKind
from automation_rules.activity import Activity, ActivityLimits, Bounds, Threshold
from automation_rules.clock import FrozenClock, SystemClock
from automation_rules.gateway import Automation, open_gateway
from automation_rules.gateway import Person as PersonsSession
from automation_rules.gateway.asgi import AutomationRulesMiddleware
from automation_rules.landlord_portal import landlord_portal
from automation_rules.policy import Policy
from automation_rules.routes import Route, Routes
from automation_rules.store import Registry, ServiceTokens, Store
from automation_rules.store.codes import CodeDesk
from automation_rules.vault import WrappingKey, key_path

from .log import without_messages

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from starlette.requests import Request

    from automation_rules.gateway import Caller, Gateway

    Scope = MutableMapping[str, Any]
    App = Callable[[Scope, Any, Any], Awaitable[None]]

__all__ = ["ACCOUNTS", "APPS", "TODOS", "heads_path", "make_state", "state_url", "token_path"]

ACCOUNTS: Final = 64
"""How many automation accounts there are, two of each landlord: one for each connection."""

TODOS: Final = 1_000
"""How many to-dos there are, read in turn."""

_OPEN: Final = datetime(2026, 6, 2, 8, tzinfo=UTC)
"""Tuesday, nine in the morning in London: the servers' clocks begin there."""

_QUESTIONS: Final = [
    {
        "name": f"charge-{number}",
        "label": f"Service charge {number} for each week",
        "value": f"{number * 37 % 90}.{number * 13 % 100:02}",
        "hint": "Give pounds and pence, as on the tenancy agreement" if number % 3 == 0 else "",
    }
    for number in range(1, 34)
]

TEMPLATE: Final = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{{ todo.address }} - Made-up portal</title></head>
<body>
<main>
<h1>Confirm housing costs</h1>
<p>{{ todo.tenant }}, {{ todo.address }}</p>
<form method="post">
{% for question in questions %}
<p><label for="{{ question.name }}">{{ question.label }}</label>
{% if question.hint %}<span class="hint">{{ question.hint }}</span>{% endif %}
<input id="{{ question.name }}" name="{{ question.name }}" value="{{ question.value }}"></p>
{% endfor %}
<button>Save</button>
</form>
</main>
</body>
</html>
"""


# --- the state ------------------------------------------------------------------------------------


def state_url(directory: Path) -> str:
    """Return the URL of the state in a directory."""
    return f"sqlite:///{directory / 'state.sqlite3'}"


def heads_path(directory: Path) -> Path:
    """Return where the heads of its log are remembered."""
    return directory / "heads.sqlite3"


def token_path(directory: Path) -> Path:
    """Return the file of a token of its decision service."""
    return directory / "token"


def _portal_path(directory: Path) -> Path:
    return directory / "portal.sqlite3"


def make_state(directory: Path) -> None:
    """Fill a directory: a state in which every account may work today, and the portals' to-dos."""
    clock = FrozenClock(_OPEN - timedelta(minutes=5))
    with Store.open(state_url(directory), clock=clock, create=True) as store:
        assert store.path is not None
        WrappingKey.create(key_path(store.path))
        registry = Registry(store, clock)
        desk = CodeDesk(store, clock)
        for number in range(ACCOUNTS // 2):
            landlord, officer = f"landlord-{number}", f"officer-{number}"
            name = f"Made-up Homes {number}"
            registry.add_landlord(
                Landlord(
                    landlord,
                    name,
                    nation="england-and-wales",
                    declared_on=date(2026, 1, 5),
                    partnership_manager="North West partnership manager",
                )
            )
            registry.add_person(Person(officer, landlord, "Testy McOfficer"))
            for one in (2 * number, 2 * number + 1):
                account = f"bot-{one}"
                registry.add_account(
                    AutomationAccount(
                        account,
                        landlord,
                        f"{name} Automation {one}",
                        f"automation{one}@homes-{number}.example",
                    )
                )
                _enter_code(store, clock, desk, account, officer)
        token_path(directory).write_text(ServiceTokens(store, clock).add("benchmark"), "ascii")
    _make_todos(_portal_path(directory))


def _enter_code(
    store: Store, clock: FrozenClock, bot: CodeDesk, account: str, officer: str
) -> None:
    pending = bot.open_wait(account)

    def take(_seconds: float) -> None:
        bot.poll(pending)

    CodeDesk(store, clock, sleep=take).enter(account, officer, "123456")


def _make_todos(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE todos (id TEXT PRIMARY KEY, tenant TEXT NOT NULL, address TEXT NOT NULL)"
        )
        connection.executemany(
            "INSERT INTO todos VALUES (?, ?, ?)",
            ((f"td-{n}", f"Tenant {n}", f"{n} Example Road, Nowhere") for n in range(TODOS)),
        )
    connection.close()


# --- the portals ----------------------------------------------------------------------------------


def _starlette(directory: Path) -> App:
    from jinja2 import DictLoader, Environment
    from starlette.applications import Starlette
    from starlette.responses import HTMLResponse, Response
    from starlette.routing import Route as Path_

    template = Environment(loader=DictLoader({"page": TEMPLATE}), autoescape=True).get_template(
        "page"
    )
    kept = threading.local()

    def read(todo: str) -> sqlite3.Row:
        if not hasattr(kept, "connection"):
            kept.connection = sqlite3.connect(_portal_path(directory))
            kept.connection.row_factory = sqlite3.Row
        row: sqlite3.Row = kept.connection.execute(
            "SELECT id, tenant, address FROM todos WHERE id = ?", (todo,)
        ).fetchone()
        return row

    def page(request: Request) -> Response:
        todo = read(request.path_params["todo"])
        return HTMLResponse(template.render(todo=todo, questions=_QUESTIONS))

    async def nothing(_: Request) -> Response:
        return Response()

    return Starlette(routes=[Path_("/todos/{todo}", page), Path_("/nothing/{todo}", nothing)])


def _django(directory: Path) -> App:
    import django
    from django.conf import settings
    from django.http import HttpRequest, HttpResponse
    from django.urls import path

    templates = directory / "templates"
    templates.mkdir(exist_ok=True)
    (templates / "page.html").write_text(TEMPLATE, "utf-8")
    urls = type(sys)("benchmark_urls")
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": _portal_path(directory),
                # One for each thread, kept as the other portal keeps them.
                "CONN_MAX_AGE": None,
            }
        },
        INSTALLED_APPS=[
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.messages",
        ],
        MIDDLEWARE=[
            "django.middleware.security.SecurityMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
            "django.middleware.clickjacking.XFrameOptionsMiddleware",
        ],
        ROOT_URLCONF=urls,
        SECRET_KEY="made-up, for a benchmark only",  # noqa: S106
        TEMPLATES=[
            {"BACKEND": "django.template.backends.jinja2.Jinja2", "DIRS": [templates]},
        ],
    )
    django.setup()
    from django.core.asgi import get_asgi_application
    from django.db import models
    from django.shortcuts import render

    class Todo(models.Model):
        id: Any = models.CharField(primary_key=True, max_length=200)
        tenant: Any = models.CharField(max_length=200)
        address: Any = models.CharField(max_length=200)

        class Meta:
            app_label = "benchmark"
            db_table = "todos"
            managed = False

    def page(request: HttpRequest, todo: str) -> HttpResponse:
        found = Todo.objects.get(pk=todo)
        return render(request, "page.html", {"todo": found, "questions": _QUESTIONS})

    def nothing(_request: HttpRequest, **_: str) -> HttpResponse:
        return HttpResponse()

    urls.urlpatterns = [path("todos/<slug:todo>", page), path("nothing/<slug:todo>", nothing)]  # type: ignore[attr-defined]
    return cast("App", get_asgi_application())


class _Nothing:
    """Middleware that does nothing."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


# --- the gateway ----------------------------------------------------------------------------------


class _Clock:
    """Goes on from an instant at which the portal is open, as fast as the machine's own."""

    def __init__(self) -> None:
        self._ahead = _OPEN - SystemClock().now()

    def now(self) -> datetime:
        return SystemClock().now() + self._ahead


def _policy() -> Policy:
    """Return the published terms with the monitor counting all that it can, and never alarmed."""
    terms = landlord_portal()
    never = Bounds(pause=Threshold.parse("1000000000/day"))
    limits = replace(
        terms.monitor or ActivityLimits(requests=never),
        **{activity.value: never for activity in Activity},
    )
    return Policy(
        terms.info.id, terms.info.version, terms.checks, title=terms.title, monitor=limits
    )


_ROUTES: Final = Routes(
    Route(
        frozenset({"GET"}),
        f"/{place}/{{todo}}",
        Action.OPEN_TODO,
        TodoKind.CONFIRM_HOUSING_COSTS,
    )
    for place in ("todos", "nothing")
)

_SESSIONS: Final[dict[bytes, Caller]] = {
    b"session=person": PersonsSession(),
    **{b"session=bot-%d" % n: Automation(f"bot-{n}") for n in range(ACCOUNTS)},
}


def _identify(scope: Scope) -> Caller | None:
    for name, content in scope["headers"]:
        if name == b"cookie":
            return _SESSIONS.get(content)
    return None


def _gateway(directory: Path, stack: ExitStack) -> Gateway:
    os.environ["AUTOMATION_RULES_HEADS"] = str(heads_path(directory))
    stack.enter_context(without_messages())
    return stack.enter_context(
        open_gateway(state_url(directory), policy=_policy(), routes=_ROUTES, clock=_Clock())
    )


def _service(directory: Path, stack: ExitStack) -> App:
    from automation_rules.gateway.service import create_app

    gateway = _gateway(directory, stack)
    store = stack.enter_context(Store.open(state_url(directory), clock=gateway.clock))
    return create_app(gateway, store)


def _constant(_: Path) -> App:
    """Return what reads the same question, and answers that it is allowed without asking."""
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route as Path_

    async def evaluation(request: Request) -> Response:
        await request.json()
        return JSONResponse({"decision": True})

    return Starlette(routes=[Path_("/access/v1/evaluation", evaluation, methods=["POST"])])


_PORTALS: Final = {"starlette": _starlette, "django": _django}
_SHELLS: Final[dict[str, Callable[[App, Path, ExitStack], App]]] = {
    "bare": lambda app, _directory, _stack: app,
    "nothing": lambda app, _directory, _stack: _Nothing(app),
    "control": lambda app, _directory, _stack: _Nothing(app),
    "gateway": lambda app, directory, stack: AutomationRulesMiddleware(
        app, _gateway(directory, stack), _identify
    ),
}

APPS: Final = (
    *(f"{portal}-{shell}" for portal in _PORTALS for shell in _SHELLS),
    "service",
    "constant",
)
"""What there is to serve: each portal bare, with middleware that does nothing, twice, and with
ours; the decision service; and what answers the same question with a constant."""


def _app(name: str, directory: Path, stack: ExitStack) -> App:
    if name == "service":
        return _service(directory, stack)
    if name == "constant":
        return _constant(directory)
    portal, shell = name.split("-")
    return _SHELLS[shell](_PORTALS[portal](directory), directory, stack)


class _Server(uvicorn.Server):
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        for listener in sockets or ():
            print(listener.getsockname()[1], flush=True)


def _serve(name: str, directory: Path) -> None:
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        config = uvicorn.Config(
            _app(name, directory, stack),
            loop="uvloop",
            http="httptools",
            lifespan="off",
            access_log=False,
            log_level="warning",
        )
        _Server(config).run(sockets=[listener])


if __name__ == "__main__":
    _serve(sys.argv[1], Path(sys.argv[2]))
