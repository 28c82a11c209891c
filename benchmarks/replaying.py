"""Deciding a log again beside parsing its entries and deciding alone."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from automation_rules.landlord_portal import landlord_portal
from automation_rules.replay import Verdict, replay

from .deciding import standard_requests
from .log import opened_log, record_decisions
from .measure import compare

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .measure import Row, Size

__all__ = ["replay_log"]


def replay_log(size: Size) -> Iterator[Row]:
    """Measure a replay: verify each entry's form, open its envelopes, rebuild it and decide."""
    number = size.times(2_000)
    policy = landlord_portal()
    requests = list(standard_requests().values())
    with TemporaryDirectory() as name, opened_log(Path(name)) as log:
        record_decisions(log.whole, number)
        leaves = [entry.leaf for entry in log.bare.entries()]

        def decide_again() -> None:
            found = {one.verdict for one in replay(log.whole, policy)}
            assert found == {Verdict.SAME}

        def parse_and_decide() -> None:
            for index, leaf in enumerate(leaves):
                json.loads(leaf)
                policy.decide(requests[index % len(requests)])

        yield compare(
            size.rounds,
            f"replay of {number:,} decisions",
            "parse the same entries and decide the same requests",
            (decide_again, parse_and_decide),
            operations=number,
        )
