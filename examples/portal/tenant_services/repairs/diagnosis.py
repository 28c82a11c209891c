"""What is broken, found by three questions: where, what, and what about it.

The answers are a tree in ``diagnosis.toml``, in both languages. Each way through it ends in one
outcome: a repair that the landlord does, with its code in the schedule of rates; something that
tenants see to by themselves, with help; or an emergency, which is for the telephone. Codes are made
up here, for the real catalogue is licensed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from ..content import Content, Slug, Text, read, twice
from .housing import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..profile.customers import Tenancy

PLACE = Path(__file__).with_suffix(".toml")
HOMES = frozenset({"general-needs", "sheltered"})
"""The kinds of tenancy whose insides the landlord mends; other homes are their owners' to mend."""

Code = Annotated[str, StringConstraints(pattern=r"^DEMO-[A-Z]{2}-[0-9]{3}$")]
Trade = Literal["plumbing", "heating", "electrical", "joinery", "roofing", "drainage", "general"]


class Repair(Content):
    """A repair that the landlord does.

    What is not ``bookable`` is arranged by telephone, or needs nobody at home. ``minutes`` is how
    long it takes as a rule.
    """

    code: Code
    priority: Annotated[Priority, Field(ge=Priority.EMERGENCY)]
    trade: Trade
    minutes: Annotated[int, Field(ge=15, le=480)]
    bookable: bool = True


class SelfHelp(Text):
    """Something that tenants see to by themselves: how, and when to come back to us.

    ``video`` names a film and its captions.
    """

    slug: Slug
    steps: Annotated[list[Text], Field(min_length=2)]
    otherwise: Text
    video: Slug | None = None


class Telephone(Text):
    """Whom to ring."""

    number: Annotated[str, StringConstraints(pattern=r"^[0-9 ]{3,15}$")]

    @property
    def digits(self) -> str:
        """The number without spaces, to be dialled."""
        return self.number.replace(" ", "")


class Emergency(Text):
    """Something that cannot wait for a form: what to do, the first thing first."""

    slug: Slug
    telephones: Annotated[list[Telephone], Field(min_length=1)]
    steps: Annotated[list[Text], Field(min_length=2)]


class Answer(Text):
    """One answer to a question, and what it leads to."""

    slug: Slug
    repair: Repair | None = None
    self_help: Slug | None = None
    emergency: Slug | None = None

    @property
    def outcomes(self) -> list[Repair | str]:
        """What it leads to: one thing, in a tree that was checked."""
        found = (self.repair, self.self_help, self.emergency)
        return [outcome for outcome in found if outcome is not None]


class Problem(Answer):
    """What is broken; ``details`` tell its outcomes apart, if there are several."""

    details: tuple[Answer, ...] = ()


class Location(Text):
    """Where it is: in a home, at a garage, or in what a building's tenants share.

    ``such_as`` helps to find it.
    """

    slug: Slug
    such_as: Text | None = None
    of: Literal["home", "garage", "building"]
    problems: Annotated[list[Problem], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Finding:
    """One way through the tree, with its outcome."""

    location: Location
    problem: Problem
    detail: Answer | None

    @property
    def answers(self) -> list[Text]:
        """The answers in order."""
        return [answer for answer in (self.location, self.problem, self.detail) if answer]

    @property
    def slugs(self) -> tuple[str, str, str]:
        """The answers as they are kept; the last is empty where there was nothing to ask."""
        return self.location.slug, self.problem.slug, self.detail.slug if self.detail else ""

    @property
    def last(self) -> Answer:
        """The answer that decides."""
        return self.detail or self.problem

    @property
    def repair(self) -> Repair | None:
        """The repair, if it is one."""
        return self.last.repair

    @property
    def is_communal(self) -> bool:
        """Whether it is of what a building's tenants share."""
        return self.location.of == "building"

    @property
    def english(self) -> str:
        """What was found, for those who do the work."""
        return ": ".join(answer.en for answer in self.answers)

    def __str__(self) -> str:
        """Return what was found, in the user's language."""
        return ": ".join(str(answer) for answer in self.answers)


class Diagnosis(Content):
    """The whole tree, with what its outcomes refer to."""

    emergencies: list[Emergency]
    self_helps: list[SelfHelp]
    locations: list[Location]

    def findings(self) -> Iterator[Finding]:
        """Give every way through the tree."""
        for location in self.locations:
            for problem in location.problems:
                for detail in problem.details or [None]:
                    yield Finding(location, problem, detail)

    def locations_of(self, tenancy: Tenancy) -> list[Location]:
        """Return where something can be broken for somebody who rents that."""
        places = {"home"} if tenancy.kind in HOMES else {tenancy.kind}
        if tenancy.building:
            places.add("building")
        return [location for location in self.locations if location.of in places]

    def find(self, location: str, problem: str, detail: str) -> Finding | None:
        """Return what these answers lead to."""
        return self._by_slugs.get((location, problem, detail))

    def finding_of(self, sor_code: str) -> Finding | None:
        """Return what leads to a code in the schedule of rates."""
        return self._by_code.get(sor_code)

    def repair(self, sor_code: str) -> Repair | None:
        """Return what is known of a code; None for one that is not of this tree."""
        found = self.finding_of(sor_code)
        return found.repair if found else None

    def self_help(self, slug: str) -> SelfHelp | None:
        """Return help by its name."""
        return next((one for one in self.self_helps if one.slug == slug), None)

    def emergency(self, slug: str) -> Emergency | None:
        """Return an emergency by its name."""
        return next((one for one in self.emergencies if one.slug == slug), None)

    @cached_property
    def _by_slugs(self) -> dict[tuple[str, str, str], Finding]:
        return {finding.slugs: finding for finding in self.findings()}

    @cached_property
    def _by_code(self) -> dict[str, Finding]:
        return {finding.repair.code: finding for finding in self.findings() if finding.repair}


@cache
def diagnosis() -> Diagnosis:
    """Return the tree that this demonstration ships."""
    return read(Diagnosis, PLACE.read_text(encoding="utf-8"), wrong_with)


def wrong_with(tree: Diagnosis) -> Iterator[str]:
    """Give what no single entry shows by itself."""
    yield from twice("locations", _slugs(tree.locations))
    yield from twice("emergencies", _slugs(tree.emergencies))
    yield from twice("self_helps", _slugs(tree.self_helps))
    for location in tree.locations:
        yield from twice(location.slug, _slugs(location.problems))
        for problem in location.problems:
            yield from twice(f"{location.slug}.{problem.slug}", _slugs(problem.details))
            if problem.details and problem.outcomes:
                yield f"{location.slug}.{problem.slug}: has details and an outcome of its own"
    known = {
        "self_help": {one.slug for one in tree.self_helps},
        "emergency": {one.slug for one in tree.emergencies},
    }
    used: dict[str, set[str]] = {kind: set() for kind in known}
    codes: Counter[str] = Counter()
    for finding in tree.findings():
        place = ".".join(filter(None, finding.slugs))
        outcomes = finding.last.outcomes
        if len(outcomes) != 1:
            yield f"{place}: has {len(outcomes)} outcomes; it must have exactly one"
        for kind, slugs in known.items():
            slug = getattr(finding.last, kind)
            if slug is not None:
                used[kind].add(slug)
                if slug not in slugs:
                    yield f"{place}: there is no {kind} {slug!r}"
        if finding.repair:
            codes[finding.repair.code] += 1
            if finding.is_communal and finding.repair.bookable:
                yield f"{place}: nobody is visited for a communal repair: bookable must be false"
    yield from (f"{code}: is used {count} times" for code, count in codes.items() if count > 1)
    for kind, slugs in known.items():
        yield from (f"{kind} {slug!r}: nothing leads to it" for slug in sorted(slugs - used[kind]))


def _slugs(entries: Iterable[Location | Answer | Emergency | SelfHelp]) -> Iterator[str]:
    return (entry.slug for entry in entries)
