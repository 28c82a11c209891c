"""Ways to write a path so that one program reads it as another path than the next one does.

Every trick is played on `PATH`, and what comes out must never pass for that path.
"""

from __future__ import annotations

from typing import Final

PATH: Final = "/todos/td-17/rent"
"""The route's path that the tricks are played on."""

QUERIES: Final = {
    "method override": "_method=DELETE",
    "among others": "a=1&_method=PUT&b=2",
    "after a semicolon": "a=1;_method=PUT",
    "escaped underscore": "%5Fmethod=PUT",
    "escaped letter": "_m%65thod=PUT",
    "without a value": "_method",
    "upper case": "_METHOD=PUT",
    "padded": "+_method=PUT",
    "a header's name": "X-HTTP-Method-Override=PUT",
}
"""Query strings that name another method."""

HEADERS: Final = (
    "X-HTTP-Method-Override",
    "x-http-method-override",
    "X-HTTP-Method",
    "X-Method-Override",
    "X_HTTP_Method_Override",
)
"""Headers that name another method."""

TRICKS: Final[dict[str, str]] = {
    # escapes
    "escaped letter": "/%74odos/td-17/rent",
    "escaped value": "/todos/%74d-17/rent",
    "escaped hyphen": "/todos/td%2d17/rent",
    "escaped dot": "/todos/td-17%2e/rent",
    "escaped slash": "/todos%2ftd-17/rent",
    "escaped slash, upper case": "/todos%2Ftd-17/rent",
    "escaped slash in front": "/%2ftodos/td-17/rent",
    "escaped backslash": "/todos%5ctd-17/rent",
    "escaped twice": "/%2574odos/td-17/rent",
    "escaped slash, twice": "/todos%252ftd-17/rent",
    "escaped NUL": "/todos/td-17/rent%00",
    "escaped line feed": "/todos/td-17/rent%0a",
    "escaped return": "/todos/td-17/rent%0d%0a",
    "escaped space": "/todos/td-17/rent%20",
    "escaped question mark": "/todos/td-17/rent%3f",
    "escaped hash": "/todos/td-17/rent%23",
    "escaped semicolon": "/todos/td-17/rent%3b",
    "escaped percent": "/todos/td-17%25/rent",
    "broken escape": "/todos/td-17/rent%",
    "half an escape": "/todos/td-17/rent%2",
    "no escape": "/todos/td-17/rent%zz",
    "IIS escape": "/todos/td-17/%u0072ent",
    # dots
    "dot segment": "/./todos/td-17/rent",
    "dot segment inside": "/todos/./td-17/rent",
    "parent": "/todos/x/../td-17/rent",
    "parent of all": "/../todos/td-17/rent",
    "parent, escaped": "/todos/x/%2e%2e/td-17/rent",
    "parent, half escaped": "/todos/x/.%2e/td-17/rent",
    "parent as value": "/todos/../rent",
    "dot as value": "/todos/./rent",
    "three dots as value": "/todos/.../rent",
    "public parent": "/static/../todos/td-17/rent",
    "public parent, escaped": "/static/%2e%2e/todos/td-17/rent",
    "public parent, escaped slash": "/static/..%2ftodos/td-17/rent",
    "public parent, backslash": "/static/..\\todos/td-17/rent",
    "public parameter parent": "/static/..;/todos/td-17/rent",
    "trailing dot": "/todos/td-17/rent.",
    "trailing dots": "/todos/td-17/rent..",
    "trailing dot in the middle": "/todos/td-17./rent",
    "trailing dot segment": "/todos/td-17/rent/.",
    "trailing parent": "/todos/td-17/rent/x/..",
    # slashes
    "double slash": "//todos/td-17/rent",
    "double slash inside": "/todos//td-17/rent",
    "double slash before the end": "/todos/td-17//rent",
    "trailing slash": "/todos/td-17/rent/",
    "trailing slashes": "/todos/td-17/rent//",
    "empty value": "/todos//rent",
    "no slash": "todos/td-17/rent",
    "backslash": "/todos\\td-17/rent",
    "backslash in front": "\\todos/td-17/rent",
    "slash and backslash": "/\\todos/td-17/rent",
    # the rest of a target
    "parameter": "/todos/td-17/rent;x=1",
    "parameter inside": "/todos;x/td-17/rent",
    "parameter in a value": "/todos/td-17;jsessionid=1/rent",
    "empty parameter": "/todos/td-17/rent;",
    "a query's mark": "/todos/td-17/rent?",
    "fragment": "/todos/td-17/rent#x",
    "absolute": "http://portal.example/todos/td-17/rent",
    "authority": "//portal.example/todos/td-17/rent",
    "asterisk": "*",
    "nothing": "",
    # letters
    "upper case": "/TODOS/td-17/rent",
    "one upper case letter": "/todos/td-17/Rent",
    "dotless i": "/todos/td-17/rent\u0131",
    "full-width letter": "/\uff54odos/td-17/rent",
    "full-width slash": "/todos\uff0ftd-17/rent",
    "full-width dots": "/todos/x/\uff0e\uff0e/td-17/rent",
    "division slash": "/todos\u2215td-17/rent",
    "Arabic digits in a value": "/todos/td-\u0661/rent",
    "long s": "/todo\u017f/td-17/rent",
    "soft hyphen": "/to\u00addos/td-17/rent",
    "zero-width space": "/todos/td-17/rent\u200b",
    "byte order mark": "\ufeff/todos/td-17/rent",
    "overlong slash": "/todos%c0%aftd-17/rent",
    "overlong dot": "/todos/x/%c0%ae%c0%ae/td-17/rent",
    "Latin-1 letter": "/todos/td-17/rent\u00e9",
    # controls
    "NUL": "/todos/td-17/rent\x00",
    "line feed": "/todos/td-17/rent\n",
    "return": "/todos/td-17/rent\r",
    "tab": "/todos/td-17/rent\t",
    "space": "/todos/td-17/rent ",
    "space in front": " /todos/td-17/rent",
    "space in a value": "/todos/td 17/rent",
    "delete": "/todos/td-17/rent\x7f",
    "vertical tab": "/todos\x0b/td-17/rent",
    # values
    "colon in a value": "/todos/td:17/rent",
    "at in a value": "/todos/td@17/rent",
    "comma in a value": "/todos/td,17/rent",
    "asterisk in a value": "/todos/*/rent",
    "braces": "/todos/{todo}/rent",
    "endless value": f"/todos/{'t' * 1001}/rent",
    # other paths
    "more": "/todos/td-17/rent/x",
    "less": "/todos/td-17",
    "prefix": "/todos/td-17/rents",
    "suffix": "/x/todos/td-17/rent",
}
"""What looks like `PATH` to somebody, by what is done."""
