"""Signing in by password and access code."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from portal_world import PortalWorld


def test_password_and_code_let_in(portal: PortalWorld) -> None:
    """The code that was sent to the phone finishes signing in."""
    client = portal.client()
    assert b"Enter your access code" in portal.give_password(client, "enid.example").content
    answer = portal.give_code(client)
    assert (answer.status_code, answer.headers["Location"]) == (302, "/")
    assert client.get("/updates/").status_code == 200
