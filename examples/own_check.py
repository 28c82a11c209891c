"""A rule of one's own beside the published terms: a landlord's bot rests over lunch.

Run it with ``python examples/own_check.py``.
"""

from __future__ import annotations

from datetime import datetime, time

from automation_rules import Check, Finding, Request, Text, WeeklyHours, landlord_portal

LUNCH = WeeklyHours(range(7), time(12), time(13))
WORDS = Text("The bot rests from midday to 1pm.", "Mae’r bot yn gorffwys rhwng hanner dydd ac 1pm.")  # noqa: RUF001


class LunchBreak(Check):
    """Nothing runs from midday to 1pm by London's clocks."""

    id = "lunch_break"

    def evaluate(self, request: Request) -> Finding:
        """Fail as ``resting``."""
        return self.failed("resting", WORDS) if LUNCH.is_open(request.time) else self.passed(WORDS)

    def next_change(self, request: Request) -> datetime | None:
        """Say when the answer changes, so that decisions know until when they hold."""
        return LUNCH.next_change(request.time)


POLICY = landlord_portal().with_checks(LunchBreak(), id="acme-rules")

if __name__ == "__main__":
    from automation_rules.testing import allowed_request_document

    document = allowed_request_document()
    for hour in (11, 12, 13):
        document["context"]["time"] = f"2026-06-02T{hour}:30:00+01:00"
        decision = POLICY.decide(Request.from_document(document))
        print(f"{hour}:30", decision.explain("en"), sep="\n")
