"""What every command shares: options, output, errors and exit codes.

A command writes its result through `Output` and returns its exit code. It raises what is wrong;
`run` turns that into lines on standard error and a code, never into a traceback.
"""

from __future__ import annotations

import functools
import io
import os
import sys
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast

import click

from ..errors import (
    AccessCodeError,
    AccountLimitError,
    AutomationRulesError,
    FieldError,
    InvalidInputError,
    LogError,
    VerificationError,
)
from ..texts import LANGUAGES, Lang

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from rich.console import Console

    from ..policy import Policy

__all__ = [
    "DENIED",
    "INTERNAL",
    "INTERRUPTED",
    "INVALID",
    "OK",
    "InvalidFilesError",
    "Output",
    "Run",
    "chosen_readings",
    "default_lang",
    "exit_options",
    "naming",
    "output_options",
    "policy_options",
    "printable",
    "run",
    "say",
]

OK: Final = 0
DENIED: Final = 1
INVALID: Final = 2
INTERNAL: Final = 3
INTERRUPTED: Final = 130

DEBUG: Final = "AUTOMATION_RULES_DEBUG"
_INTERNAL_ERROR: Final = "internal error; treat as denied"

_P = ParamSpec("_P")
_R = TypeVar("_R")


class InvalidFilesError(AutomationRulesError):
    """Files with invalid fields: each error with the file that it is in."""

    def __init__(self, errors: Iterable[tuple[str, FieldError]]) -> None:
        """Keep (file, error) pairs in order."""
        self.errors = tuple(errors)
        super().__init__(f"{len(self.errors)} problems")


@contextmanager
def naming(source: str) -> Iterator[None]:
    """Name ``source`` in whatever `InvalidInputError` is raised inside."""
    try:
        yield
    except InvalidInputError as error:
        raise InvalidFilesError((source, found) for found in error.errors) from None


@dataclass(slots=True)
class Output:
    """Where a command's result goes, and how it is written.

    ``answers`` says that the result is a decision, so that with ``-o json`` an error is one too.
    """

    format: str = "text"
    file: Path | None = None
    quiet: bool = False
    lang: Lang = "en"
    answers: bool = False
    _written: bool = field(default=False, init=False)

    def write(self, content: str | bytes) -> None:
        """Write the whole result: to the file, at once or not at all, or to standard output.

        Nothing is written to standard output when ``--quiet`` was given.

        Raises:
            click.FileError: the file cannot be written.
        """
        self._written = True
        if self.file is not None:
            write_whole(self.file, content)
        elif self.quiet:
            return
        else:
            # click knows the ways of Windows consoles, with colours and bytes.
            click.echo(content, nl=False)

    def write_lines(self, lines: Iterable[str]) -> None:
        """Write the result line by line, however long it is: a file at once or not at all.

        Raises:
            click.FileError: the file cannot be written.
        """
        self._written = True
        if self.file is not None:
            write_parts(self.file, (f"{line}\n".encode() for line in lines))
        elif not self.quiet:
            for line in lines:
                sys.stdout.write(f"{line}\n")

    def write_json(self, document: object) -> None:
        """Write one JSON value as the whole result."""
        import json

        self.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")

    def write_error(self, errors: Iterable[FieldError], *, status: int = 400) -> None:
        """Write the error as JSON, when JSON was asked for and nothing is written yet."""
        if self.format != "json" or self._written:
            return
        from ..inputs import error_document

        error = error_document(errors, status=status)
        self.write_json(
            {"decision": False, "context": {"error": error}} if self.answers else {"error": error}
        )

    def console(self) -> Console:
        """Return a rich console whose text `write_console` writes.

        Colours only on a terminal and without ``NO_COLOR``; never markup, emoji or highlighting,
        so that data stays data.
        """
        from rich.console import Console

        terminal = self.file is None and sys.stdout.isatty()
        plain = not terminal or bool(os.environ.get("NO_COLOR"))
        return Console(
            file=io.StringIO(),
            force_terminal=terminal,
            no_color=plain,
            color_system=None if plain else "standard",
            legacy_windows=False,
            markup=False,
            emoji=False,
            highlight=False,
            width=None if terminal else 80,
        )

    def write_console(self, console: Console) -> None:
        """Write what was printed to a console of `console`, without trailing spaces."""
        text = cast("io.StringIO", console.file).getvalue()
        self.write("".join(f"{line.rstrip()}\n" for line in text.splitlines()))


def printable(text: str) -> str:
    """Return ``text`` with everything that could act on a terminal written as an escape.

    Control characters (ANSI escapes, line ends), bidirectional and other invisible formatting,
    lone surrogates and unassigned characters become ``\\x1b`` or ``\\u202e``.
    """
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode()
        for char in text
    )


def say(line: str) -> None:
    """Write one line to standard error, escaped."""
    with suppress(OSError):
        sys.stderr.write(printable(line) + "\n")
        sys.stderr.flush()


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file so that it holds all of ``content`` or what it held before.

    Raises:
        click.FileError: it cannot be written.
    """
    data = content.encode("utf-8", "backslashreplace") if isinstance(content, str) else content
    write_parts(path, (data,))


def write_parts(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file, part by part, so that it holds all of ``parts`` or what it held before.

    Raises:
        click.FileError: it cannot be written.
    """
    try:
        with _beside(path) as file:
            for part in parts:
                file.write(part)
    except OSError as error:
        raise click.FileError(str(path), error.strerror or type(error).__name__) from None


@contextmanager
def _beside(path: Path) -> Iterator[IO[bytes]]:
    """Give a file that takes the place of ``path`` when all went well."""
    target = path.resolve()
    if target.exists() and not target.is_file():
        # A device or a pipe can be written to, but must not be replaced.
        with target.open("wb") as file:
            yield file
        return
    beside = target.with_name(f".{target.name}.{os.urandom(6).hex()}.tmp")
    try:
        with beside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def default_lang(
    environ: Mapping[str, str], platform: str, windows_language: Callable[[], str] | None = None
) -> Lang:
    """Return the language of the user's locale: Welsh or, for any other, English.

    ``LC_ALL``, ``LC_MESSAGES`` and ``LANG`` count in this order; on Windows, when none of them is
    set, the language of the desktop.
    """
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return "cy" if environ[name].lower().startswith("cy") else "en"
    if platform == "win32":
        return "cy" if (windows_language or _windows_language)().lower().startswith("cy") else "en"
    return "en"


def _windows_language() -> str:
    import ctypes
    import locale

    windows = getattr(ctypes, "windll", None)
    identifier = windows.kernel32.GetUserDefaultUILanguage() if windows else 0
    return locale.windows_locale.get(identifier, "")


def output_options(
    *formats: str, answers: bool = False
) -> Callable[[Callable[..., _R]], Callable[..., _R]]:
    """Add ``-o``, ``--output-file``, ``--quiet`` and ``--lang``; pass them as ``out``, an `Output`.

    ``formats`` are those that the command knows, the default first. They are read before the
    other options, so that what is wrong with those is said in the form that was asked for.
    """

    def decorate(function: Callable[..., _R]) -> Callable[..., _R]:
        @click.option(
            "-o",
            "--output",
            type=click.Choice(formats),
            default=formats[0],
            show_default=True,
            expose_value=False,
            is_eager=True,
            callback=_kept("format", answers=answers),
            help="The form of the result.",
        )
        @click.option(
            "--output-file",
            metavar="FILE",
            type=click.Path(path_type=Path),
            expose_value=False,
            is_eager=True,
            callback=_kept("file"),
            help="Write the result to FILE, whole or not at all.",
        )
        @click.option(
            "-q",
            "--quiet",
            is_flag=True,
            expose_value=False,
            is_eager=True,
            callback=_kept("quiet"),
            help="No result on standard output.",
        )
        @click.option(
            "--lang",
            type=click.Choice(LANGUAGES),
            default=lambda: default_lang(os.environ, sys.platform),
            expose_value=False,
            is_eager=True,
            callback=_kept("lang"),
            help="English or Welsh; by default the locale's.",
        )
        @functools.wraps(function)
        def command(*args: Any, **kwargs: Any) -> _R:
            return function(*args, out=_output(click.get_current_context()), **kwargs)

        return command

    return decorate


def _kept(name: str, **more: object) -> Callable[[click.Context, click.Parameter, object], object]:
    """Return a callback that keeps an option in the run's `Output` as soon as it is read.

    So that an error in whatever comes after it is already told in the form that was asked for.
    """

    def keep(ctx: click.Context, _param: click.Parameter, value: object) -> object:
        for key, given in {name: value, **more}.items():
            setattr(_output(ctx), key, given)
        return value

    return keep


def _output(ctx: click.Context) -> Output:
    return ctx.ensure_object(Run).output


def exit_options(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Add ``--fail-on-warn`` and ``--exit-zero``; passed under these names."""
    for option in (
        click.option(
            "--exit-zero", is_flag=True, help="Exit 0 also when denied; errors stay 2 and 3."
        ),
        click.option("--fail-on-warn", is_flag=True, help="Exit 1 also for warnings."),
    ):
        function = option(function)
    return function


def policy_options(function: Callable[..., _R]) -> Callable[..., _R]:
    """Add ``--policy`` and ``--reading``; pass the policy that they choose as ``policy``."""

    @click.option(
        "--policy",
        "policy_file",
        metavar="FILE",
        help="Decide by the policy in FILE (TOML or JSON); by default the published terms.",
    )
    @click.option(
        "--reading",
        "readings",
        metavar="NAME=VALUE",
        multiple=True,
        help="Use a reading instead of the policy's own; may be given more than once.",
    )
    @functools.wraps(function)
    def command(
        *args: Any, policy_file: str | None, readings: tuple[str, ...], **kwargs: Any
    ) -> _R:
        return function(*args, policy=load(policy_file, readings), **kwargs)

    return command


def chosen_readings(readings: Iterable[str]) -> dict[str, str]:
    """Return readings given as NAME=VALUE, by name.

    Raises:
        InvalidFilesError: there is no such reading, or it has no such value.
        click.BadParameter: a reading is not of that form, or given twice.
    """
    chosen: dict[str, str] = {}
    for reading in readings:
        name, equals, value = reading.partition("=")
        if not equals:
            raise click.BadParameter("write it as NAME=VALUE", param_hint="'--reading'")
        if name in chosen:
            raise click.BadParameter(f"{name} is given twice", param_hint="'--reading'")
        chosen[name] = value
    if chosen:
        from ..readings import check_readings

        with naming("--reading"):
            check_readings(chosen)
    return chosen


def load(policy_file: str | None, readings: Iterable[str] = ()) -> Policy:
    """Return the policy in a file, or the published terms, with readings given as NAME=VALUE.

    Raises:
        InvalidFilesError: the file or a reading is invalid.
        click.BadParameter: a reading is not of that form, or given twice.
    """
    chosen = chosen_readings(readings)
    if policy_file is None:
        from ..landlord_portal import landlord_portal

        return landlord_portal(**chosen)
    from ..policyfile import load_policy

    with naming(policy_file):
        return load_policy(policy_file, **chosen)


@dataclass(slots=True)
class Run:
    """One run of the program: what is known of it when something goes wrong."""

    output: Output = field(default_factory=Output)


def run(command: click.Command, argv: list[str]) -> int:
    """Run a command and return its exit code; whatever it raises becomes lines and a code."""
    use_utf8()
    state = Run()
    try:
        return _attempt(command, argv, state)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return _reader_gone()
    except Exception as error:
        return _internal(error, state.output)


def _attempt(command: click.Command, argv: list[str], state: Run) -> int:
    try:
        for argument in argv:
            _refuse_surrogates(argument)
        code = command.main(argv, "automation-rules", standalone_mode=False, obj=state)
        sys.stdout.flush()
        return code if isinstance(code, int) else OK
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        return _usage(error, state.output)
    except InvalidFilesError as error:
        return _refuse(error.errors, state.output)
    except InvalidInputError as error:
        return _refuse([("", found) for found in error.errors], state.output)
    except AutomationRulesError as error:
        say(f"error: {error}")
        state.output.write_error([FieldError("", str(error))])
        return exit_code_of(error)


def exit_code_of(error: AutomationRulesError) -> int:
    """Return the exit code for an error of ours that is not about an input."""
    if isinstance(error, AccountLimitError | AccessCodeError | VerificationError):
        return DENIED
    return INTERNAL if isinstance(error, LogError) else INVALID


def _refuse_surrogates(argument: str) -> None:
    try:
        argument.encode()
    except UnicodeEncodeError:
        raise click.UsageError(f"{printable(argument)} is not UTF-8 text") from None


def _usage(error: click.ClickException, out: Output) -> int:
    message = error.format_message()
    text = f"error: {message}"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        text = message  # the whole help
    elif isinstance(error, click.UsageError) and error.ctx is not None:
        text = f"{error.ctx.get_usage()}\n{text}"
    for line in text.splitlines():
        say(line)
    out.write_error([FieldError("", message)])
    return INVALID


def _refuse(errors: Iterable[tuple[str, FieldError]], out: Output) -> int:
    found = list(errors)
    for source, error in found:
        say(f"error: {source}: {error}" if source else f"error: {error}")
    out.write_error([error for _, error in found])
    return INVALID


def _internal(error: Exception, out: Output) -> int:
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error, file=sys.stderr)
    say(f"error: {_INTERNAL_ERROR} ({type(error).__name__}; set {DEBUG}=1 for details)")
    with suppress(Exception):
        out.write_error([FieldError("", _INTERNAL_ERROR)], status=500)
    return INTERNAL


def _reader_gone() -> int:
    # What was decided did not arrive, so it must not count as allowed. The interpreter flushes
    # once more when it exits: give it somewhere to flush to.
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return DENIED


def use_utf8() -> None:
    """Write UTF-8 whatever the console or the locale says; what it lacks is escaped."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
