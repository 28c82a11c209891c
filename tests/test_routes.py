"""The route table: an allow-list by which one request is one step, or none."""

from __future__ import annotations

import itertools
import json
import posixpath
import re
import unicodedata
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from automation_rules.actions import Action, TodoKind
from automation_rules.enforcer import Step
from automation_rules.errors import InvalidInputError
from automation_rules.request import Mode
from automation_rules.routes import (
    METHODS,
    Public,
    Route,
    Routes,
    load_routes,
    routes_from_document,
)
from path_tricks import HEADERS, PATH, QUERIES, TRICKS

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parent.parent
RENT = Step(Action.OPEN_TODO, TodoKind.CONFIRM_HOUSING_COSTS, todo="td-17")


def route(path: str, *methods: str, action: Action = Action.LIST_TODOS, **more: Any) -> Route:
    """A route, of ``GET`` unless said otherwise."""
    return Route(frozenset(methods or ("GET",)), path, action, **more)


PORTAL = Routes(
    (
        route("/"),
        route("/todos/", action=Action.LIST_TODOS),
        route(
            "/todos/{todo}/rent",
            action=Action.OPEN_TODO,
            todo_kind=TodoKind.CONFIRM_HOUSING_COSTS,
        ),
        route(
            "/todos/{todo}/rent",
            "POST",
            action=Action.SUBMIT_TODO,
            todo_kind=TodoKind.CONFIRM_HOUSING_COSTS,
            expected_duration=timedelta(minutes=2),
        ),
        route("/tenants/{tenant}/{tab}", action=Action.VIEW_TENANT, mode=Mode.TEST),
        route("/live", "WEBSOCKET", action=Action.VIEW_UPDATES),
    ),
    ("/static/{file:path}", "/health", "/help/{page}"),
)


# --- matching


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/", Step(Action.LIST_TODOS)),
        ("GET", "/todos/", Step(Action.LIST_TODOS)),
        ("GET", PATH, RENT),
        ("HEAD", PATH, RENT),
        ("GET", "/todos/1.2_3~a-B/rent", Step(RENT.action, RENT.todo_kind, todo="1.2_3~a-B")),
        ("GET", f"/todos/{'t' * 1000}/rent", Step(RENT.action, RENT.todo_kind, todo="t" * 1000)),
        (
            "POST",
            PATH,
            Step(
                Action.SUBMIT_TODO,
                TodoKind.CONFIRM_HOUSING_COSTS,
                todo="td-17",
                expected_duration=timedelta(minutes=2),
            ),
        ),
        (
            "GET",
            "/tenants/t-9/rent",
            Step(Action.VIEW_TENANT, tenant="t-9", mode=Mode.TEST),
        ),
        ("WEBSOCKET", "/live", Step(Action.VIEW_UPDATES)),
        ("GET", "/health", Public.PUBLIC),
        ("HEAD", "/health", Public.PUBLIC),
        ("GET", "/help/first-steps", Public.PUBLIC),
        ("GET", "/static/a.css", Public.PUBLIC),
        ("GET", "/static/a/b+c@2.js", Public.PUBLIC),
        ("GET", "/static/a/", Public.PUBLIC),
        # a method, or a path, that no route is for
        ("get", PATH, None),
        ("DELETE", PATH, None),
        ("OPTIONS", PATH, None),
        ("WEBSOCKET", PATH, None),
        ("GET", "/live", None),
        ("POST", "/health", None),
        ("POST", "/static/a.css", None),
        ("WEBSOCKET", "/health", None),
        ("GET", "/todos", None),
        ("GET", "/static", None),
        ("GET", "/static/", None),
        ("GET", "/statics/a.css", None),
        ("GET", "/static/a//b", None),
        ("GET", "/static/a/../b", None),
        ("GET", "/static/a%2f..%2fb", None),
        ("GET", "/static/a.", None),
        ("GET", "/help/a/b", None),
        ("GET", "/health/", None),
        ("", "", None),
    ],
)
def test_a_request_is_the_step_that_the_table_says(
    method: str, path: str, expected: Step | Public | None
) -> None:
    """Method and path choose one route; its placeholders fill the step; nothing else matches."""
    assert PORTAL.match(method, path) == expected


@pytest.mark.parametrize("name", TRICKS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "WEBSOCKET"])
def test_no_trick_passes_for_a_route(name: str, method: str) -> None:
    """What only looks like a route's path matches nothing, and is not public either."""
    assert PORTAL.match(method, TRICKS[name]) is None


@pytest.mark.parametrize("query", QUERIES.values(), ids=list(QUERIES))
@pytest.mark.parametrize("path", [PATH, "/health"])
def test_a_query_that_names_another_method_matches_nothing(query: str, path: str) -> None:
    """A framework might follow it, so that the request would be another step."""
    assert PORTAL.match("GET", path) is not None
    assert PORTAL.match("GET", path, query) is None


@pytest.mark.parametrize("header", HEADERS)
def test_a_header_that_names_another_method_matches_nothing(header: str) -> None:
    """However it is written, and whatever it says."""
    assert PORTAL.match("POST", PATH, headers={"accept": "*/*"}) is not None
    assert PORTAL.match("POST", PATH, headers={"accept": "*/*", header: "POST"}) is None


@pytest.mark.parametrize(
    "query",
    ["", "a=1", "a=_method", "method=PUT", "a_method=1", "page=2&sort=%5Fname", "_methods=1", "&&"],
)
def test_any_other_query_is_the_portals_business(query: str) -> None:
    """A query does not change which step a request is."""
    assert PORTAL.match("GET", PATH, query, {"accept": "*/*"}) == RENT


def canonical(path: str) -> str:
    """Return the one form of a path, found in another way than the routes'."""
    before = None
    while path != before:
        before = path
        path = unicodedata.normalize("NFKC", unquote(path, "latin-1")).replace("\\", "/")
        path = re.sub(r"[\x00-\x20\x7f-\xa0]|;[^/]*|[?#].*", "", path)
        path = re.sub(r"/+", "/", path)
        path = "/".join(s if s in (".", "..") else s.rstrip(".") for s in path.split("/"))
        tail = "/" if path.endswith("/") else ""
        path = posixpath.normpath(path).rstrip("/") + tail if path else path
        path = re.sub(r"//+", "/", path)
    return path


PIECES = st.sampled_from(
    [
        *("/", "//", "\\", ".", "..", "...", ";", "%", "?", "#", "*", ":", "@", " ", "\n", "\x00"),
        *("%2e", "%2E", "%2f", "%2F", "%5c", "%25", "%3b", "%00", "%0a", "%20", "%c0%af", "%74"),
        *("todos", "TODOS", "td-17", "rent", "static", "health", "help", "tenants", "live", "x"),
        *("\u00e9", "\uff0f", "\uff0e", "\u017f", "\u2215", "\u212a", "~", "_", "-", "t"),
    ]
)


@st.composite
def paths(draw: st.DrawFn) -> str:
    """Paths near the table's: a true one with a few pieces put in or taken out, or a heap."""
    if draw(st.booleans()):
        return "".join(draw(st.lists(PIECES, max_size=10)))
    path = draw(
        st.sampled_from([PATH, "/", "/todos/", "/tenants/t-9/rent", "/health", "/static/a/b.css"])
    )
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(path)))
        end = draw(st.integers(at, min(len(path), at + 2)))
        path = path[:at] + draw(PIECES | st.just("") | st.characters()) + path[end:]
    return path


def only_one_form(path: str) -> None:
    """Check that a path that matches is its own canonical form, and shows what it fills in."""
    for method in ("GET", "POST", "WEBSOCKET"):
        found = PORTAL.match(method, path)
        if found is None:
            continue
        assert canonical(path) == path
        assert path.isascii()
        assert path.isprintable()
        if isinstance(found, Step):
            values = [value for value in (found.todo, found.tenant) if value is not None]
            assert all(f"/{value}/" in path for value in values)


@settings(max_examples=400)
@given(paths())
def test_what_matches_has_one_form_only(path: str) -> None:
    """A path that matches equals, byte for byte, what any normalisation makes of it."""
    only_one_form(path)


@pytest.mark.exhaustive
@settings(max_examples=50_000, deadline=None)
@given(paths())
def test_what_matches_has_one_form_only_at_length(path: str) -> None:
    """The same for very many paths."""
    only_one_form(path)


@pytest.mark.exhaustive
def test_no_character_anywhere_makes_a_second_form() -> None:
    """Every character, put at every place of a route's path, gives another value or no route."""
    values = re.compile(r"/todos/[A-Za-z0-9._~-]*[A-Za-z0-9_~-]/rent")
    for code in (*range(0x3000), *range(0xFE00, 0x10000), 0x1D400, 0x10FFFF):
        for at in range(len(PATH) + 1):
            path = PATH[:at] + chr(code) + PATH[at:]
            found = PORTAL.match("GET", path)
            assert (found is not None) == (values.fullmatch(path) is not None), path


# --- ambiguity

SEGMENTS = st.sampled_from(["a", "b", "a,b", "{x}", "{y}"])
PATTERNS = st.builds(
    lambda segments, end: "/" + "/".join([*dict.fromkeys(segments), *end]),
    st.lists(SEGMENTS, max_size=3),
    st.sampled_from([(), ("",), ("{z:path}",)]),
).filter(lambda pattern: "//" not in pattern)
UNIVERSE = [
    "/" + "/".join(parts) + end
    for size in range(5)
    for parts in itertools.product(("a", "b", "a,b", "c"), repeat=size)
    for end in ("", "/")
    if size or not end
]
"""Every path of up to four segments, enough to tell any two of the patterns apart."""


def matched(pattern: str) -> set[str]:
    """The paths of the universe that a pattern by itself matches."""
    table = Routes((), [pattern])
    return {path for path in UNIVERSE if table.match("GET", path) is not None}


@settings(max_examples=150, deadline=None)
@given(PATTERNS, PATTERNS)
def test_two_patterns_are_ambiguous_when_a_path_is_of_both(one: str, other: str) -> None:
    """Two patterns can stand together exactly when no path is one of both."""
    if matched(one) & matched(other):
        with pytest.raises(InvalidInputError, match="is ambiguous") as caught:
            Routes((), [one, other])
        assert [error.pointer for error in caught.value.errors] == ["/public/1"]
    else:
        Routes((), [one, other])


@pytest.mark.parametrize(
    ("routes", "public", "pointers"),
    [
        ([route("/a"), route("/a", action=Action.SIGN_OUT)], [], ["/routes/1"]),
        ([route("/a"), route("/a", "POST")], [], []),
        ([route("/a"), route("/a", "HEAD")], [], ["/routes/1"]),
        ([route("/a", "HEAD"), route("/a")], [], ["/routes/1"]),
        ([route("/{todo}"), route("/new")], [], ["/routes/1"]),
        ([route("/{todo}"), route("/new,all")], [], []),
        ([route("/{todo}/x"), route("/y/{tenant}")], [], ["/routes/1"]),
        ([route("/{todo}/x"), route("/y/{tenant}/")], [], []),
        ([route("/a")], ["/a"], ["/public/0"]),
        ([route("/a", "POST", "WEBSOCKET")], ["/a"], []),
        ([route("/static/admin")], ["/static/{f:path}"], ["/public/0"]),
        ([route("/static/")], ["/static/{f:path}"], []),
        ([route("/{todo}/admin")], ["/static/{f:path}"], ["/public/0"]),
        ([route("/a"), route("/a"), route("/a")], ["/a"], ["/routes/1", "/routes/2", "/public/0"]),
    ],
)
def test_routes_of_one_method_must_not_meet(
    routes: list[Route], public: list[str], pointers: list[str]
) -> None:
    """A table in which one request could be two steps is none; what is public counts as well."""
    assert [error.pointer for error in errors_of(routes, public)] == pointers


def errors_of(routes: Sequence[Route], public: Sequence[str] = ()) -> list[Any]:
    """What is wrong with a table."""
    try:
        Routes(routes, public)
    except InvalidInputError as error:
        return list(error.errors)
    return []


# --- what is wrong with a route

# fmt: off
WRONG_PATHS = [
    ("", "must begin with a slash"),
    ("todos", "must begin with a slash"),
    ("//", "a segment 1 that no path"),
    ("/a//b", "a segment 2 that no path"),
    ("/a/../b", "a segment 2 that no path"),
    ("/a/./b", "a segment 2 that no path"),
    ("/a./b", "a segment 1 that no path"),
    ("/a%20b", "a segment 1 that no path"),
    ("/a;b", "a segment 1 that no path"),
    ("/a\\b", "a segment 1 that no path"),
    ("/a b", "a segment 1 that no path"),
    ("/a?b", "a segment 1 that no path"),
    ("/a\n", "a segment 1 that no path"),
    ("/t\u0177", "a segment 1 that no path"),
    ("/{todo}s", "a brace in segment 1"),
    ("/{}", "a brace in segment 1"),
    ("/{Todo}", "a brace in segment 1"),
    ("/{todo:int}", "a brace in segment 1"),
    ("/a}", "a brace in segment 1"),
    ("/{x}/{x}", "the placeholder 'x' twice"),
    ("/{x:path}/a", "{x:path}, which only the last segment of a public path"),
]
# fmt: on


@pytest.mark.parametrize(("path", "problem"), WRONG_PATHS)
def test_a_pattern_that_could_never_match_is_an_error(path: str, problem: str) -> None:
    """A misspelt path is told where the table is made, for routes and what is public."""
    for routes, public, pointer in (
        ([route(path)], [], "/routes/0/path"),
        ([], [path], "/public/0"),
    ):
        [error] = errors_of(routes, public)
        assert error.pointer == pointer
        assert problem in error.problem


def test_a_tail_is_for_public_paths_only() -> None:
    """A route of a bot's names every segment."""
    [error] = errors_of([route("/todos/{rest:path}")])
    assert "only the last segment of a public path" in error.problem
    assert errors_of([], ["/todos/{rest:path}"]) == []


@pytest.mark.parametrize("methods", [(), ("get",), ("GTE",), ("GET", "FETCH")])
def test_an_unknown_method_is_an_error(methods: tuple[str, ...]) -> None:
    """Methods are of a closed list, in upper case."""
    made = Route(frozenset(methods), "/a", Action.LIST_TODOS)
    [error] = errors_of([made])
    assert error.pointer == "/routes/0/methods"
    assert ", ".join(METHODS) in error.problem


def test_a_route_that_python_built_wrongly_is_an_error() -> None:
    """A bare name is no action, and no work takes less than no time."""
    bad: Any = "sign_out"
    made = [route("/a", action=bad), route("/b", expected_duration=timedelta(0))]
    found = [(error.pointer, error.problem) for error in errors_of(made)]
    assert found == [
        ("/routes/0/action", "must be an Action, not its name"),
        ("/routes/1/expected_duration", "must be longer than zero"),
    ]


# --- files


def document(**changes: Any) -> dict[str, Any]:
    """A route table's document of one route, changed."""
    entry = {"methods": ["GET"], "path": "/a", "action": "list_todos"}
    return {"format": 1, "routes": [{**entry, **changes}]}


def test_a_file_says_everything_that_a_route_is(tmp_path: Path) -> None:
    """TOML and JSON give the same table, public paths included."""
    content = {
        "format": 1,
        "public": ["/static/{file:path}"],
        "routes": [
            {
                "methods": ["POST"],
                "path": "/todos/{todo}/rent",
                "action": "submit_todo",
                "todo_kind": "confirm_housing_costs",
                "expected_duration": "PT2M",
                "mode": "test",
            },
        ],
    }
    as_json = tmp_path / "routes.json"
    as_json.write_text(json.dumps(content), "utf-8")
    as_toml = tmp_path / "routes.toml"
    as_toml.write_text(
        """
        format = 1
        public = ["/static/{file:path}"]
        [[routes]]
        methods = ["POST"]
        path = "/todos/{todo}/rent"
        action = "submit_todo"
        todo_kind = "confirm_housing_costs"
        expected_duration = "PT2M"
        mode = "test"
        """,
        "utf-8",
    )
    for path in (as_json, str(as_toml)):
        table = load_routes(path)
        assert table.match("POST", PATH) == Step(
            Action.SUBMIT_TODO,
            TodoKind.CONFIRM_HOUSING_COSTS,
            todo="td-17",
            mode=Mode.TEST,
            expected_duration=timedelta(minutes=2),
        )
        assert table.match("GET", "/static/a/b.css") is Public.PUBLIC
        assert table.match("GET", PATH) is None


def test_the_example_is_a_route_table() -> None:
    """The table that the examples use can be read, and knows the way through a to-do."""
    table = load_routes(ROOT / "examples" / "routes.toml")
    steps = [
        table.match(method, path)
        for method, path in (
            ("POST", "/sign-in"),
            ("POST", "/access-code"),
            ("GET", "/todos"),
            ("GET", PATH),
            ("POST", PATH),
            ("POST", "/sign-out"),
        )
    ]
    assert [step.action for step in steps if isinstance(step, Step)] == [
        Action.SIGN_IN,
        Action.ENTER_ACCESS_CODE,
        Action.LIST_TODOS,
        Action.OPEN_TODO,
        Action.SUBMIT_TODO,
        Action.SIGN_OUT,
    ]
    assert table.match("GET", "/payments") is None


# fmt: off
WRONG: list[tuple[Any, str, str]] = [
    ([], "", "must be an object"),
    ({}, "/format", "is required"),
    ({}, "/routes", "is required"),
    ({**document(), "format": 2}, "/format", "1"),
    ({**document(), "route": []}, "/route", "is no field"),
    ({"format": 1, "routes": []}, "/routes", ""),
    ({"format": 1, "routes": {}}, "/routes", "must be an array"),
    ({"format": 1, "routes": ["/a"]}, "/routes/0", "must be an object"),
    ({**document(), "public": "/a"}, "/public", "must be an array"),
    ({**document(), "public": ["/b", 1]}, "/public/1", "must be a string, not a number"),
    ({**document(), "public": ["/b//"]}, "/public/0", "segment 2"),
    (document(methods="GET"), "/routes/0/methods", "must be an array"),
    (document(methods=[]), "/routes/0/methods", "one or more of GET"),
    (document(methods=["get"]), "/routes/0/methods", "one or more of GET"),
    (document(methods=[1]), "/routes/0/methods/0", "must be a string"),
    (document(path=1), "/routes/0/path", "must be a string"),
    (document(path="/a;b"), "/routes/0/path", "segment 1"),
    (document(action=None), "/routes/0/action", "is required"),
    (document(action="listtodos"), "/routes/0/action", "must be one of sign_in, "),
    (document(todo_kind="rent"), "/routes/0/todo_kind", "must be one of provide_tenancy_details"),
    (document(expected_duration=120), "/routes/0/expected_duration", "must be a string"),
    (document(expected_duration="PT0S"), "/routes/0/expected_duration", "longer than zero"),
    (document(mode="dry"), "/routes/0/mode", "must be one of live, test"),
    (document(kind="x"), "/routes/0/kind", "is no field"),
]
# fmt: on


@pytest.mark.parametrize(("found", "pointer", "problem"), WRONG)
def test_what_is_wrong_with_a_file_is_told_by_its_place(
    found: Any, pointer: str, problem: str
) -> None:
    """A table that cannot be used is an error at the field, never a table that allows more."""
    with pytest.raises(InvalidInputError) as caught:
        routes_from_document(found)
    problems = {error.pointer: error.problem for error in caught.value.errors}
    assert pointer in problems
    assert problem in problems[pointer]


def test_all_errors_come_at_once() -> None:
    """Fields, paths and ambiguities are all looked at, whichever are wrong."""
    [good] = document()["routes"]
    found = {
        "format": 0,
        "extra": 1,
        "public": ["x", "/a", 5],
        "routes": [{**good, "path": "/{todo}"}, {"path": 1}, {**good, "mode": 1}, "x",
                   good, {**good, "path": "/b.", "methods": ["PST"]}],
    }  # fmt: skip
    with pytest.raises(InvalidInputError) as caught:
        routes_from_document(found)
    assert [error.pointer for error in caught.value.errors] == [
        "/format", "/extra", "/routes/1/methods", "/routes/1/path", "/routes/1/action",
        "/routes/2/mode", "/routes/3", "/routes/5/methods", "/routes/5/path", "/public/0",
        "/public/2", "/routes/4", "/public/1",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content"),
    [("r.toml", b"routes = ["), ("r.json", b"{"), ("r.json", b'{"a": 1, "a": 2}'), ("r", b"\xff")],
)
def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path, name: str, content: bytes) -> None:
    """Bad syntax, a key twice, another encoding and an absent file raise, with the reason."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInputError):
        load_routes(tmp_path / name)
    with pytest.raises(InvalidInputError, match="cannot be read"):
        load_routes(tmp_path / "absent.toml")
