"""The one door to what is computed: for the page, the API, the terminal and Python.

It is here before torch is: what needs torch is imported when the first request comes.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from functools import partial
from threading import Event as Flag
from threading import Thread
from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from qdemo.engine import devices, heap
from qdemo.engine.asking import check_reads, field_of, picture_of
from qdemo.engine.first import begin, compile_loops, libraries
from qdemo.engine.looking import Look, find, look
from qdemo.engine.shelf import Shelf
from qdemo.engine.telling import ended, now_and_then, per_model
from qdemo.engine.turns import Line, Run, Waiting, begun
from qdemo.models.availability import UnavailableError, folder_of, get_entry, offered
from qdemo.models.catalogue import Entry
from qdemo.settings import SETTINGS, Settings
from qdemo.spec.decoding import GREEDY, Decoding
from qdemo.spec.messages import say
from qdemo.spec.report import (
    Done,
    Event,
    Failed,
    Report,
    Started,
)
from qdemo.spec.request import DEFAULT_TOKENS, InputError, Request
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from qdemo.engine.comparing import Known
    from qdemo.models.download import Downloading
    from qdemo.models.families import Prompt
    from qdemo.models.loading import Loaded

PLACES = 16
"""How many wait for their turn."""


class Engine(Shelf):
    """Models, results and the device of one process, and whose turn it is."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        """Nothing is loaded yet."""
        super().__init__(settings)
        self.computing, self.downloading, self.judging = (Line(PLACES) for _ in range(3))
        _ENGINES[id(self)] = self

    def run(
        self,
        request: Request,
        stop: Flag | None = None,
        deadline_s: float | None = None,
        method_s: int | None = None,
    ) -> Generator[Event]:
        """What happens in a comparison, to its end; what a stop or the deadline leaves undone is
        told as `Stopped`, and a method that may take more than `method_s` fails.

        Raises:
            InputError: the model can't be had, or can't take this input.
        """
        began, report = time.monotonic(), None
        stop = Flag() if stop is None else stop
        reason = say("stopped before it finished")
        with closing(self._events(request, stop, method_s)) as events:
            for event in events:
                report = event.report if isinstance(event, Started) else report
                report = None if report is None else report.after(event)
                yield event
                if deadline_s is not None and time.monotonic() - began > deadline_s:
                    reason = say("stopped after {seconds} s, the longest here", seconds=deadline_s)
                    break
        if report is not None and not report.finished:
            yield from ended(report, reason)

    def _events(self, request: Request, stop: Flag, method_s: int | None) -> Generator[Event]:
        loaded, prompt = self.given(request)
        from qdemo.engine.threads import for_size, on_threads

        count = for_size(get_entry(request.model).parameters or loaded.parameters)
        known = self._known(request)
        compute = self.compute if _is_whole(known, request) else partial(_compute, id(self))
        computed = compute(request, prompt, known, method_s)
        for event in on_threads(count, computed, stop):
            yield self._kept(request, event) if isinstance(event, Done) else event
            if isinstance(event, Done | Failed):  # never between tokens, whose time is measured
                heap.give_back()

    def compute(
        self, request: Request, prompt: Prompt, known: Known, method_s: int | None
    ) -> Generator[Event]:
        """The same, in whatever process has the device."""
        from qdemo.engine.calibrating import described
        from qdemo.engine.comparing import compare

        loaded = self.loaded(get_entry(request.model))
        if not _is_whole(known, request):
            loaded = loaded.on(self.device)
        yield from compare(
            loaded, prompt, request.variants, request.max_tokens, known,
            lambda: self.inputs_of(loaded),
            lambda variant: self.made(loaded, variant, method_s), described(loaded),
            request.decoding,
        )  # fmt: skip

    def given(self, request: Request) -> tuple[Loaded, Prompt]:
        """The loaded model with its input.

        Raises:
            InputError: the model can't be had, or can't take this input.
        """
        try:
            loaded = self.loaded(get_entry(request.model))
        except UnavailableError as error:
            raise InputError("model", str(error)) from None
        try:
            return loaded, loaded.family.encode(request.given, request.decoding.read_as)
        except ValueError as error:
            raise InputError(request.field, str(error)) from None

    def _known(self, request: Request) -> Known:
        from qdemo.engine.comparing import Known

        results = {name: self.keeping.result(request, name) for name in request.formats}
        here = {name: found for name, found in results.items() if found is not None}
        reference = here.get(request.formats[0])
        per_model = {name: self.keeping.per_model(request.model, name) for name in request.formats}
        return Known(
            {name: trial for name, (trial, _) in here.items()},
            reference[1] if reference else None,
            {name: found for name, found in per_model.items() if found is not None},
        )

    def _kept(self, request: Request, done: Done) -> Done:
        """Keep what was computed: here, as a process that was lent a GPU forgets it."""
        if not done.kept:
            self.keeping.keep(request, done, per_model(done))
        return replace(done, logits=None)

    def told(self, request: Request, run: Run) -> Iterator[Waiting | Report]:
        """What is known, whenever there is something new to show; the last one is finished.

        Nothing is, where it was stopped before its turn came.

        Raises:
            InputError: the model can't be had, or can't take this input.
            FullError: too many wait.
        """
        libraries()
        last: Report | None = None
        try:
            with run.turn_in(self.computing) as waiting:
                yield from waiting
                if not run.is_stopped:
                    limits = self.settings.deadline_s, self.settings.method_s
                    events = self.run(request, run.stop, *limits)
                    for known in now_and_then(events):
                        if known.finished:
                            last = known
                        else:
                            yield known
            if last is not None:  # once the next one computes: to send it all takes a while
                yield last
        finally:
            heap.collect()

    def from_kept(self, request: Request) -> Report | None:
        """The end of it, at once, where all that was asked for is kept; None where some is not."""
        libraries()
        is_here = self.keeping.models.get(request.model) is not None
        if not is_here or not _is_whole(self._known(request), request):
            return None
        with begun() as run:
            *_, last = now_and_then(self.run(request, run.stop))
        return last

    def download(self, entry: Entry, run: Run) -> Iterator[Waiting | Downloading]:
        """Bring a model from the Hub, telling how far it is; nothing is told where it is here.

        Raises:
            InputError: it can't be had, or there is no room for it.
            FullError: too many wait.
        """
        libraries()
        from qdemo.models.download import download

        try:
            with run.turn_in(self.downloading) as waiting:
                yield from waiting
                for known in download(entry):
                    if run.is_stopped:
                        return
                    yield known
        except UnavailableError as error:
            raise InputError("model", str(error)) from None

    def look(self, text: str) -> Look:
        """What a model is and will cost, listed or typed; takes as long as the Hub does.

        Raises:
            InputError: there is none, it can't be had, or it is none that can be compared.
        """
        try:
            return look(text, {entry.name: entry for entry in offered()})
        except (ValueError, UnavailableError) as error:
            raise InputError("model", str(error)) from None

    def warm_up(self, name: str) -> None:
        """Import what computes, and load a model, in the background, so no click waits for it."""

        def load() -> None:
            loaded = self.loaded(get_entry(name))
            from qdemo.engine import comparing  # noqa: F401
            from qdemo.engine.threads import on_threads

            compile_loops()
            if not devices.is_lent():
                list(on_threads(1, (self.inputs_of(loaded) for _ in range(1))))
            heap.freeze()

        begin()
        Thread(target=load, daemon=True).start()


def is_here(entry: Entry) -> bool:
    """Whether the model's files are on this machine."""
    return folder_of(entry) is not None


def compare(
    model: str,
    given: object,
    formats: Iterable[str | Variant],
    max_tokens: int = DEFAULT_TOKENS,
    decoding: Decoding = GREEDY,
) -> Generator[Event]:
    """Run a catalogue model on `given`, a prompt or a PIL picture, in fp32 and in each format;
    `decoding` says how that is read, and how tokens are chosen.

    Yields what happens (`qdemo.spec.report`); the last event, `Finished`, has the whole report.
    Nothing is taken from what was computed before, and there is no deadline.

    Raises:
        ValueError: an unknown model or format, or an input that the model can't take, or not so.
        UnavailableError: the model is neither here nor to be had; an OSError.
    """
    entry = find(model)
    variants = tuple(Variant.parse(f) if isinstance(f, str) else f for f in formats)
    for variant in variants:
        variant.check_built()
    if max_tokens < 1:
        raise ValueError(say("max_tokens is {found}, expected at least 1", found=max_tokens))
    check_reads(entry, decoding)
    libraries()
    from qdemo.models.download import download

    for _ in download(entry):  # nothing, where it is here
        pass
    ENGINE.loaded(entry)
    field, given = field_of(entry).name, picture_of(given)
    request = Request(entry.name, variants, given, field, max_tokens, True, decoding)
    ENGINE.given(request)
    return ENGINE.run(request)


def _is_whole(known: Known, request: Request) -> bool:
    """Whether nothing is left to compute."""
    return len(known.trials) == len(request.formats)


_ENGINES: WeakValueDictionary[int, Engine] = WeakValueDictionary()


@devices.on_gpu
def _compute(
    number: int, request: Request, prompt: Prompt, known: Known, method_s: int | None
) -> Generator[Event]:
    """A Space that lends GPUs looks for what is decorated when it starts, and calls it in a fork,
    to which only what can be sent goes: the engine is there already, and goes by its number."""
    from qdemo.engine.threads import settle

    settle()
    yield from _ENGINES[number].compute(request, prompt, known, method_s)


ENGINE = Engine()
"""That of this process."""
