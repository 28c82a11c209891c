"""How tenants reach a person: the channels, and three questions that lead to the right one.

What it is about, what kind of thing it is, and how the tenant would like to reach us. It all stands
in ``guide.toml``, in both languages. Each way through the questions ends in an `Outcome`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import time  # noqa: TC003
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self, get_args

from babel.dates import get_day_names
from demo_portal.jinja import language
from django.utils.translation import gettext as _
from pydantic import Field, StringConstraints, model_validator

from automation_rules import WeeklyHours

from ..content import Content, Slug, Text, read, twice
from ..repairs.diagnosis import Emergency, Telephone, diagnosis
from ..words import between
from .hours import open_hours

if TYPE_CHECKING:
    from collections.abc import Iterator

    from automation_rules import Window

PLACE = Path(__file__).with_suffix(".toml")

Day = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WayName = Literal["message", "email", "telephone", "call-back", "chat", "visit"]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]


class Hours(Content):
    """The same hours on some days of every week; as a string, in the user's language."""

    first: Day
    last: Day
    opens: time
    closes: time

    @model_validator(mode="after")
    def _check(self) -> Self:
        self.weekly  # noqa: B018
        return self

    @property
    def weekly(self) -> WeeklyHours:
        """The hours as instants."""
        days = get_args(Day)
        numbers = range(days.index(self.first), days.index(self.last) + 1)
        return WeeklyHours(numbers, self.opens, self.closes)

    def __str__(self) -> str:
        """Return the days, and from when to when."""
        welsh = language() == "cy"
        names = get_day_names("wide", locale="cy" if welsh else "en_GB")
        first, last = (names[get_args(Day).index(day)] for day in (self.first, self.last))
        if first != last:
            # After 'i' the name of a Welsh day begins softly: 'dydd' becomes 'ddydd'.
            last = f"d{last[0].lower()}{last[1:]}" if welsh else last
            first = _("%(first)s to %(last)s") % {"first": first, "last": last}
        return f"{first}, {between(self.opens, self.closes)}"


class Staffed(Content):
    """Something that has hours."""

    hours: Annotated[tuple[Hours, ...], Field(min_length=1)]

    @cached_property
    def window(self) -> Window:
        """When somebody is there."""
        return open_hours([hours.weekly for hours in self.hours])


class StaffedTelephone(Staffed, Telephone):
    """A number that is answered at some hours."""


class CallBacks(Staffed):
    """When we ring back: in spans of ``length`` hours, on the next ``days`` working days."""

    length: Annotated[int, Field(ge=1, le=4)]
    days: Annotated[int, Field(ge=1, le=10)]


class Email(Content):
    """Where to write to."""

    address: Annotated[str, StringConstraints(pattern=r"^[a-z]+@[a-z.]+\.example$")]


class Office(Staffed, Text):
    """Where to meet us: the name of the place, and what helps to get in."""

    locality: Line
    address: Annotated[tuple[Line, ...], Field(min_length=2)]
    access: Annotated[tuple[Text, ...], Field(min_length=1)]


class Way(Text):
    """A way to reach a person, and why it is a good one; ``today`` says why it may be too slow."""

    slug: WayName
    why: Text
    today: Text | None = None


class Instead(Text):
    """Another way, and why it is better."""

    way: WayName


class Here(Text):
    """A page of this site that does it at once; ``page`` names its address."""

    page: str


class Kind(Text):
    """What kind of thing it is, and what that means for the ways."""

    slug: Slug
    emergency: Slug | None = None
    repairs: bool = False
    pace: Literal["today", "days"] | None = None
    here: Here | None = None
    instead: dict[WayName, Instead] = Field(default_factory=dict)

    @property
    def is_emergency(self) -> bool:
        """Whether it is for the telephone, whatever the tenant would like."""
        return self.pace is None


class Topic(Text):
    """What it is about."""

    slug: Slug
    kinds: Annotated[tuple[Kind, ...], Field(min_length=2)]

    def kind(self, slug: str) -> Kind | None:
        """Return a kind by its name."""
        return next((kind for kind in self.kinds if kind.slug == slug), None)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where the questions lead: a way, which may not be the one that was ``wished``, and why.

    There is none in an emergency, but what to do.
    """

    topic: Topic
    kind: Kind
    wished: Way | None = None
    way: Way | None = None
    why: Text | None = None
    emergencies: tuple[Emergency, ...] = ()


class Guide(Content):
    """Everything."""

    telephone: StaffedTelephone
    emergency_line: Telephone
    email: Email
    chat: Staffed
    call_backs: CallBacks
    offices: Annotated[tuple[Office, ...], Field(min_length=1)]
    ways: tuple[Way, ...]
    emergencies: tuple[Emergency, ...]
    topics: Annotated[tuple[Topic, ...], Field(min_length=2)]

    def topic(self, slug: str) -> Topic | None:
        """Return what it is about by its name."""
        return next((topic for topic in self.topics if topic.slug == slug), None)

    def way(self, slug: str) -> Way | None:
        """Return a way by its name."""
        return next((way for way in self.ways if way.slug == slug), None)

    def outcome(self, topic: Topic, kind: Kind, wished: Way | None) -> Outcome:
        """Return where the answers lead. In an emergency nobody is asked for a way."""
        if kind.is_emergency or wished is None:
            own = tuple(one for one in self.emergencies if one.slug == kind.emergency)
            return Outcome(
                topic, kind, emergencies=(*own, *(diagnosis().emergencies if kind.repairs else ()))
            )
        if instead := kind.instead.get(wished.slug):
            return Outcome(topic, kind, wished, self.way(instead.way), instead)
        if kind.pace == "today" and wished.today:
            return Outcome(topic, kind, wished, self.way("telephone"), wished.today)
        return Outcome(topic, kind, wished, wished, wished.why)

    def outcomes(self) -> Iterator[Outcome]:
        """Give every way through the questions."""
        for topic in self.topics:
            for kind in topic.kinds:
                for wished in (None,) if kind.is_emergency else self.ways:
                    yield self.outcome(topic, kind, wished)


@cache
def guide() -> Guide:
    """Return the guide that this demonstration ships."""
    return read(Guide, PLACE.read_text(encoding="utf-8"), wrong_with)


def wrong_with(made: Guide) -> Iterator[str]:
    """Give what no single entry shows by itself."""
    yield from twice("offices", [office.locality for office in made.offices])
    yield from twice("ways", [way.slug for way in made.ways])
    yield from twice("emergencies", [one.slug for one in made.emergencies])
    yield from twice("topics", [topic.slug for topic in made.topics])
    missing = set(get_args(WayName)) - {way.slug for way in made.ways}
    yield from (f"ways: {slug!r} is missing" for slug in sorted(missing))
    known = {one.slug for one in made.emergencies}
    used = set()
    slow = {way.slug for way in made.ways if way.today}
    for topic in made.topics:
        yield from twice(topic.slug, [kind.slug for kind in topic.kinds])
        for kind in topic.kinds:
            place = f"{topic.slug}.{kind.slug}"
            used.add(kind.emergency)
            if [kind.emergency is not None, kind.repairs, kind.pace is not None].count(True) != 1:
                yield f"{place}: must have exactly one of emergency, repairs and pace"
            if kind.emergency is not None and kind.emergency not in known:
                yield f"{place}: there is no emergency {kind.emergency!r}"
            if kind.is_emergency and (kind.here or kind.instead):
                yield f"{place}: an emergency is for the telephone alone"
            for way, instead in kind.instead.items():
                if instead.way in kind.instead:
                    yield f"{place}: {way} leads to {instead.way}, which leads on"
                if kind.pace == "today" and instead.way in slow:
                    yield f"{place}: {way} leads to {instead.way}, which is too slow"
    yield from (f"emergency {slug!r}: nothing leads to it" for slug in sorted(known - used))
