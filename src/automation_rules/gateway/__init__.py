"""The gateway in front of a portal: bots do what the terms allow, people notice nothing.

`open_gateway` makes one; `AutomationRulesMiddleware` of ``.asgi`` and of ``.wsgi`` embed it in a
Python portal, and ``.service`` serves it to everyone else.
"""

from __future__ import annotations

from ..routes import Route, Routes, load_routes
from .callers import Automation, Caller, Person, Visitor
from .core import Gateway, Passage, open_gateway

__all__ = [
    "Automation",
    "Caller",
    "Gateway",
    "Passage",
    "Person",
    "Route",
    "Routes",
    "Visitor",
    "load_routes",
    "open_gateway",
]
