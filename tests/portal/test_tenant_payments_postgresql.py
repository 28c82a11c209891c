"""On PostgreSQL as on SQLite: each penny is entered once, and everything adds up."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import test_tenant_ledger as the_ledger
import test_tenant_ledger_laws as laws
import test_tenant_pay as paying
import test_tenant_pay_machine as machine
from demo_portal.settings import _database
from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, connections, transaction
from pay_world import provider
from sqlalchemy import make_url
from tenant_world import signed_in
from test_tenant_pay import client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.test import Client
    from portal_world import PortalWorld, Template
    from pretend_pay import Running

    from servers import Server

__all__ = ["client", "provider"]


@contextmanager
def on_postgresql(server: Server, name: str, template: str = "template1") -> Iterator[None]:
    """Keep the portal's own records in a new database, a copy of ``template``, for a while."""
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    at = make_url(server.url).set(database=name)
    url = f"postgresql://{at.username}@{at.host or ''}/{name}?{urlencode(dict(at.query))}"
    usual = connections.settings["default"]
    _settle_on(usual | _database(url))
    try:
        yield
    finally:
        _settle_on(usual)


def _settle_on(database: dict[str, object]) -> None:
    connections.close_all()
    connections.settings["default"] = database
    connections["default"] = connections.create_connection("default")


@pytest.fixture(scope="module")
def filled(
    portal_template: Template, postgresql: Server, tmp_path_factory: pytest.TempPathFactory
) -> str:
    """Make, once, a database with every table and the example data; give its name."""
    name = f"portal_{uuid.uuid4().hex}"
    models = apps.get_models()
    with portal_template.copy(tmp_path_factory.mktemp("filled") / "portal"):
        rows = {model: list(model._base_manager.all()) for model in models}
        with on_postgresql(postgresql, name):
            with connection.schema_editor() as editor:
                for model in models:
                    editor.create_model(model)
            with transaction.atomic(), connection.cursor() as cursor:
                for model in models:
                    model._base_manager.bulk_create(rows[model])
                for statement in connection.ops.sequence_reset_sql(no_style(), models):
                    cursor.execute(statement)
    return name


@pytest.fixture
def portal(
    portal_template: Template, postgresql: Server, filled: str, tmp_path: Path
) -> Iterator[PortalWorld]:
    """Give a portal with the example data on PostgreSQL."""
    with (
        portal_template.copy(tmp_path / "portal") as world,
        on_postgresql(postgresql, f"portal_{uuid.uuid4().hex}", filled),
    ):
        assert connection.vendor == "postgresql"
        yield world


def test_double_click_is_one_payment(client: Client, provider: Running) -> None:
    """All windows lead to the same payment, which is credited once."""
    paying.test_double_click_is_one_payment(client, provider, forgets=True)


def test_everybody_at_once_credits_once(client: Client, provider: Running) -> None:
    """Returns, continuing, cancelling and reconciling in parallel enter the payment once."""
    paying.test_everybody_at_once_credits_once(client, provider, 2)


def test_the_ledger_enters_once(portal: PortalWorld) -> None:
    """At once from many sides; and no source is entered as something else."""
    the_ledger.test_at_once_from_many_sides_it_counts_once(portal)
    the_ledger.test_a_source_is_not_entered_as_something_else(portal, the_ledger.NEW, 501)


def test_the_database_refuses_what_is_no_entry(portal: PortalWorld) -> None:
    """Signs, kinds, sizes and single sources are the database's own constraints."""
    the_ledger.test_the_database_refuses_what_is_no_entry(portal)


@pytest.mark.parametrize("examples", laws.many(3, 60))
def test_everything_says_the_same(portal: PortalWorld, examples: int) -> None:
    """Ledger, balances, pages, statement and CSV agree to the penny, for any history."""
    laws.ChargeLine.objects.all()._raw_delete("default")  # type: ignore[attr-defined]
    laws.test_everything_says_the_same(signed_in(portal), examples)


@pytest.mark.exhaustive
def test_whatever_is_done_the_account_adds_up(portal: PortalWorld) -> None:
    """Paying, paying back, charging and putting right, in any order and again, count once each."""
    laws.test_whatever_is_done_the_account_adds_up(portal, 20)


@pytest.mark.exhaustive
def test_ledger_has_what_was_paid(
    portal: PortalWorld, provider: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens, each payment that the provider took is credited exactly once."""
    machine.run(portal, provider, monkeypatch, 30, 30)
