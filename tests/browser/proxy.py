"""A proxy as people put before an app: with TLS, or a prefix that it keeps or strips; with a log of
what was asked for; and it can die for a while."""

import asyncio
import threading
from contextlib import contextmanager
from urllib.parse import urlsplit

PREFIX = "/qdemo"


class Proxy:
    """Passes what it is asked for under `prefix` on to `target`."""

    def __init__(self, target, prefix="", strips=False, tls=None):
        self._target = urlsplit(target)
        self._prefix, self._strips, self._tls, self._port = prefix, strips, tls, 0
        self._loop = asyncio.new_event_loop()
        self._connections = set()
        self.log = []
        self.answered = 0  # bytes, with the heads of answers

    @property
    def port(self):
        return self._port

    @property
    def url(self):
        return f"http://127.0.0.1:{self._port}{self._prefix}"

    def point_to(self, target):
        """The app has another address by now, as after a restart."""
        self._target = urlsplit(target)

    def die(self):
        """Break every connection off, and take no new one."""
        self._call(self._stop())

    def live(self):
        self._call(self._listen())

    @contextmanager
    def running(self):
        thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        thread.start()
        self.live()
        try:
            yield self
        finally:
            self.die()
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join()
            self._loop.close()

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    async def _listen(self):
        self._server = await asyncio.start_server(
            self._serve, "127.0.0.1", self._port, reuse_address=True, ssl=self._tls
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self):
        self._server.close()
        for writer in list(self._connections):
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            request, *headers = head.decode("latin-1").split("\r\n")[:-2]
            self.log += [request, *(h for h in headers if h.lower().startswith("referer"))]
            method, path, version = request.split(" ")
            if not path.startswith(f"{self._prefix}/"):
                writer.write(
                    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            path = path.removeprefix(self._prefix) if self._strips else path
            kept = [h for h in headers if not h.lower().startswith(("connection:", "keep-alive:"))]
            if self._tls:
                kept.append("X-Forwarded-Proto: https")
            sent = "\r\n".join([f"{method} {path} {version}", *kept, "Connection: close", "", ""])
            await self._pass_on(sent.encode("latin-1"), reader, writer)
        except (OSError, asyncio.IncompleteReadError, ValueError):
            pass  # the browser has left, or the app is gone
        finally:
            writer.close()

    async def _pass_on(self, sent, reader, writer):
        theirs, ours = await asyncio.open_connection(self._target.hostname, self._target.port)
        self._connections |= {writer, ours}
        try:
            ours.write(sent)
            asked = asyncio.ensure_future(_copy(reader, ours))
            await _copy(theirs, writer, self._count)
            asked.cancel()
        finally:
            self._connections -= {writer, ours}
            ours.close()

    def _count(self, data):
        self.answered += len(data)


async def _copy(reader, writer, told=lambda data: None):
    while data := await reader.read(65536):
        told(data)
        writer.write(data)
        await writer.drain()


@contextmanager
def proxied(target, **how):
    """A proxy before the app at `target`."""
    with Proxy(target, **how).running() as proxy:
        yield proxy
