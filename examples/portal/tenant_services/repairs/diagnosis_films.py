"""Films that show how to help oneself: silent, with captions in both languages, and in writing.

A film is ``static/tenant_services/films/NAME.webm``, its captions ``NAME.en.vtt`` and
``NAME.cy.vtt`` beside it. Where there is no film yet, what it says is shown all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from django.contrib.staticfiles import finders

_TIMES = re.compile(r"[0-9:.]{9,} --> [0-9:.]{9,}.*")


@dataclass(frozen=True, slots=True)
class Film:
    """A film by its name."""

    name: str

    @property
    def video(self) -> str | None:
        """The film, as a static file, if there is one."""
        path = self._at("webm")
        return path if finders.find(path) else None

    def captions(self, lang: str) -> str:
        """Return the captions, as a static file."""
        return self._at(f"{lang}.vtt")

    def transcript(self, lang: str) -> list[str]:
        """Return what the captions say, one after the other."""
        found = finders.find(self.captions(lang))
        return read_captions(Path(found).read_text(encoding="utf-8")) if found else []

    def _at(self, ending: str) -> str:
        return f"tenant_services/films/{self.name}.{ending}"


def read_captions(text: str) -> list[str]:
    """Return the words of each cue of a WebVTT file, without names, times and notes."""
    said = []
    for block in re.split(r"\n{2,}", text.replace("\r\n", "\n")):
        lines = block.strip().split("\n")
        for place, line in enumerate(lines):
            if _TIMES.fullmatch(line):
                said.append(" ".join(lines[place + 1 :]))
                break
    return said
