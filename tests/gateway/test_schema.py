"""The served OpenAPI description is kept: schemathesis asks what it says, and what it forbids."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gateway_world import make_world
from service_process import Service, verify

if TYPE_CHECKING:
    from collections.abc import Iterator

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Give a service for the whole module."""
    folder = tmp_path_factory.mktemp("schema")
    with pytest.MonkeyPatch.context() as patch:
        world = make_world(f"sqlite:///{folder / 'state.sqlite3'}", folder, patch)
        with Service(world, "--public-url", "https://decisions.acme.example") as service:
            yield service
            verify(world)


def ask_everything(service: Service, folder: Path, *options: str) -> None:
    """Let schemathesis ask; no answer may be a 5xx, or other than the description says."""
    done = subprocess.run(
        [
            *(Path(sys.executable).with_name("st"), "run", f"{service.url}/openapi.json"),
            *("--url", service.url, "--header", f"Authorization: Bearer {service.token}"),
            *("--no-color", *options),
        ],
        cwd=folder,
        env={
            **os.environ,
            "SCHEMATHESIS_HOOKS": "schemathesis_hooks",
            "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "9 selected / 9 total" in done.stdout


def test_description_is_kept(service: Service, tmp_path: Path) -> None:
    """Valid and invalid requests are told apart, and answered as the description says."""
    ask_everything(service, tmp_path, "--max-examples", "5", "--seed", "1")


@pytest.mark.exhaustive
@pytest.mark.parametrize("seed", range(2))
def test_description_is_kept_whatever_is_asked(service: Service, tmp_path: Path, seed: int) -> None:
    """Hundreds of requests of each operation bring nothing that the description does not say."""
    ask_everything(service, tmp_path, "--max-examples", "300", "--seed", str(seed))
