"""A Dynamic Resource Scheduler as a site sees it, made up from what is known of the real one.

`Drs` is a server of its own that speaks XML over HTTP, keeps its times by London's clocks without
saying so, has hours of its own and refuses an order that it has already. `DrsDiary` is the adapter
that stands before it: the proof that pages need not know whose diary it is.
"""

from __future__ import annotations

import itertools
import threading
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from demo_portal.clock import LONDON
from lxml import etree  # type: ignore[import-untyped]
from tenant_services.repairs.diary import Answer, Booking, Day, Slot, Status
from tenant_services.repairs.housing import Appointment

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from tenant_services.repairs.diary import Order

HOURS = [(time(10), time(12)), (time(13), time(15, 30))]
SESSION = "session-1"


def xml(tag: str, *children: Any, **texts: str) -> Any:
    """Return an element with children, and with a child for each text."""
    element = etree.Element(tag)
    for name, text in texts.items():
        etree.SubElement(element, name).text = text
    element.extend(children)
    return element


@dataclass
class Drs:
    """The server's orders: which window each has, if any. Its one crew is at one at a time.

    It waits for ``seconds`` before it answers; if it ``drips``, before each byte of the answer.
    """

    orders: dict[str, tuple[str, tuple[str, str] | None]] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    seconds: float = 0
    drips: bool = False
    _lock: Any = field(default_factory=threading.Lock)
    _ids: Any = field(default_factory=lambda: itertools.count(501))

    def answer(self, asked: Any) -> Any:
        """Answer a call: ``status`` says how it went, ``errorMsg`` why it did not."""
        with self._lock:
            self.calls.append(asked.tag)
            if asked.tag != "openSession" and asked.findtext("sessionId") != SESSION:
                return xml("return", status="error", errorMsg="no session")
            try:
                children = getattr(self, asked.tag)(asked)
            except LookupError as error:
                return xml("return", status="failure", errorMsg=str(error))
            return xml("return", *children, status="success", errorMsg="")

    def openSession(self, asked: Any) -> list[Any]:  # noqa: N802
        """Let the site in."""
        if asked.findtext("password") != "made-up":
            raise LookupError("wrong password")
        return [_text("sessionId", SESSION)]

    def checkAvailability(self, asked: Any) -> list[Any]:  # noqa: N802
        """Give every day's slots, those that are taken as well."""
        if not asked.findtext("theOrder/theBookingCodes/bookingCodeSORCode"):
            raise LookupError("no booking code")
        day = datetime.fromisoformat(asked.findtext("periodBegin")).date()
        last = datetime.fromisoformat(asked.findtext("periodEnd")).date()
        days = []
        while day <= last:
            found = xml("theSlots", day=day.isoformat())
            for begins, ends in HOURS if day.weekday() < 5 else []:
                window = tuple(datetime.combine(day, at).isoformat() for at in (begins, ends))
                found.append(
                    xml(
                        "slotsForDay",
                        available="NO" if self.has(window) else "YES",
                        beginDate=window[0],
                        endDate=window[1],
                        bestSlot="true" if begins == HOURS[1][0] else "false",
                    )
                )
            days.append(found)
            day += timedelta(days=1)
        return days

    def has(self, window: tuple[str, ...]) -> bool:
        """Whether a window is somebody's."""
        return any(taken == window for _id, taken in self.orders.values())

    def createOrder(self, asked: Any) -> list[Any]:  # noqa: N802
        """Take an order in, once."""
        number = asked.findtext("theOrder/primaryOrderNumber")
        if number in self.orders:
            raise LookupError(f"order {number} exists")
        self.orders[number] = str(next(self._ids)), None
        return [self._order(number)]

    def selectOrder(self, asked: Any) -> list[Any]:  # noqa: N802
        """Give those orders that there are."""
        numbers = [element.text for element in asked.findall("primaryOrderNumber")]
        return [self._order(number) for number in numbers if number in self.orders]

    def scheduleBooking(self, asked: Any) -> list[Any]:  # noqa: N802
        """Plan a booking, or plan it anew."""
        booking = asked.findtext("theBooking/bookingId")
        ends = ("planningWindowStart", "planningWindowEnd")
        window = tuple(asked.findtext(f"theBooking/{end}") for end in ends)
        [number] = [number for number, (known, _w) in self.orders.items() if known == booking] or [
            None
        ]
        if number is None or self.has(window):
            raise LookupError("slot not available for T-100001")
        self.orders[number] = booking, window  # type: ignore[assignment]
        return []

    def deleteOrder(self, asked: Any) -> list[Any]:  # noqa: N802
        """Forget an order."""
        if self.orders.pop(asked.findtext("theOrder/primaryOrderNumber"), None) is None:
            raise LookupError("no such order")
        return []

    def _order(self, number: str) -> Any:
        booking, window = self.orders[number]
        planned = dict(
            zip(("planningWindowStart", "planningWindowEnd"), window or (), strict=False)
        )
        return xml(
            "theOrder", xml("theBookings", bookingId=booking, **planned), primaryOrderNumber=number
        )


def _text(tag: str, text: str) -> Any:
    element = etree.Element(tag)
    element.text = text
    return element


class DrsDiary:
    """A `RepairsDiary` with a DRS behind it."""

    def __init__(self, url: str, seconds: float) -> None:
        """Ask at ``url``. Each answer is whole within ``seconds``, or none."""
        self._url = urlsplit(url)
        self._seconds = seconds

    def open_session(self) -> Answer[str]:
        """See `RepairsDiary`."""
        found = self._call(xml("openSession", login="portal", password="made-up"))  # noqa: S106
        session = None if found.value is None else found.value.findtext("sessionId")
        return Answer(found.status, found.message, session)

    def check_availability(
        self, session: str, order: Order, since: date, until: date
    ) -> Answer[list[Day]]:
        """See `RepairsDiary`."""
        found = self._call(
            xml(
                "checkAvailability",
                self._order(order),
                sessionId=session,
                periodBegin=f"{since}T00:00:00",
                periodEnd=f"{until}T00:00:00",
            )
        )
        if found.value is None:
            return Answer(found.status, found.message)
        days = []
        for day in found.value.findall("theSlots"):
            slots = tuple(
                Slot(_window(slot, "beginDate", "endDate"), slot.findtext("bestSlot") == "true")
                for slot in day.findall("slotsForDay")
                if slot.findtext("available") == "YES"
            )
            if slots:
                days.append(Day(date.fromisoformat(day.findtext("day")), slots))
        return Answer(found.status, found.message, days)

    def create_order(self, session: str, order: Order) -> Answer[Booking]:
        """See `RepairsDiary`."""
        found = self._call(xml("createOrder", self._order(order), sessionId=session))
        if found.status is Status.FAILURE:
            known = self.select_orders(session, [order.job])
            if known.value:
                return Answer(known.status, known.message, known.value[0])
        made = found.value is not None and _booking(found.value.find("theOrder"))
        return Answer(found.status, found.message, made or None)

    def schedule_booking(self, session: str, booking: Booking, window: Appointment) -> Answer[None]:
        """See `RepairsDiary`."""
        now = self.select_orders(session, [booking.job])
        if now.value != [booking]:
            planned = [known.window for known in now.value or []]
            status = now.status if now.value is None else Status.FAILURE
            return Answer(Status.SUCCESS if planned == [window] else status, "planned otherwise")
        starts, ends = (
            at.astimezone(LONDON).replace(tzinfo=None).isoformat()
            for at in (window.starts_at, window.ends_at)
        )
        planned = xml(
            "theBooking",
            bookingId=booking.booking,
            planningWindowStart=starts,
            planningWindowEnd=ends,
        )
        found = self._call(xml("scheduleBooking", planned, sessionId=session))
        return Answer(found.status, found.message)

    def select_orders(self, session: str, jobs: Collection[str]) -> Answer[list[Booking]]:
        """See `RepairsDiary`."""
        asked = xml("selectOrder", sessionId=session)
        asked.extend(_text("primaryOrderNumber", job) for job in jobs)
        found = self._call(asked)
        if found.value is None:
            return Answer(found.status, found.message)
        return Answer(
            found.status,
            found.message,
            [_booking(order) for order in found.value.findall("theOrder")],
        )

    def delete_order(self, session: str, job: str, reason: str) -> Answer[None]:
        """See `RepairsDiary`."""
        found = self._call(
            xml("deleteOrder", xml("theOrder", primaryOrderNumber=job), sessionId=session)
        )
        return Answer(found.status, found.message)

    def _order(self, order: Order) -> Any:
        code = xml("theBookingCodes", bookingCodeSORCode=order.sor_code)
        return xml(
            "theOrder",
            code,
            primaryOrderNumber=order.job,
            priority=str(int(order.priority)),
            locationID=order.location,
        )

    def _call(self, asked: Any) -> Answer[Any]:
        try:
            found = etree.fromstring(self._send(etree.tostring(asked)))
            status = Status(found.findtext("status"))
        except (OSError, HTTPException, etree.XMLSyntaxError, ValueError) as error:
            return Answer(Status.ERROR, type(error).__name__)
        value = found if status is Status.SUCCESS else None
        return Answer(status, found.findtext("errorMsg") or "", value)

    def _send(self, content: bytes) -> bytes:
        """Return the answer. The socket's own limit is for each byte; this one is for them all."""
        place = HTTPConnection(self._url.hostname or "", self._url.port, timeout=self._seconds)
        with closing(place) as connection:
            connection.connect()
            late = threading.Timer(self._seconds, _hang_up, [connection.sock])
            late.start()
            try:
                connection.request("POST", self._url.path, content)
                return connection.getresponse().read()
            finally:
                late.cancel()


def _hang_up(connection: socket) -> None:
    with suppress(OSError):
        connection.shutdown(SHUT_RDWR)


def _booking(order: Any) -> Booking:
    return Booking(
        order.findtext("theBookings/bookingId"),
        order.findtext("primaryOrderNumber"),
        _window(order, *(f"theBookings/planningWindow{end}" for end in ("Start", "End"))),
    )


def _window(element: Any, begins: str, ends: str) -> Appointment | None:
    texts = element.findtext(begins), element.findtext(ends)
    if not all(texts):
        return None
    return Appointment(*(datetime.fromisoformat(text).replace(tzinfo=LONDON) for text in texts))


@contextmanager
def running(drs: Drs) -> Iterator[str]:
    """Serve a DRS; give its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = etree.fromstring(self.rfile.read(int(self.headers["Content-Length"])))
            pause = threading.Event()
            if not drs.drips:
                pause.wait(drs.seconds)
            content = etree.tostring(drs.answer(asked))
            try:
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for byte in content if drs.drips else ():
                    pause.wait(drs.seconds)
                    self.wfile.write(bytes([byte]))
                if not drs.drips:
                    self.wfile.write(content)
            except OSError:
                pass  # Whoever asked has given up.

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/drs"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
