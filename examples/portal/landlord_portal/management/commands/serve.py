"""Serve the portal, with the gateway in front of it, on this machine."""

from __future__ import annotations

import secrets
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog
import waitress
from demo_portal import clock
from django.conf import settings
from django.core.management.base import BaseCommand

from ...automation import gateway

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Iterator

THREADS = 8


class Command(BaseCommand):
    """The command."""

    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to serve it."""
        parser.add_argument("--host", default="127.0.0.1", help="address (default 127.0.0.1)")
        parser.add_argument("--port", type=int, default=8000, help="port; 0 is any free one")

    def handle(self, *, host: str, port: int, **_named: Any) -> None:
        """Serve until interrupted. What the gateway records is told on standard error."""
        from demo_portal.wsgi import application

        structlog.configure(
            processors=[
                structlog.processors.add_log_level,
                structlog.processors.LogfmtRenderer(
                    key_order=["level", "event"], bool_as_flag=False
                ),
            ],
            logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        )
        gateway()  # What is wrong with the state is said now, not to the first who asks.
        server = waitress.create_server(application, host=host, port=port, threads=THREADS)
        with self._provider():
            self.stdout.write(f"The portal is at http://{host}:{server.effective_port}/")
            self.stdout.flush()
            server.run()

    @contextmanager
    def _provider(self) -> Iterator[None]:
        """Start the pretend payment provider, unless the settings name one."""
        if settings.PORTAL_PAY_API:
            yield
            return
        from pretend_pay import running

        settings.PORTAL_PAY_KEY = secrets.token_urlsafe()
        with running(settings.PORTAL_PAY_KEY, now=lambda: clock.now().timestamp()) as provider:
            settings.PORTAL_PAY_API = provider.pay.address
            settings.PORTAL_PAY_PAGES = [provider.pay.address]
            self.stdout.write(
                "For reconcile_payments and refund_payment to find its pretend payment provider: "
                f"export PORTAL_PAY_API={provider.pay.address} "
                f"PORTAL_PAY_PAGES={provider.pay.address} PORTAL_PAY_KEY={settings.PORTAL_PAY_KEY}"
            )
            yield
