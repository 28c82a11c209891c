"""Every page answers to those it is for, and to nobody else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from portal_world import PortalWorld

PAGES = {
    "/updates/": None,
    "/tenants/": "provide_tenancy_details",
    "/tenants/{tenancy}/": "provide_tenancy_details",
    "/tenants/{tenancy}/reference/": "provide_tenancy_details",
    "/tenants/{tenancy}/requests/request_apa/": "provide_tenancy_details",
    "/tenants/{tenancy}/requests/request_arrears_deduction/": "provide_tenancy_details",
    "/tenants/{tenancy}/requests/request_more_frequent_payments/": "provide_tenancy_details",
    "/payments/": "view_payments",
    "/properties/": "add_or_remove_properties",
    "/properties/add/": "add_or_remove_properties",
    "/properties/{free}/remove/": "add_or_remove_properties",
    "/users/": "manage_users",
    "/users/add/": "manage_users",
    "/users/{user}/roles/": "manage_users",
    "/users/{user}/deactivate/": "manage_users",
}
"""The landlords' pages and the role that each asks for."""


@pytest.mark.parametrize("path", PAGES)
def test_page(portal: PortalWorld, path: str) -> None:
    """x."""
    answer = portal.client("enid.example").get(portal.fill(path))
    assert answer.status_code == 200, path
