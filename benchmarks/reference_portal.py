"""The reference portal in a process of its own: Django can be set up once in each."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from contextlib import closing
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import TYPE_CHECKING, Any, Final

from .measure import at_most, row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .measure import Row

__all__ = ["apart", "main", "memory", "set_up", "signed_in", "size_of", "through_a_file"]

_ROOT: Final = Path(__file__).parents[1]
_PORTAL: Final = _ROOT / "examples" / "portal"
_MEGABYTE: Final = 1_000_000


def apart(module: str, directory: Path, many: int, turns: int) -> dict[str, Any]:
    """Run a module of the benchmarks by itself, and return what it found."""
    told = subprocess.run(
        [sys.executable, "-m", module, str(directory), str(many), str(turns)],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        check=True,
        encoding="utf-8",
    ).stdout
    found: dict[str, Any] = json.loads(told)
    return found


def main(work: Callable[[Path, int, int], dict[str, Any]]) -> None:
    """Do what `apart` asked for, and print what was found."""
    print(json.dumps(work(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))))


def memory(measured: Callable[[Path, int, int], dict[str, Any]], many: int, what: str) -> Row:
    """Hold the memory that a file takes against that of one fifty times smaller."""
    peaks = []
    for number in (many // 50, many):
        with TemporaryDirectory() as name:
            peaks.append(measured(Path(name), number, 0)["peak"] / _MEGABYTE)
    return row(
        f"peak memory of the portal, {many:,} {what} as CSV",
        f"{many // 50:,} {what}",
        [peaks[1]],
        [peaks[0]],
        bar=at_most(1.1),
        unit="MB",
    )


def set_up(directory: Path) -> None:
    """Make a portal without content in ``directory``, in this process."""
    directory.mkdir(exist_ok=True)
    for name in [name for name in os.environ if name.startswith("PORTAL_")]:
        del os.environ[name]
    os.environ |= {
        "PORTAL_HOME": str(directory),
        "PORTAL_TIME": "2027-06-01T09:00:00+01:00",
        "DJANGO_SETTINGS_MODULE": "demo_portal.settings",
    }
    sys.path.insert(0, str(_PORTAL))
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def signed_in(full_name: str) -> tuple[Any, Any]:
    """Return a made-up user, and a client in which they are signed in by both steps."""
    from django.test import Client

    landlords = import_module("landlord_portal.models")
    user = landlords.User.objects.create_user(
        "made.up", "made up", full_name=full_name, email="made.up@people.example"
    )
    phone = landlords.Phone.objects.create(user=user, holder=user, name="default", number="made up")
    client = Client(HTTP_HOST="localhost")
    client.force_login(user, "django.contrib.auth.backends.ModelBackend")
    session = client.session
    session["otp_device_id"] = phone.persistent_id
    session.save()
    return user, client


def size_of(answer: Any) -> int:
    """Take a file as it is sent; return its length."""
    with closing(answer):
        return sum(len(chunk) for chunk in answer.streaming_content)


def through_a_file(rows: Iterable[tuple[object, ...]]) -> int:
    """Write rows into a CSV file and read it back: the yardstick of every file."""
    with TemporaryFile("w+", encoding="utf-8-sig", newline="") as file:
        csv.writer(file).writerows(rows)
        file.seek(0)
        return sum(len(chunk) for chunk in iter(lambda: file.read(4096), ""))
