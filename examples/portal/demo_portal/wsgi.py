"""The portal as a WSGI application, with the gateway in front of it."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "demo_portal.settings")
_portal = get_wsgi_application()

from landlord_portal.automation import guarded  # noqa: E402

application = guarded(_portal)
