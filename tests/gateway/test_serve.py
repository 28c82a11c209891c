"""The command `serve`: what it refuses, TLS, ending, and what it does when things break."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import sys
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from automation_rules import Action
from automation_rules.clock import SystemClock
from automation_rules.enforcer import Step
from automation_rules.gateway import Automation
from automation_rules.landlord_portal import landlord_portal_text
from automation_rules.store import ServiceTokens, Store
from cli_helpers import Ran, ran
from gateway_world import SATURDAY, World, make_world
from service_process import Service, calm_policy, document, entries, size, verify

if TYPE_CHECKING:
    from pathlib import Path

    from servers import Server


def codes(answer: dict[str, Any]) -> list[tuple[str, str | None]]:
    """Return what failed."""
    return [(r["check"], r["code"]) for r in answer["context"]["reasons"] if r["outcome"] == "fail"]


# --- tokens -----------------------------------------------------------------------------------


def command(world: World, *argv: str | Path) -> Ran:
    """Run a command of `serve` on the state."""
    return ran("serve", *argv, "--state", world.url)


def test_token_is_printed_once(world: World) -> None:
    """A token goes to standard output alone, is kept as a hash, and lists say only whose it is."""
    added = command(world, "token", "add", "portal", "--lang", "en")
    token = added.out.strip()
    assert added.code == 0
    assert "cannot be shown again" in added.err
    with Store.open(world.url, clock=SystemClock()) as store:
        assert ServiceTokens(store, SystemClock()).verify(token) == "portal"
    listed = command(world, "token", "list", "--lang", "en")
    assert "portal" in listed.out
    assert token not in listed.out
    for path in world.folder.glob("state.sqlite3*"):
        assert token.encode() not in path.read_bytes()


def test_tokens_in_json_and_welsh(world: World) -> None:
    """Both forms and both languages say the same."""
    added = command(world, "token", "add", "portal", "-o", "json", "--lang", "cy")
    assert set(added.json) == {"name", "token"}
    assert "Cadwch y tocyn" in added.err
    [listed] = command(world, "token", "list", "-o", "json").json["tokens"]
    assert listed["name"] == "portal"
    assert set(listed) == {"name", "added_at"}


def test_tokens_are_revoked(world: World) -> None:
    """A token that is taken back is nobody's; taking it back twice is an error."""
    token = command(world, "token", "add", "portal").out.strip()
    assert command(world, "token", "add", "portal").code == 2
    assert command(world, "token", "revoke", "portal").code == 0
    with Store.open(world.url, clock=SystemClock()) as store:
        assert ServiceTokens(store, SystemClock()).verify(token) is None
    assert "no token" in command(world, "token", "revoke", "portal").err
    assert "No caller" in command(world, "token", "list", "--lang", "en").out


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--allow-plain-http"),  # noqa: S104
        (("--host", "192.0.2.1"), "--tls-cert"),
        (("--host", "::"), "--tls-key"),
        (("--host", "decisions.acme.example"), "127.0.0.1"),
        (("--tls-cert", "pyproject.toml"), "go together"),
        (("--public-url", "http://acme.example"), "https"),
        (("--public-url", "https://acme.example/?a=b"), "query"),
        (("--public-url", "https://acme.example/#here"), "fragment"),
        (("--public-url", "https://"), "https URL"),
        (("--public-url", "https://acme.example:none"), "https URL"),
        (("--forward-auth", "nginx"), "--session-cookie"),
        (("--policy", "no-such-policy.toml"), "no-such-policy.toml"),
        (("--reading", "bank_holidays"), "NAME=VALUE"),
        (("--reading", "bank_holidays=maybe"), "bank_holidays"),
        (("--max-batch", "0"), "max-batch"),
        (("--port", "65536"), "port"),
    ],
)
def test_service_that_must_not_be_is_refused(
    world: World, options: tuple[str, ...], said: str
) -> None:
    """What would be unsafe, or cannot be, is refused before anything is served, with a remedy."""
    refused = command(world, *options)
    assert refused.code == 2
    assert said in refused.err
    assert "Traceback" not in refused.err


def test_state_that_is_not_there(tmp_path: Path) -> None:
    """Without a state there is nothing to serve: the error says how to make one."""
    refused = ran("serve", "--state", f"sqlite:///{tmp_path / 'none.sqlite3'}")
    assert refused.code == 2
    assert "automation-rules init" in refused.err


def test_address_that_is_taken(world: World) -> None:
    """A port that another program has is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = command(world, "--port", str(taken.getsockname()[1]))
    assert refused.code == 2
    assert "--port" in refused.err


def test_options_stand_where_they_count(world: World) -> None:
    """An option before the subcommand would do nothing, and is refused."""
    refused = ran("serve", "--state", world.url, "token", "list")
    assert refused.code == 2
    assert "after token" in refused.err


def test_without_the_extra_it_says_what_to_install(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A library that is not installed is named, with the command that installs it."""
    for name in list(sys.modules):
        if name.startswith(("starlette", "automation_rules.gateway.")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "starlette", None)
    refused = command(world)
    assert refused.code == 2
    assert "pip install 'automation-rules[gateway]'" in refused.err


# --- TLS --------------------------------------------------------------------------------------


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return it and its key as files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "decisions.acme.example")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, secret


def test_tls(world: World) -> None:
    """With a certificate it serves TLS 1.2 or later, and its metadata names its own URL."""
    chain, key = certificate(world.folder)
    with Service(world, "--tls-cert", chain, "--tls-key", key) as service:
        assert service.url.startswith("https://127.0.0.1:")
        trust = ssl.create_default_context(cafile=str(chain))
        with service.new_client(verify=trust) as client:
            answer = client.post("/access/v1/evaluation", json=document()).json()
            metadata = client.get("/.well-known/authzen-configuration").json()
        assert answer["decision"] is True
        assert metadata["policy_decision_point"] == service.url
        with pytest.raises(httpx.TransportError):
            httpx.get(service.url.replace("https", "http") + "/healthz", trust_env=False)


def test_certificate_that_cannot_be_used(world: World) -> None:
    """A key that is not the certificate's is a mistake in the command."""
    chain, _ = certificate(world.folder)
    (world.folder / "other").mkdir()
    _, other = certificate(world.folder / "other")
    refused = command(world, "--port", "0", "--tls-cert", chain, "--tls-key", other)
    assert refused.code == 2
    assert "certificate" in refused.err


# --- ending -----------------------------------------------------------------------------------


class Load:
    """Many callers at once; what each was answered."""

    def __init__(self, service: Service) -> None:
        """Begin to ask."""
        self.answered: list[str] = []
        self.wrong: list[object] = []
        self._service = service
        self._threads = [threading.Thread(target=self._ask) for _ in range(8)]
        for thread in self._threads:
            thread.start()

    def _ask(self) -> None:
        with self._service.new_client() as client, suppress(httpx.TransportError):
            while True:
                response = client.post("/access/v1/evaluation", json=document())
                if response.status_code != 200 or not response.json()["decision"]:
                    self.wrong.append(response.text)
                    return
                self.answered.append(response.json()["context"]["decision_id"])

    def until(self, number: int) -> None:
        """Wait until that many were answered."""
        until = time.monotonic() + 30
        while len(self.answered) < number and time.monotonic() < until:
            time.sleep(0.01)

    def ended(self) -> set[str]:
        """Wait for the callers, and return which decisions they were told of."""
        for thread in self._threads:
            thread.join(30)
        assert not self.wrong
        return set(self.answered)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 130)],
)
def test_ending_under_load_loses_no_acknowledged_decision(
    world: World, number: signal.Signals, code: int
) -> None:
    """When it is told to end, exactly what callers were told of is in the log, which holds."""
    with Service(world) as service:
        load = Load(service)
        load.until(100)
        assert service.end(number) == code
        told = load.ended()
        assert len(told) >= 100
        assert "Traceback" not in service.log
        assert ("event=ended" in service.log) is (number is signal.SIGTERM)
    assert told == {entry["decision_id"] for entry in entries(world)}
    verify(world)


def test_answers_under_way_are_given(world: World) -> None:
    """A request that is being answered when the signal comes is answered."""
    with Service(world) as service:
        address = httpx.URL(service.url)
        body = json.dumps(document()).encode()
        head = (
            f"POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
            f"Authorization: Bearer {service.token}\r\nContent-Type: application/json\r\n\r\n"
        )
        with socket.create_connection((address.host, address.port or 0), 10) as caller:
            caller.sendall(head.encode() + body[:20])
            time.sleep(0.3)
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((address.host, address.port or 0), 10)
            caller.sendall(body[20:])
            answer = b"".join(iter(lambda: caller.recv(65_536), b""))
        assert b"200 OK" in answer
        assert b'"decision":true' in answer
        assert service.process.wait(30) == 0
    assert size(world) == 1


# --- what breaks ------------------------------------------------------------------------------


def test_policy_is_read_again_and_missed(world: World) -> None:
    """A new policy counts within a second; while none can be read nothing is decided."""
    path = calm_policy(world.folder)
    with Service(world, "--policy", path) as service:
        assert service.ask(document())["decision"] is True
        path.write_text(path.read_text("utf-8").replace('closes = "18:00"', 'closes = "08:30"'))
        time.sleep(1)
        assert codes(service.ask(document())) == [("window", "outside_hours")]
        path.write_text("format = 1", "utf-8")
        time.sleep(1)
        before = size(world)
        assert codes(service.ask(document())) == [("gateway", "policy_unreadable")]
        assert service.ask(document("sign_out", todo=None))["decision"] is True
        response = service.client.get("/readyz")
        assert (response.status_code, response.json()["problem"]) == (503, "policy")
        assert service.client.get("/healthz").status_code == 200
        assert size(world) == before


def test_readings_override_the_policys(world: World) -> None:
    """A reading given beside the policy is the one by which it decides."""
    with Service(world, "--reading", "updates_tab=denied") as service:
        denied = service.ask(document("view_updates", todo=None))
    assert codes(denied) == [("action", "other_portal_function")]


def test_log_that_went_back(world: World) -> None:
    """With an older copy of the state put in its place nothing is allowed, nor is it ready."""
    path = world.folder / "state.sqlite3"
    copy = world.folder / "copy.sqlite3"
    for step in (Step(Action.LIST_TODOS), Step(Action.VIEW_UPDATES)):
        with world.gateway() as gateway:
            assert gateway.ask(Automation("acme-1"), step).allowed
        if not copy.exists():
            shutil.copy(path, copy)
    for left in world.folder.glob("state.sqlite3-*"):
        left.unlink()
    shutil.copy(copy, path)
    with Service(world) as service:
        response = service.client.get("/readyz")
        assert (response.status_code, response.json()["problem"]) == (503, "log")
        assert codes(service.ask(document())) == [("log", "not_recorded")]
        assert service.ask(document("sign_out", todo=None))["decision"] is True


def test_state_that_is_gone(
    own_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its database it answers that nothing can be decided, and decides when it is back."""
    world = make_world(own_server.new_schema(), tmp_path, monkeypatch)
    with Service(world) as service:
        assert service.ask(document())["decision"] is True
        own_server.kill()
        time.sleep(0.6)
        answers = service.ask({**document(), "evaluations": [{}, {"action": {"name": "sign_out"}}]})
        denied, left = answers["evaluations"]
        assert codes(denied) == [("gateway", "facts_unavailable")]
        assert left["decision"] is True
        asked = {key: value for key, value in document().items() if key != "action"}
        found = service.client.post("/access/v1/search/action", json=asked).json()
        assert found["results"] == []
        assert found["context"]["reasons"][0]["code"] == "facts_unavailable"
        response = service.client.get("/readyz")
        assert (response.status_code, response.json()["problem"]) == (503, "state")
        assert service.client.get("/healthz").status_code == 200
        assert service.client.get("/metrics").status_code == 503
        own_server.start()
        time.sleep(0.6)
        assert service.ask(document())["decision"] is True
        assert service.client.get("/readyz").status_code == 200
        figures = service.client.get("/metrics").text
        assert 'automation_rules_decisions_total{verdict="undecided"} 2.0' in figures
    verify(world)


def test_shadow_lets_through_and_records(world: World) -> None:
    """In shadow every decision is true; the log and the reasons say what was denied."""
    world.clock.move_to(SATURDAY)
    with Service(world, "--shadow") as service:
        answer = service.ask(document())
        assert answer["decision"] is True
        assert ("window", "weekend") in codes(answer)
        assert answer["context"]["reasons"][-1]["code"] == "shadow"
        assert answer["context"]["next_action"] == "none"
        assert "automation_rules_shadow 1.0" in service.client.get("/metrics").text
    assert entries(world)[-1]["decision"] is False


def test_published_terms_watch_activity(world: World) -> None:
    """By the published terms a bot that asks too often is paused; others go on."""
    path = world.folder / "published.toml"
    path.write_text(landlord_portal_text(), "utf-8")
    with Service(world, "--policy", path) as service:
        service.ask({**document("list_todos", todo=None), "evaluations": [{}] * 100})
        service.ask({**document("list_todos", todo=None), "evaluations": [{}] * 100})
        time.sleep(1)
        asked = document("list_todos", todo=None)
        assert codes(service.ask(asked)) == [("suspension", "account_paused")]
        assert service.ask(document("list_todos", account="acme-2", todo=None))["decision"] is True


# --- requests that do not end -----------------------------------------------------------------

IMPATIENT = """
import automation_rules.gateway.server as server
import automation_rules.gateway.service as service
server.HEAD_SECONDS = service.BODY_SECONDS = 0.3
"""


def raw(service: Service, *pieces: bytes, pause: float = 0.0) -> bytes:
    """Send bytes, with pauses between them; return all that comes back until the end."""
    address = httpx.URL(service.url)
    with socket.create_connection((address.host, address.port or 0), 10) as caller:
        with suppress(ConnectionError):
            for piece in pieces:
                caller.sendall(piece)
                time.sleep(pause)
        with suppress(ConnectionError):
            return b"".join(iter(lambda: caller.recv(65_536), b""))
    return b""


def test_requests_must_end(world: World) -> None:
    """A head or a body that drips in, or a head without end, is given up; others are served."""
    with Service(world, setup=IMPATIENT) as service:
        drip = [b"GET /healthz HTTP/1.1\r\n", *[b"X-A: b\r\n"] * 8]
        assert raw(service, *drip, pause=0.1) == b""
        assert raw(service, b"", pause=0.5) == b""
        head = (
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
            f"Authorization: Bearer {service.token}\r\nContent-Type: application/json\r\n\r\n"
        )
        assert b" 408 " in raw(service, head.encode(), *[b" "] * 8, pause=0.1)
        endless = [b"GET /healthz HTTP/1.1\r\n", *[b"X-A: " + b"b" * 8_000 + b"\r\n"] * 8]
        # What the caller still sends when it is given up may cost it the answer.
        answer = raw(service, *endless)
        assert not answer or b" 400 " in answer
        assert b" 400 " in raw(service, b"GET /healthz HTTP/1.1\r\nX-A: ", *[b"b" * 8_000] * 8)
        with service.new_client() as client:
            for _ in range(3):
                time.sleep(0.4)
                assert client.get("/healthz").status_code == 200
        assert service.ask(document())["decision"] is True
        assert "Traceback" not in service.log


def test_callers_that_leave_are_no_trouble(world: World) -> None:
    """A caller that breaks off in the middle of a body leaves no trace of itself but time."""
    with Service(world) as service:
        head = (
            "POST /access/v1/evaluation HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n"
            f"Authorization: Bearer {service.token}\r\nContent-Type: application/json\r\n\r\n"
        )
        address = httpx.URL(service.url)
        for _ in range(5):
            with socket.create_connection((address.host, address.port or 0), 10) as caller:
                caller.sendall(head.encode() + b"{")
        assert service.ask(document())["decision"] is True
        assert service.end() == 0
        assert "Traceback" not in service.log
        assert "not_answered" not in service.log
    assert size(world) == 1
