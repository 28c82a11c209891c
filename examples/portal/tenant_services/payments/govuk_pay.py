"""GOV.UK Pay's published API (github.com/alphagov/pay-publicapi, openapi/publicapi_spec.json).

What is safe to ask twice is asked twice before it counts as unavailable. The key of the API
stands in one header of what is sent, and nowhere else.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx

from .provider import (
    Outcome,
    ProviderError,
    ProviderRefusedError,
    ProviderUnavailableError,
    Refund,
    State,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from .provider import Order

ATTEMPTS = 2
PAUSE_SECONDS = 1.0
"""How long to leave it alone when it says that it is asked too often."""
PAGE = 500
"""How many refunds it tells at a time, at most."""
LONGEST_ID = 50
LOCAL = ("localhost", "127.0.0.1", "::1")
STATUSES = {
    "created": Outcome.PENDING,
    "started": Outcome.PENDING,
    "submitted": Outcome.PENDING,
    "capturable": Outcome.PENDING,
    "success": Outcome.PAID,
    "failed": Outcome.FAILED,
    "cancelled": Outcome.CANCELLED,
    "error": Outcome.FAILED,
}
FAILURES = {"P0010": Outcome.DECLINED, "P0020": Outcome.EXPIRED, "P0030": Outcome.CANCELLED}
"""Why a payment failed: the card was declined, time ran out, the payer cancelled."""

_log = logging.getLogger(__name__)


class GovUkPay:
    """The API at ``api``, asked with ``key``. Each answer is whole within ``seconds``, or none.

    Payers are sent to ``pages`` alone, which are origins such as https://www.example.
    """

    def __init__(self, api: str, key: str, pages: tuple[str, ...], seconds: float) -> None:
        """Keep where it is."""
        for address in (api, *pages):
            if not _is_safe(address):
                raise ValueError("what goes to the provider travels by https")
        self.pages = pages
        self._seconds = seconds
        self._client = httpx.AsyncClient(
            base_url=api,
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
            timeout=seconds,
        )

    def create(self, order: Order) -> State:
        """Make a payment, or return the one that was made of this order before."""
        asked = {
            "amount": order.pence,
            "reference": order.reference,
            "description": order.description,
            "return_url": order.return_url,
            "language": order.language,
            "metadata": {"payment": order.key},
        }
        answer = self._ask(
            "POST", "/v1/payments", json=asked, headers={"Idempotency-Key": order.key}
        )
        return self._read(answer)

    def state(self, payment: str) -> State:
        """Return how a payment stands."""
        return self._read(self._ask("GET", f"/v1/payments/{payment}"))

    def cancel(self, payment: str) -> None:
        """End a payment that is not finished."""
        self._ask("POST", f"/v1/payments/{payment}/cancel", attempts=1)

    def refund(self, payment: str, pence: int, refundable: int) -> Refund:
        """Begin to pay back ``pence``, if ``refundable`` is still what can be paid back."""
        asked = {"amount": pence, "refund_amount_available": refundable}
        # Refused the second time would not say whether the first was done.
        path = f"/v1/payments/{payment}/refunds"
        return _refund(_json(self._ask("POST", path, json=asked, attempts=1)), payment)

    def refunds(self, since: datetime) -> Iterator[Refund]:
        """Give every refund that was begun since then, whoever began it."""
        page = 1
        while True:
            asked = {
                "from_date": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
                "page": page,
                "display_size": PAGE,
            }
            found = _json(self._ask("GET", "/v1/refunds", params=asked))
            try:
                told, total = found["results"], int(found["total"])
            except (KeyError, TypeError, ValueError):
                raise _senseless() from None
            yield from map(_refund, told)
            if not told or page * PAGE >= total:
                return
            page += 1

    def _ask(self, method: str, path: str, attempts: int = ATTEMPTS, **sent: Any) -> httpx.Response:
        """Return an answer that says yes."""
        for left in reversed(range(attempts)):
            try:
                answer = self._send(method, path, **sent)
            except (httpx.HTTPError, TimeoutError) as error:
                why, pause = type(error).__name__, 0.0
            else:
                if answer.is_success:
                    return answer
                why = f"{answer.status_code} {_code(answer)}".strip()
                is_busy = answer.status_code == httpx.codes.TOO_MANY_REQUESTS
                if not (is_busy or answer.is_server_error):
                    # What it has to say may quote what it was asked: only the code is kept.
                    _log.error("the payment provider refused: %s", why)
                    raise ProviderRefusedError(answer.status_code, _code(answer))
                pause = PAUSE_SECONDS if is_busy else 0.0
            if left:
                time.sleep(pause)
        _log.error("the payment provider failed: %s", why)
        raise ProviderUnavailableError

    def _send(self, method: str, path: str, **sent: Any) -> httpx.Response:
        """Return an answer. One that comes byte by byte is cut off, which only a loop can do."""
        asked = asyncio.wait_for(self._client.request(method, path, **sent), self._seconds)
        with _one_at_a_time:
            loop = _loop()
        return asyncio.run_coroutine_threadsafe(asked, loop).result()

    def _read(self, answer: httpx.Response) -> State:
        told = _json(answer)
        try:
            state = told["state"]
            status = state["status"]
            outcome = STATUSES[status]
            if status == "failed":
                outcome = FAILURES.get(state.get("code", ""), outcome)
            link = (told.get("_links") or {}).get("next_url")
            return State(
                id=_id(told["payment_id"]),
                key=_text((told.get("metadata") or {}).get("payment", "")),
                reference=_text(told["reference"]),
                pence=_pence(told["amount"]),
                outcome=outcome,
                begun=status in ("submitted", "capturable"),
                next_url=self._checked(_text(link["href"])) if link else None,
                refundable=_pence((told.get("refund_summary") or {}).get("amount_available") or 0),
            )
        except (KeyError, TypeError, AttributeError, ValueError):
            raise _senseless() from None

    def _checked(self, address: str) -> str:
        """Return an address that payers may be sent to."""
        parts = urlsplit(address)
        if not _is_safe(address) or f"{parts.scheme}://{parts.netloc}" not in self.pages:
            raise ValueError
        return address


_one_at_a_time = threading.Lock()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the one loop that asks, in a thread of its own: threads that have a loop ask too."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="payment provider", daemon=True).start()
    return loop


def _is_safe(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOCAL)


def _refund(told: Any, payment: str | None = None) -> Refund:
    try:
        return Refund(
            id=_id(told["refund_id"]),
            payment=_id(payment or told["payment_id"]),
            pence=_pence(told["amount"]),
            done=told["status"] == "success",
        )
    except (KeyError, TypeError, ValueError):
        raise _senseless() from None


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        raise _senseless() from None


def _code(answer: httpx.Response) -> str:
    try:
        code = answer.json()["code"]
    except (ValueError, KeyError, TypeError):
        return ""
    return code if isinstance(code, str) and code.isalnum() and len(code) <= 10 else ""


def _text(told: Any) -> str:
    if not isinstance(told, str):
        raise TypeError
    return told


def _id(told: Any) -> str:
    """Return an id, which becomes part of addresses and is kept."""
    if not _text(told).isalnum() or not told.isascii() or len(told) > LONGEST_ID:
        raise ValueError
    return str(told)


def _pence(told: Any) -> int:
    if not isinstance(told, int) or isinstance(told, bool) or told < 0:
        raise TypeError
    return told


def _senseless() -> ProviderError:
    _log.error("the payment provider's answer makes no sense")
    return ProviderUnavailableError()
