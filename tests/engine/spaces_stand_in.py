"""Stands in for Hugging Face's package `spaces` on a Space that lends a GPU for each call.

What is decorated runs in a fork of this process: its arguments, and each item that it yields, go
through a pipe as pickles. It follows `generator_function_wrapper` of spaces 0.51 (zero/wrappers.py)
in what a caller can see of it: the fork computes in a thread of its own, closing the generator sets
an event at which the fork looks after each item, an error comes as its name alone, and a fork that
is `KEPT` serves the next call too, with the memory of when it was forked.
"""

import multiprocessing
import queue
from concurrent.futures import ThreadPoolExecutor

FORK = multiprocessing.get_context("fork")
KEPT = False
FORKS = []
"""Every process that there was."""

_ITEM, _ERROR, _END = "item", "error", "end"
_idle = []


class WorkerError(Exception):
    """What a person is told."""


class Worker:
    """A fork, and the pipes to it and from it."""

    def __init__(self, task):
        self.arguments, self.results = FORK.SimpleQueue(), FORK.SimpleQueue()
        self.stop = FORK.Event()
        self.process = FORK.Process(target=self._serve, args=(task,), daemon=True)
        self.process.start()
        FORKS.append(self.process)

    def _serve(self, task):
        while (call := self.arguments.get()) is not None:
            self.stop.clear()
            with ThreadPoolExecutor() as executor:
                executor.submit(self._iterate, task, call)
            self.results.put((_END, None))

    def _iterate(self, task, call):
        args, kwargs = call
        items = task(*args, **kwargs)
        while True:
            try:
                item = next(items)
            except StopIteration:
                return None
            except Exception as error:
                return self.results.put((_ERROR, type(error).__name__))
            if self.stop.is_set():
                return items.close()
            self.results.put((_ITEM, item))

    def fill(self, items):
        """In a thread of the caller's: hand on what comes."""
        while True:
            items.put(found := self.results.get())
            if found[0] != _ITEM:
                return

    def over(self):
        """Serve the next call, or end."""
        if KEPT:
            _idle.append(self)
        else:
            self.arguments.put(None)


def GPU(task):  # noqa: N802
    """The decorator, for generator functions."""

    def handler(*args, **kwargs):
        worker = _idle.pop() if _idle else Worker(task)
        worker.arguments.put((args, kwargs))
        items = queue.Queue()
        try:
            with ThreadPoolExecutor(1) as executor:
                executor.submit(worker.fill, items)
                while True:
                    kind, item = items.get()
                    if kind == _ERROR:
                        raise WorkerError(item)
                    if kind == _END:
                        return
                    try:
                        yield item
                    except GeneratorExit:
                        worker.stop.set()
                        raise
        finally:
            worker.over()

    return handler
