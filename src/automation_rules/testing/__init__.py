"""The test kit: for tests of your own policies, checks, bots and registries (extra ``testing``).

Strategies for Hypothesis draw requests, instants, closures, readings and policies; instants
cluster where mistakes live, on edges, bank holidays and the days on which the clocks change.
`assert_allowed` and `assert_denied` explain themselves when they fail. A `FrozenClock` stands
still until it is moved, `in_memory_log` records decisions for the length of a test, and
`RegistryMachine` holds a registry to a plain model. Landlords and people drawn here are made up.

>>> document = allowed_request_document()
>>> document["subject"]["properties"]["two_factor"] = False
>>> decision = assert_denied(landlord_portal(), document, code="two_factor_off")
"""

from __future__ import annotations

from ..clock import FrozenClock
from .assertions import assert_allowed, assert_denied
from .state import RegistryMachine, in_memory_log
from .strategies import (
    allowed_request_document,
    closures,
    instants,
    policies,
    readings,
    request_documents,
    requests,
)

__all__ = [
    "FrozenClock",
    "RegistryMachine",
    "allowed_request_document",
    "assert_allowed",
    "assert_denied",
    "closures",
    "in_memory_log",
    "instants",
    "policies",
    "readings",
    "request_documents",
    "requests",
]
