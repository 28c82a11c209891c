"""Breaks the core in small ways, one at a time, and sees which the tests miss.

``python scripts/mutation.py`` takes what is committed (``git archive HEAD``), draws a random sample
of the mutants that Cosmic Ray's operators make of the modules below, and runs each mutant's module
tests on it, in copies outside the work tree. It writes the sample with every outcome to
``tests/mutation/sample.tsv`` and prints a table. A mutant that the tests do not notice must be
named in ``tests/mutation/SURVIVORS.md`` with the reason why it may live. Exits 1 when one is not,
or when less than 90 % are killed. A run that was broken off goes on where it stopped, unless the
commit's sources or tests are others.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import io
import os
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from difflib import ndiff
from functools import cached_property
from pathlib import Path
from queue import Queue
from typing import TYPE_CHECKING, Any, Final

from cosmic_ray.ast import Visitor, get_ast  # type: ignore[import-untyped]
from cosmic_ray.mutating import mutate_code  # type: ignore[import-untyped]
from cosmic_ray.plugins import get_operator, operator_names  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[1]
PACKAGE: Final = "src/automation_rules"
SAMPLE_FILE: Final = ROOT / "tests/mutation/sample.tsv"
SURVIVORS: Final = ROOT / "tests/mutation/SURVIVORS.md"
PROGRESS: Final = ROOT / "build/mutation.tsv"

SEED: Final = 20_260_602
SAMPLE: Final = 300
LEAST_KILLED: Final = 0.9

# What a module's mutants are tried by, the quickest to notice first.
_DECIDING: Final = (
    "test_dataclasses.py",
    "test_policy.py",
    "test_checks.py",
    "test_combinators.py",
    "properties/test_window_readings.py",
    "properties/test_decide.py",
    "test_policyfile.py",
    "properties/test_retry_and_validity.py",
)
_LOG: Final = (
    "test_dataclasses.py",
    "test_audit.py",
    "test_log_mutations.py",
    "test_privacy.py",
)
TESTS: Final = {
    "checks/base.py": _DECIDING,
    "checks/standard.py": _DECIDING,
    "checks/window.py": _DECIDING,
    "policy.py": _DECIDING,
    "decision.py": _DECIDING,
    "windows.py": (
        "test_dataclasses.py",
        "test_windows.py",
        "test_policy.py",
        "test_windows_oracle.py",
        "properties/test_windows_algebra.py",
    ),
    "access_codes.py": (
        "test_dataclasses.py",
        "test_access_codes.py",
        "properties/test_access_codes_laws.py",
        "test_portal_codes.py",
    ),
    "audit.py": _LOG,
    "leaf.py": _LOG,
    "leaf_schema.py": _LOG,
    "verification.py": _LOG,
    "remembered_heads.py": _LOG,
    "merkle.py": ("test_merkle.py", "properties/test_merkle_proofs.py", *_LOG),
    "vault.py": ("test_vault.py", *_LOG),
}

# They take parameters, which variable to put where, that nobody has chosen.
_PARAMETERISED: Final = {"core/VariableReplacer", "core/VariableInserter"}

# The same examples in every run; none kept from mutant to mutant; no time spent on shrinking them;
# and no room for a mutant that shifts by a billion bits.
_PLUGIN: Final = """
from hypothesis import Phase, settings
settings.register_profile(
    "mutation", derandomize=True, database=None, deadline=None, max_examples=60,
    phases=[Phase.explicit, Phase.generate],
)
settings.load_profile("mutation")
try:
    import resource
except ImportError:
    pass
else:
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
"""

KILLED: Final = "killed"
SURVIVED: Final = "survived"
TIMED_OUT: Final = "timed out"

_Place = tuple[int, int]


@dataclass(frozen=True)
class Mutant:
    """One way to break one module."""

    module: str
    sound: str
    operator: str
    occurrence: int
    lot: bytes

    @property
    def key(self) -> str:
        """What tells it from all others of the same sources."""
        return f"{self.module}\t{self.operator}\t{self.occurrence}"

    @cached_property
    def code(self) -> str:
        """The module's text, broken."""
        return str(mutate_code(self.sound, get_operator(self.operator)(), self.occurrence))

    @cached_property
    def name(self) -> str:
        """The module and the lines before and after, which outlive changes elsewhere."""
        lines = list(ndiff(self.sound.splitlines(), self.code.splitlines()))
        before = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
        after = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
        return f"{self.module}: `{before}` → `{after}`"

    def can_run(self) -> bool:
        """Whether it is Python, without the warnings that would fail any test, and different."""
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            try:
                compile(self.code, self.module, "exec")
            except (SyntaxError, SyntaxWarning):
                return False
        return ast.dump(ast.parse(self.code)) != ast.dump(ast.parse(self.sound))


class _Finder(Visitor):  # type: ignore[misc]
    """Numbers an operator's occurrences, and keeps where those outside some spans stand."""

    def __init__(self, operator: Any, spans: list[tuple[_Place, _Place]]) -> None:
        self._operator = operator
        self._spans = spans
        self.count = 0
        self.kept: list[tuple[int, _Place]] = []

    def visit(self, node: Any) -> Any:
        """Look at one node."""
        for start, _ in self._operator.mutation_positions(node):
            if not any(first <= start < last for first, last in self._spans):
                self.kept.append((self.count, start))
            self.count += 1
        return node


def unevaluated(code: str) -> list[tuple[_Place, _Place]]:
    """Where annotations and imports for type checking stand: no test can see them broken."""
    found: list[ast.AST | None] = []
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.arg() | ast.AnnAssign():
                found.append(node.annotation)
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.append(node.returns)
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                found.append(node)
    return [
        ((node.lineno, node.col_offset), (node.end_lineno or 0, node.end_col_offset or 0))
        for node in found
        if isinstance(node, ast.expr | ast.stmt)
    ]


def mutants(module: str, code: str, seed: int) -> tuple[list[Mutant], int]:
    """Every mutant of a module, in order, and how many more stand where nothing is evaluated."""
    spans = unevaluated(code)
    tree = get_ast(code)
    lines = code.splitlines()
    alike: Counter[str] = Counter()
    made, left_out = [], 0
    for operator in sorted(set(operator_names()) - _PARAMETERISED):
        finder = _Finder(get_operator(operator)(), spans)
        finder.walk(tree)
        for occurrence, (row, column) in finder.kept:
            # Said without the line's number, so that changes elsewhere change no lot.
            line = lines[row - 1]
            place = f"{module} {operator} {line.strip()} {len(line[column:])}"
            alike[place] += 1
            lot = hashlib.sha256(f"{seed} {place} {alike[place]}".encode()).digest()
            made.append(Mutant(module, code, operator, occurrence, lot))
        left_out += finder.count - len(finder.kept)
    return made, left_out


def draw(population: list[Mutant], size: int) -> tuple[list[Mutant], int]:
    """A uniform sample of those that can run, by lot, and how many drawn could not.

    The lots are hashes, not places in a shuffled list: where the code changes, only what changed
    enters or leaves the sample.
    """
    drawn: list[Mutant] = []
    passed_over = 0
    for mutant in sorted(population, key=lambda mutant: mutant.lot):
        if len(drawn) == size:
            break
        if mutant.can_run():
            drawn.append(mutant)
        else:
            passed_over += 1
    return drawn, passed_over


class Workshop:
    """A copy of what is committed, in which modules may be broken."""

    def __init__(self, root: Path, archive: bytes) -> None:
        """Lay the copy out."""
        self._root = root
        with tarfile.open(fileobj=io.BytesIO(archive)) as files:
            files.extractall(root, filter="data")
        (root / "plugin").mkdir()
        (root / "plugin/mutation_profile.py").write_text(_PLUGIN, encoding="utf-8")
        (root / "home").mkdir()

    def read(self, module: str) -> str:
        """The text of a module."""
        return (self._root / PACKAGE / module).read_text(encoding="utf-8")

    def outcome(self, tests: Iterable[str], limit: float | None) -> str:
        """What becomes of the copy as it is."""
        # Races of processes and another database are left out: slow, and other questions.
        command = [sys.executable, "-m", "pytest", "-x", "--tb=no", "-p", "mutation_profile"]
        command += [
            "-p",
            "no:cacheprovider",
            "-m",
            "not exhaustive",
            "-k",
            "not processes and not postgresql and not server",
        ]
        command += [f"tests/{name}" for name in tests]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join((str(self._root / "src"), str(self._root / "plugin"))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "HOME": str(self._root / "home"),
        }
        process = subprocess.Popen(  # noqa: S603 - the interpreter itself, and names from above
            command, cwd=self._root, env=environment, start_new_session=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            return KILLED if process.wait(limit) else SURVIVED
        except subprocess.TimeoutExpired:
            return TIMED_OUT
        finally:
            if process.poll() is None:
                _end(process)

    def attempt(self, mutant: Mutant, limit: float) -> str:
        """What becomes of a mutant."""
        path = self._root / PACKAGE / mutant.module
        path.write_text(mutant.code, encoding="utf-8")
        try:
            return self.outcome(TESTS[mutant.module], limit)
        finally:
            path.write_text(mutant.sound, encoding="utf-8")

    def limit(self, tests: tuple[str, ...]) -> float:
        """Three times what some tests take when nothing is broken, and half a minute."""
        begun = time.monotonic()
        if self.outcome(tests, None) != SURVIVED:
            raise SystemExit(f"{' '.join(tests)}: do not pass as they are; mend that first")
        return 3 * (time.monotonic() - begun) + 30


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process, and those that it started, where the system knows groups of processes."""
    if hasattr(os, "killpg"):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def committed() -> bytes:
    """What is committed of the sources and the tests, as a tar file."""
    command = ["git", "archive", "--format=tar", "HEAD", "src", "tests", "examples"]
    return subprocess.check_output([*command, "pyproject.toml"], cwd=ROOT)  # noqa: S603


def digest(shop: Workshop) -> str:
    """What the modules that are broken are known by."""
    hashed = hashlib.sha256()
    for module in TESTS:
        hashed.update(f"{module}\0{shop.read(module)}\0".encode())
    return hashed.hexdigest()


def sample(shop: Workshop, seed: int) -> list[Mutant]:
    """Draw from all modules, and tell what was drawn from."""
    population, left_out = [], 0
    for module in TESTS:
        made, unseen = mutants(module, shop.read(module), seed)
        population += made
        left_out += unseen
    drawn, passed_over = draw(population, SAMPLE)
    print(
        f"{len(drawn)} of {len(population)} mutants, seed {seed}, modules {digest(shop)}\n"
        f"left out before drawing: {left_out} in annotations; "
        f"after drawing: {passed_over} that cannot run or change nothing",
        flush=True,
    )
    return drawn


def known_outcomes(heading: str) -> dict[str, str]:
    """Outcomes of a run of the same commit that was broken off."""
    if not PROGRESS.exists():
        return {}
    first, *rows = PROGRESS.read_text(encoding="utf-8").splitlines()
    if first != heading:
        return {}
    return dict(row.rsplit("\t", 1) for row in rows)


def table(drawn: list[Mutant], outcomes: dict[str, str]) -> str:
    """Every module's figures."""
    lines = [f"{'module':<22}{'mutants':>8}{'killed':>8}{'timed out':>11}{'survived':>10}{'':>8}"]
    for module in (*TESTS, "all"):
        counts = Counter(outcomes[m.key] for m in drawn if module in (m.module, "all"))
        total = counts.total()
        if not total:
            continue
        share = 1 - counts[SURVIVED] / total
        lines.append(
            f"{module:<22}{total:>8}{counts[KILLED]:>8}{counts[TIMED_OUT]:>11}"
            f"{counts[SURVIVED]:>10}{share:>8.1%}"
        )
    return "\n".join(lines)


def main() -> int:
    """Draw the sample, try it, and tell what survived."""
    parser = argparse.ArgumentParser(description="Break the core; see what the tests miss.")
    parser.add_argument(
        "--only", default="", help="part of a sampled mutant's name; writes nothing"
    )
    parser.add_argument("--seed", type=int, default=SEED, help="another sample; writes nothing")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    recorded = not options.only and options.seed == SEED
    archive = committed()
    with tempfile.TemporaryDirectory() as directory:
        shops: Queue[Workshop] = Queue()
        for number in range(options.jobs):
            place = Path(directory) / str(number)
            place.mkdir()
            shops.put(shop := Workshop(place, archive))
        drawn = sample(shop, options.seed)
        drawn = [mutant for mutant in drawn if not options.only or options.only in mutant.name]
        heading = hashlib.sha256(archive).hexdigest()
        outcomes = known_outcomes(heading) if recorded else {}
        todo = [mutant for mutant in drawn if mutant.key not in outcomes]
        limits = {tests: shop.limit(tests) for tests in {TESTS[m.module] for m in todo}}

        def attempt(mutant: Mutant) -> str:
            shop = shops.get()
            try:
                return shop.attempt(mutant, limits[TESTS[mutant.module]])
            finally:
                shops.put(shop)

        def keep() -> None:
            if recorded:
                PROGRESS.parent.mkdir(exist_ok=True)
                rows = [f"{key}\t{outcome}" for key, outcome in outcomes.items()]
                PROGRESS.write_text("\n".join((heading, *rows)), encoding="utf-8")

        with ThreadPoolExecutor(options.jobs) as pool:
            for mutant, outcome in zip(todo, pool.map(attempt, todo), strict=True):
                outcomes[mutant.key] = outcome
                keep()
                if outcome != KILLED or len(outcomes) % 25 == 0:
                    print(f"{len(outcomes)}: {outcome}: {mutant.name}", flush=True)
        modules = digest(shop)
    if recorded:
        rows = [
            f"# seed {SEED}, modules {modules}",
            "module\toperator\toccurrence\toutcome\tmutant",
        ]
        rows += [f"{m.key}\t{outcomes[m.key]}\t{m.name.partition(': ')[2]}" for m in drawn]
        SAMPLE_FILE.write_text("\n".join((*rows, "")), encoding="utf-8")
        PROGRESS.unlink(missing_ok=True)
    print(table(drawn, outcomes))
    survivors = [mutant for mutant in drawn if outcomes[mutant.key] == SURVIVED]
    reasons = SURVIVORS.read_text(encoding="utf-8")
    unnamed = [mutant.name for mutant in survivors if mutant.name not in reasons]
    for name in unnamed:
        print(f"survived, and no reason given: {name}")
    return 1 if unnamed or len(survivors) > (1 - LEAST_KILLED) * len(drawn) else 0


if __name__ == "__main__":
    sys.exit(main())
