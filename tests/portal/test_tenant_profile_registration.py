"""Opening an account: who gets one, who does not, and what anybody else can learn from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tenant_world import SECRET, UNA, give_code, give_password, outbox, register

if TYPE_CHECKING:
    from portal_world import PortalWorld
    from tenant_world import Outbox

__all__ = ["outbox"]


def test_from_nothing_to_the_dashboard(portal: PortalWorld, outbox: Outbox) -> None:
    """Who answers right and confirms both contacts signs in with them and sees their home."""
    client = portal.client()
    answer = register(portal, outbox, client)
    assert answer.headers["Location"] == "/my-home/sign-in/"
    give_password(client, UNA, SECRET)
    assert portal.messages[-1][0] == "+44 7700 900403"
    assert give_code(portal, client).status_code == 302
    assert "3 Sample Court" in client.get("/my-home/").content.decode()
