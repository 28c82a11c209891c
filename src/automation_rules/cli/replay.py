"""``automation-rules audit replay``: what another policy would have said of what was decided."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from ..clock import to_london
from ..decision import instant_text
from ..texts import ui
from .audit import progress_bar
from .common import DENIED, OK, Output, output_options, policy_options
from .records import show_table
from .state import open_store, state_option

if TYPE_CHECKING:
    from ..leaf_reasons import Reason
    from ..policy import Policy
    from ..replay import Replayed

__all__ = ["replay"]


@click.command()
@policy_options
@click.option("--exit-zero", is_flag=True, help="Exit 0 also when decisions would differ.")
@state_option
@output_options("text", "json")
def replay(*, policy: Policy, exit_zero: bool, state: str | None, out: Output) -> int:
    """Decide every recorded decision again, and list those that would differ.

    By the published terms, or by the policy and the readings given. A decision about somebody
    erased since is undecidable. Answers and your record of them are not kept: their check counts
    as it was recorded. Exit 1 when a decision would differ.
    """
    from ..audit import DecisionLog
    from ..replay import Verdict
    from ..replay import replay as decide_again
    from ..vault import Vault, WrappingKey, key_path

    counts: Counter[Verdict] = Counter()
    listed: list[Replayed] = []
    with open_store(state) as store:
        vault = Vault(WrappingKey.load(None if store.path is None else key_path(store.path)))
        with DecisionLog(store, vault) as log, progress_bar(out, "progress.replaying") as step:
            for found in decide_again(log, policy, progress=step):
                counts[found.verdict] += 1
                if found.verdict is Verdict.DIFFERS:
                    listed.append(found)
    totals = {verdict.value: counts[verdict] for verdict in Verdict}
    if out.format == "json":
        differing = [_document(found) for found in listed]
        out.write_json(
            {"policy": policy.info.to_document(), "counts": totals, "differing": differing}
        )
    else:
        _show(listed, totals, out)
    return DENIED if listed and not exit_zero else OK


def _document(found: Replayed) -> dict[str, Any]:
    return {
        "index": found.index,
        "time": instant_text(found.time),
        "account": found.account,
        "action": found.action,
        "before": {"decision": found.before, "reasons": _reasons(found.reasons_before)},
        "after": {"decision": found.after, "reasons": _reasons(found.reasons_after)},
    }


def _reasons(reasons: tuple[Reason, ...]) -> list[dict[str, Any]]:
    return [{"check": r.check, "code": r.code, "clauses": list(r.clauses)} for r in reasons]


def _show(listed: list[Replayed], totals: dict[str, int], out: Output) -> None:
    from .render.text import styled

    console = out.console()
    if listed:
        why = [(found, found.reasons_after or found.reasons_before) for found in listed]
        rows = [
            {
                "index": found.index,
                "time": f"{to_london(found.time):%Y-%m-%d %H:%M}",
                "action": found.action,
                "decision": ui("allowed" if found.after else "denied").to(out.lang),
                "reason": [reason.name for reason in reasons],
            }
            for found, reasons in why
        ]
        console.print(styled(ui("replay.differing").to(out.lang), "bold"))
        show_table(console, ("index", "time", "action", "decision", "reason"), rows, out.lang)
        console.print()
        counted = Counter(reason for _, reasons in why for reason in reasons)
        for reason, number in counted.most_common():
            line = f"{reason.name} ({', '.join(reason.cites)}): {number}"
            console.print(styled(line), soft_wrap=True)
        console.print()
    for verdict, number in totals.items():
        label = ui(f"replay.{verdict}").to(out.lang)
        console.print(styled(f"{label}: {number}"))
    out.write_console(console)
