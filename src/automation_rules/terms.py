"""The published terms: every clause in both languages, its source, and the version in force.

Clauses are told in words of our own; each names the page and section that it comes from. A later
version of the terms lists only what it changes, and holds from its ``effective_from``; the first
version carries no date, because its source has none, and covers every earlier instant.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

from .clock import to_utc
from .errors import FieldError, HorizonError, InvalidInputError
from .texts import Text, load

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .texts import Lang

__all__ = [
    "KINDS",
    "Clause",
    "Kind",
    "ReadingTexts",
    "Source",
    "Strength",
    "Terms",
    "clauses_for",
    "clauses_of",
    "parse_terms",
    "reading_texts",
    "terms_at",
]

Kind = Literal[
    "condition",
    "permission",
    "notice",
    "duty",
    "prohibition",
    "suggestion",
    "recommendation",
    "restriction",
    "power",
    "undertaking",
    "aim",
]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
"""What a clause can be; one clause can be several."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a clause is published: the page's title, who publishes it, and the section."""

    document: Text
    publisher: Text
    section: Text

    def to_document(self) -> dict[str, Any]:
        """Return the source as a JSON object."""
        return {
            "document": self.document.to_document(),
            "publisher": self.publisher.to_document(),
            "section": self.section.to_document(),
        }


@dataclass(frozen=True, slots=True)
class Strength:
    """Words of one clause that bind more strongly in one language than in the other.

    ``en`` and ``cy`` are the operative words of each page; ``enforced`` is the stricter language,
    whose words are enforced; ``note`` says how they differ.
    """

    en: str
    cy: str
    enforced: Lang
    note: Text

    def to_document(self) -> dict[str, Any]:
        """Return the difference as a JSON object."""
        return {
            "en": self.en,
            "cy": self.cy,
            "enforced": self.enforced,
            "note": self.note.to_document(),
        }


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of the terms.

    ``effective_from`` is the instant (UTC) from which this wording holds, None when its source is
    not dated; ``retrieved_on`` is the day on which the source was read. ``reached_by`` lists what
    enforces or carries the clause: ``check:<id>``, ``check:<id>:<code>`` for a code that cites
    clauses of its own, ``command:<name>`` and ``acknowledgement``.
    """

    id: str
    kinds: tuple[Kind, ...]
    title: Text
    text: Text
    source: Source
    strength: tuple[Strength, ...]
    effective_from: datetime | None
    retrieved_on: date
    reached_by: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        """Return the clause as a JSON object."""
        return {
            "id": self.id,
            "kinds": list(self.kinds),
            "title": self.title.to_document(),
            "text": self.text.to_document(),
            "source": self.source.to_document(),
            "strength": [difference.to_document() for difference in self.strength],
            "effective_from": _instant(self.effective_from),
            "retrieved_on": self.retrieved_on.isoformat(),
            "reached_by": list(self.reached_by),
        }


@dataclass(frozen=True, slots=True)
class Terms:
    """One version of the terms.

    ``digest`` is ``sha256:`` and the SHA-256, in hexadecimal, of the canonical JSON (RFC 8785) of
    `to_document` without the digest itself. ``clauses`` keep the order of the source.
    """

    version: str
    digest: str
    effective_from: datetime | None
    clauses: Mapping[str, Clause] = field(hash=False, repr=False)

    def __getitem__(self, clause_id: str) -> Clause:
        """Return the clause ``clause_id``.

        Raises:
            InvalidInputError: this version has no such clause; the message lists those it has.
        """
        try:
            return self.clauses[clause_id]
        except KeyError:
            known = ", ".join(self.clauses)
            problem = f"{clause_id!r} is no clause of version {self.version}: use one of {known}"
            raise InvalidInputError([FieldError("/clause", problem)]) from None

    def to_document(self) -> dict[str, Any]:
        """Return the version with all its clauses as a JSON object."""
        return {"digest": self.digest, **_digested(self.version, self.effective_from, self.clauses)}


@dataclass(frozen=True, slots=True)
class ReadingTexts:
    """What a named reading asks, what each of its values means, and why the first is the default.

    ``values`` maps each value to its meaning, the default first; ``clauses`` are the clauses that
    can be read in these ways.
    """

    title: Text
    question: Text
    values: Mapping[str, Text] = field(hash=False)
    why: Text
    clauses: tuple[str, ...]


def terms_at(instant: datetime, versions: Sequence[Terms] | None = None) -> Terms:
    """Return the version of the terms that is in force at ``instant``.

    ``versions``, oldest first, are by default the published ones.

    Raises:
        ClockError: ``instant`` has no UTC offset.
        HorizonError: every version took effect later.
    """
    at = to_utc(instant)
    for terms in reversed(_published() if versions is None else versions):
        if terms.effective_from is None or at >= terms.effective_from:
            return terms
    raise HorizonError(f"no version of the terms was in force at {instant.isoformat()}")


def clauses_of(check_id: str) -> tuple[str, ...]:
    """Return the identifiers of the clauses that a standard check enforces, in their order.

    They are those of the newest version.

    Raises:
        LookupError: the published terms have no such check.
    """
    try:
        return _citations()[f"check:{check_id}"]
    except KeyError:
        raise LookupError(f"no clause names a check {check_id!r}") from None


def clauses_for(check_id: str, code: str) -> tuple[str, ...]:
    """Return the identifiers of the clauses that ``code`` of a standard check cites.

    Some codes of the check ``window`` cite clauses of their own; every other code cites all
    that its check enforces.

    Raises:
        LookupError: the published terms have no such check.
    """
    own = _citations().get(f"check:{check_id}:{code}")
    return clauses_of(check_id) if own is None else own


@cache
def reading_texts() -> Mapping[str, ReadingTexts]:
    """Return the words of every named reading, by its name."""
    return MappingProxyType(
        {
            name: ReadingTexts(
                title=Text(**reading["title"]),
                question=Text(**reading["question"]),
                values=MappingProxyType(
                    {value: Text(**meaning) for value, meaning in reading["values"].items()}
                ),
                why=Text(**reading["why"]),
                clauses=tuple(reading["clauses"]),
            )
            for name, reading in load("readings.json").items()
        }
    )


def parse_terms(document: Mapping[str, Any]) -> tuple[Terms, ...]:
    """Return the versions that a document of the packaged format holds, oldest first.

    Each version lists the clauses that it changes or adds, and in ``withdrawn`` the identifiers
    of those that it drops; the others stay as they were.

    Raises:
        InvalidInputError: a version does not take effect after the one before it, or withdraws a
            clause that there is not.
    """
    versions: list[Terms] = []
    clauses: dict[str, Clause] = {}
    for index, version in enumerate(document["versions"]):
        since = version["effective_from"]
        effective_from = None if since is None else to_utc(datetime.fromisoformat(since))
        earlier = versions[-1].effective_from if versions else None
        if versions and (effective_from is None or (earlier and effective_from <= earlier)):
            problem = "must be later than that of the version before: list the oldest first"
            raise InvalidInputError([FieldError(f"/versions/{index}/effective_from", problem)])
        for clause_id in version.get("withdrawn", ()):
            if clauses.pop(clause_id, None) is None:
                problem = f"{clause_id!r} is no clause of the version before"
                raise InvalidInputError([FieldError(f"/versions/{index}/withdrawn", problem)])
        clauses.update(
            (clause["id"], _clause(clause, version, effective_from))
            for clause in version["clauses"]
        )
        versions.append(_terms(version["version"], effective_from, dict(clauses)))
    return tuple(versions)


def _terms(version: str, effective_from: datetime | None, clauses: Mapping[str, Clause]) -> Terms:
    import rfc8785

    canonical = rfc8785.dumps(_digested(version, effective_from, clauses))
    digest = f"sha256:{hashlib.sha256(canonical).hexdigest()}"
    return Terms(version, digest, effective_from, MappingProxyType(clauses))


def _digested(
    version: str, effective_from: datetime | None, clauses: Mapping[str, Clause]
) -> dict[str, Any]:
    return {
        "version": version,
        "effective_from": _instant(effective_from),
        "clauses": [clause.to_document() for clause in clauses.values()],
    }


def _clause(
    clause: Mapping[str, Any], version: Mapping[str, Any], effective_from: datetime | None
) -> Clause:
    return Clause(
        id=clause["id"],
        kinds=tuple(clause["kinds"]),
        title=Text(**clause["title"]),
        text=Text(**clause["text"]),
        source=Source(
            Text(**version["document"]), Text(**version["publisher"]), Text(**clause["section"])
        ),
        strength=tuple(
            Strength(**{**difference, "note": Text(**difference["note"])})
            for difference in clause["strength"]
        ),
        effective_from=effective_from,
        retrieved_on=date.fromisoformat(version["retrieved_on"]),
        reached_by=tuple(clause["reached_by"]),
    )


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat()


@cache
def _published() -> tuple[Terms, ...]:
    return parse_terms(load("clauses.json"))


@cache
def _citations() -> dict[str, tuple[str, ...]]:
    """The clauses of the newest version by everything that reaches them."""
    found: dict[str, list[str]] = {}
    for clause in _published()[-1].clauses.values():
        for way in clause.reached_by:
            found.setdefault(way, []).append(clause.id)
    return {way: tuple(clause_ids) for way, clause_ids in found.items()}
