"""Setting up: the example data, the tables, the databases, what is built."""

from __future__ import annotations

import subprocess
import uuid
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
import set_up
from django.core.management import call_command
from landlord_portal.library import breaches, registry
from landlord_portal.models import Landlord, Payment, Tenancy, Tenant, ToDo, User
from sqlalchemy import make_url
from test_security import run

from automation_rules import Action, landlord_portal
from automation_rules.enforcer import Step, request_from_registry

if TYPE_CHECKING:
    from pathlib import Path

    from portal_world import PortalWorld, Template

    from servers import Server


def test_tables_are_as_the_models_say(portal: PortalWorld) -> None:
    """No migration is missing."""
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


def test_checks_find_nothing(portal: PortalWorld) -> None:
    """Django's own checks, those for deployment behind https included, have no complaint."""
    home = portal.home / "elsewhere"
    variables = {"PORTAL_HTTPS": "1"}
    command = ("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    done = subprocess.run(**run(home, *command, **variables), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def test_example_data_is_the_same_every_time(portal_template: Template, tmp_path: Path) -> None:
    """Two portals at the same time hold the same people, claims and to-dos."""
    models = [Landlord, User, Tenant, Tenancy, ToDo, Payment]

    def contents() -> list[object]:
        return [list(m.objects.values_list().order_by("pk")) for m in models if m is not User] + [
            list(User.objects.values_list("username", "roles", "registry_id").order_by("pk"))
        ]

    with portal_template.copy(tmp_path / "one"):
        one = contents()
    with type(portal_template).make(tmp_path / "two").copy(tmp_path / "copy"):
        assert contents() == one


def test_example_data_is_not_added_twice(portal: PortalWorld) -> None:
    """A second time nothing changes."""
    before = User.objects.count(), ToDo.objects.count()
    call_command("seed_demo", verbosity=0)
    assert before == (User.objects.count(), ToDo.objects.count())


def test_example_bots_keep_to_the_terms(portal: PortalWorld) -> None:
    """Nothing is said against them but that nobody has supplied today's code yet."""
    for user in User.objects.filter(kind="automation"):
        facts = registry().facts(user.account_id, portal.clock.now())
        assert breaches(facts.account) == []
        request = request_from_registry(facts, Step(Action.LIST_TODOS), portal.clock.now())
        decision = landlord_portal().decide(request)
        assert [finding.code for finding in decision.failures] == ["no_code"]


def test_tables_and_example_data_on_postgresql(postgresql: Server, tmp_path: Path) -> None:
    """One setting puts the portal on PostgreSQL, another the rules' state."""
    name = f"portal_{uuid.uuid4().hex}"
    postgresql.execute(f"CREATE DATABASE {name}")
    at = make_url(postgresql.url).set(database=name)
    url = f"postgresql://{at.username}@{at.host or ''}/{name}?{urlencode(dict(at.query))}"
    for command in (["migrate", "--verbosity", "0"], ["seed_demo"]):
        subprocess.run(**run(tmp_path, "manage.py", *command, PORTAL_DATABASE=url), check=True)
    program = """
import django
django.setup()
from django.db import connection
from landlord_portal.models import ToDo
print(connection.vendor, ToDo.objects.count())
"""
    settings = run(
        tmp_path, "-c", program, PORTAL_DATABASE=url, DJANGO_SETTINGS_MODULE="demo_portal.settings"
    )
    done = subprocess.run(**settings, capture_output=True, check=True)
    assert done.stdout.split() == ["postgresql", "48"]


@pytest.mark.parametrize("made", ["portal.css", "govuk-frontend.min.js"])
def test_what_is_built_is_left_alone(made: str) -> None:
    """Building again builds nothing that is newer than its source."""
    file = set_up.STATIC / made
    before = file.stat().st_mtime_ns
    set_up.build()
    assert file.stat().st_mtime_ns == before
