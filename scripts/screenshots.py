"""Take the README's screenshots of the reference portal: ``python scripts/screenshots.py``.

A to-do, a refusal in Welsh, the compliance officer's page, a council's payment and a tenant's rent
in Welsh, all with made-up people.
"""

from __future__ import annotations

import re
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

from bot import demonstration, rent_roll  # noqa: E402
from bot.__main__ import SATURDAY, TUESDAY  # noqa: E402
from bot.pages import Portal, RefusedError, open_portal  # noqa: E402

from automation_rules import TodoKind  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGES = ROOT / "docs" / "images"
BOT, OFFICER = "Acme Homes Automation 2", "olive.madeup"
SIZE = {"width": 800, "height": 620}
CREDITOR = {"reference": "7000123", "payee": "Acme Homes Ltd.", "amount": "16,832.85"}
KIND = TodoKind.CONFIRM_HOUSING_COSTS


def main() -> None:
    """Take them."""
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "messages").open("wb") as file:

        def code() -> str:
            text = Path(file.name).read_text("utf-8")
            found: str = re.findall(r": ([0-9]{6}) is your", text)[-1]
            return found

        home = Path(folder)
        with (
            demonstration.portal_at(None, home / "tuesday", TUESDAY, file) as tuesday,
            demonstration.portal_at(None, home / "saturday", SATURDAY) as saturday,
            open_portal(tuesday) as portal,
        ):
            portal.page.set_viewport_size(SIZE)
            to_do(portal, code)
            compliance(portal.another(), code)
            refusal(portal.another(), saturday)
            council(portal.another(), code)
            rent(portal.another(), code)


def sign_in(portal: Portal, username: str, code: Callable[[], str]) -> None:
    """Sign in."""
    portal.give_password(username, demonstration.PASSWORD)
    portal.give_code(code())


def to_do(portal: Portal, code: Callable[[], str]) -> None:
    """Fill in a to-do's answers, as far as the list of them."""
    sign_in(portal, BOT, code)
    roll = rent_roll.read(Path(rent_roll.__file__).with_name("rent_roll.csv"))
    found = portal.todos(KIND, lambda: None)[0]
    portal.open(found.id)
    portal.press("Start now")
    while not portal.at_check:
        portal.answer(roll[found.name, found.postcode].answers(KIND))
        portal.press("Continue")
    take(portal, "to-do")
    with suppress(RefusedError):  # for the compliance officer to see
        portal.go("/tenants/1/requests/request_apa/")


def refusal(portal: Portal, address: str) -> None:
    """Sign in on a Saturday, in Welsh."""
    portal.address = address
    portal.page.set_viewport_size(SIZE)
    portal.go("/language/cy?next=/sign-in/")
    for name, text in (("username", BOT), ("password", demonstration.PASSWORD)):
        portal.page.locator(f"[name=auth-{name}]").fill(text)
    with suppress(RefusedError):
        portal.press("Mewngofnodi")
    take(portal, "refusal")


def compliance(portal: Portal, code: Callable[[], str]) -> None:
    """Look at what was decided, as the compliance officer."""
    portal.page.set_viewport_size(SIZE | {"width": 1000})
    sign_in(portal, OFFICER, code)
    portal.go("/compliance/")
    portal.page.get_by_role("table").evaluate("table => table.scrollIntoView()")
    take(portal, "compliance")


def council(portal: Portal, code: Callable[[], str]) -> None:
    """Prove a creditor reference, and look at what the last payment is made up of."""
    sign_in_at(portal, "/council/", "casey.council@acme.example", code)
    for name, text in CREDITOR.items():
        portal.page.locator(f"[name={name}]").fill(text)
    portal.press("Continue")
    portal.page.locator("main a[href*='/payments/7000123-']").first.click()
    portal.page.get_by_role("table").first.evaluate("table => table.scrollIntoView()")
    take(portal, "council")


def rent(portal: Portal, code: Callable[[], str]) -> None:
    """Look at a rent statement in Welsh."""
    sign_in_at(portal, "/my-home/", "tessa.testington@people.example", code)
    portal.go("/language/cy?next=/my-home/rent/T-100001/statement/2027-04-01/2027-06-01/")
    portal.page.get_by_role("heading", level=1).evaluate("heading => heading.scrollIntoView()")
    take(portal, "rent")


def sign_in_at(portal: Portal, path: str, username: str, code: Callable[[], str]) -> None:
    """Sign in to another system."""
    portal.page.set_viewport_size(SIZE | {"width": 1000})
    portal.go(path)
    for name, text in (("username", username), ("password", demonstration.PASSWORD)):
        portal.page.locator(f"[name=auth-{name}]").fill(text)
    portal.press("Sign in")
    portal.page.locator("[name=token-otp_token]").fill(code())
    portal.press("Continue")


def take(portal: Portal, name: str) -> None:
    """Keep what the window shows of the page."""
    portal.page.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
