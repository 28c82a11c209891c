"""Breaks the core in small ways, one at a time, and sees which the tests miss.

``python scripts/mutation.py`` draws a random sample (its seed is below) from all mutants that
Cosmic Ray's operators make of the modules below, and runs the tests of each mutant's module on it,
in copies of the project. A mutant that the tests do not notice must be named in
``mutation-survivors.toml`` with the reason why it may live. Exits 1 when a survivor is not, or when
less than 90 % are killed. ``--sample N`` and ``--only TEXT`` make it shorter.
"""

from __future__ import annotations

import argparse
import ast
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from difflib import ndiff
from functools import cache
from itertools import islice
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, Final

from cosmic_ray.ast import Visitor, get_ast  # type: ignore[import-untyped]
from cosmic_ray.mutating import mutate_code  # type: ignore[import-untyped]
from cosmic_ray.plugins import get_operator, operator_names  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = Path("src/automation_rules")
SURVIVORS: Final = Path(__file__).with_name("mutation-survivors.toml")

SEED: Final = 20_260_602
SAMPLE: Final = 300
LEAST_KILLED: Final = 0.9

# What a module's mutants are tested by, the quickest to notice first.
_DECIDING: Final = (
    "test_checks.py",
    "test_combinators.py",
    "test_policy.py",
    "test_policyfile.py",
    "properties/test_decide.py",
    "properties/test_retry_and_validity.py",
)
_TRIED_BY: Final = {
    "checks/*.py": _DECIDING,
    "policy.py": _DECIDING,
    "decision.py": _DECIDING,
    "windows.py": (
        "test_windows.py",
        "properties/test_windows_algebra.py",
        "test_windows_oracle.py",
        "test_policy.py",
    ),
    "access_codes.py": (
        "test_access_codes.py",
        "properties/test_access_codes_laws.py",
        "test_portal_codes.py",
    ),
    **dict.fromkeys(
        ("audit.py", "leaf.py", "remembered_heads.py", "verification.py"),
        ("test_audit.py", "test_log_mutations.py"),
    ),
}
TESTS: Final = {
    path.relative_to(ROOT / PACKAGE).as_posix(): tests
    for pattern, tests in _TRIED_BY.items()
    for path in sorted((ROOT / PACKAGE).glob(pattern))
}

# They take parameters, which variable to put where, that nobody has chosen.
_PARAMETERISED: Final = {"core/VariableReplacer", "core/VariableInserter"}


@dataclass(frozen=True, slots=True)
class Mutant:
    """One way to break one module."""

    module: str
    operator: str
    occurrence: int

    def code(self) -> str:
        """The module's text, broken."""
        mutated = mutate_code(read(self.module), get_operator(self.operator)(), self.occurrence)
        return str(mutated)

    def compiles(self) -> bool:
        """Whether it is Python at all; the others are no test of the tests."""
        try:
            with warnings.catch_warnings(action="ignore"):
                compile(self.code(), self.module, "exec")
        except (SyntaxError, ValueError):
            return False
        return True

    def name(self) -> str:
        """The module and the lines before and after, which outlive changes elsewhere."""
        lines = list(ndiff(read(self.module).splitlines(), self.code().splitlines()))
        before = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
        after = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
        return f"{self.module}: {before} -> {after}"


@cache
def read(module: str) -> str:
    """The text of a module when the run began."""
    return (ROOT / PACKAGE / module).read_text(encoding="utf-8")


class _Finder(Visitor):  # type: ignore[misc]
    """Counts an operator's occurrences, and keeps those outside some spans."""

    def __init__(self, operator: Any, spans: list[tuple[tuple[int, int], tuple[int, int]]]) -> None:
        self._operator = operator
        self._spans = spans
        self._count = 0
        self.kept: list[int] = []

    def visit(self, node: Any) -> Any:
        """Look at one node."""
        for start, _ in self._operator.mutation_positions(node):
            if not any(first <= start < last for first, last in self._spans):
                self.kept.append(self._count)
            self._count += 1
        return node


def unevaluated(code: str) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Where annotations and imports for type checking stand: no test can see them broken."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.arg() | ast.AnnAssign():
                found.append(node.annotation)
            case ast.FunctionDef():
                found.append(node.returns)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if isinstance(node, ast.expr | ast.stmt)
    ]


def mutants(module: str) -> Iterator[Mutant]:
    """Every mutant of a module, in order."""
    code = read(module)
    spans = unevaluated(code)
    tree = get_ast(code)
    for operator in sorted(set(operator_names()) - _PARAMETERISED):
        finder = _Finder(get_operator(operator)(), spans)
        finder.walk(tree)
        yield from (Mutant(module, operator, occurrence) for occurrence in finder.kept)


class Workshop:
    """A copy of the project in which modules may be broken."""

    def __init__(self, directory: Path) -> None:
        """Copy what the tests need."""
        self.root = directory
        for name in ("src", "tests", "examples", "pyproject.toml"):
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(
                    source, directory / name, ignore=shutil.ignore_patterns("__pycache__")
                )
            else:
                shutil.copy(source, directory)
        (directory / "home").mkdir()

    def passes(self, module: str, timeout: float | None) -> bool:
        """Whether the tests of a module pass; what takes too long does not."""
        command = [sys.executable, "-m", "pytest", "-x", "-m", "not exhaustive"]
        command += ["-p", "no:cacheprovider", "--hypothesis-seed=0"]
        command += [f"tests/{name}" for name in TESTS[module]]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root / "src"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(self.root / "home"),
        }
        try:
            done = subprocess.run(  # noqa: S603 - the interpreter itself, and names from above
                command, cwd=self.root, env=environment, timeout=timeout, check=False,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return False
        return done.returncode == 0

    def survives(self, mutant: Mutant, timeout: float) -> bool:
        """Whether the tests pass with the mutant in place."""
        path = self.root / PACKAGE / mutant.module
        sound = path.read_text(encoding="utf-8")
        path.write_text(mutant.code(), encoding="utf-8")
        try:
            return self.passes(mutant.module, timeout)
        finally:
            path.write_text(sound, encoding="utf-8")


def main() -> int:
    """Draw the sample, try it, and tell what survived."""
    parser = argparse.ArgumentParser(description="Break the core; see what the tests miss.")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    parser.add_argument("--only", default="", help="part of a module's name")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    modules = [module for module in TESTS if options.only in module]
    everything = [mutant for module in modules for mutant in mutants(module)]
    random.Random(SEED).shuffle(everything)  # noqa: S311
    drawn = list(islice((mutant for mutant in everything if mutant.compiles()), options.sample))
    print(f"{len(drawn)} of {len(everything)} mutants, seed {SEED}", flush=True)
    reasons = tomllib.loads(SURVIVORS.read_text(encoding="utf-8"))["survivors"]
    with tempfile.TemporaryDirectory() as directory:
        shops: Queue[Workshop] = Queue()
        for number in range(options.jobs):
            place = Path(directory) / str(number)
            place.mkdir()
            shops.put(Workshop(place))
        # Modules that the same tests try need them timed once.
        first = {TESTS[mutant.module]: mutant.module for mutant in drawn}
        limits = {tests: _limit(shops, module) for tests, module in first.items()}

        def attempt(mutant: Mutant) -> bool:
            shop = shops.get()
            try:
                return shop.survives(mutant, limits[TESTS[mutant.module]])
            finally:
                shops.put(shop)

        survivors: list[str] = []
        with ThreadPoolExecutor(options.jobs) as pool:
            for number, (mutant, lives) in enumerate(
                zip(drawn, pool.map(attempt, drawn), strict=True), 1
            ):
                if lives:
                    survivors.append(mutant.name())
                    print(f"{number}: survived: {survivors[-1]}", flush=True)
                elif number % 10 == 0:
                    print(f"{number} of {len(drawn)}", flush=True)
    unexplained = [name for name in survivors if name not in reasons]
    for name in survivors:
        print(f"- {name}\n  {reasons.get(name, 'NO REASON GIVEN')}")
    killed = len(drawn) - len(survivors)
    print(f"{killed} of {len(drawn)} killed ({killed / len(drawn):.1%})")
    return 0 if not unexplained and killed >= LEAST_KILLED * len(drawn) else 1


def _limit(shops: Queue[Workshop], module: str) -> float:
    """Five times what the tests of a module take when nothing is broken, and half a minute."""
    shop = shops.get()
    begun = time.monotonic()
    if not shop.passes(module, None):
        raise SystemExit(f"the tests of {module} do not pass as it is: mend that first")
    shops.put(shop)
    return 5 * (time.monotonic() - begun) + 30


if __name__ == "__main__":
    sys.exit(main())
