"""A portal's process, for the database that its settings name, in which everybody does all twice.

Four sessions of one tenant's, and of staff, do the same at the same time; what is there afterwards
is printed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import django


def main(home: str) -> None:
    """Do it."""
    django.setup()
    from contact_world import STAFF, ask, at_once, begin, say, send
    from django.conf import settings
    from django.core.management import call_command
    from landlord_portal.library import registry
    from portal_world import PortalWorld
    from tenant_services.contact import models
    from tenant_world import STELLA, signed_in
    from test_tenant_contact_downtime import PLAN, asked
    from test_tenant_notices import ASKED, PUBLISH

    call_command("migrate", verbosity=0)
    call_command("seed_demo")
    settings.PORTAL_SMS_SENDER = "portal_world.Drawer"
    portal = PortalWorld(Path(home))
    tenants = [signed_in(portal) for _n in range(4)]
    staff = [signed_in(portal, STELLA) for _n in range(4)]
    yes = {"publish": "1"}

    def all_at_once(clients: list[Any], do: Any) -> list[Any]:
        return at_once(*(lambda c=c: do(c) for c in clients))  # type: ignore[misc]

    all_at_once(tenants, send)
    all_at_once(tenants, ask)
    [chat, *_others] = all_at_once(tenants, begin)
    all_at_once(tenants, lambda c: say(c, chat, "Anybody there?"))
    all_at_once(staff, lambda c: say(c, chat, "Yes", STAFF))
    all_at_once(tenants, lambda c: send(c, f"?chat={chat.reference}", text="Goes on"))
    answer = {"token": "t", "text": "Answer"}
    all_at_once(staff, lambda c: c.post(f"{STAFF}B4CK7F2H/", answer))
    all_at_once(staff, lambda c: c.post(PUBLISH, ASKED | yes))
    all_at_once(staff, lambda c: c.post(PLAN, asked() | yes))
    notice = models.TenantNotice.objects.get(title_en="Bins")
    all_at_once(tenants, lambda c: c.get(f"/my-home/notices/{notice.pk}/"))
    found = {
        "vendor": django.db.connection.vendor,
        "enquiries": sorted(models.Enquiry.objects.values_list("text", flat=True)),
        "calls": models.CallBack.objects.count(),
        "chats": models.Chat.objects.count(),
        "lines": list(models.ChatLine.objects.values_list("text", flat=True)),
        "answers": models.EnquiryAnswer.objects.filter(text="Answer").count(),
        "notices": models.TenantNotice.objects.count(),
        "reads": models.TenantNotice.read_by.through.objects.count(),
        "closures": len(registry().closures()),
        "statuses": [
            tenants[0].get(f"/my-home/{path}").status_code
            for path in ("contact/messages/", f"contact/chats/{chat.reference}/", "notices/")
        ]
        + [
            staff[0].get(f"/my-home/staff/{path}").status_code
            for path in ("messages/", "messages/calls/", "messages/chats/", "notices/")
        ],
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
