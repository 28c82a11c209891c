"""Made-up people, tenancies and documents in the customer directory."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from demo_portal import clock
from django.conf import settings
from sqlalchemy import create_engine, make_url

from . import customers_sql as sql

CUSTOMERS = [
    {
        "reference": "P1001",
        "name": "Tessa Testington",
        "born_on": date(1985, 4, 1),
        "telephone": "+44 7700 900401",
        "email": "tessa.testington@people.example",
    },
    {
        "reference": "P1002",
        "name": "Taran Enghraifft",
        "born_on": date(1951, 12, 25),
        "telephone": "+44 7700 900402",
        "email": "taran.enghraifft@people.example",
    },
    {
        # Has not registered yet.
        "reference": "P1003",
        "name": "Una Registered",
        "born_on": date(1990, 2, 28),
        "telephone": "+44 7700 900403",
        "email": "una.registered@people.example",
    },
]


def tenancies() -> list[dict[str, Any]]:
    """Return what is rented: Tessa's home, garage and former home, Taran's and Una's homes."""
    today = clock.today()

    def tenancy(reference: str, kind: str, address: str, years: int, **other: Any) -> Any:
        return {
            "reference": reference,
            "kind": kind,
            "address": address,
            "postcode": "EX99 9AA",
            "locality": "Exampleton",
            "building": "Sample Court",
            "began_on": today - timedelta(days=365 * years),
            "ended_on": None,
        } | other

    former = {"ended_on": today - timedelta(days=365 * 3 + 1), "building": ""}
    welsh = {"postcode": "LL99 9AA", "locality": "Trefesiampl", "building": "Llys Enghraifft"}
    return [
        tenancy("T-100001", "general-needs", "1 Sample Court, Exampleton", 3),
        tenancy("T-100002", "garage", "Garage 7, Mock Lane, Exampleton", 2, building=""),
        tenancy("T-100003", "general-needs", "9 Former Street, Exampleton", 8, **former),
        tenancy("T-200001", "sheltered", "2 Llys Enghraifft, Trefesiampl", 5, **welsh),
        tenancy("T-300001", "general-needs", "3 Sample Court, Exampleton", 1),
    ]


RENTED_BY = {
    "T-100001": "P1001",
    "T-100002": "P1001",
    "T-100003": "P1001",
    "T-200001": "P1002",
    "T-300001": "P1003",
}


def documents() -> list[dict[str, Any]]:
    """Return what can be downloaded: of Tessa's home two, of the other homes one each."""
    today = clock.today()

    def agreement(tenancy: str, address: str) -> dict[str, Any]:
        lines = ["This is made up, as everything here.", f"Home: {address}", f"Tenancy: {tenancy}"]
        return {
            "tenancy": tenancy,
            "number": 1,
            "title_en": "Tenancy agreement",
            "title_cy": "Cytundeb tenantiaeth",
            "added_on": today - timedelta(days=300),
            "media_type": "application/pdf",
            "content": pdf("Tenancy agreement", lines),
        }

    welsh = (
        "Eich llawlyfr tenant\n\nMae hwn wedi\N{RIGHT SINGLE QUOTATION MARK}i ddyfeisio. "
        "Ffoniwch ni os nad yw\N{RIGHT SINGLE QUOTATION MARK}r gwres yn gweithio.\n"
    )
    english = "Your handbook\n\nThis is made up. Call us when the heating does not work.\n"
    handbook = {
        "number": 2,
        "title_en": "Handbook for tenants",
        "title_cy": "Llawlyfr i denantiaid",
        "added_on": today - timedelta(days=40),
        "media_type": "text/plain",
        "content": f"{english}\n---\n\n{welsh}".encode(),
    }
    return [
        agreement("T-100001", "1 Sample Court, Exampleton"),
        handbook | {"tenancy": "T-100001"},
        agreement("T-100003", "9 Former Street, Exampleton"),
        agreement("T-200001", "2 Llys Enghraifft, Trefesiampl"),
        agreement("T-300001", "3 Sample Court, Exampleton"),
    ]


def pdf(title: str, lines: list[str]) -> bytes:
    """Return a page with a heading and paragraphs, tagged so that it can be read aloud.

    The texts have no brackets or backslashes, and no letters beyond Latin-1.
    """
    marked = [("H1", 18, title), *(("P", 11, line) for line in lines)]
    drawn = " ".join(
        f"/{tag} <</MCID {n}>> BDC BT /F {size} Tf 60 {780 - 30 * n} Td ({text}) Tj ET EMC"
        for n, (tag, size, text) in enumerate(marked)
    )
    first = 8
    ids = range(first, first + len(marked))
    kids = " ".join(f"{i} 0 R" for i in ids)
    objects = [
        "<</Type/Catalog/Pages 2 0 R/Lang(en-GB)/MarkInfo<</Marked true>>/StructTreeRoot 6 0 R"
        "/ViewerPreferences<</DisplayDocTitle true>>>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 4 0 R/StructParents 0/Tabs/S"
        "/Resources<</Font<</F 5 0 R>>>>>>",
        f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        f"<</Type/StructTreeRoot/K 7 0 R/ParentTree<</Nums[0[{kids}]]>>/ParentTreeNextKey 1>>",
        f"<</Type/StructElem/S/Document/P 6 0 R/K[{kids}]>>",
        *(
            f"<</Type/StructElem/S/{tag}/P 7 0 R/Pg 3 0 R/K {n}>>"
            for n, (tag, _size, _text) in enumerate(marked)
        ),
        f"<</Title({title})>>",
    ]
    made = b"%PDF-1.7\n"
    places = []
    for number, body in enumerate(objects, 1):
        places.append(len(made))
        made += f"{number} 0 obj{body}endobj\n".encode("latin-1")
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    last = len(objects)
    end = [
        f"xref\n0 {last + 1}\n0000000000 65535 f \n{table}",
        f"trailer<</Size {last + 1}/Root 1 0 R/Info {last} 0 R>>\n",
        f"startxref\n{len(made)}\n%%EOF\n",
    ]
    return made + "".join(end).encode("ascii")


def add() -> None:
    """Write the customer directory, unless it is there already."""
    engine = create_engine(make_url(settings.PORTAL_CUSTOMERS), hide_parameters=True)
    sql.metadata.create_all(engine)
    with engine.begin() as connection:
        if connection.execute(sql.customers.select().limit(1)).first() is None:
            connection.execute(sql.customers.insert(), CUSTOMERS)
            connection.execute(sql.tenancies.insert(), tenancies())
            connection.execute(
                sql.tenants.insert(),
                [{"tenancy": what, "customer": who} for what, who in RENTED_BY.items()],
            )
            connection.execute(sql.documents.insert(), documents())
    engine.dispose()
