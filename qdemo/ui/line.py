"""A line in which people wait for their turn, first come, first served, and see their place."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class FullError(Exception):
    """All places are taken."""


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
                raise FullError(f"all {self._places} places are taken; try again in a moment")
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
