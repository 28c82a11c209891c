"""Made-up council accounts, and a made-up back office for them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from demo_portal import clock
from django.conf import settings
from sqlalchemy import create_engine, make_url

from . import sql
from .models import CouncilAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from landlord_portal.models import User

WEEKS = 60
CREDITORS = [
    {
        "reference": "7000123",
        "name": "Acme Homes Ltd.",
        "contact": "Enid Example",
        "telephone": "01632 960001",
        "email": "payments@acme.example",
        "address": "1 Sample Street\nExampleton\nEX99 9AA",
    },
    {
        "reference": "7000456",
        "name": "Acme Supported Living",
        "contact": "Sam Sampleson",
        "telephone": "01632 960002",
        "email": "supported@acme.example",
        "address": "2 Placeholder Road\nExampleton\nEX99 9AB",
    },
    {
        "reference": "7000789",
        "name": "Cartrefi Enghraifft",
        "contact": "Nia Enghraifft",
        "telephone": "01632 960003",
        "email": "taliadau@enghraifft.example",
        "address": "3 Stryd Enghraifft\nTrefesiampl\nLL99 9AA",
    },
]
USERS = [
    ("casey.council@acme.example", "Casey Council"),
    ("cadi.cyngor@enghraifft.example", "Cadi Cyngor"),
]
NAMES = ["Testy McSample", "Samply Testington", "Mocky ap Enghraifft", "Dummy O'Mock", "=Fauxine"]


def add(add_user: Callable[..., User]) -> None:
    """Add the accounts by ``add_user``, and write the back office, unless it is there already."""
    for username, full_name in USERS:
        user = add_user(username, full_name, email=username)
        CouncilAccount.objects.create(user=user)
    engine = create_engine(make_url(settings.PORTAL_BACK_OFFICE), hide_parameters=True)
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(sql.creditors.select().limit(1)).first() is None:
            connection.execute(sql.creditors.insert(), CREDITORS)
            for place, creditor in enumerate(CREDITORS):
                connection.execute(sql.payments.insert(), list(_payments(creditor, place)))
                connection.execute(sql.lines.insert(), list(_lines(creditor, place)))
    engine.dispose()


def number(creditor: dict[str, str], week: int) -> str:
    """Return the number of the payment made ``week`` payments ago."""
    return f"{creditor['reference']}-{WEEKS - week:04d}"


def _payments(creditor: dict[str, str], place: int) -> Iterator[dict[str, Any]]:
    lines = list(_lines(creditor, place))
    for week in range(WEEKS):
        own = [line for line in lines if line["payment"] == number(creditor, week)]
        yield {
            "number": number(creditor, week),
            "creditor": creditor["reference"],
            "paid_on": clock.today() - timedelta(days=5 + 28 * week),
            "method": "cheque" if week > 50 else "bacs",
            "pence": sum(line["net_pence"] for line in own),
        }


def _lines(creditor: dict[str, str], place: int) -> Iterator[dict[str, Any]]:
    for week in range(WEEKS):
        ends = clock.today() - timedelta(days=6 + 28 * week)
        for home in range(3 + 27 * (place == 0)):
            gross = 40_000 + 1_137 * home + 10 * place
            recovered = 1_140 if home % 4 == 1 else 0
            other = 365 if home % 5 == 2 else 0
            yield {
                "payment": number(creditor, week),
                "line": home + 1,
                "claim_reference": f"HB{place + 1}{home:05d}",
                "claimant": NAMES[home % len(NAMES)],
                "home": f"{home + 1} Mock Lane, Exampleton",
                "period_from": ends - timedelta(days=27),
                "period_to": ends,
                "gross_pence": gross,
                "overpayment_recovery_pence": recovered,
                "other_deductions_pence": other,
                "net_pence": gross - recovered - other,
            }
