"""Who may run automation, with what: ``init``, ``landlord``, ``people``, ``accounts``, ``all``."""

from __future__ import annotations

import textwrap
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from ..accounts import (
    MAX_AUTOMATION_ACCOUNTS,
    AccountStatus,
    AutomationAccount,
    Landlord,
    Person,
    one_account_per_todo,
)
from ..actions import AUTOMATION_ROLE, Role, TodoKind
from ..clock import SystemClock
from ..terms import terms_at
from ..texts import ui
from ..windows import Nation
from .common import Output, output_options, policy_options, say
from .records import write_record, write_records
from .state import DAY, open_registry, open_store, registry_of, state_option

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from ..policy import Policy
    from ..store import Registry, Store
    from ..terms import Clause

__all__ = ["accounts", "everything", "init", "landlord", "people"]

_NATIONS: Final = [nation.value for nation in Nation]
_KINDS: Final = [kind.value for kind in TodoKind]
_ADVICE: Final = "step-2.one-account-per-todo"


# --- init -------------------------------------------------------------------------------------


@click.command()
@click.option("--landlord", "landlord_id", metavar="ID", help="Register a landlord as well.")
@click.option("--name", metavar="NAME", help="With --landlord: the landlord's name.")
@state_option
@output_options("text", "json")
def init(*, landlord_id: str | None, name: str | None, state: str | None, out: Output) -> None:
    """Make the state, and the key that what is personal in it is sealed with.

    A state that exists is left as it is. Keep a copy of the key apart from the copies of the
    state: together they show what is personal, and without the key nobody can ever read it.
    """
    if (landlord_id is None) != (name is None):
        raise click.UsageError("--landlord and --name go together: give both, or neither")
    created = _make_state(state)
    with open_store(state) as store:
        key = _make_key(store)
        if landlord_id is not None and name is not None:
            registry_of(store).add_landlord(Landlord(landlord_id, name))
        record: dict[str, Any] = {
            "state": _place(store, state),
            "key": key,
            "log_id": store.log_id,
        }
    if out.format == "json":
        record["created"] = created
    said = ui("init.created" if created else "init.exists").to(out.lang)
    notes = [ui("init.keep_key").to(out.lang)] if created else []
    write_record(out, "state", record, said=said, notes=notes)


def _make_state(state: str | None) -> bool:
    """Make the state unless there is one; return whether it was made."""
    from ..errors import StoreError
    from ..store import Store, state_url
    from .state import trouble_with_state

    try:
        with open_store(state):
            return False
    except StoreError:
        # There is none, or it cannot be used: the latter is told by the next attempt as well.
        with trouble_with_state():
            Store.open(state_url(state), clock=SystemClock(), create=True).close()
        return True


def _make_key(store: Store) -> str:
    """See that there is a wrapping key; return where."""
    import os

    from ..audit import DecisionLog
    from ..vault import WRAPPING_KEY_VARIABLE, WrappingKey, key_path

    if store.path is None or os.environ.get(WRAPPING_KEY_VARIABLE):
        WrappingKey.load(None)
        return f"${WRAPPING_KEY_VARIABLE}"
    path = key_path(store.path)
    if path.exists() or DecisionLog(store).head().size:
        # With entries in the log, a new key would open nothing that was sealed before.
        WrappingKey.load(path)
    else:
        WrappingKey.create(path)
    return str(path)


def _place(store: Store, state: str | None) -> str:
    if store.path is not None:
        return str(store.path)
    from sqlalchemy import make_url

    from ..store import state_url

    return make_url(state_url(state)).render_as_string(hide_password=True)


# --- landlord ---------------------------------------------------------------------------------


@click.group()
def landlord() -> None:
    """Register landlords, declare, pause, and acknowledge the terms."""


def _landlord_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--partnership-manager", metavar="NAME", help="DWP's, who was told."),
        click.option("--declared-on", type=DAY, metavar="DATE", help="When DWP was told."),
        click.option("--nation", type=click.Choice(_NATIONS), help="Whose bank holidays it keeps."),
        click.option("--portal-access/--no-portal-access", default=None),
        click.option("--sector", metavar="SECTOR", help="social, or another."),
        click.option(
            "--also-known-as",
            metavar="NAME",
            multiple=True,
            help="Another name that usernames may use; may be given more than once.",
        ),
    ):
        function = option(function)
    return function


def _given(**values: Any) -> dict[str, Any]:
    """Return the options that were given."""
    return {key: value for key, value in values.items() if value is not None and value != ()}


@landlord.command("add")
@click.argument("landlord_id", metavar="ID")
@click.option("--name", metavar="NAME", required=True)
@_landlord_options
@state_option
@output_options("text", "json")
def _add_landlord(
    *, landlord_id: str, name: str, state: str | None, out: Output, **options: Any
) -> None:
    """Register a landlord."""
    added = Landlord(landlord_id, name, **_given(**options))
    with open_registry(state) as registry:
        registry.add_landlord(added)
    said = ui("registry.added", id=landlord_id).to(out.lang)
    write_record(out, "landlord", asdict(added), said=said)


@landlord.command("list")
@state_option
@output_options("text", "json")
def _list_landlords(*, state: str | None, out: Output) -> None:
    """List the landlords."""
    with open_registry(state) as registry:
        found = [asdict(one) for one in registry.landlords()]
        all_paused = registry.all_paused()
    columns = ("id", "name", "sector", "declared_on", "paused")
    write_records(
        out,
        "landlords",
        found,
        columns=columns,
        notes=[ui("registry.all_paused").to(out.lang)] if all_paused else [],
        extra={"all_paused": all_paused},
    )


@landlord.command("show")
@click.argument("landlord_id", metavar="ID")
@state_option
@output_options("text", "json")
def _show_landlord(*, landlord_id: str, state: str | None, out: Output) -> None:
    """Show one landlord, what it acknowledged, and every pause and change of its accounts."""
    with open_registry(state) as registry:
        found = registry.landlord(landlord_id)
        acknowledged = [asdict(one) for one in registry.acknowledgements(landlord_id)]
        changes = [asdict(one) for one in registry.status_changes(landlord_id)]
    if out.format == "json":
        extra = {"acknowledgements": acknowledged, "status_changes": changes}
        write_record(out, "landlord", {**asdict(found), **extra})
        return
    from .records import show_record, show_table
    from .render.text import styled

    console = out.console()
    show_record(console, asdict(found), out.lang)
    for title, columns, records in (
        ("acknowledgements", ("at", "person_id", "terms_version", "clauses"), acknowledged),
        ("status_changes", ("at", "account_id", "change", "reason", "person_id"), changes),
    ):
        if records:
            console.print()
            console.print(styled(ui(f"registry.{title}").to(out.lang), "bold"))
            show_table(console, columns, records, out.lang)
    out.write_console(console)


@landlord.command("update")
@click.argument("landlord_id", metavar="ID")
@click.option("--name", metavar="NAME")
@_landlord_options
@state_option
@output_options("text", "json")
def _update_landlord(*, landlord_id: str, state: str | None, out: Output, **options: Any) -> None:
    """Record what is now true of a landlord; what is not given stays as it is."""
    with open_registry(state) as registry:
        registry.update_landlord(landlord_id, **_changes(options))
        _write_landlord(registry, landlord_id, "updated", out)


def _changes(options: dict[str, Any]) -> Any:
    changes = _given(**options)
    if not changes:
        raise click.UsageError("nothing to change: give at least one option")
    return changes


def _write_landlord(registry: Registry, landlord_id: str, done: str, out: Output) -> None:
    said = ui(f"registry.{done}", id=landlord_id).to(out.lang)
    write_record(out, "landlord", asdict(registry.landlord(landlord_id)), said=said)


@landlord.command("declare")
@click.argument("landlord_id", metavar="ID")
@click.option("--on", "declared_on", type=DAY, metavar="DATE", required=True)
@click.option("--partnership-manager", metavar="NAME", required=True)
@state_option
@output_options("text", "json")
def _declare(
    *,
    landlord_id: str,
    declared_on: date,
    partnership_manager: str,
    state: str | None,
    out: Output,
) -> None:
    """Record when the DWP partnership manager was told (clause step-1.declare)."""
    with open_registry(state) as registry:
        registry.update_landlord(
            landlord_id, declared_on=declared_on, partnership_manager=partnership_manager
        )
        _write_landlord(registry, landlord_id, "updated", out)


@landlord.command("pause")
@click.argument("landlord_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True)
@state_option
@output_options("text", "json")
def _pause_landlord(*, landlord_id: str, reason: str, state: str | None, out: Output) -> None:
    """Pause all of a landlord's automation (clause terms.suspension)."""
    with open_registry(state) as registry:
        registry.pause_landlord(landlord_id, reason)
        _write_landlord(registry, landlord_id, "paused", out)


@landlord.command("resume")
@click.argument("landlord_id", metavar="ID")
@click.option("--by", "person_id", metavar="PERSON", required=True, help="Who says so.")
@state_option
@output_options("text", "json")
def _resume_landlord(*, landlord_id: str, person_id: str, state: str | None, out: Output) -> None:
    """End a landlord's pause, on a registered person's word."""
    with open_registry(state) as registry:
        registry.resume_landlord(landlord_id, person_id)
        _write_landlord(registry, landlord_id, "resumed", out)


@landlord.command("accept-terms")
@click.argument("landlord_id", metavar="ID")
@click.option("--by", "person_id", metavar="PERSON", required=True, help="Who has read them.")
@state_option
@output_options("text", "json")
def _accept_terms(*, landlord_id: str, person_id: str, state: str | None, out: Output) -> None:
    """Record that a registered person acknowledges the terms that nothing else can enforce.

    The clauses are shown first, on standard error.
    """
    terms = terms_at(SystemClock().now())
    clauses = [c for c in terms.clauses.values() if "acknowledgement" in c.reached_by]
    with open_registry(state) as registry:
        registry.person(landlord_id, person_id)
        _show_clauses(clauses, out)
        done = registry.acknowledge(
            landlord_id,
            person_id,
            terms_version=terms.version,
            terms_digest=terms.digest,
            clauses=[clause.id for clause in clauses],
        )
    said = ui("registry.recorded", id=landlord_id).to(out.lang)
    write_record(out, "acknowledgement", asdict(done), said=said)


def _show_clauses(clauses: Sequence[Clause], out: Output) -> None:
    for clause in clauses:
        say(f"{clause.id}: {clause.title.to(out.lang)}")
        for line in textwrap.wrap(clause.text.to(out.lang), 76):
            say(f"    {line}")
    say("")


# --- people -----------------------------------------------------------------------------------


@click.group()
def people() -> None:
    """Register the people who may type in access codes and end pauses."""


@people.command("add")
@click.argument("person_id", metavar="ID")
@click.option("--landlord", "landlord_id", metavar="ID", required=True)
@click.option("--name", metavar="NAME", required=True)
@click.option("--role", metavar="TEXT", help="What the person does there.")
@state_option
@output_options("text", "json")
def _add_person(
    *,
    person_id: str,
    landlord_id: str,
    name: str,
    role: str | None,
    state: str | None,
    out: Output,
) -> None:
    """Register a person of a landlord."""
    person = Person(person_id, landlord_id, name, role)
    with open_registry(state) as registry:
        registry.add_person(person)
    said = ui("registry.added", id=person_id).to(out.lang)
    write_record(out, "person", asdict(person), said=said)


@people.command("list")
@click.option("--landlord", "landlord_id", metavar="ID", help="Of this landlord only.")
@state_option
@output_options("text", "json")
def _list_people(*, landlord_id: str | None, state: str | None, out: Output) -> None:
    """List the people."""
    with open_registry(state) as registry:
        found = [
            asdict(person)
            for one in _landlord_ids(registry, landlord_id)
            for person in registry.people(one)
        ]
    write_records(out, "people", found, columns=("id", "landlord_id", "name", "role"))


def _landlord_ids(registry: Registry, landlord_id: str | None) -> list[str]:
    """Return the landlord asked for, or all."""
    if landlord_id is not None:
        return [landlord_id]
    return [one.id for one in registry.landlords()]


@people.command("remove")
@click.argument("person_id", metavar="ID")
@click.option("--landlord", "landlord_id", metavar="ID", required=True)
@state_option
@output_options("text", "json")
def _remove_person(*, person_id: str, landlord_id: str, state: str | None, out: Output) -> None:
    """Take a person off a landlord's list; what they did stays on record."""
    with open_registry(state) as registry:
        person = registry.person(landlord_id, person_id)
        registry.remove_person(landlord_id, person_id)
    said = ui("registry.removed", id=person_id).to(out.lang)
    write_record(out, "person", asdict(person), said=said)


# --- accounts ---------------------------------------------------------------------------------


@click.group()
def accounts() -> None:
    """Register automation accounts: two at most for each landlord."""


def _account_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option(
            "--todo-kind", type=click.Choice(_KINDS), help="The to-dos that it is meant for."
        ),
        click.option("--two-factor/--no-two-factor", default=None),
        click.option(
            "--role",
            "roles",
            metavar="ROLE",
            multiple=True,
            help=f"{AUTOMATION_ROLE.value}, unless the portal gave it others.",
        ),
    ):
        function = option(function)
    return function


def _account_changes(options: dict[str, Any]) -> dict[str, Any]:
    given = _given(**options)
    if "roles" in given:
        given["roles"] = frozenset(given["roles"])
    return given


@accounts.command("add")
@click.argument("account_id", metavar="ID")
@click.option("--landlord", "landlord_id", metavar="ID", required=True)
@click.option("--username", metavar="NAME", required=True)
@click.option("--email", metavar="ADDRESS", required=True)
@click.option(
    "--created-by-role",
    metavar="ROLE",
    required=True,
    help=f"The role of whoever created it in the portal: {Role.MANAGE_USERS.value}.",
)
@_account_options
@policy_options
@state_option
@output_options("text", "json")
def _add_account(
    *,
    account_id: str,
    landlord_id: str,
    username: str,
    email: str,
    policy: Policy,
    state: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Register an automation account that the landlord holds in the portal.

    A third one is refused, and so is one that the terms could never allow.
    """
    account = AutomationAccount(
        account_id, landlord_id, username, email, **_account_changes(options)
    )
    with open_registry(state) as registry:
        automation_only = policy.readings["identity_pattern"] == "automation-only"
        registry.add_account(account, automation_only=automation_only)
        notes = _advice(registry, [landlord_id], out)
    said = ui("registry.added", id=account_id).to(out.lang)
    write_record(out, "account", asdict(account), said=said, notes=notes)


def _advice(registry: Registry, landlord_ids: Sequence[str], out: Output) -> list[str]:
    """Return the terms' suggestion, when a landlord's accounts do not follow it."""
    for landlord_id in landlord_ids:
        if not one_account_per_todo(_counted(registry.accounts(landlord_id))):
            clause = terms_at(SystemClock().now())[_ADVICE]
            text = clause.text.to(out.lang)
            return [ui("accounts.advice", clause=clause.id, text=text).to(out.lang)]
    return []


def _counted(found: Sequence[AutomationAccount]) -> list[AutomationAccount]:
    return [account for account in found if account.status is not AccountStatus.DEACTIVATED]


@accounts.command("list")
@click.option("--landlord", "landlord_id", metavar="ID", help="Of this landlord only.")
@state_option
@output_options("text", "json")
def _list_accounts(*, landlord_id: str | None, state: str | None, out: Output) -> None:
    """List the accounts that are not removed, and how many more each landlord may have."""
    with open_registry(state) as registry:
        ids = _landlord_ids(registry, landlord_id)
        by_landlord = {one: registry.accounts(one) for one in ids}
        advice = _advice(registry, ids, out)
    counts = {one: len(_counted(found)) for one, found in by_landlord.items()}
    notes = [
        ui("accounts.counted", id=one, number=count, most=MAX_AUTOMATION_ACCOUNTS).to(out.lang)
        for one, count in counts.items()
    ]
    write_records(
        out,
        "accounts",
        [asdict(account) for found in by_landlord.values() for account in found],
        columns=("id", "landlord_id", "username", "status", "todo_kind"),
        notes=["\n".join(notes), *advice] if notes else [],
        extra={
            "counted": counts,
            "most": MAX_AUTOMATION_ACCOUNTS,
            "advice": [_ADVICE] if advice else [],
        },
    )


@accounts.command("show")
@click.argument("account_id", metavar="ID")
@state_option
@output_options("text", "json")
def _show_account(*, account_id: str, state: str | None, out: Output) -> None:
    """Show one account."""
    with open_registry(state) as registry:
        write_record(out, "account", asdict(registry.account(account_id)))


@accounts.command("update")
@click.argument("account_id", metavar="ID")
@click.option("--username", metavar="NAME")
@click.option("--email", metavar="ADDRESS")
@click.option("--created-by-role", metavar="ROLE")
@_account_options
@state_option
@output_options("text", "json")
def _update_account(*, account_id: str, state: str | None, out: Output, **options: Any) -> None:
    """Record what is now true of an account, lawful or not: the checks judge it."""
    with open_registry(state) as registry:
        registry.update_account(account_id, **_changes(_account_changes(options)))
        _write_account(registry, account_id, "updated", out)


def _write_account(registry: Registry, account_id: str, done: str, out: Output) -> None:
    said = ui(f"registry.{done}", id=account_id).to(out.lang)
    write_record(out, "account", asdict(registry.account(account_id)), said=said)


@accounts.command("pause")
@click.argument("account_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True)
@state_option
@output_options("text", "json")
def _pause_account(*, account_id: str, reason: str, state: str | None, out: Output) -> None:
    """Pause an account; it still counts towards the limit."""
    with open_registry(state) as registry:
        registry.pause_account(account_id, reason)
        _write_account(registry, account_id, "paused", out)


@accounts.command("resume")
@click.argument("account_id", metavar="ID")
@click.option("--by", "person_id", metavar="PERSON", required=True, help="Who says so.")
@state_option
@output_options("text", "json")
def _resume_account(*, account_id: str, person_id: str, state: str | None, out: Output) -> None:
    """Make a paused or deactivated account active again, on a registered person's word."""
    with open_registry(state) as registry:
        registry.resume_account(account_id, person_id)
        _write_account(registry, account_id, "resumed", out)


@accounts.command("deactivate")
@click.argument("account_id", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True)
@state_option
@output_options("text", "json")
def _deactivate_account(*, account_id: str, reason: str, state: str | None, out: Output) -> None:
    """Record that an account was deactivated; it no longer counts towards the limit."""
    with open_registry(state) as registry:
        registry.deactivate_account(account_id, reason)
        _write_account(registry, account_id, "deactivated", out)


@accounts.command("remove")
@click.argument("account_id", metavar="ID")
@state_option
@output_options("text", "json")
def _remove_account(*, account_id: str, state: str | None, out: Output) -> None:
    """Record that an account is gone from the portal; its id stays taken, for logs name it."""
    with open_registry(state) as registry:
        account = registry.account(account_id)
        registry.remove_account(account_id)
    said = ui("registry.removed", id=account_id).to(out.lang)
    write_record(out, "account", asdict(account), said=said)


# --- all at once ------------------------------------------------------------------------------


@click.group("all")
def everything() -> None:
    """Pause the automation of every landlord at once, and resume it."""


@everything.command("pause")
@click.option("--reason", metavar="TEXT", required=True)
@state_option
@output_options("text", "json")
def _pause_all(*, reason: str, state: str | None, out: Output) -> None:
    """Pause the automation of every landlord, those yet to come too (clause terms.suspension)."""
    with open_registry(state) as registry:
        registry.pause_all(reason)
        _write_switch(registry, "all_paused", out)


@everything.command("resume")
@click.option("--landlord", "landlord_id", metavar="ID", required=True, help="Whose person it is.")
@click.option("--by", "person_id", metavar="PERSON", required=True, help="Who says so.")
@state_option
@output_options("text", "json")
def _resume_all(*, landlord_id: str, person_id: str, state: str | None, out: Output) -> None:
    """End the pause of all, on a registered person's word; what was paused by itself stays so."""
    with open_registry(state) as registry:
        registry.resume_all(landlord_id, person_id)
        _write_switch(registry, "all_resumed", out)


def _write_switch(registry: Registry, done: str, out: Output) -> None:
    said = ui(f"registry.{done}").to(out.lang)
    write_record(out, "switch", asdict(registry.switches()[-1]), said=said)


@everything.command("show")
@state_option
@output_options("text", "json")
def _show_all(*, state: str | None, out: Output) -> None:
    """Show whether all automation is paused, and every time that it was."""
    with open_registry(state) as registry:
        paused = registry.all_paused()
        found = [asdict(one) for one in registry.switches()]
    write_records(
        out,
        "switches",
        found,
        columns=("at", "change", "reason", "landlord_id", "person_id"),
        none="registry.never_paused",
        notes=[ui("registry.all_paused").to(out.lang)] if paused else [],
        extra={"all_paused": paused},
    )
