"""The registry against a plain model: whatever is done in whatever order, both agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from automation_rules.store import Registry, Store
from automation_rules.testing import RegistryMachine

if TYPE_CHECKING:
    from pathlib import Path

    from automation_rules.clock import Clock
    from servers import Server


def run(examples: int, steps: int, machine: type[RegistryMachine] = RegistryMachine) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        machine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_the_registry_agrees_with_a_plain_model() -> None:
    """After every step of some random histories both know the same."""
    run(25, 30)


@pytest.mark.exhaustive
def test_the_registry_agrees_with_a_plain_model_for_long() -> None:
    """After every step of many long random histories both know the same."""
    run(150, 50)


def on_server(server: Server) -> type[RegistryMachine]:
    """Return the machine with its states on a server, each run's in a schema of its own."""
    places: dict[Path, str] = {}

    class OnServer(RegistryMachine):
        def open_store(self, directory: Path, clock: Clock) -> Store:
            url = places.get(directory) or places.setdefault(directory, server.new_schema())
            return Store.open(url, clock=clock, create=True)

    return OnServer


def test_the_registry_on_a_server_agrees_with_a_plain_model(postgresql: Server) -> None:
    """After every step of a few random histories both know the same."""
    run(4, 20, on_server(postgresql))


@pytest.mark.exhaustive
def test_the_registry_on_a_server_agrees_with_a_plain_model_for_long(postgresql: Server) -> None:
    """After every step of many random histories both know the same."""
    run(60, 50, on_server(postgresql))


def test_a_registry_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine notices a registry whose removals do nothing, in a state of one's own."""

    class Elsewhere(RegistryMachine):
        def open_store(self, directory: Path, clock: Clock) -> Store:
            return Store.open(f"sqlite:///{directory / 'other'}", clock=clock, create=True)

    history = Elsewhere()
    history.make()
    try:
        history.remove_person("acme", "officer")
        history.add_person("acme", "officer")
        monkeypatch.setattr(Registry, "remove_person", lambda self, landlord, person: None)
        history.remove_person("acme", "officer")
        with pytest.raises(AssertionError):
            history.remove_person("acme", "officer")
    finally:
        history.teardown()
