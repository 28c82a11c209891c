"""The named readings: where the terms can be read in more than one way, which way is used.

Each reading has a closed list of values; the first is the default and the cautious one (but for
``updates_tab``, whose reason is in the texts). What each value means, in both languages, is in
the texts beside the clauses.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from .errors import FieldError, InvalidPolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["DEFAULT_READINGS", "READINGS", "check_readings"]

READINGS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "bank_holidays": ("closed", "open"),
        "nation": ("union", "england-and-wales", "scotland", "northern-ireland"),
        "annual_scope": ("annual-rent-change", "any-housing-cost"),
        "at_a_time": ("registered", "running"),
        "daily": ("london-day", "24-hours"),
        "test_runs": ("keep-hours", "any-time"),
        "updates_tab": ("permitted", "denied"),
        "identity_pattern": ("name-and-automation", "automation-only"),
    }
)

DEFAULT_READINGS: Final[Mapping[str, str]] = MappingProxyType(
    {name: values[0] for name, values in READINGS.items()}
)


def check_readings(readings: Mapping[str, object]) -> dict[str, str]:
    """Return all eight readings, ``readings`` over the defaults, in the order of `READINGS`.

    Raises:
        InvalidPolicyError: a name that is no reading or a value that its reading does not have;
            every error at once, each with what would be accepted.
    """
    errors = [
        FieldError(f"/readings/{name}", f"is no reading: use one of {', '.join(READINGS)}")
        for name in readings
        if name not in READINGS
    ]
    errors += [
        FieldError(f"/readings/{name}", f"must be one of {', '.join(values)}")
        for name, values in READINGS.items()
        if name in readings and readings[name] not in values
    ]
    if errors:
        raise InvalidPolicyError(errors)
    return {name: str(readings.get(name, values[0])) for name, values in READINGS.items()}
