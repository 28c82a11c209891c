"""A short tour: a landlord's bot asks before it acts.

Registers a made-up landlord in a fresh state, asks now and at other times, tries what the terms
forbid, and verifies the log. Every line that begins with ``$`` is a command that you can type.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path

ACCOUNT = "acme-1"
SUBMIT = ("--account", ACCOUNT, "--action", "submit_todo", "--todo", "td-17")
ASK_APA = ("--account", ACCOUNT, "--action", "request_apa")
TENANCY = ("--todo-kind", "provide_tenancy_details")
RENT = ("--todo-kind", "confirm_housing_costs")
OFFICER = ("--code-by", "officer-7")

WHAT_IFS = (
    (
        "A Tuesday in June, with today's code",
        (*SUBMIT, *TENANCY, "--at", "2027-06-01T09:00:00+01:00"),
        ("--code-at", "2027-06-01T08:05:00+01:00", *OFFICER),
    ),
    (
        "A Saturday in June",
        (*SUBMIT, *TENANCY, "--at", "2027-06-05T09:00:00+01:00"),
        ("--code-at", "2027-06-05T08:05:00+01:00", *OFFICER),
    ),
    (
        "A Saturday in April, for the annual rent change",
        (*SUBMIT, *RENT, "--at", "2027-04-10T09:00:00+01:00"),
        ("--code-at", "2027-04-10T08:05:00+01:00", *OFFICER),
    ),
    (
        "A bank holiday",
        (*SUBMIT, *TENANCY, "--at", "2027-05-31T09:00:00+01:00"),
        ("--code-at", "2027-05-31T08:05:00+01:00", *OFFICER),
    ),
    (
        "A request for an alternative payment arrangement",
        (*ASK_APA, *TENANCY, "--at", "2027-06-01T09:00:00+01:00"),
        ("--code-at", "2027-06-01T08:05:00+01:00", *OFFICER),
    ),
    (
        "Yesterday's code",
        (*SUBMIT, *TENANCY, "--at", "2027-06-02T09:00:00+01:00"),
        ("--code-at", "2027-06-01T08:05:00+01:00", *OFFICER),
    ),
)


def main() -> None:
    """Take the tour."""
    with tempfile.TemporaryDirectory() as directory:
        os.environ["AUTOMATION_RULES_STATE"] = f"sqlite:///{Path(directory) / 'demo.sqlite3'}"
        os.environ["AUTOMATION_RULES_HEADS"] = str(Path(directory) / "heads.sqlite3")

        heading("A landlord, the person who types the code, and two automation accounts")
        run("init")
        run(
            "landlord", "add", "acme", "--name", "Acme Homes", "--nation", "england-and-wales", "-q"
        )
        manager = "North West partnership manager"
        run("landlord", "declare", "acme", "--on", "2026-01-05", "--partnership-manager", manager)
        run("people", "add", "officer-7", "--landlord", "acme", "--name", "Enid Example", "-q")
        run("landlord", "accept-terms", "acme", "--by", "officer-7", "-q")
        for number, kind in ((1, TENANCY), (2, RENT)):
            add_account(number, *kind)

        heading("May the first account submit a to-do now? Recorded, then answered")
        run("preflight", *SUBMIT, *TENANCY, expect={0, 1})

        heading("What if? Dry runs record nothing")
        for title, question, code in WHAT_IFS:
            print(f"\n{title}")
            print_answer(ask("preflight", "--dry-run", *question, *code, "-o", "json"))

        heading("A third automation account")
        add_account(3, expect={1})

        heading("Has anything in the log been altered?")
        run("audit", "verify")


def add_account(number: int, *options: str, expect: frozenset[int] | set[int] = frozenset({0})):
    """Register the landlord's automation account of this number."""
    run(
        *("accounts", "add", f"acme-{number}", "--landlord", "acme"),
        *("--username", f"Acme Homes Automation {number}"),
        *("--email", f"automation{number}@acme.example"),
        *("--created-by-role", "manage_users", "--two-factor", *options, "-q"),
        expect=expect,
    )


def heading(text: str) -> None:
    """Print a heading."""
    print(f"\n\n{text}\n{'=' * len(text)}", flush=True)


def run(*arguments: str, expect: frozenset[int] | set[int] = frozenset({0})) -> None:
    """Run a command and show what it prints; stop when it ends in an unexpected way."""
    command = show(arguments)
    code = subprocess.run(command, check=False).returncode
    if code not in expect:
        sys.exit(f"the command ended with exit code {code}")


def ask(*arguments: str) -> dict:
    """Run a command that answers with JSON, and return the answer."""
    answer = subprocess.run(show(arguments), check=False, stdout=subprocess.PIPE)
    if answer.returncode not in {0, 1}:
        sys.exit(f"the command ended with exit code {answer.returncode}")
    return json.loads(answer.stdout)


def show(arguments: tuple[str, ...]) -> list[str]:
    """Print a command as one would type it, and return it as it can be run from anywhere."""
    print(f"$ automation-rules {shlex.join(arguments)}", flush=True)
    return [sys.executable, "-m", "automation_rules", *arguments]


def print_answer(answer: dict) -> None:
    """Print an answer in both languages."""
    context = answer["context"]
    print(f"  {'✓ ALLOWED / CANIATAWYD' if answer['decision'] else '✗ DENIED / GWRTHODWYD'}")
    for reason in context["reasons"]:
        print(f"    {reason['check']}.{reason['code']}  [{', '.join(reason['clauses'])}]")
        for words in filter(None, (reason["message"], reason["remedy"])):
            for lang in ("en", "cy"):
                print(f"      {lang}  {words[lang]}")
        if reason["reading"]:
            others = ", ".join(f"{v}: {a}" for v, a in reason["reading"]["otherwise"].items())
            print(f"      {reason['reading']['name']}={reason['reading']['value']} ({others})")
    for name in ("retry_after", "valid_until"):
        if context[name]:
            print(f"    {name}  {context[name]}")
    for duty in context["obligations"]:
        print(f"    obligation  {duty['id']} ({duty['type']})")


if __name__ == "__main__":
    main()
