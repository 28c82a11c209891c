"""The decision log as events for a SIEM: OCSF 1.8 and the Elastic Common Schema (ECS) 9.4.

An event says no more of anybody than the leaf that it is made from: identifiers of landlords and
automation accounts, words of closed vocabularies, and the random tokens of to-dos and of subjects
that are not registered. Tenants, operators and partnership managers are left out, tokens too.
Each event carries its entry's index and Merkle leaf hash, by which it can be found and proved.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final

from .actions import Action
from .leaf_reasons import read_entry, reasons

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from .audit import Entry
    from .leaf_reasons import Reason

    Event = dict[str, Any]
    Leaf = Mapping[str, Any]

__all__ = ["ECS_VERSION", "OCSF_VERSION", "ecs_events", "ocsf_events"]

OCSF_VERSION: Final = "1.8.0"
"""The version of the Open Cybersecurity Schema Framework that events follow."""

ECS_VERSION: Final = "9.4.0"
"""The version of the Elastic Common Schema that events follow."""

_PRODUCT: Final = "automation-rules"
_PORTAL: Final = "Landlord Portal"
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_CLASS: Final = 6003
_UNKNOWN, _CREATE, _READ, _UPDATE, _DELETE, _OTHER = 0, 1, 2, 3, 4, 99
_ACTIVITY_NAMES: Final = {
    _UNKNOWN: "Unknown",
    _CREATE: "Create",
    _READ: "Read",
    _UPDATE: "Update",
    _DELETE: "Delete",
    _OTHER: "Other",
}
ACTIVITIES: Final = {
    Action.SIGN_IN: _OTHER,
    Action.ENTER_ACCESS_CODE: _OTHER,
    Action.SIGN_OUT: _OTHER,
    Action.VIEW_UPDATES: _READ,
    Action.LIST_TODOS: _READ,
    Action.OPEN_TODO: _READ,
    Action.SAVE_ANSWERS: _UPDATE,
    Action.SUBMIT_TODO: _UPDATE,
    Action.REQUEST_APA: _OTHER,
    Action.REQUEST_ARREARS_DEDUCTION: _OTHER,
    Action.REQUEST_MORE_FREQUENT_PAYMENTS: _OTHER,
    Action.CHANGE_TENANT_REFERENCE: _UPDATE,
    Action.VIEW_PAYMENTS: _READ,
    Action.EXPORT_PAYMENTS: _READ,
    Action.ADD_PROPERTY: _CREATE,
    Action.REMOVE_PROPERTY: _DELETE,
    Action.MANAGE_USERS: _UPDATE,
    Action.CREATE_ACCOUNT: _CREATE,
    Action.CHANGE_ROLES: _UPDATE,
    Action.VIEW_TENANT: _READ,
    Action.REPORT_REPAIR: _OTHER,
    Action.PAY_RENT: _OTHER,
}
"""What each action does to data, in OCSF's words for an API call."""

_ALLOWED: Final = {
    "severity_id": 1,
    "severity": "Informational",
    "status_id": 1,
    "status": "Success",
    "action_id": 1,
    "action": "Allowed",
    "disposition_id": 1,
    "disposition": "Allowed",
}
_DENIED: Final = {
    "severity_id": 2,
    "severity": "Low",
    "status_id": 2,
    "status": "Failure",
    "action_id": 2,
    "action": "Denied",
    "disposition_id": 2,
    "disposition": "Blocked",
}
_KEPT: Final = {
    "severity_id": 1,
    "severity": "Informational",
    "status_id": 1,
    "status": "Success",
    "action_id": 3,
    "action": "Observed",
    "disposition_id": 17,
    "disposition": "Logged",
}
_WENT_BACK: Final = {**_KEPT, "severity_id": 4, "severity": "High"}


def ocsf_events(entries: Iterable[Entry], *, log_id: str) -> Iterator[Event]:
    """Yield entries of the log ``log_id`` as OCSF events, one at a time.

    Each is an API Activity (class 6003) with the profile ``security_control``; ``action_id`` is
    always there: 1 allowed, 2 denied, 3 for an entry that is no decision. An event says that a
    step was allowed, never that it was taken.

    Raises:
        VerificationError: an entry is none that was ever recorded.
    """
    for entry in entries:
        leaf, at = read_entry(entry)
        yield _ocsf(entry, leaf, at, log_id)


def ecs_events(entries: Iterable[Entry], *, log_id: str) -> Iterator[Event]:
    """Yield entries of the log ``log_id`` as ECS events, one at a time.

    ``event.outcome`` says whether the step was allowed, never that it was taken; ``rule`` is the
    first check that failed, ``event.reason`` names all of them, and ``tags`` the clauses.

    Raises:
        VerificationError: an entry is none that was ever recorded.
    """
    for entry in entries:
        leaf, _ = read_entry(entry)
        yield _ecs(entry, leaf, log_id)


@cache
def _version() -> str:
    return version(_PRODUCT)


def _id(leaf: Leaf) -> str:
    name: str = leaf["decision_id"] if leaf["type"] == "decision" else leaf["event_id"]
    return name


def _who(leaf: Leaf) -> str:
    """Return the account, or the token of a subject that is not registered."""
    account: str | None = leaf["account"]
    return f"token:{leaf['tokens']['account']}" if account is None else account


def _names(found: Sequence[Reason]) -> str:
    return ", ".join(reason.name for reason in found)


def _message(leaf: Leaf, found: Sequence[Reason]) -> str:
    if leaf["decision"]:
        return f"Allowed: {leaf['action']}"
    return f"Denied: {leaf['action']} ({_names(found)})"


def _circumstances(leaf: Leaf) -> dict[str, str]:
    """Return what neither schema has a field for."""
    said = {
        "mode": leaf["mode"],
        "facts": leaf["facts"],
        "policy_digest": leaf["policy"]["digest"],
        "terms_version": leaf["terms"]["version"],
        "terms_digest": leaf["terms"]["digest"],
    }
    for name in ("todo_kind", "retry_after", "valid_until"):
        if leaf[name] is not None:
            said[name] = leaf[name]
    return said


# --- OCSF -------------------------------------------------------------------------------------


def _ocsf(entry: Entry, leaf: Leaf, at: datetime, log_id: str) -> Event:
    decision = leaf["type"] == "decision"
    event: Event = {
        "class_uid": _CLASS,
        "class_name": "API Activity",
        "category_uid": 6,
        "category_name": "Application Activity",
        # Whole milliseconds: `original_time` keeps the microseconds.
        "time": (at - _EPOCH) // _MILLISECOND,
        "metadata": {
            "version": OCSF_VERSION,
            "profiles": ["security_control"],
            "product": {"name": _PRODUCT, "vendor_name": _PRODUCT, "version": _version()},
            "uid": _id(leaf),
            "sequence": entry.index,
            "log_name": log_id,
            "log_version": str(leaf["v"]),
            "event_code": leaf["type"],
            "original_time": leaf["time"],
        },
        "raw_data_hash": {
            "algorithm_id": 99,
            "algorithm": "RFC 9162 leaf hash, SHA-256",
            "value": entry.leaf_hash.hex(),
        },
    }
    return event | (_ocsf_decision(leaf) if decision else _ocsf_other(leaf))


def _activity(activity: int, name: str | None = None) -> Event:
    known = _ACTIVITY_NAMES[activity]
    return {
        "activity_id": activity,
        "activity_name": name or known,
        "type_uid": _CLASS * 100 + activity,
        "type_name": f"API Activity: {known}",
    }


def _ocsf_decision(leaf: Leaf) -> Event:
    action, allowed, found = leaf["action"], leaf["decision"], reasons(leaf)
    activity = _UNKNOWN if action == "unknown" else ACTIVITIES[Action(action)]
    own_words = action if activity == _OTHER else None
    word = "allowed" if allowed else "denied"
    policy = leaf["policy"]
    decided_by = {
        "uid": policy["digest"],
        "name": policy["id"],
        "version": policy["version"],
        "is_applied": True,
    }
    rules = [
        {"decision": word, "policy": {"name": one.name, "uid": one.name, "desc": _cited([one])}}
        for one in found
    ]
    event: Event = {
        **_activity(activity, own_words),
        **(_ALLOWED if allowed else _DENIED),
        "message": _message(leaf, found),
        "actor": {"user": _user(leaf)},
        "api": {
            "operation": action,
            "service": {"name": _PORTAL},
            "request": {"uid": leaf["decision_id"]},
        },
        # The log keeps no addresses: who asked is all that is known of where it came from.
        "src_endpoint": {"svc_name": _who(leaf)},
        "resources": [_resource(leaf)],
        "policy": decided_by,
        "authorizations": [{"decision": word, "policy": decided_by}, *rules],
        "unmapped": _circumstances(leaf),
    }
    if found:
        event |= {"status_code": found[0].name, "status_detail": _names(found)}
        event["unmapped"] |= {"clauses": _clauses(found)}
    return event


def _user(leaf: Leaf) -> Event:
    registered = leaf["account"] is not None
    user: Event = {
        "uid": _who(leaf),
        "type_id": 4 if registered else 0,
        "type": "Service" if registered else "Unknown",
    }
    if leaf["landlord"] is not None:
        user["org"] = {"uid": leaf["landlord"]}
    if leaf["given"]["two_factor"] is not None:
        user["has_mfa"] = leaf["given"]["two_factor"]
    return user


def _resource(leaf: Leaf) -> Event:
    token = leaf["tokens"].get("todo")
    kind = leaf["given"]["resource_type"] or "unknown"
    return {"type": kind, "name": _PORTAL} if token is None else {"type": kind, "uid": token}


def _clauses(found: Sequence[Reason]) -> list[str]:
    return list(dict.fromkeys(clause for reason in found for clause in reason.cites))


def _cited(found: Sequence[Reason]) -> str:
    return ", ".join(_clauses(found))


def _ocsf_other(leaf: Leaf) -> Event:
    return {
        **_activity(_OTHER, leaf["type"]),
        **(_WENT_BACK if leaf["type"] == "rollback_acknowledged" else _KEPT),
        "message": f"Recorded: {leaf['type']}",
        "actor": {"app_name": _PRODUCT},
        "api": {"operation": leaf["type"], "service": {"name": _PRODUCT}},
        "src_endpoint": {"svc_name": _PRODUCT},
    }


# --- ECS --------------------------------------------------------------------------------------


def _ecs(entry: Entry, leaf: Leaf, log_id: str) -> Event:
    decision = leaf["type"] == "decision"
    own = _ecs_decision(leaf) if decision else _ecs_other(leaf)
    event = {
        "kind": "event",
        "id": _id(leaf),
        "sequence": entry.index,
        "hash": entry.leaf_hash.hex(),
        "provider": _PRODUCT,
        "dataset": f"{_PRODUCT}.{leaf['type']}",
        **own.pop("event"),
    }
    return {
        "@timestamp": leaf["time"],
        "ecs": {"version": ECS_VERSION},
        "event": event,
        "observer": {"product": _PRODUCT, "version": _version(), "name": log_id},
        **own,
    }


def _ecs_decision(leaf: Leaf) -> Event:
    found, policy = reasons(leaf), leaf["policy"]
    rule = {"ruleset": policy["id"], "version": policy["version"]}
    event: Event = {
        "category": ["api"],
        "type": ["allowed" if leaf["decision"] else "denied"],
        "action": leaf["action"],
        "outcome": "success" if leaf["decision"] else "failure",
    }
    own: Event = {
        "message": _message(leaf, found),
        "event": event,
        "rule": rule,
        "labels": _circumstances(leaf),
        "user": {"id": _who(leaf)},
    }
    if leaf["given"]["roles"] is not None:
        own["user"]["roles"] = leaf["given"]["roles"]
    if leaf["landlord"] is not None:
        own["organization"] = {"id": leaf["landlord"]}
    token = leaf["tokens"].get("todo")
    if token is not None:
        own["labels"]["todo_token"] = token
    if found:
        event |= {"reason": _names(found), "code": found[0].name}
        rule |= {"id": found[0].name, "reference": _cited(found[:1])}
        own["tags"] = _clauses(found)
    return own


def _ecs_other(leaf: Leaf) -> Event:
    return {
        "message": f"Recorded: {leaf['type']}",
        "event": {
            "category": ["configuration"],
            "type": ["info"],
            "action": leaf["type"],
            "outcome": "success",
        },
    }
