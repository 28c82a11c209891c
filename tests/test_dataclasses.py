"""What the library's values are: dataclasses that nobody can change or add to."""

from __future__ import annotations

import pkgutil
from dataclasses import is_dataclass
from importlib import import_module

import pytest

import automation_rules

# The command line, the report and the test kit keep and count things of their own.
OTHERS = tuple(f"automation_rules.{name}" for name in ("__", "cli", "report", "testing"))
MODULES = [
    info.name
    for info in pkgutil.walk_packages(automation_rules.__path__, "automation_rules.")
    if not info.name.startswith(OTHERS)
]


@pytest.mark.parametrize("module", MODULES)
def test_every_dataclass_is_frozen_and_has_slots(module: str) -> None:
    """No dataclass of the library can be changed, or given an attribute that it does not name."""
    values = [
        value
        for value in vars(import_module(module)).values()
        if isinstance(value, type) and value.__module__ == module and is_dataclass(value)
    ]
    # Taken from the type: whether every class of its ancestry does without a __dict__.
    assert [value for value in values if not value.__dataclass_params__.frozen] == []  # type: ignore[attr-defined]
    assert [value for value in values if any("__dict__" in vars(c) for c in value.__mro__)] == []
