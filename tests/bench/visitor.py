"""A client that says to the app what a browser and gradio_client say, and costs little: it shares
the app's cores, and what it computes is missing there."""

import json
import re
import secrets
from http.client import HTTPConnection
from urllib.parse import urlsplit

_API = "/gradio_api"
_WAIT_S = 300
_SHORT = 10_000  # bytes; a report is longer, and comes twice
_NEWS, _END = b"process_generating", b"process_completed"
_KIND = re.compile(rb'data: \{"msg":"(\w+)"')
_COME_AGAIN = re.compile(r"try again in about (\d+) s")


class RefusedError(Exception):
    """What the app said; `seconds` after which to come again, None where that is no use."""

    def __init__(self, said):
        super().__init__(said)
        found = _COME_AGAIN.search(said)
        self.seconds = int(found[1]) if found else None


def data_of(asked):
    """The arguments in their order."""
    return [
        asked["model"], asked["formats"], asked.get("prompt", ""), None,
        asked.get("picture_name", ""), asked.get("max_tokens", 64), asked.get("fresh", False),
        asked.get("read_as", "chat"), asked.get("temperature", 0), asked.get("seed", 0),
    ]  # fmt: skip


class Visitor:
    """One session; each comparison is on a connection of its own."""

    def __init__(self, url):
        """Open the page."""
        self._connection = HTTPConnection(urlsplit(url).netloc, timeout=_WAIT_S)
        self._session = secrets.token_hex(8)
        known = json.loads(self._answer("GET", "/config"))["dependencies"]
        self._connection.close()
        self._compare = next(one["id"] for one in known if one["api_name"] == "compare")

    def compare(self, asked):
        """What is told of a comparison; the last is the report.

        Raises:
            RefusedError: the app refused it.
        """
        ended = b""
        for line in self._asked(asked):
            if _kind(line) == _NEWS and len(line) < _SHORT:
                yield _told(line)
            elif _kind(line) == _END:
                ended = line
        yield _last(ended)

    def hang_up(self, asked):
        """Ask, and leave at the first word of an answer: a place in the line, or a refusal."""
        lines = self._asked(asked)
        next(line for line in lines if _kind(line) in (_NEWS, _END))
        lines.close()

    def _asked(self, asked):
        body = {
            "data": data_of(asked), "fn_index": self._compare, "session_hash": self._session,
        }  # fmt: skip
        self._answer("POST", f"{_API}/queue/join", body)
        self._connection.request("GET", f"{_API}/queue/data?session_hash={self._session}")
        try:
            yield from self._connection.getresponse()
        finally:
            self._connection.close()

    def _answer(self, method, path, body=None):
        text = None if body is None else json.dumps(body)
        self._connection.request(method, path, text, {"content-type": "application/json"})
        answer = self._connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise RefusedError(said.decode())
        return said


def _kind(line):
    found = _KIND.match(line)
    return found and found[1]


def _told(line):
    """What is new since it was last told, as gradio says it; at first all."""
    return json.loads(line[5:])["output"]["data"][0]


def _last(line):
    ended = json.loads(line[5:])
    if not ended["success"]:
        raise RefusedError(str(ended["output"]["error"]))
    return ended["output"]["data"][0]
