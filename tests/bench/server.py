"""The app in a process of its own, and what it takes: memory, files, words in its log."""

import os
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx2

ROOT = Path(__file__).parents[2]
DIRECT = {"trust_env": False}  # a proxy of the machine knows nothing of this app


@dataclass(frozen=True)
class Server:
    """A running app."""

    url: str
    pid: int
    folder: Path

    def memory(self, what="VmRSS"):
        """Bytes that the process holds; `VmHWM` is the most it ever held."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(1024 * int(line.split()[1]) for line in lines if line.startswith(what))

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
    """An app as a person starts it, on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory() as folder:
        own = {"GRADIO_SERVER_PORT": str(port), "GRADIO_TEMP_DIR": f"{folder}/files"}
        with (Path(folder) / "log.txt").open("w") as log:
            app = subprocess.Popen(
                [sys.executable, "app.py"], cwd=ROOT, stdout=log, stderr=log,
                env=os.environ | {"HF_HUB_OFFLINE": "1"} | own | environment,
            )  # fmt: skip
        try:
            server = Server(f"http://127.0.0.1:{port}/", app.pid, Path(folder))
            _wait(server, app)
            yield server
        finally:
            app.terminate()
            app.wait()


def _wait(server, app):
    while app.poll() is None:
        try:
            return httpx2.get(f"{server.url}config", **DIRECT)
        except httpx2.TransportError:
            time.sleep(0.1)
    raise RuntimeError(f"the app ended: {server.said()}")
