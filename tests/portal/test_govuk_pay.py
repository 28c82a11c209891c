"""The client of GOV.UK Pay's published API, over a socket, and the provider that pretends to be it.

The schemas are transcribed from openapi/publicapi_spec.json of github.com/alphagov/pay-publicapi.
"""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from pay_world import KEY, SECONDS
from pretend_pay import Fault, Running, running
from tenant_services.payments import govuk_pay
from tenant_services.payments.govuk_pay import GovUkPay
from tenant_services.payments.provider import (
    Order,
    Outcome,
    ProviderRefusedError,
    ProviderUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ORDER = Order(
    key="0b0c9b1e-5f0a-4c57-9d3b-0a4b3c1d2e3f",
    pence=1234,
    reference="T-100001-0B0C9B1E5F",
    description="Cyfrif rhent T-100001",
    return_url="https://portal.example/my-home/rent/card-payments/1/",
    language="cy",
)

ANY_TEXT = {"type": "string"}
LINK = {
    "type": "object",
    "properties": {"href": ANY_TEXT, "method": {"enum": ["GET", "POST"]}},
    "required": ["href", "method"],
}
PENCE = {"type": "integer", "minimum": 0}
METADATA = {
    "type": "object",
    "maxProperties": 15,
    "propertyNames": {"minLength": 1, "maxLength": 30},
    "additionalProperties": {"type": ["string", "number", "boolean"], "maxLength": 100},
}
STATE = {
    "type": "object",
    "properties": {
        "status": {
            "enum": [
                "created",
                "started",
                "submitted",
                "capturable",
                "success",
                "failed",
                "cancelled",
                "error",
            ]
        },
        "finished": {"type": "boolean"},
        "code": ANY_TEXT,
        "message": ANY_TEXT,
    },
    "required": ["status", "finished"],
    "additionalProperties": False,
}
SCHEMAS: dict[str, Any] = {
    "CreateCardPaymentRequest": {
        "type": "object",
        "properties": {
            "amount": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "reference": {"type": "string", "minLength": 1, "maxLength": 255},
            "description": {"type": "string", "minLength": 1, "maxLength": 255},
            "return_url": {"type": "string", "maxLength": 2000, "pattern": "^https?://"},
            "language": {"enum": ["en", "cy"]},
            "metadata": METADATA,
        },
        "required": ["amount", "reference", "description", "return_url"],
        "additionalProperties": False,
    },
    "PaymentRefundRequest": {
        "type": "object",
        "properties": {
            "amount": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
            "refund_amount_available": {"type": "integer", "minimum": 1, "maximum": 10_000_000},
        },
        "required": ["amount"],
        "additionalProperties": False,
    },
    "PaymentWithAllLinks": {
        "type": "object",
        "properties": {
            "amount": PENCE,
            "description": ANY_TEXT,
            "reference": ANY_TEXT,
            "language": {"enum": ["en", "cy"]},
            "metadata": METADATA,
            "state": STATE,
            "payment_id": {"type": "string", "pattern": "^[a-z0-9]{26}$"},
            "payment_provider": ANY_TEXT,
            "created_date": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z$"},
            "refund_summary": {
                "type": "object",
                "properties": {
                    "status": ANY_TEXT,
                    "amount_available": PENCE,
                    "amount_submitted": PENCE,
                },
                "additionalProperties": False,
            },
            "settlement_summary": {"type": "object"},
            "delayed_capture": {"type": "boolean"},
            "moto": {"type": "boolean"},
            "return_url": ANY_TEXT,
            "authorisation_mode": {"enum": ["web", "moto_api", "external"]},
            "_links": {"type": "object", "additionalProperties": LINK},
        },
        "required": ["amount", "payment_id", "reference", "state", "_links"],
        "additionalProperties": False,
    },
    "Refund": {
        "type": "object",
        "properties": {
            "refund_id": ANY_TEXT,
            "payment_id": ANY_TEXT,
            "amount": PENCE,
            "created_date": ANY_TEXT,
            "status": {"enum": ["submitted", "success", "error"]},
            "_links": {"type": "object", "additionalProperties": LINK},
        },
        "required": ["refund_id", "amount", "status"],
        "additionalProperties": False,
    },
    "RequestError": {
        "type": "object",
        "properties": {
            "code": {"type": "string", "pattern": r"^P\d{4}$"},
            "description": ANY_TEXT,
            "field": ANY_TEXT,
            "header": ANY_TEXT,
        },
        "required": ["code", "description"],
        "additionalProperties": False,
    },
}


def check(name: str, told: Any) -> Any:
    """Find what was sent or answered as the specification describes it; return it."""
    Draft202012Validator(SCHEMAS[name]).validate(told)
    return told


@pytest.fixture
def server() -> Iterator[Running]:
    """Run a provider."""
    with running(KEY) as provider:
        yield provider


@pytest.fixture
def client(server: Running, monkeypatch: pytest.MonkeyPatch) -> GovUkPay:
    """Give a client of it, which does not pause."""
    monkeypatch.setattr(govuk_pay, "PAUSE_SECONDS", 0.0)
    return client_of(server.pay.address)


def client_of(address: str, *pages: str) -> GovUkPay:
    """Return a client of the API at ``address``."""
    return GovUkPay(address, KEY, pages or (address,), SECONDS)


def choose(page: str | None, choice: str) -> httpx.Response:
    """Do something on the provider's page."""
    assert page is not None
    return httpx.post(page, data={"choice": choice})


def direct(server: Running, method: str, path: str, **sent: Any) -> httpx.Response:
    """Ask the API without the client."""
    headers = {"Authorization": f"Bearer {KEY}", **sent.pop("headers", {})}
    return httpx.request(method, server.pay.address + path, headers=headers, **sent)


def asked_for(order: Order) -> dict[str, Any]:
    """Return the body that asks for a payment."""
    return {
        "amount": order.pence,
        "reference": order.reference,
        "description": order.description,
        "return_url": order.return_url,
        "language": order.language,
    }


# --- what is sent ---------------------------------------------------------------------------


def test_payment_is_asked_for_as_the_specification_says(server: Running, client: GovUkPay) -> None:
    """The body, the key of the API and the key of the payment are where they belong."""
    told = client.create(ORDER)
    [(method, path, headers, body)] = server.pay.requests
    assert (method, path) == ("POST", "/v1/payments")
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["Content-Type"] == "application/json"
    assert headers["Accept"] == "application/json"
    assert headers["Idempotency-Key"] == ORDER.key
    assert check("CreateCardPaymentRequest", body) == asked_for(ORDER) | {
        "metadata": {"payment": ORDER.key}
    }
    assert (told.key, told.reference, told.pence) == (ORDER.key, ORDER.reference, ORDER.pence)
    assert told.outcome is Outcome.PENDING
    assert str(told.next_url).startswith(f"{server.pay.address}/secure/")
    assert client.state(told.id) == told
    assert server.pay.requests[-1][:2] == ("GET", f"/v1/payments/{told.id}")


def test_what_the_pretend_provider_answers_is_as_specified(server: Running) -> None:
    """Payments, refunds and errors have the shapes that the specification gives them."""
    key = {"Idempotency-Key": ORDER.key}
    answer = direct(server, "POST", "/v1/payments", json=asked_for(ORDER), headers=key)
    assert answer.status_code == 201
    made = check("PaymentWithAllLinks", answer.json())
    own = f"/v1/payments/{made['payment_id']}"
    again = direct(server, "POST", "/v1/payments", json=asked_for(ORDER), headers=key)
    assert (again.status_code, again.json()) == (200, made)
    other = asked_for(ORDER) | {"amount": 1}
    used = direct(server, "POST", "/v1/payments", json=other, headers=key)
    assert (used.status_code, check("RequestError", used.json())["code"]) == (409, "P0191")
    choose(made["_links"]["next_url"]["href"], "pay")
    paid = check("PaymentWithAllLinks", direct(server, "GET", own).json())
    assert paid["state"] == {"status": "success", "finished": True}
    assert "next_url" not in paid["_links"]
    back = direct(
        server, "POST", f"{own}/refunds", json={"amount": 34, "refund_amount_available": 1234}
    )
    assert back.status_code == 202
    refund = check("Refund", back.json())
    listed = direct(server, "GET", f"{own}/refunds").json()
    assert [one["refund_id"] for one in listed["_embedded"]["refunds"]] == [refund["refund_id"]]
    one = direct(server, "GET", f"{own}/refunds/{refund['refund_id']}").json()
    assert check("Refund", one)["status"] == "success"
    summary = direct(server, "GET", own).json()["refund_summary"]
    assert summary == {"status": "available", "amount_available": 1200, "amount_submitted": 34}


WRONG_ORDERS = [
    ({"amount": None}, 400, "P0101", "amount"),
    ({"amount": 0}, 422, "P0102", "amount"),
    ({"amount": 10_000_001}, 422, "P0102", "amount"),
    ({"amount": "12"}, 400, "P0102", "amount"),
    ({"reference": None}, 400, "P0101", "reference"),
    ({"reference": "x" * 256}, 422, "P0102", "reference"),
    ({"description": "x" * 256}, 422, "P0102", "description"),
    ({"description": 5}, 422, "P0102", "description"),
    ({"return_url": "https://" + "x" * 2000}, 422, "P0102", "return_url"),
    ({"return_url": "javascript:alert(1)"}, 422, "P0102", "return_url"),
    ({"language": "fr"}, 422, "P0102", "language"),
    ({"metadata": {"x" * 31: "y"}}, 422, "P0102", "metadata"),
    ({"metadata": {"x": {}}}, 422, "P0102", "metadata"),
]


@pytest.mark.parametrize(("change", "status", "code", "field"), WRONG_ORDERS)
def test_wrong_order_is_refused_by_its_field(
    server: Running, change: dict[str, Any], status: int, code: str, field: str
) -> None:
    """The answer has the code and the field of the specification, and nothing is made."""
    answer = direct(server, "POST", "/v1/payments", json=asked_for(ORDER) | change)
    told = check("RequestError", answer.json())
    assert (answer.status_code, told["code"], told["field"]) == (status, code, field)
    assert not server.pay.payments


@pytest.mark.parametrize("key", ["", "x" * 256, "123$@!?"])
def test_wrong_idempotency_key_is_refused(server: Running, key: str) -> None:
    """It has 1 to 255 letters, digits and hyphens."""
    answer = direct(
        server, "POST", "/v1/payments", json=asked_for(ORDER), headers={"Idempotency-Key": key}
    )
    assert answer.status_code == 422
    assert check("RequestError", answer.json())["header"] == "Idempotency-Key"


def test_what_is_no_json_is_refused(server: Running) -> None:
    """Half an object, and none at all."""
    for sent in (b'{"amount": 1', b"", b"[]"):
        answer = direct(server, "POST", "/v1/payments", content=sent)
        assert (answer.status_code, answer.json()["code"]) == (400, "P0197")


# --- what is answered -----------------------------------------------------------------------

STATES = [
    ("created", "", Outcome.PENDING),
    ("started", "", Outcome.PENDING),
    ("submitted", "", Outcome.PENDING),
    ("capturable", "", Outcome.PENDING),
    ("success", "", Outcome.PAID),
    ("failed", "P0010", Outcome.DECLINED),
    ("failed", "P0020", Outcome.EXPIRED),
    ("failed", "P0030", Outcome.CANCELLED),
    ("failed", "", Outcome.FAILED),
    ("cancelled", "P0040", Outcome.CANCELLED),
    ("error", "P0050", Outcome.FAILED),
]


@pytest.mark.parametrize(("status", "code", "outcome"), STATES)
def test_every_status_is_understood(
    server: Running, client: GovUkPay, status: str, code: str, outcome: Outcome
) -> None:
    """Each status and code of the specification is one outcome; two say that the card was given."""
    made = client.create(ORDER)
    server.pay.payments[made.id].status = status
    server.pay.payments[made.id].code = code
    told = client.state(made.id)
    assert told.outcome is outcome
    assert told.begun == (status in ("submitted", "capturable"))
    assert (told.next_url is None) == (status not in ("created", "started"))


CHOICES = [
    ("pay", Outcome.PAID),
    ("decline", Outcome.DECLINED),
    ("wait", Outcome.PENDING),
    ("cancel", Outcome.CANCELLED),
    ("expire", Outcome.EXPIRED),
    ("error", Outcome.FAILED),
]


@pytest.mark.parametrize(("choice", "outcome"), CHOICES)
def test_what_the_payer_does_is_told(client: GovUkPay, choice: str, outcome: Outcome) -> None:
    """Each button leads back, and what was chosen first stays."""
    made = client.create(ORDER)
    assert choose(made.next_url, choice).headers["Location"] == ORDER.return_url
    assert client.state(made.id).outcome is outcome
    for other, _outcome in CHOICES:
        assert choose(made.next_url, other).headers["Location"] == ORDER.return_url
    assert client.state(made.id).outcome is outcome


def test_payer_has_ninety_minutes() -> None:
    """Afterwards the payment ran out of time; one that is with the bank does not."""
    now = [1_000_000.0]
    with running(KEY, now=lambda: now[0]) as server:
        client = client_of(server.pay.address)
        made = client.create(ORDER)
        waiting = client.create(replace(ORDER, key="another"))
        choose(waiting.next_url, "wait")
        now[0] += 90 * 60
        assert client.state(made.id).outcome is Outcome.PENDING
        now[0] += 1
        assert client.state(made.id).outcome is Outcome.EXPIRED
        assert client.state(waiting.id).outcome is Outcome.PENDING
        choose(made.next_url, "pay")
        assert client.state(made.id).outcome is Outcome.EXPIRED


def test_payment_is_cancelled_while_it_can_be(server: Running, client: GovUkPay) -> None:
    """Once; what is with the bank or finished is refused by the code of the specification."""
    made = client.create(ORDER)
    client.cancel(made.id)
    told = client.state(made.id)
    assert (told.outcome, told.next_url) == (Outcome.CANCELLED, None)
    with pytest.raises(ProviderRefusedError) as refused:
        client.cancel(made.id)
    assert (refused.value.status, refused.value.code) == (400, "P0501")
    other = client.create(replace(ORDER, key="another"))
    choose(other.next_url, "wait")
    with pytest.raises(ProviderRefusedError) as refused:
        client.cancel(other.id)
    assert (refused.value.status, refused.value.code) == (409, "P0502")


# --- once -----------------------------------------------------------------------------------


def test_same_order_is_one_payment(server: Running, client: GovUkPay) -> None:
    """Also when eight ask at once; another order by the same key is refused."""
    told: list[str] = []
    threads = [
        threading.Thread(target=lambda: told.append(client.create(ORDER).id)) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert told == [told[0]] * 8
    assert list(server.pay.payments) == [told[0]]
    with pytest.raises(ProviderRefusedError) as refused:
        client.create(replace(ORDER, pence=99))
    assert (refused.value.status, refused.value.code) == (409, "P0191")


def test_what_failed_after_it_was_made_is_found_again(server: Running, client: GovUkPay) -> None:
    """It is asked for twice by the same key, then unavailable, later the same payment."""
    server.pay.faults.add(Fault.FAILS_AFTER_CREATING)
    with pytest.raises(ProviderUnavailableError):
        client.create(ORDER)
    first, second = server.pay.requests
    assert first == second
    server.pay.faults.clear()
    assert [client.create(ORDER).id] == list(server.pay.payments)


def test_refund_is_asked_for_once(server: Running, client: GovUkPay) -> None:
    """One whose answer was lost is not asked for again; by what was refundable it is refused."""
    made = client.create(ORDER)
    choose(made.next_url, "pay")
    assert client.state(made.id).refundable == 1234
    server.pay.faults.add(Fault.FAILS_AFTER_REFUNDING)
    server.pay.requests.clear()
    with pytest.raises(ProviderUnavailableError):
        client.refund(made.id, 1000, 1234)
    [(_method, path, _headers, body)] = server.pay.requests
    assert path == f"/v1/payments/{made.id}/refunds"
    assert check("PaymentRefundRequest", body) == {"amount": 1000, "refund_amount_available": 1234}
    server.pay.faults.clear()
    with pytest.raises(ProviderRefusedError) as refused:
        client.refund(made.id, 1000, 1234)
    assert (refused.value.status, refused.value.code) == (412, "P0604")
    assert client.state(made.id).refundable == 234
    begun = client.refund(made.id, 234, 234)
    assert (begun.payment, begun.pence, begun.done) == (made.id, 234, False)
    with pytest.raises(ProviderRefusedError) as refused:
        client.refund(made.id, 1, 1)
    assert (refused.value.status, refused.value.code) == (400, "P0603")


def test_unpaid_payment_is_not_refunded(client: GovUkPay) -> None:
    """There is nothing to pay back."""
    made = client.create(ORDER)
    with pytest.raises(ProviderRefusedError) as refused:
        client.refund(made.id, 1, 1)
    assert refused.value.code == "P0603"


def test_every_refund_is_told_page_by_page(
    server: Running, client: GovUkPay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each once, from the first that was begun since then."""
    monkeypatch.setattr(govuk_pay, "PAGE", 2)
    made = client.create(ORDER)
    choose(made.next_url, "pay")
    since = datetime(2026, 1, 1, tzinfo=UTC)
    assert list(client.refunds(since)) == []
    for left in range(1234, 1229, -1):
        client.refund(made.id, 1, left)
    told = list(client.refunds(since))
    assert [(one.payment, one.pence) for one in told] == [(made.id, 1)] * 5
    assert len({one.id for one in told}) == 5
    assert all(one.done for one in client.refunds(since))
    assert list(client.refunds(datetime(2999, 1, 1, tzinfo=UTC))) == []


# --- what goes wrong ------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Fault.FAILS, Fault.BUSY, Fault.TALKS_NONSENSE])
def test_failing_provider_is_unavailable(server: Running, client: GovUkPay, fault: Fault) -> None:
    """Whatever it is asked for; what is safe to ask twice is asked twice."""
    made = client.create(ORDER)
    server.pay.faults.add(fault)
    twice = 1 if fault is Fault.TALKS_NONSENSE else 2
    asked = [
        (lambda: client.create(ORDER), twice),
        (lambda: client.state(made.id), twice),
        (lambda: client.refund(made.id, 1, 1), 1),
        (lambda: list(client.refunds(datetime(2026, 1, 1, tzinfo=UTC))), twice),
    ]
    for ask, times in asked:
        server.pay.requests.clear()
        with pytest.raises(ProviderUnavailableError):
            ask()
        assert len(server.pay.requests) == times


def test_provider_that_is_down_or_hangs_is_unavailable(server: Running, client: GovUkPay) -> None:
    """Nobody waits for it beyond the seconds that were set, twice."""
    server.down()
    with pytest.raises(ProviderUnavailableError):
        client.create(ORDER)
    server.up()
    server.pay.faults.add(Fault.HANGS)
    began = time.monotonic()
    with pytest.raises(ProviderUnavailableError):
        client.create(ORDER)
    assert time.monotonic() - began < 2 * SECONDS + 1
    server.pay.released.set()
    server.pay.faults.clear()
    made = client.create(ORDER)
    assert list(server.pay.payments) == [made.id]


@contextmanager
def dripping(at_once: bytes) -> Iterator[str]:
    """Run an API whose answers never end: after their beginning, a byte comes now and then."""
    over = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(at_once)
            while not over.wait(SECONDS / 10):
                connection.sendall(b"x")

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _address = server.accept()
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        over.set()
        server.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    "at_once",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{"],
)
def test_provider_that_drips_is_unavailable(at_once: bytes) -> None:
    """A byte in time, again and again, in the head or the body, keeps nobody waiting longer."""
    with dripping(at_once) as address:
        client = GovUkPay(address, KEY, (address,), SECONDS / 4)
        began = time.monotonic()
        with pytest.raises(ProviderUnavailableError):
            client.create(ORDER)
        assert time.monotonic() - began < SECONDS / 2 + 1


def test_wrong_key_and_unknown_payment_are_refused(server: Running, client: GovUkPay) -> None:
    """By status, and by the code where there is one."""
    with pytest.raises(ProviderRefusedError) as refused:
        client.state("abcdefghijklmnopqrstuvwxyz")
    assert (refused.value.status, refused.value.code) == (404, "P0200")
    with pytest.raises(ProviderRefusedError) as refused:
        GovUkPay(server.pay.address, "wrong", (server.pay.address,), SECONDS).create(ORDER)
    assert (refused.value.status, refused.value.code) == (401, "")
    assert not server.pay.payments


GOOD = {
    "payment_id": "abcdefghijklmnopqrstuvwxyz",
    "amount": 1234,
    "reference": ORDER.reference,
    "metadata": {"payment": ORDER.key},
    "state": {"status": "created", "finished": False},
    "_links": {"next_url": {"href": "https://pages.example/secure/1", "method": "GET"}},
}
SENSELESS: list[Any] = [
    [],
    None,
    "paid",
    {},
    GOOD | {"payment_id": "../refunds"},
    GOOD | {"payment_id": "é"},
    GOOD | {"payment_id": ""},
    GOOD | {"payment_id": "x" * 51},
    GOOD | {"payment_id": 5},
    GOOD | {"amount": "1234"},
    GOOD | {"amount": 12.34},
    GOOD | {"amount": True},
    GOOD | {"amount": -1},
    GOOD | {"reference": None},
    GOOD | {"state": {"status": "perfect"}},
    GOOD | {"state": "success"},
    GOOD | {"state": None},
    GOOD | {"metadata": "x"},
    GOOD | {"refund_summary": {"amount_available": "all"}},
    GOOD | {"_links": {"next_url": "https://pages.example/secure/1"}},
]
UNSAFE = [
    "http://pages.example/secure/1",
    "https://elsewhere.example/secure/1",
    "https://pages.example.evil.example/",
    "https://pages.example@evil.example/",
    "https://pages.example:444/secure/1",
    "//pages.example/secure/1",
    "javascript:alert(1)",
    "/secure/1",
    "",
]


class Answering:
    """An API that gives the same answer to everything."""

    address: str
    told: Any = None

    def __call__(self, _environ: Any, start_response: Any) -> list[bytes]:
        """Give it."""
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps(self.told).encode()]


@pytest.fixture
def api() -> Iterator[Answering]:
    """Run one."""
    answering = Answering()
    server = Running(answering, "127.0.0.1", 0)  # type: ignore[arg-type]
    yield answering
    server.down()


@pytest.fixture
def its_client(api: Answering) -> GovUkPay:
    """Give a client of it, whose pages are at https://pages.example."""
    return client_of(api.address, "https://pages.example")


def test_answer_that_makes_no_sense_is_none(api: Answering, its_client: GovUkPay) -> None:
    """An amount that is no whole number, an id that is a path, a status nobody knows, ..."""
    for api.told in SENSELESS:
        with pytest.raises(ProviderUnavailableError):
            its_client.state("abc")
    api.told = GOOD
    assert its_client.state("abc").pence == 1234


def test_payer_is_sent_to_the_providers_pages_alone(api: Answering, its_client: GovUkPay) -> None:
    """An address anywhere else, or one by which others could listen, is not followed."""
    for href in UNSAFE:
        api.told = GOOD | {"_links": {"next_url": {"href": href, "method": "GET"}}}
        with pytest.raises(ProviderUnavailableError):
            its_client.create(ORDER)


def test_senseless_refunds_are_none(api: Answering, its_client: GovUkPay) -> None:
    """Neither a list of something else nor one without an end."""
    since = datetime(2026, 1, 1, tzinfo=UTC)
    for api.told in ([], {}, {"results": [{}], "total": 1}, {"results": [], "total": "x"}):
        with pytest.raises(ProviderUnavailableError):
            list(its_client.refunds(since))
    api.told = {"results": [], "total": 10**9}
    assert list(its_client.refunds(since)) == []


@pytest.mark.parametrize("address", ["http://pay.example", "ftp://localhost", "pay.example"])
def test_key_travels_by_https_alone(address: str) -> None:
    """But for a provider on this machine."""
    with pytest.raises(ValueError, match="https"):
        GovUkPay(address, KEY, ("https://pages.example",), 1)
    with pytest.raises(ValueError, match="https"):
        GovUkPay("https://pay.example", KEY, (address,), 1)


def test_no_log_has_the_key_or_the_payment(
    server: Running, client: GovUkPay, caplog: pytest.LogCaptureFixture
) -> None:
    """Not at the most talkative level, nor what is raised, nor how the client shows itself."""
    raised: list[BaseException] = []
    with caplog.at_level(logging.DEBUG):
        made = client.create(ORDER)
        for fault in Fault:
            server.pay.faults = {fault}
            server.pay.released.set()
            try:
                client.create(replace(ORDER, pence=1))
            except (ProviderUnavailableError, ProviderRefusedError) as error:
                raised.append(error)
        server.down()
        with pytest.raises(ProviderUnavailableError) as down:
            client.state(made.id)
    assert raised
    told = caplog.text + "".join(map(repr, [*raised, down.value, client, vars(client)]))
    assert all(error.__cause__ is None for error in [*raised, down.value])
    for secret in (
        KEY,
        ORDER.key,
        ORDER.reference,
        "T-100001",
        ORDER.description,
        "portal.example",
    ):
        assert secret not in told
