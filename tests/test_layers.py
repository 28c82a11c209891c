"""Imports run one way: the contracts in pyproject.toml, and that they would be noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "automation_rules"


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the project at ``root``, away from any other copy of the package."""
    code = (
        f"import sys; sys.path[:0] = [{str(root / 'src')!r}]\n"
        "from importlinter.cli import lint_imports\n"
        "sys.exit(lint_imports(no_cache=True))"
    )
    return subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )


def test_every_contract_is_kept() -> None:
    """No module imports upwards or sideways, and every module has its place."""
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 kept, 0 broken" in done.stdout


@pytest.mark.parametrize(
    ("module", "line", "told"),
    [
        ("clock.py", "from . import windows", "automation_rules.clock is not allowed to import"),
        (
            "merkle.py",
            "from . import policy",
            "A log is read and verified without the rules BROKEN",
        ),
        ("request.py", "from . import store", "Deciding knows no state, no log and no command"),
        ("unplaced.py", "", "unplaced"),
    ],
)
def test_a_broken_contract_is_noticed(tmp_path: Path, module: str, line: str, told: str) -> None:
    """An import upwards, a log that knows the rules, and a module without a place are found."""
    copy = tmp_path / "src" / "automation_rules"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "data"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (copy / module).open("a", encoding="utf-8") as file:
        file.write(f"\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode == 1, done.stdout + done.stderr
    assert told in done.stdout
