"""Which of a portal's requests means which step: a route table that the portal supplies.

It is an allow-list. A bot's path must stand in it byte for byte, in the one form that every
server and framework reads alike; whatever could be read in two ways (escapes, empty or dotted
segments, parameters, a method said twice) is no route at all, and a bot is denied it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal
from urllib.parse import unquote_plus

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .actions import Action, TodoKind
from .enforcer import Step
from .errors import FieldError, InvalidInputError
from .inputs import MAX_LIST, MAX_TEXT, DurationField, choice_field, describe, field_errors
from .policyfile import read_document
from .request import Mode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

__all__ = [
    "FORMAT",
    "METHODS",
    "WEBSOCKET",
    "Public",
    "Route",
    "Routes",
    "load_routes",
    "routes_from_document",
]

FORMAT: Final = 1
"""The version of the file format."""

WEBSOCKET: Final = "WEBSOCKET"
"""What routes call the method of a websocket's handshake."""

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", WEBSOCKET)
"""What a route can be for; a websocket's handshake is no ``GET`` here."""

_PUBLIC_METHODS: Final = ("GET", "HEAD")


class Public(Enum):
    """What `Routes.match` returns for a path about which nobody has to be asked."""

    PUBLIC = "public"


@dataclass(frozen=True, slots=True)
class Route:
    """Requests of the portal that mean one step.

    ``methods`` are of `METHODS`; ``GET`` is for ``HEAD`` as well. In ``path`` a whole segment in
    braces is a placeholder: ``{todo}`` and ``{tenant}`` say which one it is about, any other name
    only takes a value. Values are of ``A-Z a-z 0-9 . _ ~ -``, and do not end in a dot.
    ``expected_duration`` is how long the step takes, so that it is not begun too late.
    """

    methods: frozenset[str]
    path: str
    action: Action
    todo_kind: TodoKind | None = None
    expected_duration: timedelta | None = None
    mode: Mode = Mode.LIVE


class Routes:
    """A portal's route table.

    ``public`` are the paths of what everybody may ``GET``: static files, a health check. There a
    last segment ``{name:path}`` stands for any number of segments.
    """

    def __init__(self, routes: Iterable[Route], public: Iterable[str] = ()) -> None:
        """Compile the table.

        Raises:
            InvalidInputError: with every route that is wrong, or that another one makes
                ambiguous, each with its JSON pointer.
        """
        entries, errors = _compile(dict(enumerate(routes)), dict(enumerate(public)))
        if errors:
            raise InvalidInputError(errors)
        self._by_method: dict[str, list[_Entry]] = {}
        for entry in entries:
            for method in entry.methods:
                self._by_method.setdefault(method, []).append(entry)

    def match(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Step | Public | None:
        """Return the step that a request means, `Public.PUBLIC`, or None: no route of a bot's.

        ``path`` and ``query`` are as received, still percent-encoded. ``headers`` and ``query``
        are only searched for another method than the request's own, which some frameworks would
        follow: a request that names one matches nothing.
        """
        entries = self._by_method.get(method)
        if entries is None or not _CANONICAL.fullmatch(path):
            return None
        for entry in entries:
            found = entry.pattern.fullmatch(path)
            if found is not None:
                if _overrides_method(query, headers or {}):
                    return None
                return entry.outcome(found)
        return None


def load_routes(path: Path | str) -> Routes:
    """Read a route table from a ``.toml`` or ``.json`` file.

    Raises:
        InvalidInputError: the file cannot be read, is not TOML or JSON, or has invalid fields.
    """
    return routes_from_document(read_document(Path(path)))


def routes_from_document(document: object) -> Routes:
    """Build a route table from what a file parses to.

    Raises:
        InvalidInputError: with every field that is wrong, each with its JSON pointer.
    """
    errors: list[FieldError] = []
    try:
        _Header.model_validate(document)
    except ValidationError as error:
        errors += field_errors(error)
    if not isinstance(document, dict):
        raise InvalidInputError(errors)
    routes: dict[int, Route] = {}
    for number, entry in enumerate(_list(document.get("routes"))):
        try:
            routes[number] = _RouteEntry.model_validate(entry).to_route()
        except ValidationError as error:
            found = field_errors(error)
            errors += (FieldError(f"/routes/{number}{e.pointer}", e.problem) for e in found)
    public = dict(enumerate(_list(document.get("public"))))
    errors += _compile(routes, public)[1]
    if errors:
        raise InvalidInputError(errors)
    return Routes(routes.values(), public.values())


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )


class _Header(_Strict):
    format: Literal[1]
    routes: Annotated[list[Any], Field(min_length=1, max_length=MAX_LIST)]
    public: Annotated[list[Any], Field(max_length=MAX_LIST)] = []


class _RouteEntry(_Strict):
    methods: list[str]
    path: str
    action: Annotated[Action, choice_field(Action)]
    todo_kind: Annotated[TodoKind, choice_field(TodoKind)] | None = None
    expected_duration: DurationField | None = None
    mode: Annotated[Mode, choice_field(Mode)] = Mode.LIVE

    def to_route(self) -> Route:
        return Route(
            frozenset(self.methods),
            self.path,
            self.action,
            self.todo_kind,
            self.expected_duration,
            self.mode,
        )


# --- paths ------------------------------------------------------------------------------------

# RFC 3986's path characters that stand for themselves everywhere: no escape, no parameter. A dot
# ends no segment: that is how "." and ".." are written, and some systems drop a trailing one.
_SEGMENT: Final = r"(?:[A-Za-z0-9._~!$&'()*+,=:@-]*[A-Za-z0-9_~!$&'()*+,=:@-])"
_VALUE: Final = rf"(?=[^/]{{1,{MAX_TEXT}}}(?:/|\Z))[A-Za-z0-9._~-]*[A-Za-z0-9_~-]"
_CANONICAL: Final = re.compile(rf"(?:/{_SEGMENT})*/{_SEGMENT}?", re.ASCII)
_LITERAL: Final = re.compile(_SEGMENT, re.ASCII)
_PLACEHOLDER: Final = re.compile(r"\{([a-z_]+)(:path)?\}", re.ASCII)
_EXAMPLE: Final = "for example /todos/{todo}/rent"


@dataclass(frozen=True, slots=True)
class _Entry:
    """One pattern and what it means; ``segments`` has None for what takes any value."""

    pointer: str
    methods: frozenset[str]
    segments: tuple[str | None, ...]
    is_open: bool
    pattern: re.Pattern[str]
    route: Route | None

    def outcome(self, found: re.Match[str]) -> Step | Public:
        route = self.route
        if route is None:
            return Public.PUBLIC
        values = found.groupdict()
        return Step(
            route.action,
            route.todo_kind,
            todo=values.get("todo"),
            tenant=values.get("tenant"),
            mode=route.mode,
            expected_duration=route.expected_duration,
        )

    def meets(self, other: _Entry) -> bool:
        """Whether some request is one of both."""
        if not self.methods & other.methods:
            return False
        for one, rest in ((self, other), (other, self)):
            beyond = rest.segments[len(one.segments) :]
            if not rest.is_open and (beyond in ((), ("",)) if one.is_open else beyond):
                return False
        pairs = zip(self.segments, other.segments, strict=False)
        return all(_meet(mine, others) for mine, others in pairs)


def _meet(one: str | None, other: str | None) -> bool:
    if one is not None and other is not None:
        return one == other
    literal = other if one is None else one
    return literal is None or re.fullmatch(_VALUE, literal) is not None


def _compile(
    routes: Mapping[int, Route], public: Mapping[int, Any]
) -> tuple[list[_Entry], list[FieldError]]:
    """Return the patterns that can be used, and what is wrong with any."""
    entries = list(_entries(routes, public))
    return entries, [*_wrong_routes(routes), *_wrong_public(public), *_ambiguities(entries)]


def _entries(routes: Mapping[int, Route], public: Mapping[int, Any]) -> Iterator[_Entry]:
    """Yield what is written correctly."""
    for number, route in routes.items():
        if not _wrong_path(route.path, may_be_open=False):
            implied = {"HEAD"} if "GET" in route.methods else set()
            yield _entry(f"/routes/{number}", route.methods | implied, route.path, route)
    for number, path in public.items():
        if isinstance(path, str) and not _wrong_path(path, may_be_open=True):
            yield _entry(f"/public/{number}", frozenset(_PUBLIC_METHODS), path, None)


def _entry(pointer: str, methods: frozenset[str], path: str, route: Route | None) -> _Entry:
    segments: list[str | None] = []
    pattern = ""
    is_open = False
    for segment in path.split("/")[1:]:
        placeholder = _PLACEHOLDER.fullmatch(segment)
        if placeholder is None:
            segments.append(segment)
            pattern += "/" + re.escape(segment)
        elif placeholder[2]:
            # What is matched is canonical already, so that anything may follow.
            is_open = True
            pattern += "/.+"
        else:
            segments.append(None)
            pattern += f"/(?P<{placeholder[1]}>{_VALUE})"
    return _Entry(pointer, methods, tuple(segments), is_open, re.compile(pattern, re.ASCII), route)


def _wrong_routes(routes: Mapping[int, Route]) -> Iterator[FieldError]:
    for number, route in routes.items():
        pointer = f"/routes/{number}"
        if not route.methods or route.methods - set(METHODS):
            problem = f"must be one or more of {', '.join(METHODS)}"
            yield FieldError(f"{pointer}/methods", problem)
        if not isinstance(route.action, Action):
            yield FieldError(f"{pointer}/action", "must be an Action, not its name")
        if route.expected_duration is not None and route.expected_duration <= timedelta(0):
            yield FieldError(f"{pointer}/expected_duration", "must be longer than zero")
        for problem in _wrong_path(route.path, may_be_open=False):
            yield FieldError(f"{pointer}/path", problem)


def _wrong_public(public: Mapping[int, Any]) -> Iterator[FieldError]:
    for number, path in public.items():
        if not isinstance(path, str):
            yield FieldError(f"/public/{number}", f"must be a string, not {describe(path)}")
            continue
        for problem in _wrong_path(path, may_be_open=True):
            yield FieldError(f"/public/{number}", problem)


def _wrong_path(path: str, *, may_be_open: bool) -> list[str]:
    """Return why ``path`` can be no pattern; one that no path could ever match is wrong too."""
    if not path.startswith("/"):
        return [f"must begin with a slash, {_EXAMPLE}"]
    segments = path.split("/")[1:]
    problems = []
    names = []
    for number, segment in enumerate(segments, 1):
        is_last = number == len(segments)
        placeholder = _PLACEHOLDER.fullmatch(segment)
        if placeholder is not None:
            names.append(placeholder[1])
            if placeholder[2] and not (may_be_open and is_last):
                problems.append(
                    f"has {segment}, which only the last segment of a public path can be"
                )
        elif "{" in segment or "}" in segment:
            problems.append(
                f"has a brace in segment {number}: a placeholder is a whole segment, {_EXAMPLE}"
            )
        elif not (segment == "" and is_last) and not _LITERAL.fullmatch(segment):
            problems.append(
                f"has a segment {number} that no path of a bot's can have: write no escapes, empty "
                "segments, semicolons, letters beyond a to z, or dots at the end of a segment"
            )
    problems += [
        f"has the placeholder {name!r} twice"
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    return problems


def _ambiguities(entries: Sequence[_Entry]) -> Iterator[FieldError]:
    for number, entry in enumerate(entries):
        for other in entries[:number]:
            if entry.meets(other):
                methods = ", ".join(m for m in METHODS if m in entry.methods & other.methods)
                yield FieldError(
                    entry.pointer,
                    f"is ambiguous: some path is also one of {other.pointer} ({methods}); make "
                    "them differ in a segment without a placeholder, or in the method",
                )
                break


# --- methods said twice -----------------------------------------------------------------------

_OVERRIDES: Final = frozenset(
    {"_method", "x-http-method", "x-http-method-override", "x-method-override"}
)


def _overrides_method(query: str, headers: Mapping[str, str]) -> bool:
    # Servers that make variables of headers read "_" and "-" alike.
    if any(name.lower().replace("_", "-") in _OVERRIDES for name in headers):
        return True
    if not query:
        return False
    names = (unquote_plus(part.partition("=")[0]) for part in re.split("[&;]", query))
    return any(_variable(name) in _OVERRIDES for name in names)


def _variable(name: str) -> str:
    """Return the variable that a query's name becomes where more than one name becomes the same.

    PHP drops blanks before it, what follows a NUL, and an index; of a dot, a blank and a bracket
    that begins no index it makes "_".
    """
    name = name.lstrip().partition("\0")[0].rstrip().lower()
    name = re.sub(r"(?<=.)\[.*", "", name, flags=re.DOTALL)
    return re.sub(r"[. \[]", "_", name)
