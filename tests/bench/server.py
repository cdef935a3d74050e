"""The app in a process of its own, and what it takes: memory, files, words in its log."""

import os
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.bench.memory import memory_of
from tests.browser.conftest import started

DIRECT = {"trust_env": False}  # a proxy of the machine knows nothing of this app


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    pid: int
    folder: Path

    def memory(self, what="VmRSS"):
        """Bytes that the process holds; `VmHWM` is the most it ever held."""
        return memory_of(self.pid, what)

    def settled(self):
        """Bytes held once that no longer changes."""
        last = self.memory()
        for _ in range(20):
            time.sleep(0.5)
            now = self.memory()
            if abs(now - last) < 1_000_000:
                return now
            last = now
        return last

    def files(self):
        """What lies in its folder for temporary files, beside pictures that come with qdemo."""
        return {path for path in (self.folder / "files").rglob("*") if path.is_file()}

    def said(self):
        """Its log."""
        return (self.folder / "log.txt").read_text()


@contextmanager
def serving(**environment):
    """An app as a person starts it, with all threads, on a port of its own."""
    own = {"OMP_NUM_THREADS": str(os.cpu_count())} | environment
    with (
        TemporaryDirectory() as folder,
        (Path(folder) / "log.txt").open("w") as log,
        started("app.py", output=log, GRADIO_TEMP_DIR=f"{folder}/files", **own) as (url, app),
    ):
        yield Server(f"{url}/", app.pid, Path(folder))
