"""A stand-in for the Hub: a local server that talks with huggingface_hub's own client."""

import json
import re
import socket
import struct
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from math import inf
from socketserver import ThreadingTCPServer
from threading import Lock, Thread
from time import sleep  # by name, for without_waiting() to spare it
from urllib.parse import quote, unquote

from huggingface_hub import close_session

from tests.hub_checkpoints import describe

LOG_IN = "You must have access to it and be authenticated to access it. Please log in."


class Hub:
    """Serves each of `folders`, "org/name" to a folder, until the `with` block ends.

    A branch or a ref is at `commit`, and a commit is itself. `gated` and `unknown_revisions` are
    sets to add to; who sends one of `tokens` may have what is gated. `licences` are what the cards
    of models name. Large files come from a second port, as the real ones do from another host.
    A fault is for paths that end in `suffix`, and for so many `times`.
    """

    def __init__(self, folders):
        self.folders, self.commit = dict(folders), "5ca1ab1e" * 5
        self.gated, self.unknown_revisions = set(), set()
        self.tokens, self.licences = set(), {}
        self.requests, self.bytes_sent, self.rate = [], 0, None
        self.lock, self.connections = Lock(), []
        self._faults, self._servers, self._ports = [], [], (0, 0)
        self.up()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.down()
        close_session()  # or its pool leaves sockets open

    def asked(self, suffix, method="GET"):
        """The Range headers, or None, of the requests whose path ends so."""
        return [r for m, path, r in list(self.requests) if m == method and path.endswith(suffix)]

    def fail(self, suffix, status, times=1, method="GET"):
        """Answer with `status`; `method` None means to HEAD too."""
        self._add("fail", suffix, times, method, status)

    def cut(self, suffix, at=0.5, times=1, reset=False):
        """Hang up after that share of a body; with `reset`, without goodbye (RST, not FIN)."""
        self._add("cut", suffix, times, "GET", (at, reset))

    def corrupt(self, suffix, times=inf):
        """Flip the byte in the middle of the file."""
        self._add("corrupt", suffix, times, "GET", True)

    def shorten(self, suffix, times=inf):
        """Announce the true size, and send the first half as if it were all."""
        self._add("shorten", suffix, times, "GET", True)

    def slow(self, bytes_per_second):
        """Send each body no faster from now on; None lifts it."""
        self.rate = bytes_per_second

    def clear(self):
        """No more faults."""
        self._faults = []

    def down(self):
        """Refuse connections, and hang up on those that are open."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers = []
        for connection in self.connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def up(self):
        """Serve, where it did before."""
        self._servers = [_Server(port, self) for port in self._ports]
        self._ports = [server.server_address[1] for server in self._servers]
        self.endpoint, self.cdn = (f"http://127.0.0.1:{port}" for port in self._ports)

    def take(self, kind, method, path):
        """The value of the first such fault that is left, or None."""
        with self.lock:
            for fault in self._faults:
                this, suffix, times, of, value = fault
                if this == kind and path.endswith(suffix) and of in (method, None) and times > 0:
                    fault[2] -= 1
                    return value
        return None

    def _add(self, *fault):
        with self.lock:
            self._faults.append(list(fault))


class _Server(ThreadingTCPServer):
    allow_reuse_address, daemon_threads, request_queue_size = True, True, 64

    def __init__(self, port, hub):
        self.hub = hub
        super().__init__(("127.0.0.1", port), _Handler)
        Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def get_request(self):
        self.hub.connections.append((pair := super().get_request())[0])
        return pair

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):  # a client may leave when it likes
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

    def do_GET(self):
        self.hub = self.server.hub
        path, _, self.query = self.path.partition("?")
        self.shown = unquote(path)
        self.hub.requests.append((self.command, self.shown, self.headers.get("Range")))
        if status := self._fault("fail"):
            return self._refuse(status, None, "made to fail")
        for pattern, answer in _ROUTES.items():
            if found := re.fullmatch(pattern, path):
                return answer(self, *(unquote(part or "") for part in found.groups()))
        return self._refuse(404, None, "Not Found")

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass

    def _fault(self, kind):
        return self.hub.take(kind, self.command, self.shown)

    def _info(self, repo, revision):
        if self._may(repo, revision):
            files = describe(self.hub.folders[repo]).values()
            full = [file.listed("rfilename", "blobId", "sha256") for file in files]
            siblings = full if "blobs" in self.query else [{"rfilename": f.name} for f in files]
            sha = self._commit(revision)
            card = {"license": self.hub.licences[repo]} if repo in self.hub.licences else {}
            told = {"id": repo, "sha": sha, "gated": False, "siblings": siblings}
            self._json(told | {"cardData": card})

    def _tree(self, repo, revision, folder):
        if self._may(repo, revision):
            files = describe(self.hub.folders[repo]).values()
            inside = [f.listed("path", "oid", "oid") for f in files if f.name.startswith(folder)]
            if inside:
                self._json([{"type": "file"} | file for file in inside])
            else:
                self._refuse(404, "EntryNotFound", f"{folder} does not exist on {revision!r}")

    def _resolve(self, repo, revision, name):
        if self._may(repo, revision):
            file = describe(self.hub.folders[repo]).get(name)
            commit = {"X-Repo-Commit": self._commit(revision)}
            if file is None:
                self._refuse(404, "EntryNotFound", "Entry not found", commit)
            elif file.lfs:
                there = {"Location": f"{self.hub.cdn}/cdn/{repo}/{quote(name)}"}
                linked = {"X-Linked-Size": file.size, "X-Linked-Etag": f'"{file.lfs}"'}
                self._start(302, commit | linked | there, 0)
            else:
                self._send(file, commit)

    def _large(self, repo, name):
        self._send(describe(self.hub.folders[repo])[name], {})

    def _commit(self, revision):
        return revision if re.fullmatch("[0-9a-f]{40}", revision) else self.hub.commit

    def _may(self, repo, revision):
        """Whether a client may see that; if not, it is told why."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if repo in self.hub.gated and token not in self.hub.tokens:
            return self._refuse(401, "GatedRepo", f"Access to model {repo} is restricted. {LOG_IN}")
        if repo not in self.hub.folders:  # the real one needs no code: the client knows by https
            return self._refuse(401, "RepoNotFound", "Invalid username or password.")
        if revision in self.hub.unknown_revisions:
            return self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return True

    def _send(self, file, headers):
        size = file.size // 2 if self._fault("shorten") else file.size
        asked = self.headers.get("Range")
        start, stop = _range(asked, size)
        headers = headers | {"ETag": f'"{file.lfs or file.blob}"', "Accept-Ranges": "bytes"}
        if asked and start >= stop:
            return self._start(416, headers | {"Content-Range": f"bytes */{size}"}, 0)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        self._start(206 if asked else 200, headers, stop - start)
        return self._body(file, start, stop) if self.command == "GET" else None

    def _body(self, file, start, stop):
        share, reset = self._fault("cut") or (None, False)
        end = stop if share is None else start + int(share * (stop - start))
        flipped = file.size // 2 if self._fault("corrupt") else -1
        with file.path.open("rb") as source:
            source.seek(start)
            while start < end:
                rate = self.hub.rate
                most = int(rate / 20) + 1 if rate else 1 << 20  # a slow one can be stopped anywhere
                piece = bytearray(source.read(min(end - start, most)))
                if 0 <= flipped - start < len(piece):
                    piece[flipped - start] ^= 255
                start += self._piece(piece, rate)
        if share is not None:
            self._hang_up(reset)

    def _piece(self, piece, rate):
        self.wfile.write(piece)
        with self.hub.lock:
            self.hub.bytes_sent += len(piece)
        sleep(len(piece) / rate if rate else 0)
        return len(piece)

    def _hang_up(self, reset):
        self.close_connection = True
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.rfile.close()
            self.connection.close()

    def _refuse(self, status, code, message, headers=None):
        told = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self._json({"error": message}, status, told | (headers or {}))

    def _json(self, content, status=200, headers=None):
        body = json.dumps(content).encode()
        self._start(status, {"Content-Type": "application/json"} | (headers or {}), len(body))
        if self.command == "GET":
            self.wfile.write(body)

    def _start(self, status, headers, length):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": length}).items():
            self.send_header(name, str(value))
        self.end_headers()


def _range(asked, size):
    """The first byte and the one after the last that "bytes=first-last" asks for."""
    first, last = asked.removeprefix("bytes=").split("-") if asked else ("", "")
    if asked and not first:
        return max(0, size - int(last)), size
    return int(first or 0), min(int(last or size) + 1, size)


_ROUTES = {
    r"/api/models/([^/]+/[^/]+)(?:/revision/([^/]+))?": _Handler._info,
    r"/api/models/([^/]+/[^/]+)/tree/([^/]+)(?:/(.+))?": _Handler._tree,
    r"/cdn/([^/]+/[^/]+)/(.+)": _Handler._large,
    r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)": _Handler._resolve,
}
