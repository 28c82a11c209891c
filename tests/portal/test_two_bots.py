"""Two bot accounts and people work through one list over HTTP at once: nothing lost or doubled."""

from __future__ import annotations

import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import httpx
import pytest
from landlord_portal.library import store
from landlord_portal.models import Tenancy, ToDo
from test_automation import BOT, ENID, SAM, SECOND_BOT, TOKEN, recorded
from todo_answers import ANSWERS, CONFIRM, PROVIDE, SUBMITTED

from automation_rules.monitor import Level, read_observations

if TYPE_CHECKING:
    from collections.abc import Iterable

    from portal_world import PortalWorld

    from automation_rules import FrozenClock, TodoKind

DONE = "Answers submitted"


@dataclass
class Worker:
    """A bot or a person, with a browser's session of its own."""

    site: str
    session: str
    clock: FrozenClock | None = None
    sent: int = 0
    did: list[int] = field(default_factory=list)
    turn = threading.Lock()

    def ask(self, client: httpx.Client, path: str, sent: dict[str, str] | None) -> httpx.Response:
        """Ask for a page or send a form; a bot does so at the pace of a busy person."""
        if self.clock is not None:
            with self.turn:
                self.clock.move_to(self.clock.now() + timedelta(seconds=0.6))
        self.sent += 1
        if sent is None:
            answer = client.get(path)
        else:
            answer = client.post(path, data=sent | {"csrfmiddlewaretoken": TOKEN})
        assert answer.status_code in (200, 302), (path, answer.text)
        return answer

    def work(self, todos: Iterable[tuple[int, TodoKind]], start: threading.Barrier) -> None:
        """Do what others have not done yet, in the order given."""
        cookies = {"sessionid": self.session, "csrftoken": TOKEN}
        with httpx.Client(base_url=self.site, cookies=cookies, timeout=60) as client:
            start.wait()
            for todo, kind in todos:
                if self.do(client, f"/to-dos/{todo}/", kind):
                    self.did.append(todo)

    def do(self, client: httpx.Client, todo: str, kind: TodoKind) -> bool:
        """Do one to-do; whether it was this worker who did."""
        if self.ask(client, todo, None).is_redirect:
            return False
        for page, fields in ANSWERS[kind].items():
            if "/done/" in self.ask(client, f"{todo}{page}/", fields).headers["Location"]:
                return False
        digest = re.search(
            r'name="digest" value="(\w+)"', self.ask(client, f"{todo}check/", None).text
        )
        if digest is None:
            return False
        answer = self.ask(client, f"{todo}check/", {"digest": digest[1]})
        assert answer.headers["Location"] == f"{todo}done/"
        return DONE in self.ask(client, f"{todo}done/", None).text

    def look_around(self, start: threading.Barrier, ended: threading.Event) -> None:
        """Read one page after another until the others have finished."""
        with httpx.Client(
            base_url=self.site, cookies={"sessionid": self.session}, timeout=60
        ) as client:
            start.wait()
            while not ended.wait(0.02):
                for path in ("/to-dos/", "/payments/", "/updates/"):
                    assert self.ask(client, path, None).status_code == 200


def make_todos(number: int) -> list[tuple[int, TodoKind]]:
    """Give the landlord as many to-dos that wait."""
    tenancies = list(Tenancy.objects.filter(landlord_id="acme"))
    ToDo.objects.all().delete()
    ToDo.objects.bulk_create(
        ToDo(
            tenancy=tenancies[n % len(tenancies)],
            kind=(PROVIDE, CONFIRM)[n % 2].value,
            created_on="2027-05-28",
            due_on="2027-06-10",
        )
        for n in range(number)
    )
    return [(todo.pk, todo.todo_kind) for todo in ToDo.objects.order_by("pk")]


@pytest.mark.parametrize("number", [30, pytest.param(1000, marks=pytest.mark.exhaustive)])
def test_none_is_lost_none_is_done_twice(portal: PortalWorld, site: str, number: int) -> None:
    """Every to-do is done once, by whoever says so; every step of a bot's is on the log."""
    todos = make_todos(number)
    # Both begin with the same ones, then come from either end; a person is in their way.
    same, rest = todos[: number // 10], todos[number // 10 :]
    orders = [[*same, *rest], [*same, *reversed(rest)], rest[:: len(rest) // (number // 10)]]
    sessions = {
        name: portal.client(name).cookies["sessionid"].value
        for name in (BOT, SECOND_BOT, ENID, SAM)
    }
    bots = [Worker(site, sessions[name], portal.clock) for name in (BOT, SECOND_BOT)]
    person, reader = Worker(site, sessions[ENID]), Worker(site, sessions[SAM])
    workers = [*bots, person]
    start, ended = threading.Barrier(4), threading.Event()
    with ThreadPoolExecutor(4) as pool:
        reading = pool.submit(reader.look_around, start, ended)
        tasks = [
            pool.submit(worker.work, order, start)
            for worker, order in zip(workers, orders, strict=True)
        ]
        try:
            for task in tasks:
                task.result()
        finally:
            ended.set()
        reading.result()
    assert reader.sent > 10

    said = Counter(todo for worker in workers for todo in worker.did)
    assert said == Counter(dict.fromkeys((todo for todo, _kind in todos), 1))
    assert all(len(worker.did) > number // 20 for worker in bots)
    names = [BOT, SECOND_BOT, ENID]
    for worker, name in zip(workers, names, strict=True):
        mine = ToDo.objects.filter(state=ToDo.State.DONE, done_by__username=name)
        assert sorted(mine.values_list("pk", flat=True)) == sorted(worker.did)
    for todo in ToDo.objects.all():
        assert todo.submission["answers"] == SUBMITTED[todo.todo_kind]

    entries = recorded()  # which verifies
    assert all(entry["decision"] for entry in entries)
    by_account = Counter(entry["account"] for entry in entries)
    signed_in = 2
    assert by_account == {
        "acme-1": bots[0].sent + signed_in,
        "acme-2": bots[1].sent + signed_in,
    }
    submitted = Counter(e["account"] for e in entries if e["action"] == "submit_todo")
    assert submitted["acme-1"] >= len(bots[0].did)
    assert submitted["acme-2"] >= len(bots[1].did)
    assert [one for one in read_observations(store()) if one.level is Level.PAUSE] == []
