"""What `test_engine_lent` runs in a new Python: comparisons on a Space that lends a GPU, where its
first argument says so, told as JSON. The fork has as many cores' threads before it as a host has
that computes: their memory is copied, they are not.
"""

import json
import os
import sys
import threading
import time
from pathlib import Path

from tests.engine import spaces_stand_in

WHAT, FILE = sys.argv[1], Path(sys.argv[2])
sys.modules["spaces"] = spaces_stand_in if WHAT != "here" else None
spaces_stand_in.KEPT = WHAT == "kept"

import torch  # noqa: E402

import qdemo.models.loading  # noqa: E402
from qdemo.engine import comparing, devices  # noqa: E402
from qdemo.engine import threads as computing  # noqa: E402
from qdemo.engine.asking import ask  # noqa: E402
from qdemo.engine.engine import ENGINE  # noqa: E402
from qdemo.spec.document import as_json  # noqa: E402
from qdemo.spec.report import Written  # noqa: E402
from tests.parrot import told  # noqa: E402

PARENT = os.getpid()


def note(what, **more):
    """A line that any process can write."""
    with FILE.open("a") as file:
        file.write(json.dumps({"what": what, "forked": os.getpid() != PARENT, **more}) + "\n")


def threads():
    """Threads of this process, as the system knows them."""
    return len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0


def watch():
    """Note what is loaded, and every layer that computes."""
    load = qdemo.models.loading.load

    def loading(*args):
        note("load")
        return load(*args)

    def layer(*_):
        note("layer", torch=torch.get_num_threads(), all=threads())

    qdemo.models.loading.load = loading
    torch.nn.modules.module.register_module_forward_pre_hook(layer)


def request(formats, prompt="What is 23 + 45?"):
    return ask("t5-tiny", formats, {"prompt": prompt}, 4)


def report(formats, **more):
    """The report, after all that is told."""
    note("asked", formats=formats)
    *_, (_, found) = told(ENGINE.run(request(formats), **more))
    return found


def stopped():
    """The report of a run that is stopped in the middle of an answer."""
    stop = threading.Event()
    for event, found in told(ENGINE.run(request(["int4", "int3"], "What is 5 + 6?"), stop)):
        if isinstance(event, Written) and event.format == "int4":
            stop.set()
    return found


def failing():
    """What comes of an error that nobody has thought of."""
    compare = comparing.compare

    def broken(*args):
        yield next(compare(*args))
        raise LookupError("in /home/me")

    comparing.compare = broken
    try:
        report(["int2"])
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


def main():
    before = threads()
    computing.SMALL, computing._ALL = 0, 4  # as if the model were large, and the cores many
    torch.set_num_threads(4)
    large = torch.ones(1500, 1500)
    assert (large @ large)[0, 0].item() == 1500
    note("before", more=threads() - before)
    watch()
    found = {
        "lent": devices.is_lent(),
        "first": as_json(report(["int8", "bf16", "int8-g80"])),
        "again": as_json(report(["int8", "bf16"])),
        "more": as_json(report(["int4", "bf16"])),
        "stopped": as_json(stopped()),
    }
    found["ended"] = WHAT == "kept" or ended()
    found["failing"] = failing()
    found["after"] = as_json(report(["int2"]))
    found["forks"] = len(spaces_stand_in.FORKS)
    print(json.dumps(found), flush=True)
    for fork in spaces_stand_in.FORKS:
        fork.kill()
    os._exit(0)


main()
