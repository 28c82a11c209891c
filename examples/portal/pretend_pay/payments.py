"""What the pretend provider remembers, and its API."""

from __future__ import annotations

import json
import re
import secrets
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, auto
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from . import pages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MOST = 10_000_000
LENGTHS = {"reference": 255, "description": 255, "return_url": 2000}
LANGUAGES = ("en", "cy")
EXPIRES_SECONDS = 90 * 60
"""How long a payer has."""


class Fault(Enum):
    """What can go wrong with a provider."""

    FAILS_AFTER_CREATING = auto()
    FAILS_AFTER_REFUNDING = auto()
    FAILS = auto()
    HANGS = auto()
    BUSY = auto()
    TALKS_NONSENSE = auto()
    DOWN_AFTER_PAYING = auto()
    FORGETS_KEYS = auto()


class ApiError(Exception):
    """What is answered to a request that is not done."""

    def __init__(self, status: int, code: str, description: str, **about: str) -> None:
        """Keep the answer: ``about`` names the field or header that is wrong."""
        super().__init__(code)
        self.status = status
        self.body = {"code": code, "description": description, **about}


@dataclass
class Refund:
    """Money on its way back."""

    id: str
    payment: str
    amount: int
    created: float
    status: str = "submitted"


@dataclass
class Payment:
    """A payment, from its beginning to its end."""

    id: str
    token: str
    asked: dict[str, Any]
    created: float
    status: str = "created"
    code: str = ""
    refunds: list[Refund] = field(default_factory=list)

    MESSAGES: ClassVar[dict[str, str]] = {
        "P0010": "Payment method rejected",
        "P0020": "Payment expired",
        "P0030": "Payment was cancelled by the user",
        "P0040": "Payment was cancelled by the service",
        "P0050": "Payment provider returned an error",
    }

    @property
    def amount(self) -> int:
        """What the payer pays."""
        return int(self.asked["amount"])

    @property
    def is_finished(self) -> bool:
        """Whether nothing more becomes of it."""
        return self.status in ("success", "failed", "cancelled", "error")

    @property
    def refundable(self) -> int:
        """What can still be paid back."""
        gone = sum(refund.amount for refund in self.refunds if refund.status != "error")
        return self.amount - gone if self.status == "success" else 0

    def end(self, status: str, code: str = "") -> None:
        """Let that become of it, unless something else did."""
        if not self.is_finished:
            self.status, self.code = status, code


class PretendPay:
    """The provider. ``faults`` are those that it has at present; every request is remembered.

    ``requests`` holds the method, path, headers and body of each that came to the API.
    """

    def __init__(self, key: str, now: Callable[[], float] = time.time) -> None:
        """Begin without payments; ``key`` is what the API is asked with."""
        self.key = key
        self.address = ""
        self.payments: dict[str, Payment] = {}
        self.faults: set[Fault] = set()
        self.requests: list[tuple[str, str, dict[str, str], Any]] = []
        self.released = threading.Event()
        self._now = now
        self._keys: dict[str, tuple[dict[str, Any], Payment]] = {}
        self._lock = threading.RLock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer as a WSGI application."""
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        length = int(environ.get("CONTENT_LENGTH") or 0)
        sent = environ["wsgi.input"].read(length) if length else b""
        if path.startswith("/v1/"):
            status, headers, body = self._api(environ, path, sent)
        else:
            status, headers, body = pages.answer(self, environ["REQUEST_METHOD"], path, sent)
        headers = {"Content-Length": str(len(body)), "Cache-Control": "no-store", **headers}
        start_response(f"{status} {HTTPStatus(status).phrase}", list(headers.items()))
        return [body]

    # --- what payers do -----------------------------------------------------------------------

    CHOICES: ClassVar[dict[str, tuple[str, str]]] = {
        "pay": ("success", ""),
        "decline": ("failed", "P0010"),
        "wait": ("submitted", ""),
        "cancel": ("failed", "P0030"),
        "expire": ("failed", "P0020"),
        "error": ("error", "P0050"),
    }

    def open(self, token: str) -> Payment | None:
        """Return the payment whose page that is; the payer has now seen it."""
        with self._lock:
            for payment in self.payments.values():
                if secrets.compare_digest(payment.token.encode(), token.encode()):
                    self._expire(payment)
                    if payment.status == "created":
                        payment.status = "started"
                    return payment
        return None

    def choose(self, payment: Payment, choice: str) -> None:
        """Let the payer do something, once; what the bank takes its time with is the bank's."""
        with self._lock:
            if payment.status != "submitted":
                payment.end(*self.CHOICES[choice])
            if choice == "pay" and Fault.DOWN_AFTER_PAYING in self.faults:
                self.faults.add(Fault.FAILS)

    def _expire(self, payment: Payment) -> None:
        if payment.status != "submitted" and self._now() - payment.created > EXPIRES_SECONDS:
            payment.end("failed", "P0020")

    # --- the API ------------------------------------------------------------------------------

    def _api(
        self, environ: dict[str, Any], path: str, sent: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        method = environ["REQUEST_METHOD"]
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        try:
            body = json.loads(sent) if sent else None
            is_json = True
        except ValueError:
            body, is_json = None, False
        self.requests.append((method, path, headers, body))
        if Fault.HANGS in self.faults:
            self.released.wait(30)
        if Fault.TALKS_NONSENSE in self.faults:
            return 200, {"Content-Type": "text/html"}, b"<h1>Welcome to our proxy</h1>"
        try:
            if headers.get("Authorization") != f"Bearer {self.key}":
                return (
                    401,
                    {"Content-Type": "application/json"},
                    b'{"code":401,"message":"HTTP 401"}',
                )
            with self._lock:
                query = parse_qs(environ.get("QUERY_STRING", ""))
                status, answer = self._route(method, path, headers, body, query, is_json=is_json)
        except ApiError as error:
            status, answer = error.status, error.body
        told = b"" if answer is None else json.dumps(answer).encode()
        return status, {"Content-Type": "application/json"}, told

    def _route(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        body: Any,
        query: dict[str, list[str]],
        *,
        is_json: bool,
    ) -> tuple[int, Any]:
        if Fault.BUSY in self.faults:
            raise ApiError(429, "P0900", "Too many requests")
        if Fault.FAILS in self.faults:
            raise ApiError(500, "P0198", "Downstream system error")
        for wanted, pattern, act in (
            ("POST", r"/v1/payments", self._create),
            ("GET", r"/v1/payments/([^/]+)", self._state),
            ("POST", r"/v1/payments/([^/]+)/cancel", self._cancel),
            ("POST", r"/v1/payments/([^/]+)/refunds", self._refund),
            ("GET", r"/v1/payments/([^/]+)/refunds", self._refunds),
            ("GET", r"/v1/payments/([^/]+)/refunds/([^/]+)", self._one_refund),
            ("GET", r"/v1/refunds", self._search_refunds),
        ):
            if method == wanted and (found := re.fullmatch(pattern, path)):
                return act(
                    *found.groups(), headers=headers, body=body, query=query, is_json=is_json
                )
        return 404, {"code": 404, "message": "HTTP 404 Not Found"}

    def _create(
        self, *, headers: dict[str, str], body: Any, is_json: bool, **_more: Any
    ) -> tuple[int, Any]:
        key = headers.get("Idempotency-Key")
        if key is not None:
            _check_key(key)
        _check_order(body, is_json=is_json)
        payment = None
        if key is not None and Fault.FORGETS_KEYS not in self.faults:
            before, payment = self._keys.get(key, (body, None))
            if before != body:
                raise ApiError(
                    409,
                    "P0191",
                    "The `Idempotency-Key` you sent in the request header has already been used "
                    "to create a payment.",
                )
        status = 200 if payment else 201
        if payment is None:
            payment = Payment(_id(), secrets.token_urlsafe(24), body, self._now())
            self.payments[payment.id] = payment
            if key is not None:
                self._keys[key] = (body, payment)
        if Fault.FAILS_AFTER_CREATING in self.faults:
            raise ApiError(500, "P0198", "Downstream system error")
        return status, self._told(payment)

    def _state(self, payment: str, **_more: Any) -> tuple[int, Any]:
        return 200, self._told(self._find(payment, "P0200"))

    def _cancel(self, payment: str, **_more: Any) -> tuple[int, Any]:
        found = self._find(payment, "P0500")
        if found.status == "submitted":
            raise ApiError(409, "P0502", "Cancellation of payment failed")
        if found.is_finished:
            raise ApiError(400, "P0501", "Cancellation of payment failed")
        found.end("cancelled", "P0040")
        return 204, None

    def _refund(self, payment: str, *, body: Any, is_json: bool, **_more: Any) -> tuple[int, Any]:
        if not is_json or not isinstance(body, dict):
            raise ApiError(400, "P0697", "Unable to parse JSON")
        if body.get("amount") is None:
            raise ApiError(400, "P0601", "Missing mandatory attribute: amount", field="amount")
        for name in ("amount", "refund_amount_available"):
            _check_amount(body.get(name, 1), name, "P0602")
        found = self._find(payment, "P0600")
        if not found.refundable:
            status = "full" if found.status == "success" else "pending"
            if found.is_finished and found.status != "success":
                status = "unavailable"
            said = "The payment is not available for refund. Payment refund status: "
            raise ApiError(400, "P0603", said + status)
        available = body.get("refund_amount_available", found.refundable)
        if available != found.refundable or body["amount"] > available:
            raise ApiError(412, "P0604", "Refund amount available mismatch.")
        refund = Refund(_id(), found.id, body["amount"], self._now())
        found.refunds.append(refund)
        if Fault.FAILS_AFTER_REFUNDING in self.faults:
            raise ApiError(500, "P0698", "Downstream system error")
        return 202, self._told_refund(refund)

    def _refunds(self, payment: str, **_more: Any) -> tuple[int, Any]:
        found = self._find(payment, "P0800")
        return 200, {
            "payment_id": found.id,
            "_links": {
                "self": _link(f"{self.address}/v1/payments/{found.id}/refunds"),
                "payment": _link(f"{self.address}/v1/payments/{found.id}"),
            },
            "_embedded": {"refunds": [self._told_refund(one) for one in found.refunds]},
        }

    def _one_refund(self, payment: str, refund: str, **_more: Any) -> tuple[int, Any]:
        for one in self._find(payment, "P0700").refunds:
            if one.id == refund:
                return 200, self._told_refund(one)
        raise ApiError(404, "P0700", "Not found")

    def _search_refunds(self, *, query: dict[str, list[str]], **_more: Any) -> tuple[int, Any]:
        [since] = query.get("from_date", ["1970-01-01T00:00:00Z"])
        [page] = query.get("page", ["1"])
        [size] = query.get("display_size", ["500"])
        if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", since) or not (
            page.isdecimal() and size.isdecimal() and 1 <= int(size) <= 500
        ):
            said = "Invalid parameters: from_date, page, display_size."
            raise ApiError(
                422, "P1101", f"{said} See Public API documentation for the correct data formats"
            )
        least = datetime.fromisoformat(since).timestamp()
        found = [
            one
            for payment in self.payments.values()
            for one in payment.refunds
            if one.created >= least
        ]
        told = found[(int(page) - 1) * int(size) :][: int(size)]
        if not told and int(page) > 1:
            raise ApiError(404, "P1100", "Page not found")
        return 200, {
            "total": len(found),
            "count": len(told),
            "page": int(page),
            "results": [self._told_refund(one) for one in told],
            "_links": {},
        }

    def _find(self, payment: str, code: str) -> Payment:
        if payment not in self.payments:
            raise ApiError(404, code, "Not found")
        found = self.payments[payment]
        self._expire(found)
        return found

    def _told(self, payment: Payment) -> dict[str, Any]:
        state: dict[str, Any] = {"status": payment.status, "finished": payment.is_finished}
        if payment.code:
            state |= {"code": payment.code, "message": payment.MESSAGES[payment.code]}
        own = f"{self.address}/v1/payments/{payment.id}"
        links: dict[str, Any] = {
            "self": _link(own),
            "events": _link(f"{own}/events"),
            "refunds": _link(f"{own}/refunds"),
        }
        if payment.status in ("created", "started"):
            links["next_url"] = _link(f"{self.address}/secure/{payment.token}")
            links["cancel"] = _link(f"{own}/cancel", "POST")
        done = sum(one.amount for one in payment.refunds)
        return {
            "amount": payment.amount,
            "description": payment.asked["description"],
            "reference": payment.asked["reference"],
            "language": payment.asked.get("language", "en"),
            "metadata": payment.asked.get("metadata", {}),
            "state": state,
            "payment_id": payment.id,
            "payment_provider": "sandbox",
            "created_date": _instant(payment.created),
            "refund_summary": {
                "status": "available" if payment.refundable else "pending",
                "amount_available": payment.refundable
                if payment.status == "success"
                else payment.amount,
                "amount_submitted": done,
            },
            "settlement_summary": {},
            "delayed_capture": False,
            "moto": False,
            "return_url": payment.asked["return_url"],
            "authorisation_mode": "web",
            "_links": links,
        }

    def _told_refund(self, refund: Refund) -> dict[str, Any]:
        own = f"{self.address}/v1/payments/{refund.payment}"
        told = {
            "refund_id": refund.id,
            "payment_id": refund.payment,
            "amount": refund.amount,
            "created_date": _instant(refund.created),
            "status": refund.status,
            "_links": {"self": _link(f"{own}/refunds/{refund.id}"), "payment": _link(own)},
        }
        if refund.status == "submitted":
            refund.status = "success"  # by the time somebody asks again
        return told


def _check_key(key: str) -> None:
    if not 1 <= len(key) <= 255:
        said = "Header [Idempotency-Key] can have a size between 1 and 255"
    elif not re.fullmatch(r"[a-zA-Z0-9-]+", key):
        said = "Header [Idempotency-Key] can only contain alphanumeric characters and hyphens"
    else:
        return
    raise ApiError(422, "P0102", said, header="Idempotency-Key")


def _check_order(body: Any, *, is_json: bool) -> None:
    if not is_json or not isinstance(body, dict):
        raise ApiError(400, "P0197", "Unable to parse JSON")
    for name in ("amount", "reference", "description", "return_url"):
        if body.get(name) in (None, ""):
            raise ApiError(400, "P0101", f"Missing mandatory attribute: {name}", field=name)
    _check_amount(body["amount"], "amount", "P0102")
    for name, most in LENGTHS.items():
        if not isinstance(body[name], str):
            raise _invalid(name, "Must be of type String")
        if len(body[name]) > most:
            raise _invalid(name, f"Must be less than or equal to {most} characters length")
    parts = urlsplit(body["return_url"])
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise _invalid("return_url", "Must be a valid URL format")
    if body.get("language", "en") not in LANGUAGES:
        raise _invalid("language", 'Must be "en" or "cy"')
    metadata = body.get("metadata", {})
    if not isinstance(metadata, dict) or len(metadata) > 15:
        raise _invalid("metadata", "Must be an object of JSON key-value pairs")
    for name, value in metadata.items():
        if not 1 <= len(name) <= 30 or len(str(value)) > 100 or isinstance(value, dict | list):
            raise _invalid("metadata", "Must be an object of JSON key-value pairs")


def _check_amount(amount: Any, name: str, code: str) -> None:
    said = None
    if not isinstance(amount, int) or isinstance(amount, bool):
        raise ApiError(
            400,
            code,
            f"Invalid attribute value: {name}. Must be a valid numeric format",
            field=name,
        )
    if amount < 1:
        said = "Must be greater than or equal to 1"
    elif amount > MOST:
        said = f"Must be less than or equal to {MOST}"
    if said:
        raise ApiError(422, code, f"Invalid attribute value: {name}. {said}", field=name)


def _invalid(name: str, said: str) -> ApiError:
    return ApiError(422, "P0102", f"Invalid attribute value: {name}. {said}", field=name)


def _link(address: str, method: str = "GET") -> dict[str, str]:
    return {"href": address, "method": method}


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def _id() -> str:
    letters = "abcdefghijklmnopqrstuvwxyz0123456789"
    return "".join(secrets.choice(letters) for _ in range(26))
