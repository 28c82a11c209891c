"""Made-up tenants and staff, and what each pillar needs to show them something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from landlord_portal.models import Phone

from .contact import example_data as contact
from .models import StaffAccount, TenantAccount
from .payments import example_data as payments
from .profile import example_data as profile
from .repairs import example_data as repairs

if TYPE_CHECKING:
    from collections.abc import Callable

    from landlord_portal.models import User

REGISTERED = ["P1001", "P1002"]
STAFF = ("stella.staff@acme.example", "Stella Staff")


def add(add_user: Callable[..., User]) -> None:
    """Add the accounts by ``add_user``, and each pillar's content."""
    profile.add()
    for customer in profile.CUSTOMERS:
        if customer["reference"] in REGISTERED:
            email = str(customer["email"])
            user = add_user(email, str(customer["name"]), email=email)
            Phone.objects.filter(user=user).update(number=customer["telephone"])
            TenantAccount.objects.create(user=user, person=customer["reference"])
    username, name = STAFF
    StaffAccount.objects.create(user=add_user(username, name, email=username))
    payments.add()
    repairs.add()
    contact.add()
