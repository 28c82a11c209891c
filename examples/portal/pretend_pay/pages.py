"""What payers see: pages that say plainly that they pretend."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import jinja2

if TYPE_CHECKING:
    from .payments import PretendPay

    Answer = tuple[int, dict[str, str], bytes]

HERE = Path(__file__).parent
TEXTS = {
    "en": {
        "title": "Pretend payment page",
        "pretend": "This is a pretend payment provider. It asks for no card and moves no money.",
        "for": "Payment for",
        "reference": "Reference",
        "total": "Total",
        "choose": "Choose what happens",
        "pay": "Pay",
        "decline": "The card is declined",
        "wait": "The bank takes its time",
        "cancel": "Cancel the payment",
        "expire": "The time runs out",
        "error": "The provider has an error",
        "over": "There is nothing more to do here",
        "back": "Go back to the service",
        "nowhere": "There is no such page",
    },
    "cy": {
        "title": "Tudalen dalu ffug",
        "pretend": "Darparwr taliadau ffug yw hwn. Nid yw'n gofyn am gerdyn nac yn symud arian.",
        "for": "Taliad am",
        "reference": "Cyfeirnod",
        "total": "Cyfanswm",
        "choose": "Dewiswch beth sy'n digwydd",
        "pay": "Talu",
        "decline": "Mae'r cerdyn yn cael ei wrthod",
        "wait": "Mae'r banc yn cymryd ei amser",
        "cancel": "Canslo'r taliad",
        "expire": "Mae'r amser yn dod i ben",
        "error": "Mae gwall gan y darparwr",
        "over": "Does dim mwy i'w wneud yma",
        "back": "Yn ôl i'r gwasanaeth",
        "nowhere": "Nid oes tudalen o'r fath",
    },
}
_templates = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE), autoescape=True)


def answer(pay: PretendPay, method: str, path: str, sent: bytes) -> Answer:
    """Answer a payer's browser."""
    if path == "/style.css":
        return 200, {"Content-Type": "text/css"}, (HERE / "style.css").read_bytes()
    payment = pay.open(path.removeprefix("/secure/")) if path.startswith("/secure/") else None
    if payment is None:
        return _page(404, "en", None)
    if method == "POST":
        [choice] = parse_qs(sent.decode("utf-8", "replace")).get("choice", [""])
        if choice not in pay.CHOICES:
            return _page(400, "en", None)
        pay.choose(payment, choice)
        return 303, {"Location": payment.asked["return_url"]}, b""
    shown = {
        "description": payment.asked["description"],
        "reference": payment.asked["reference"],
        "total": f"£{payment.amount // 100:,}.{payment.amount % 100:02}",
        "return_url": payment.asked["return_url"],
        "choices": [] if payment.is_finished or payment.status == "submitted" else pay.CHOICES,
    }
    return _page(200, payment.asked.get("language", "en"), shown)


def _page(status: int, lang: str, payment: dict[str, object] | None) -> Answer:
    back = urlsplit(str(payment["return_url"])) if payment else None
    leads_to = f" {back.scheme}://{back.netloc}" if back else ""
    html = _templates.get_template("page.html").render(lang=lang, t=TEXTS[lang], payment=payment)
    policy = (
        f"default-src 'none'; style-src 'self'; img-src data:; form-action 'self'{leads_to}; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Security-Policy": policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return status, headers, html.encode()
