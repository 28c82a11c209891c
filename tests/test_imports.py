"""What importing the library brings, and what it must not."""

from __future__ import annotations

import subprocess
import sys

import pytest

import automation_rules

HEAVY = {"holidays", "sqlalchemy", "cryptography", "rich", "click", "babel", "structlog", "pyotp"}
CORE = (
    "access_codes, accounts, actions, checks, clock, decision, errors, inputs, landlord_portal,"
    " policy, policyfile, readings, request, terms, texts, windows"
)


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has loaded after running ``code``."""
    program = f"{code}\nimport sys\nprint(*({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return set(done.stdout.split())


def test_importing_the_library_is_light() -> None:
    """Neither the package nor any module of the core loads what is slow to load."""
    assert loaded_after("import automation_rules") == set()
    assert loaded_after(f"from automation_rules import {CORE}") == set()


def test_a_decision_outside_any_calendar_question_loads_no_command_line_or_store() -> None:
    """Deciding loads the bank holidays, and nothing of the state or of the command line."""
    code = """
from automation_rules import Request, landlord_portal
landlord_portal().decide(Request.from_document({
    "subject": {"type": "automation_account", "id": "a"}, "action": {"name": "sign_in"},
    "resource": {"type": "portal", "id": "p"}, "context": {"time": "2026-06-02T09:00:00Z"}}))
"""
    assert loaded_after(code) == {"holidays"}


def test_the_public_names_are_sorted_and_there() -> None:
    """``__all__`` is sorted, repeats nothing, and every name in it exists."""
    names = automation_rules.__all__
    assert len(names) == len(set(names))
    assert [name for name in names if not hasattr(automation_rules, name)] == []
    constants = [name for name in names if name.isupper()]
    classes = [name for name in names if name[0].isupper() and not name.isupper()]
    functions = [name for name in names if name[0].islower()]
    assert names == sorted(constants) + sorted(classes) + sorted(functions)


@pytest.mark.parametrize("name", automation_rules.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    """Every public class and function has a docstring of its own."""
    value = getattr(automation_rules, name)
    if name != "READINGS":
        assert value.__doc__
