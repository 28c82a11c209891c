"""A portal's process that wants, in four threads, every slot that another one wants as well.

It says that it is ready, waits to be told to go, and prints for each slot how it went.
"""

from __future__ import annotations

import json
import sys
import threading
from datetime import date, timedelta

import django
from django.db import connection

THREADS = 4


def main(name: str) -> None:
    """Take part."""
    django.setup()
    from tenant_services.repairs.diary import Order
    from tenant_services.repairs.diary_calendar import Period, window_of
    from tenant_services.repairs.diary_sql import PortalDiary
    from tenant_services.repairs.housing import Priority

    diary = PortalDiary({"roofing": 1}, {"RO": "roofing"}.get)
    session = diary.open_session().value
    windows = [
        window_of(date(2027, 6, 7) + timedelta(days=days), period)
        for days in range(5)
        for period in (Period.MORNING, Period.AFTERNOON)
    ]
    found = []
    barrier = threading.Barrier(THREADS)

    def work(number: int) -> None:
        for place, window in enumerate(windows):
            order = Order(f"{name}-{number}-{place}", "RO", Priority.NORMAL, "T-1", "")
            booking = diary.create_order(session, order).value
            barrier.wait(60)
            answer = diary.schedule_booking(session, booking, window)
            found.append((window.starts_at.isoformat(), answer.status.value))
        connection.close()

    connection.ensure_connection()
    print("ready", flush=True)
    sys.stdin.readline()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(found))


main(sys.argv[1])
