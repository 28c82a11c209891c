"""What schemathesis is told of the service, that no schema can say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, HookContext


_MOST: Final = 1_000


@schemathesis.hook
def before_call(_context: HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Leave out a page's token: any text could be one, but only what the service gave is."""
    page = case.body.get("page") if isinstance(case.body, dict) else None
    if isinstance(page, dict):
        token = page.get("token")
        if isinstance(token, str) and len(token) <= _MOST:
            page["token"] = None
