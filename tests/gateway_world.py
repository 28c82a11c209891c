"""A state in which everything is in order, for the tests of the gateway."""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from automation_rules.accounts import AutomationAccount, Landlord, Person
from automation_rules.clock import FrozenClock
from automation_rules.gateway import open_gateway
from automation_rules.store import Registry, Store
from automation_rules.store.codes import CodeDesk
from automation_rules.vault import WrappingKey, key_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import TextIO

    import pytest

    from automation_rules.clock import Clock
    from automation_rules.gateway import Gateway

WORKDAY = datetime(2026, 6, 2, 8, 0, tzinfo=UTC)
"""Tuesday, nine in the morning in London."""

SATURDAY = datetime(2026, 6, 6, 8, 0, tzinfo=UTC)

OFFICER = "officer-7"

WRAPPING_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="


def finish_while_waited_for(
    monkeypatch: pytest.MonkeyPatch, file: TextIO, rest: str, pauses: int = 2
) -> None:
    """Write the rest of a policy file once a gateway that reads it has paused a few times."""
    left = pauses

    def pause(seconds: float) -> None:
        nonlocal left
        time.sleep(seconds)
        left -= 1
        if left == 0:
            file.write(rest)
            file.flush()

    monkeypatch.setattr("automation_rules.gateway.current.pause", pause)


@dataclass(frozen=True)
class World:
    """A state with a landlord, two automation accounts, and today's code entered for each."""

    url: str
    folder: Path
    clock: FrozenClock

    @contextmanager
    def registry(self) -> Iterator[Registry]:
        """Give the registry, opened apart from any gateway."""
        with Store.open(self.url, clock=self.clock) as store:
            yield Registry(store, self.clock)

    def enter_code(self, account: str = "acme-1") -> None:
        """Let the officer hand a code over to a bot, now."""
        with Store.open(self.url, clock=self.clock) as store:
            bot = CodeDesk(store, self.clock)
            pending = bot.open_wait(account)

            def take(_seconds: float) -> None:
                bot.poll(pending)

            CodeDesk(store, self.clock, sleep=take).enter(account, OFFICER, "123456")

    @contextmanager
    def gateway(self, *, clock: Clock | None = None, **options: object) -> Iterator[Gateway]:
        """Open a gateway on the state."""
        with open_gateway(self.url, clock=clock or self.clock, **options) as gateway:  # type: ignore[arg-type]
            yield gateway


def make_world(url: str, folder: Path, patch: pytest.MonkeyPatch, at: datetime = WORKDAY) -> World:
    """Make the state at ``url``; what belongs beside it is in ``folder``."""
    patch.setenv("AUTOMATION_RULES_HEADS", str(folder / "heads.sqlite3"))
    patch.delenv("AUTOMATION_RULES_STATE", raising=False)
    clock = FrozenClock(at - timedelta(seconds=5))
    with Store.open(url, clock=clock, create=True) as store:
        if store.path is None:
            patch.setenv("AUTOMATION_RULES_WRAPPING_KEY", WRAPPING_KEY)
        else:
            WrappingKey.create(key_path(store.path))
        registry = Registry(store, clock)
        registry.add_landlord(
            Landlord(
                "acme",
                "Acme Homes",
                nation="england-and-wales",
                declared_on=date(2026, 1, 5),
                partnership_manager="North West partnership manager",
            )
        )
        registry.add_person(Person(OFFICER, "acme", "Testy McOfficer"))
        for number in (1, 2):
            registry.add_account(
                AutomationAccount(
                    f"acme-{number}",
                    "acme",
                    f"Acme Homes Automation {number}",
                    f"automation{number}@acme.example",
                )
            )
    world = World(url, folder, clock)
    for number in (1, 2):
        world.enter_code(f"acme-{number}")
    clock.move_to(at)
    return world
