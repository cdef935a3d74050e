"""Whose turn it is: a line in which people wait, first come, first served, and see their place; and
the runs that somebody has asked for, each of which can be stopped, be it waiting or computing."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Lock

from qdemo.spec.messages import say

_STOPS: dict[str, Event] = {}
_LOOKED_UP_S = 0.25  # between two looks at whether to stop
_TOLD_S = 1.0  # between two times that a place is told: each is a message to a browser
_NEWEST = 0.2  # what the last turn counts for in how long one takes


class FullError(Exception):
    """All `places` are taken; about half of them won't be in so many seconds."""

    def __init__(self, places: int, seconds: int) -> None:
        """Say it, and when to come again."""
        super().__init__(
            say(
                "all {places} places are taken; try again in about {seconds} s",
                places=places,
                seconds=seconds,
            )
        )
        self.places = places
        self.seconds = seconds


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
        self._lock = Lock()
        self._turn_s = 1.0  # how long one takes, more or less
        self._turn_began = 0.0

    @contextmanager
    def place(self) -> Iterator[Place]:
        """A place at the end, which is left at the end of the block, whatever ends it.

        Raises:
            FullError: as many wait as there are places.
        """
        place = Place(self)
        with self._lock:
            if len(self._line) > self._places:
                raise FullError(self._places, self._half_s())
            self._line.append(place)
            if self._line[0] is place:
                self._begin(place)
        try:
            yield place
        finally:
            with self._lock:
                self._leave(place)

    @property
    def is_empty(self) -> bool:
        """Whether nobody has a turn, or waits for one."""
        return not self._line

    def _begin(self, place: Place) -> None:
        self._turn_began = time.monotonic()
        place.turn.set()

    def _leave(self, place: Place) -> None:
        was_its_turn = self._line[0] is place
        self._line.remove(place)
        if was_its_turn:
            took = time.monotonic() - self._turn_began
            self._turn_s += _NEWEST * (took - self._turn_s)
            if self._line:
                self._begin(self._line[0])

    def _half_s(self) -> int:
        """Seconds until about half of those who wait have had their turn: who comes again then
        finds a place, and the line has not run empty."""
        return max(1, math.ceil(self._places / 2 * self._turn_s))

    def _ahead(self, place: Place) -> int:
        with self._lock:
            return self._line.index(place)


class Place:
    """One's place in a line; `turn` is set when it is one's turn."""

    def __init__(self, line: Line) -> None:
        """`Line.place` makes it."""
        self._line = line
        self.turn = Event()

    def ahead(self) -> int:
        """How many are served before; 0 when it is one's turn."""
        return self._line._ahead(self)


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
        """Now and then, also where nothing has moved: who has left is found out by telling."""
        tell_at = 0.0
        while (ahead := place.ahead()) and not self.is_stopped:
            if time.monotonic() >= tell_at:
                yield Waiting(ahead)
                tell_at = time.monotonic() + _TOLD_S
            place.turn.wait(_LOOKED_UP_S)


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
