"""``automation-rules serve``: the decision service, and the tokens of its callers."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from dataclasses import asdict
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click
import structlog
from click.core import ParameterSource

from ..clock import SystemClock
from ..texts import ui
from .common import OK, Output, chosen_readings, load, naming, output_options, say
from .records import write_record, write_records
from .state import open_store, state_option

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from ..gateway.forward_auth import Adapter
    from ..routes import Routes
    from ..store import ServiceTokens, Store

__all__ = ["serve"]

_events: Final = structlog.get_logger("automation_rules.gateway")

_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_BACKLOG: Final = 2_048
_PORT: Final = 8181


@click.group(invoke_without_command=True)
@click.option(
    "--policy",
    "policy_file",
    metavar="FILE",
    help="Decide by the policy in FILE (TOML or JSON), which is read again when it changes; by "
    "default the published terms.",
)
@click.option(
    "--reading",
    "readings",
    metavar="NAME=VALUE",
    multiple=True,
    help="Use a reading instead of the policy's own; may be given more than once.",
)
@click.option(
    "--forward-auth",
    "proxy",
    type=click.Choice(["nginx", "caddy", "traefik", "envoy"]),
    help="Answer this proxy's questions as well.",
)
@click.option(
    "--routes",
    "routes_file",
    type=_FILE,
    metavar="FILE",
    help="With --forward-auth: which request of the portal is which step.",
)
@click.option(
    "--mark-key",
    type=_FILE,
    metavar="FILE",
    help="With --forward-auth: the key by which the portal marks whose session it is.",
)
@click.option(
    "--session-cookie",
    metavar="NAME",
    help="With --forward-auth: the portal's own session cookie.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to serve on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=_PORT,
    show_default=True,
    help="0 for any that is free.",
)
@click.option("--tls-cert", type=_FILE, metavar="FILE", help="The certificate chain, PEM.")
@click.option("--tls-key", type=_FILE, metavar="FILE", help="The certificate's key, PEM.")
@click.option(
    "--allow-plain-http",
    is_flag=True,
    help="Serve on an address that others reach without TLS, as behind a proxy that has it.",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="The https URL by which callers know the service, for its metadata.",
)
@click.option("--shadow", is_flag=True, help="Decide and record, but enforce nothing.")
@click.option(
    "--max-body",
    type=click.IntRange(1_024, 16_777_216),
    default=262_144,
    show_default=True,
    metavar="BYTES",
    help="The most bytes of one request.",
)
@click.option(
    "--max-batch",
    type=click.IntRange(1, 1_000),
    default=100,
    show_default=True,
    metavar="NUMBER",
    help="The most evaluations of one request.",
)
@state_option
@click.pass_context
def serve(ctx: click.Context, /, **options: Any) -> int:
    """Serve decisions over HTTP (AuthZEN 1.0), from the registry's facts.

    Callers need a token: `serve token add`. It serves TLS, or on a loopback address. SIGTERM ends
    it when everything that was asked is answered.
    """
    if ctx.invoked_subcommand is not None:
        for name in options:
            if ctx.get_parameter_source(name) is not ParameterSource.DEFAULT:
                raise click.UsageError(f"give options after {ctx.invoked_subcommand}, not before")
        return OK
    _serve(**options)
    return OK


def _serve(
    *,
    policy_file: str | None,
    readings: tuple[str, ...],
    proxy: Adapter | None,
    routes_file: Path | None,
    mark_key: Path | None,
    session_cookie: str | None,
    host: str,
    port: int,
    tls_cert: Path | None,
    tls_key: Path | None,
    allow_plain_http: bool,
    public_url: str | None,
    shadow: bool,
    max_body: int,
    max_batch: int,
    state: str | None,
) -> None:
    if (tls_cert is None) != (tls_key is None):
        raise click.UsageError("--tls-cert and --tls-key go together: give both, or neither")
    forwarding = (proxy, routes_file, mark_key, session_cookie)
    if any(given is None for given in forwarding) and any(forwarding):
        raise click.UsageError(
            "--forward-auth, --routes, --mark-key and --session-cookie go together: give all, or "
            "none"
        )
    if tls_cert is None and not allow_plain_http and not _is_loopback(host):
        raise click.UsageError(
            f"others could reach {host} and read what is asked: give --tls-cert and --tls-key, "
            "serve on 127.0.0.1, or give --allow-plain-http where a proxy in between has TLS"
        )
    _check_public_url(public_url)
    load(policy_file, readings)
    chosen: dict[str, Any] = {**chosen_readings(readings)}
    try:
        from ..gateway.forward_auth import forward_auth_routes
        from ..gateway.marks import Marks
        from ..gateway.server import serve as serve_app
        from ..gateway.service import create_app
    except ImportError as error:
        raise click.UsageError(
            f"the service needs {error.name}: pip install 'automation-rules[gateway]'"
        ) from None
    from ..gateway import open_gateway

    routes = None if routes_file is None else _routes(routes_file)
    marks = None if mark_key is None else Marks.from_file(mark_key)
    with ExitStack() as stack:
        store = stack.enter_context(open_store(state))
        gateway = stack.enter_context(
            open_gateway(
                state,
                policy=policy_file,
                routes=routes,
                shadow=shadow,
                **chosen,
            )
        )
        listener = stack.enter_context(_listen(host, port))
        scheme = "http" if tls_cert is None else "https"
        url = _url(scheme, host, listener.getsockname()[1])
        if public_url is None and tls_cert is not None:
            public_url = url
        more: list[BaseRoute] = []
        if proxy is not None and marks is not None and session_cookie is not None:
            more = forward_auth_routes(
                gateway, store, marks, adapter=proxy, session_cookie=session_cookie
            )
        app = create_app(
            gateway,
            store,
            public_url=public_url,
            routes=more,
            max_body=max_body,
            max_batch=max_batch,
        )

        def announce() -> None:
            _events.info("serving", url=url, shadow=shadow)

        try:
            serve_app(app, listener, announce, certificate=tls_cert, key=tls_key)
        except OSError as error:
            raise click.UsageError(
                f"the certificate or its key cannot be used: {error.strerror or error}"
            ) from None
        _events.info("ended")


def _routes(file: Path) -> Routes:
    from ..routes import load_routes

    with naming(str(file)):
        return load_routes(file)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _url(scheme: str, host: str, port: int) -> str:
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _check_public_url(url: str | None) -> None:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        is_good = parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_good = False
    if not is_good or not url.isascii() or not url.isprintable() or "?" in url or "#" in url:
        raise click.UsageError(
            "--public-url must be an https URL without a query or a fragment, for example "
            "https://decisions.acme.example"
        )


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise click.UsageError(
            f"cannot serve on {host}, port {port}: {error.strerror or error}; choose another with "
            "--host or --port"
        ) from None


# --- tokens -----------------------------------------------------------------------------------


@serve.group()
def token() -> None:
    """Give callers tokens of the service, and take them back."""


def _tokens(store: Store) -> ServiceTokens:
    from ..store import ServiceTokens

    return ServiceTokens(store, SystemClock())


@token.command("add")
@click.argument("name")
@state_option
@output_options("text", "json")
def _add(*, name: str, state: str | None, out: Output) -> None:
    """Make a token for the caller NAME and print it, once: only its hash is kept."""
    with open_store(state) as store:
        made = _tokens(store).add(name)
    if out.format == "json":
        out.write_json({"name": name, "token": made})
    else:
        out.write(f"{made}\n")
    say(ui("token.added").to(out.lang))


@token.command("list")
@state_option
@output_options("text", "json")
def _list(*, state: str | None, out: Output) -> None:
    """List the callers that have a token, and since when."""
    with open_store(state) as store:
        records = [asdict(found) for found in _tokens(store).list()]
    write_records(out, "tokens", records, columns=("name", "added_at"), none="token.none")


@token.command("revoke")
@click.argument("name")
@state_option
@output_options("text", "json")
def _revoke(*, name: str, state: str | None, out: Output) -> None:
    """Take the token of the caller NAME back; running services know within a second."""
    with open_store(state) as store:
        _tokens(store).revoke(name)
    write_record(out, "token", {"name": name}, said=ui("registry.removed", id=name).to(out.lang))
