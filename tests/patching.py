"""Small changes to request documents, by JSON pointer."""

from __future__ import annotations

from typing import Any

from automation_rules.testing import allowed_request_document

ABSENT: Any = object()
"""The value that takes a field out."""


def patched(changes: dict[str, Any]) -> dict[str, Any]:
    """Return the allowed document with the fields at some JSON pointers set or taken out."""
    document = allowed_request_document()
    for pointer, value in changes.items():
        *above, name = pointer.split("/")[1:]
        place = document
        for key in above:
            place = place.setdefault(key, {})
        if value is ABSENT:
            del place[name]
        else:
            place[name] = value
    return document
