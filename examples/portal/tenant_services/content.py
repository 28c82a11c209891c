"""Content in files beside the code, in both languages: read, checked, said in the user's."""

from __future__ import annotations

import tomllib
from collections import Counter
from typing import TYPE_CHECKING, Annotated, TypeVar

from django.utils.translation import get_language
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]
Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


class ContentError(ValueError):
    """A file cannot be used. Says everything that is wrong with it, and where."""


class Content(BaseModel):
    """A part of such a file; what is not known is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Text(Content):
    """Something said in both languages; as a string, in the user's."""

    en: Words
    cy: Words

    def __str__(self) -> str:
        """Return it in the user's language."""
        return self.cy if get_language() == "cy" else self.en


Whole = TypeVar("Whole", bound=Content)


def read(kind: type[Whole], text: str, wrong_with: Callable[[Whole], Iterable[str]]) -> Whole:
    """Read a TOML file and check it; ``wrong_with`` gives what no single entry shows by itself.

    Raises:
        ContentError: it is no TOML, or something in it is wrong.
    """
    try:
        made = kind.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ContentError(f"This is not TOML: {error}") from None
    except ValidationError as error:
        raise ContentError(
            "\n".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        ) from None
    wrong = list(wrong_with(made))
    if wrong:
        raise ContentError("\n".join(wrong))
    return made


def twice(place: str, names: Iterable[str]) -> Iterator[str]:
    """Say which names stand in a list more than once."""
    counts = Counter(names)
    yield from (f"{place}: {name!r} is there twice" for name, count in counts.items() if count > 1)
