"""The registry against a plain model: whatever is done in whatever order, both agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from automation_rules.store import Registry, Store
from automation_rules.testing import RegistryMachine

if TYPE_CHECKING:
    from pathlib import Path

    from automation_rules.clock import Clock


UNSHRUNK = settings(
    max_examples=200, phases=[Phase.generate], report_multiple_bugs=False, database=None
)


def run(examples: int, steps: int) -> None:
    """Run the machine."""
    run_state_machine_as_test(
        RegistryMachine,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None),
    )


def test_the_registry_agrees_with_a_plain_model() -> None:
    """After every step of some random histories both know the same."""
    run(25, 30)


@pytest.mark.exhaustive
def test_the_registry_agrees_with_a_plain_model_for_long() -> None:
    """After every step of many long random histories both know the same."""
    run(150, 50)


def test_a_registry_that_forgets_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine notices a registry whose removals do nothing, in a state of one's own."""

    class Elsewhere(RegistryMachine):
        def open_store(self, directory: Path, clock: Clock) -> Store:
            return Store.open(f"sqlite:///{directory / 'other'}", clock=clock, create=True)

    monkeypatch.setattr(Registry, "remove_person", lambda self, landlord, person: None)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Elsewhere, settings=UNSHRUNK)
