"""Runs that somebody has asked for, and how each is stopped, be it waiting or computing."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event

from qdemo.ui.line import Line, Place

_STOPS: dict[str, Event] = {}
_SECONDS_APART = 0.1  # between two looks at a line that has not moved
_LOOKS = 20  # of which one is told


@dataclass(frozen=True)
class Waiting:
    """So many are served before."""

    ahead: int


@dataclass(frozen=True)
class Run:
    """A run. Who knows its number, which nobody can guess, can stop it."""

    number: str

    @property
    def stop(self) -> Event:
        """Set when it is to end; one that is over has nothing to stop."""
        return _STOPS.get(self.number) or Event()

    @property
    def is_stopped(self) -> bool:
        """Whether it is to end."""
        return self.stop.is_set()

    @contextmanager
    def turn_in(self, line: Line) -> Iterator[Iterator[Waiting]]:
        """A place in that line, and what is told until its turn comes, or it is stopped.

        Raises:
            FullError: too many wait.
        """
        with line.place() as place:
            yield self._until_its_turn(place)

    def _until_its_turn(self, place: Place) -> Iterator[Waiting]:
        """Now and then also where nothing has moved: who has left is found out by telling."""
        looks, told = 0, -1
        while (ahead := place.ahead(told, _SECONDS_APART)) and not self.is_stopped:
            looks += 1
            if ahead != told or looks % _LOOKS == 0:
                yield Waiting(ahead)
            told = ahead


@contextmanager
def begun() -> Iterator[Run]:
    """A run that can be stopped until the end of the block."""
    run = Run(secrets.token_urlsafe(16))
    _STOPS[run.number] = Event()
    try:
        yield run
    finally:
        del _STOPS[run.number]


def stop(number: str) -> None:
    """End the run of that number; nothing where it is over."""
    if number in _STOPS:
        _STOPS[number].set()
