"""The landlord's bot: against a served portal in Chromium, and as a process with a person at it."""

from __future__ import annotations

import csv
import io
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from landlord_portal.library import registry as portal_registry
from landlord_portal.management.commands.seed_demo import PASSWORD
from landlord_portal.models import HousingRequest, ToDo, User

from automation_rules import FrozenClock, InvalidInputError, TodoKind
from automation_rules.enforcer import open_log
from automation_rules.permit import open_gate
from automation_rules.request import Mode
from automation_rules.store import KnownForm, Registry, Store, state_url

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))

from bot import demonstration, rent_roll  # noqa: E402
from bot.misbehave import Misbehaviour  # noqa: E402
from bot.pages import Portal  # noqa: E402
from bot.run import Account, Outcome, Run  # noqa: E402

from tools import tool  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bot.run import Report
    from playwright.sync_api import Browser
    from portal_world import PortalWorld

CONFIRM, PROVIDE = TodoKind.CONFIRM_HOUSING_COSTS, TodoKind.PROVIDE_TENANCY_DETAILS
ACCOUNTS = {PROVIDE: "acme-1", CONFIRM: "acme-2"}
ROLL = EXAMPLES / "bot" / "rent_roll.csv"
TUESDAY, SATURDAY = "2027-06-01T09:00:00+01:00", "2027-06-05T09:00:00+01:00"
PATIENCE = 120
RUN = ["run", "--portal", "http://localhost:1", "--account", "acme-2", "--by", "officer-7"]


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Register the landlord once, for tests to begin from copies of its state."""
    directory = tmp_path_factory.mktemp("landlord")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("AUTOMATION_RULES_STATE", "AUTOMATION_RULES_HEADS"):
            patch.setenv(name, "unset by the end")
        demonstration.register(directory)
    return directory


@dataclass
class World:
    """A portal with few to-dos, the landlord's state, and a browser for the bot."""

    portal: PortalWorld
    site: str
    browser: Browser
    clock: FrozenClock
    gate: Any
    store: Store
    said: list[str] = field(default_factory=list)
    hear: Callable[[str], object] = print
    pictures: Path | None = None

    def run(self, kind: TodoKind = CONFIRM, mode: Mode = Mode.LIVE, roll: Path = ROLL) -> Run:
        """Return a run of the account that is for a kind of to-do, not begun."""
        registry = Registry(self.store, self.clock)
        who = Account(
            registry.account(ACCOUNTS[kind]),
            PASSWORD,
            demonstration.PERSON,
            lambda _username: self.portal.code,
            rent_roll.read(roll),
        )
        context = self.browser.new_context(locale="en-GB")
        context.set_default_timeout(10_000)
        pages = Portal(context.new_page(), self.site, self.pictures)
        return Run(self.gate, self.store, self.clock, pages, who, mode, self._say)

    def go(self, kind: TodoKind = CONFIRM, **more: Any) -> Report:
        """Run."""
        run = self.run(kind, **more)
        try:
            return run.go()
        finally:
            run.portal.page.context.close()

    def misbehave(self, way: str) -> bool:
        """Misbehave, and return whether the portal refused it."""
        run = self.run()
        try:
            return Misbehaviour(run).show(way)
        finally:
            run.portal.page.context.close()

    def tested(self, kind: TodoKind = CONFIRM) -> None:
        """Put the portal's form on the landlord's record as tested a month ago."""
        [form] = [
            form for form in portal_registry().known_forms("acme") if form.todo_kind == kind.value
        ]
        Registry(self.store, self.clock).record_tested_form(
            KnownForm("acme", kind.value, form.fingerprint, form.tested_on)
        )

    def _say(self, text: str) -> None:
        self.said.append(text)
        self.hear(text)


@contextmanager
def few_todos(each: int) -> Iterator[None]:
    """Leave a few of each kind, so that runs are short; of three, one is not on the rent roll."""
    for kind in (CONFIRM, PROVIDE):
        mine = ToDo.objects.filter(tenancy__landlord_id="acme", kind=kind.value).order_by("pk")
        ToDo.objects.filter(pk__in=list(mine.values_list("pk", flat=True))[each:]).delete()
    yield


@pytest.fixture
def landlord(registered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The landlord's own state, a copy for one test."""
    state = tmp_path / "landlord"
    shutil.copytree(registered, state)
    monkeypatch.setenv("AUTOMATION_RULES_STATE", f"sqlite:///{state / 'state.sqlite3'}")
    monkeypatch.setenv("AUTOMATION_RULES_HEADS", str(state / "heads.sqlite3"))
    return state


@pytest.fixture
def world(portal: PortalWorld, site: str, chromium: Browser, landlord: Path) -> Iterator[World]:
    """A bot's world, on the Tuesday of the portal."""
    clock = FrozenClock(datetime.fromisoformat(TUESDAY))
    with (
        few_todos(3),
        Store.open(state_url(None), clock=clock) as store,
        open_gate(clock=clock) as gate,
    ):
        yield World(portal, site, chromium, clock, gate, store)


def outcomes(report: Report) -> list[Outcome]:
    """Return what became of each to-do."""
    return [row[2] for row in report.rows.values()]


def submissions(kind: TodoKind) -> list[dict[str, Any]]:
    """Return what was submitted in the portal."""
    done = ToDo.objects.filter(kind=kind.value, state=ToDo.State.DONE).order_by("pk")
    return [todo.submission["answers"] for todo in done]


def changed_roll(folder: Path, change: Callable[[dict[str, str]], object]) -> Path:
    """Write the rent roll with its lines changed."""
    with ROLL.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        change(row)
    path = folder / "roll.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return path


# --- the rent roll ----------------------------------------------------------------------------


def test_rent_roll_has_every_error_at_its_place_and_no_name(tmp_path: Path) -> None:
    """All that is wrong is told at once, by line and column, without what stands there."""

    def spoil(row: dict[str, str]) -> None:
        row.update(rent="1.234", born_on="yesterday", rent_frequency="daily", bedrooms="-1")

    with pytest.raises(InvalidInputError) as raised:
        rent_roll.read(changed_roll(tmp_path, spoil))
    errors = raised.value.errors
    assert len(errors) == 22 * 4
    assert {str(error.field) for error in errors[:4]} == {
        f"line 2.{name}" for name in ("rent", "born_on", "rent_frequency", "bedrooms")
    }
    assert "Testy" not in str(raised.value)
    assert "yesterday" not in str(raised.value)


def test_rent_roll_names_each_tenancy_once(tmp_path: Path) -> None:
    """Two lines with one name and postcode are refused: nobody could tell which is meant."""
    path = changed_roll(
        tmp_path, lambda row: row.update(name="Testy McSample", postcode="EX99 9AA")
    )
    with pytest.raises(InvalidInputError, match="line 3"):
        rent_roll.read(path)


def test_rent_roll_without_a_column_is_refused(tmp_path: Path) -> None:
    """A column that is missing is missing on every line."""
    path = tmp_path / "roll.csv"
    path.write_text("name,rent\nTesty McSample,1.00\n", encoding="utf-8")
    with pytest.raises(InvalidInputError, match="postcode"):
        rent_roll.read(path)


# --- runs -------------------------------------------------------------------------------------


def test_confirms_what_the_rent_roll_says(world: World, tmp_path: Path) -> None:
    """Each to-do on the rent roll is submitted with its figures; the other one is left alone."""
    world.tested()
    world.pictures = tmp_path / "pictures"
    report = world.go()
    assert report.clean, report.trouble
    assert outcomes(report).count(Outcome.SUBMITTED) == 2
    assert outcomes(report).count(Outcome.NOT_ON_RENT_ROLL) == 1
    assert submissions(CONFIRM) == [
        {
            "is_tenant": "yes",
            "rent": "102.45",
            "rent_frequency": "weekly",
            "service_charge": "8.10",
            "service_charge_frequency": "weekly",
            "effective_date": "first_monday_in_april",
            "effective_on": "2027-04-05",
        },
        {
            "is_tenant": "yes",
            "rent": "104.51",
            "rent_frequency": "monthly",
            "service_charge": "8.10",
            "service_charge_frequency": "monthly",
            "effective_date": "april_first",
            "effective_on": "2027-04-01",
        },
    ]
    assert any("R164" in line for line in world.said)
    assert (tmp_path / "pictures" / "to-do-check.png").stat().st_size > 1000
    with open_log(world.store) as log:
        # sign in, code, updates, list; three steps to open and fill in each, submit; sign out
        assert log.verify().size == 4 + 2 * 4 + 1


def test_provides_what_the_rent_roll_says(world: World, tmp_path: Path) -> None:
    """The other form too; a day of the rent change that the form does not name is typed."""
    world.tested(PROVIDE)
    world.tested()
    assert world.go(PROVIDE).clean
    assert submissions(PROVIDE)[0] == {
        "is_tenant": "yes",
        "tenant_reference": "ACME-00000",
        "temporary_accommodation": "no",
        "anyone_else": "no",
        "bedrooms": 1,
        "has_rent_free_weeks": "yes",
        "rent_free_weeks": 2,
        "rent": "101.25",
        "rent_frequency": "weekly",
        "service_charge": "0.00",
    }
    roll = changed_roll(tmp_path, lambda row: row.update(rent_from="2027-05-03"))
    assert world.go(roll=roll).clean
    assert {done["effective_on"] for done in submissions(CONFIRM)} == {"2027-05-03"}


def test_test_mode_goes_up_to_submitting_and_records_the_form(world: World) -> None:
    """Nothing is submitted; afterwards the landlord's registry knows the form that was tested."""
    report = world.go(mode=Mode.TEST)
    assert report.clean, report.trouble
    assert outcomes(report).count(Outcome.TRIED_OUT) == 2
    assert submissions(CONFIRM) == []
    [form] = Registry(world.store, world.clock).known_forms("acme")
    assert (form.todo_kind, form.tested_on.isoformat()) == (CONFIRM.value, "2027-06-01")
    assert form.fingerprint.startswith("sha256:")


def test_nothing_is_saved_in_a_form_that_was_not_tested(world: World) -> None:
    """Without a test on record, and with one of another form, the run ends before it saves."""
    assert "form.missing_fact" in world.go().trouble
    Registry(world.store, world.clock).record_tested_form(
        KnownForm("acme", CONFIRM.value, "sha256:another", datetime(2027, 5, 1).date())  # noqa: DTZ001
    )
    report = world.go()
    assert "form.form_changed" in report.trouble
    assert Outcome.FOR_A_PERSON in outcomes(report)
    assert not any(todo.answers for todo in ToDo.objects.all())


def test_answers_that_differ_from_the_rent_roll_are_not_submitted(
    world: World, tmp_path: Path
) -> None:
    """A to-do about somebody with another birthday is left to a person, the next one is done."""
    world.tested()

    def other_birthday(row: dict[str, str]) -> None:
        if row["tenant_reference"] == "ACME-00001":
            row["born_on"] = "1901-01-01"

    report = world.go(roll=changed_roll(tmp_path, other_birthday))
    assert not report.clean
    left = [row for row in report.rows.values() if row[2] is Outcome.FOR_A_PERSON]
    assert [row[1].tenant_reference for row in left] == ["ACME-00001"]
    assert "Date of birth" in left[0][3]
    assert "1901" not in left[0][3]
    assert [done["rent"] for done in submissions(CONFIRM)] == ["104.51"]


def test_stops_before_the_window_closes(world: World) -> None:
    """What could not be finished by six is not begun, and the bot signs out."""
    world.tested()

    def evening(said: str) -> None:
        if "submitted" in said:
            world.clock.move_to(datetime.fromisoformat("2027-06-01T17:57:01+01:00"))

    world.hear = evening
    report = world.go()
    assert "insufficient_time_left" in report.trouble
    assert outcomes(report).count(Outcome.SUBMITTED) == 1
    assert outcomes(report).count(Outcome.NOT_BEGUN) == 1
    assert not report.clean


def test_to_do_that_somebody_has_done_meanwhile_is_left(world: World) -> None:
    """The bot finds a page that it does not know, says so, and goes on with the next."""
    world.tested()

    def overtake(said: str) -> None:
        if "submitted" in said:
            ToDo.objects.filter(kind=CONFIRM.value).update(state=ToDo.State.DONE)

    world.hear = overtake
    report = world.go()
    assert outcomes(report).count(Outcome.SUBMITTED) == 1
    [left] = [row for row in report.rows.values() if row[2] is Outcome.FOR_A_PERSON]
    assert "Start now" in left[3]


def test_keeps_its_pace(site: str, chromium: Browser) -> None:
    """However fast the portal answers, one page comes no sooner than the pace after the other."""
    page = chromium.new_page()
    portal = Portal(page, site, pace=0.4)
    begun = time.monotonic()
    for _ in range(3):
        portal.go("/sign-in/")
    assert time.monotonic() - begun >= 2 * 0.4
    page.context.close()


def test_report_is_safe_in_a_spreadsheet(world: World, tmp_path: Path) -> None:
    """What a spreadsheet would take for a formula begins with an apostrophe."""
    for todo in ToDo.objects.filter(kind=CONFIRM.value):
        type(todo.tenancy).objects.filter(pk=todo.tenancy_id).update(reference="=1+1")
    world.tested()
    report = world.go()
    report.write(tmp_path / "report.csv")
    text = (tmp_path / "report.csv").read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert {row["tenant_reference"] for row in rows} == {"'=1+1"}
    assert {row["outcome"] for row in rows} == {"left to a person", "not on the rent roll"}


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("way", "at", "ours", "clause"),
    [
        ("apa", TUESDAY, "action.other_portal_function", "terms.no-other-functions"),
        ("saturday", SATURDAY, "window.weekend", "when.core-hours"),
        ("third-account", TUESDAY, "step-2.limit", "terms.limit"),
        ("changed-form", TUESDAY, "form.retest_needed", "terms.portal-changes"),
    ],
)
def test_misbehaviour_is_refused(
    world: World, tmp_path: Path, way: str, at: str, *, ours: str, clause: str
) -> None:
    """The landlord's own check says no, then the portal, with the clause; nothing is done."""
    for clock in (world.clock, world.portal.clock):
        clock.move_to(datetime.fromisoformat(at))
    world.pictures = tmp_path
    users = User.objects.count()
    assert world.misbehave(way)
    own, portals = (text for text in world.said if ":\n" in text)
    assert own.startswith("Our own")
    assert ours in own
    assert portals.startswith("The portal refused it")
    assert clause in portals
    assert len(list(tmp_path.glob("refused.png")) + list(tmp_path.glob("problem.png"))) == 1
    assert not HousingRequest.objects.exists()
    assert User.objects.count() == users
    assert not any(todo.answers for todo in ToDo.objects.all())


def test_misbehaviour_that_is_not_refused_is_told(world: World) -> None:
    """A portal at which it is another day lets a bot in that should have known better."""
    world.clock.move_to(datetime.fromisoformat(SATURDAY))
    assert not world.misbehave("saturday")
    assert world.said[-1] == "The portal did not refuse it."


def test_the_portals_no_ends_the_run(world: World) -> None:
    """An account that is paused meanwhile is refused at its next step; what is left is told."""
    world.tested()

    def pause(said: str) -> None:
        if "submitted" in said:
            portal_registry().pause_account("acme-2", "seen to be too fast")
            time.sleep(1)  # longer than the gateway goes by what it has read

    world.hear = pause
    report = world.go()
    assert report.trouble.startswith("The portal said no")
    assert "terms.suspension" in report.trouble
    assert outcomes(report).count(Outcome.SUBMITTED) == 1
    assert outcomes(report).count(Outcome.FOR_A_PERSON) == 1
    assert len(submissions(CONFIRM)) == 1


# --- as a process, with a person at the terminal -------------------------------------------------


class Terminal:
    """The bot as a process at a pseudo-terminal, and the person at it."""

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        """Start it."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PORTAL_", "DJANGO_", "AUTOMATION_RULES_", "BOT_"))
        }
        self._side, other = pty.openpty()
        self.seen = ""
        tool("chromium")  # The bot starts it itself.
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bot", *arguments],
            env=inherited | {"PYTHONPATH": str(EXAMPLES)} | environment,
            cwd=folder,
            stdin=other,
            stdout=other,
            stderr=other,
            start_new_session=True,
        )
        os.close(other)

    def play(self, code: Callable[[], str]) -> int:
        """Type in ``code`` whenever it is asked for; return the exit code."""
        end, asked = time.monotonic() + PATIENCE, 0
        while self._read() or self.process.poll() is None:
            assert time.monotonic() < end, self.seen
            if self.seen.count("(6 digits)") > asked:
                asked += 1
                time.sleep(0.2)  # until the prompt has stopped the echo
                os.write(self._side, code().encode() + b"\n")
        os.close(self._side)
        assert "Traceback" not in self.seen
        return self.process.wait(PATIENCE)

    def sent_code(self) -> str:
        """Return the code in the last text message that the terminal shows."""
        while not (codes := re.findall(r": ([0-9]{6}) is your", self.seen)):
            self._read()
        return codes[-1]

    def _read(self) -> bool:
        if not select.select([self._side], [], [], 0.2)[0]:
            return False
        try:
            self.seen += os.read(self._side, 65_536).decode()
        except OSError:
            return False
        return True


def test_a_person_watches_the_demonstration(portal: PortalWorld, site: str, tmp_path: Path) -> None:
    """Against a portal that runs: a test, then a run for real, each with a code typed unseen."""
    with few_todos(3):
        terminal = Terminal(tmp_path, "demo", "--pace", "0", "--portal", site)
        assert terminal.play(lambda: portal.code) == 0, terminal.seen
    assert "3 to-dos: 2 tried out, 1 not on the rent roll." in terminal.seen
    assert "3 to-dos: 2 submitted, 1 not on the rent roll." in terminal.seen
    assert not any(re.search(r"\b[0-9]{6}\b", line) for line in terminal.seen.splitlines())
    made = tmp_path / "build" / "bot"
    assert (made / "live" / "to-do-done.png").exists()
    assert "submitted" in (made / "live" / "report.csv").read_text("utf-8-sig")
    log = (made / "live" / "decisions.log").read_text("utf-8")
    assert '"event": "decision_recorded"' in log
    assert "Mocky" not in log


def test_nobody_at_the_terminal_is_a_usage_error(tmp_path: Path) -> None:
    """A code from a pipe would be no person's: refused before anything is begun."""
    ran = subprocess.run(
        [sys.executable, "-m", "bot", *RUN],
        env=os.environ | {"PYTHONPATH": str(EXAMPLES), "BOT_PASSWORD": PASSWORD},
        cwd=tmp_path,
        input="123456\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "step-2.manual-code" in ran.stderr
    assert list(tmp_path.iterdir()) == []


def test_without_a_state_the_bot_does_not_begin(tmp_path: Path) -> None:
    """There is nothing to ask and nothing to record in: exit 3, before any page is opened."""
    terminal = Terminal(
        tmp_path,
        *RUN,
        BOT_PASSWORD=PASSWORD,
        AUTOMATION_RULES_STATE=f"sqlite:///{tmp_path / 'none.sqlite3'}",
    )
    assert terminal.play(lambda: "") == 3
    assert "none.sqlite3" in terminal.seen


@pytest.mark.exhaustive
@pytest.mark.parametrize("options", [[], ["--misbehave", "saturday"]])
def test_the_demonstration_starts_a_portal_by_itself(tmp_path: Path, options: list[str]) -> None:
    """One command, nothing running: a portal is served for as long as it takes."""
    terminal = Terminal(tmp_path, "demo", "--pace", "0", *options)
    assert terminal.play(terminal.sent_code) == 0, terminal.seen
