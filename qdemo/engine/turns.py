"""Whose turn it is: a line in which people wait, first come, first served, and see their place; and
the runs that somebody has asked for, each of which can be stopped, be it waiting or computing."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Condition, Event

from qdemo.spec.messages import say

_STOPS: dict[str, Event] = {}
_SECONDS_APART = 0.1  # between two looks at a line that has not moved
_LOOKS = 20  # of which one is told


class FullError(Exception):
    """All `places` are taken."""

    def __init__(self, places: int) -> None:
        """Say it, and that they are not for long."""
        super().__init__(say("all {places} places are taken; try again in a moment", places=places))
        self.places = places


class Line:
    """One at a time; at most `places` wait. For any thread.

    >>> line = Line(places=1)
    >>> with line.place() as first, line.place() as second:
    ...     first.ahead(), second.ahead()
    (0, 1)
    """

    def __init__(self, places: int) -> None:
        """Begin empty."""
        self._places = places
        self._line: list[Place] = []
        self._moved = Condition()

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place at the end, which is left at the end of the block, whatever ends it.

        Raises:
            FullError: as many wait as there are places.
        """
        place = Place(self)
        with self._moved:
            if len(self._line) > self._places:
                raise FullError(self._places)
            self._line.append(place)
        try:
            yield place
        finally:
            with self._moved:
                self._line.remove(place)
                self._moved.notify_all()

    def _ahead(self, place: Place, known: int, seconds: float) -> int:
        until = time.monotonic() + seconds
        with self._moved:
            while (ahead := self._line.index(place)) == known:
                left = until - time.monotonic()
                if left <= 0 or not self._moved.wait(left):
                    return self._line.index(place)
            return ahead


class Place:
    """One's place in a line."""

    def __init__(self, line: Line) -> None:
        """`Line.place` makes it."""
        self._line = line

    def ahead(self, known: int = -1, seconds: float = 0) -> int:
        """How many are served before; 0 when it is one's turn.

        Where it is as `known`, it may change within so many seconds, which are waited for.
        """
        return self._line._ahead(self, known, seconds)


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
