"""What `test_engine_lent` runs in a new Python: comparisons, told as JSON, on a Space that lends a
GPU, or elsewhere; what happens in which process is noted in a file.

Before anything is forked, torch has computed on several threads, of which a fork has none.
"""

import json
import os
import threading
import time
from pathlib import Path

import torch

import qdemo.models.loading
from qdemo.engine import comparing, devices
from qdemo.engine import threads as computing
from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE
from qdemo.spec.document import as_json
from qdemo.spec.report import Written
from tests.engine import spaces_stand_in
from tests.parrot import told

PARENT = os.getpid()


class Notes:
    """Lines that any process can write."""

    def __init__(self, file):
        self._file = Path(file)

    def note(self, what, **more):
        with self._file.open("a") as file:
            line = {"what": what, "forked": os.getpid() != PARENT, **more}
            file.write(json.dumps(line) + "\n")

    def watch(self):
        """Note what is loaded, and every layer that computes."""
        load = qdemo.models.loading.load

        def loading(*args):
            self.note("load")
            return load(*args)

        def layer(*_):
            self.note("layer", torch=torch.get_num_threads(), all=threads())

        qdemo.models.loading.load = loading
        torch.nn.modules.module.register_module_forward_pre_hook(layer)

    def report(self, formats):
        """The report, after all that is told."""
        self.note("asked", formats=formats)
        *_, (_, found) = told(ENGINE.run(request(formats)))
        return found


def threads():
    """Threads of this process, as the system knows them; 0 where it doesn't tell."""
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0


def request(formats, prompt="What is 23 + 45?"):
    return ask("t5-tiny", formats, {"prompt": prompt}, 4)


def stopped():
    """The report of a run that is stopped in the middle of an answer."""
    stop = threading.Event()
    events = ENGINE.run(request(["int4", "int3"], "What is 5 + 6?"), stop)
    for one in told(events):
        if isinstance(one[0], Written) and one[0].format == "int4":
            stop.set()
    return one[1]


def failing(notes):
    """What comes of an error that nobody has thought of."""
    compare = comparing.compare

    def broken(*args):
        yield next(compare(*args))
        raise LookupError("in /home/me")

    comparing.compare = broken
    try:
        notes.report(["int2"])
    except Exception as error:
        return repr(error)
    finally:
        comparing.compare = compare


def ended():
    """Whether every fork ends, soon."""
    until = time.monotonic() + 30
    while alive := [fork for fork in spaces_stand_in.FORKS if fork.is_alive()]:
        if time.monotonic() > until:
            return False
        alive[0].join(1)
    return True


def product():
    """A product on several threads."""
    torch.set_num_threads(4)
    large = torch.ones(1500, 1500)
    assert (large @ large)[0, 0].item() == 1500


def main(what, file):
    """`what` is "here", "lent", or "kept" where the forks live on."""
    spaces_stand_in.KEPT = what == "kept"
    if what != "here":
        computing.SMALL, computing._ALL = 0, 4  # as if the model were large, and the cores many
    notes = Notes(file)
    before = threads()
    product()
    computing._computing().submit(product).result()
    notes.note("products", more=threads() - before)
    notes.watch()
    found = {
        "lent": devices.is_lent(),
        "first": as_json(notes.report(["int8", "bf16", "int8-g80"])),
        "again": as_json(notes.report(["int8", "bf16"])),
        "more": as_json(notes.report(["int4", "bf16"])),
        "stopped": as_json(stopped()),
    }
    found["ended"] = what == "kept" or ended()
    found["failing"] = failing(notes)
    found["after"] = as_json(notes.report(["int2"]))
    found["forks"] = len(spaces_stand_in.FORKS)
    print(json.dumps(found), flush=True)
    for fork in spaces_stand_in.FORKS:
        fork.kill()
