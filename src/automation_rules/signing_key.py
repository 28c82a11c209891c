"""The file that holds the keys by which a log is signed; never in the state.

Whoever can read it can sign another log under the same name. It is kept apart from the state, and
from the state's backups, so that one theft does not bring both.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .errors import LogError
from .signed_note import SignerKey

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["SIGNING_KEY_VARIABLE", "KeyFile"]

SIGNING_KEY_VARIABLE: Final = "AUTOMATION_RULES_SIGNING_KEY"
"""The environment variable that names the file of the signing keys."""

_MOST_BYTES: Final = 65_536
_ABOUT: Final = (
    "# Keys that sign the decision log. Whoever has them can sign another log in its name:",
    "# keep this file to yourself, and a copy of it apart from the copies of the state.",
)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A file with one private key a line, the newest last; lines with ``#`` are for people."""

    path: Path

    @classmethod
    def of(cls, log_id: str, path: Path | None = None) -> KeyFile:
        """Return the file given, or that AUTOMATION_RULES_SIGNING_KEY names, or the log's own.

        The last is named after the log's identifier, in the user's configuration directory.
        """
        named = os.environ.get(SIGNING_KEY_VARIABLE)
        if path is not None or named:
            return cls(path or Path(named or ""))
        from platformdirs import user_config_path

        directory = user_config_path("automation-rules", appauthor=False)
        return cls(directory / f"{log_id}.signing-key")

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self.path.exists()

    def load(self) -> tuple[SignerKey, ...]:
        """Return the keys, at least one.

        Raises:
            LogError: there is no such file, others may read it, or it holds something else; never
                says what it holds.
        """
        try:
            with self.path.open("rb") as file:
                mode = os.fstat(file.fileno()).st_mode
                data = file.read(_MOST_BYTES)
        except FileNotFoundError as error:
            raise LogError(
                f"there is no signing key in {self.path}: restore the file, name it with "
                f"--signing-key or {SIGNING_KEY_VARIABLE}, or run `automation-rules audit "
                "rotate-key --lost`"
            ) from error
        except OSError as error:
            raise LogError(
                f"the signing key in {self.path} cannot be read: give this user the right to"
            ) from error
        if open_to_others(mode, windows=os.name == "nt"):
            raise LogError(
                f"other users may read the signing key in {self.path}: take their right away "
                f"(`chmod 600 {self.path}`), and change the key if one of them could have"
            )
        try:
            lines = data.decode("ascii").splitlines()
        except UnicodeDecodeError:
            # The cause would quote the secret.
            raise LogError(f"{self.path} does not hold signing keys") from None
        secrets = [line for line in lines if line and not line.startswith("#")]
        try:
            keys = tuple(SignerKey.parse(secret) for secret in secrets)
        except LogError as error:
            raise LogError(f"{self.path} does not hold signing keys: {error}") from None
        if not keys:
            raise LogError(f"{self.path} does not hold signing keys: it is empty")
        return keys

    def create(self, keys: Sequence[SignerKey]) -> None:
        """Write keys into a new file that only its owner may read.

        Raises:
            LogError: the file exists, or cannot be written.
        """
        try:
            self._write(self.path, keys)
        except FileExistsError as error:
            raise LogError(
                f"there is a signing key in {self.path} already: it is not replaced; name another "
                "file with --signing-key"
            ) from error
        except OSError as error:
            raise self._unwritable() from error

    def replace(self, keys: Sequence[SignerKey]) -> None:
        """Write keys in the place of those that are there: all of them, or none.

        Raises:
            LogError: the file cannot be written; the old one stays.
        """
        new = self.path.with_name(f"{self.path.name}.{os.getpid()}.new")
        try:
            self._write(new, keys)
            new.replace(self.path)
        except OSError as error:
            raise self._unwritable() from error
        finally:
            with suppress(OSError):
                new.unlink(missing_ok=True)

    def _unwritable(self) -> LogError:
        return LogError(
            f"the signing key cannot be written to {self.path}: give this user the right to"
        )

    def _write(self, path: Path, keys: Sequence[SignerKey]) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except FileExistsError as error:
            raise NotADirectoryError(path.parent) from error
        lines = (*_ABOUT, *(key.secret for key in keys))
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii"
        ) as file:
            file.write("".join(f"{line}\n" for line in lines))
            file.flush()
            os.fsync(file.fileno())


def open_to_others(mode: int, *, windows: bool) -> bool:
    """Whether a file's mode lets other users at it.

    On Windows the mode says nothing: a new file has the rights of its directory, and the user's
    own directories are closed to others.
    """
    return not windows and bool(mode & (stat.S_IRWXG | stat.S_IRWXO))
