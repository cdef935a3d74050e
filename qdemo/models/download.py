"""Bring a model from the Hub into its local cache, a piece at a time.

Large files are written beside the cache's own under the name of their hash, so that a download
that was stopped, or broke off, goes on where it ended; once whole and checked, one becomes the
cache's file. (huggingface_hub itself throws away what it has not finished.)
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from filelock import FileLock, Timeout
from httpx2 import TransportError
from huggingface_hub import constants, hf_hub_url
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status

from qdemo.models.availability import (
    UnavailableError,
    cache_folder,
    folder_of,
    keep,
    repo_folder,
    to_install,
)
from qdemo.models.catalogue import Entry
from qdemo.models.hub import File, Listing, bring, check_room, listing
from qdemo.spec.messages import say

SECONDS_APART = 0.2
_SECONDS = 10.0
_TRIES = 5  # without a byte between them
_PAUSE = 1.0


@dataclass(frozen=True)
class Downloading:
    """How far a download is: bytes that are here, of all; those of this attempt, and its time."""

    done: int
    total: int
    fresh: int
    seconds: float

    @property
    def bytes_per_second(self) -> float | None:
        """Since this attempt began; None before that can be said."""
        return self.fresh / self.seconds if self.fresh and self.seconds > 0 else None

    @property
    def seconds_left(self) -> float | None:
        """At that speed."""
        speed = self.bytes_per_second
        return (self.total - self.done) / speed if speed else None


def download(entry: Entry) -> Generator[Downloading]:
    """Bring `entry` here, telling now and then how far it is; closing the generator stops it.

    What came stays, and the next download goes on from it. Nothing is told where the model is here.

    Raises:
        UnavailableError: it can't be had, or there is no room for it; says why.
    """
    if folder_of(entry):
        return
    if told := to_install(entry.name):
        raise UnavailableError(told)
    found = listing(entry)
    check_room(entry, found)
    keep(entry, found.commit)
    _blobs(entry).mkdir(parents=True, exist_ok=True)
    try:
        with _only_one(entry):
            yield from _told(entry, found)
    except Timeout:
        raise UnavailableError(
            say("another program is downloading {name}; try again later", name=entry.name)
        ) from None


def _only_one(entry: Entry) -> FileLock:
    """Held by one download of a model; a generator may go on in another thread than it began in."""
    locks = cache_folder() / ".locks" / repo_folder(entry.repo).name
    locks.mkdir(parents=True, exist_ok=True)
    return FileLock(locks / "qdemo.lock", timeout=0, thread_local=False)


def _told(entry: Entry, found: Listing) -> Iterator[Downloading]:
    """The files one after the other, with the time."""
    start = told_at = time.monotonic()
    known = Downloading(0, found.n_bytes, 0, 0.0)
    for here, fresh in _all(entry, found):
        now = time.monotonic()
        known = replace(known, done=known.done + here, fresh=known.fresh + fresh)
        if now - told_at > SECONDS_APART:
            told_at = now
            yield replace(known, seconds=now - start)
    yield replace(known, seconds=time.monotonic() - start)


def _all(entry: Entry, found: Listing) -> Iterator[tuple[int, int]]:
    """Bytes that are here now, and how many of them have just come, file by file."""
    revision = entry.revision or found.commit
    for file in found.words:
        bring(entry, file, revision)
        yield file.n_bytes, file.n_bytes
    for file in found.weights:
        if file.sha256:
            yield from _large(entry, found.commit, file, _blobs(entry) / file.sha256)
        bring(entry, file, revision)  # which finds a large one's bytes in their place


def _blobs(entry: Entry) -> Path:
    """Where the Hub's cache keeps the files of a model, each under the name of its hash."""
    return repo_folder(entry.repo) / "blobs"


def _large(entry: Entry, commit: str, file: File, blob: Path) -> Iterator[tuple[int, int]]:
    if blob.exists():
        yield file.n_bytes, 0
        return
    part = blob.with_suffix(".part")
    yield (part.stat().st_size if part.exists() else 0), 0
    url = hf_hub_url(entry.repo, file.name, revision=commit, endpoint=constants.ENDPOINT)
    for n_bytes in _patiently(entry, url, file, part):
        yield n_bytes, n_bytes
    if _sha256(part) != file.sha256:
        part.unlink()
        raise UnavailableError(
            say("what came of {name} is not what the Hub names; please try again", name=entry.name)
        )
    part.replace(blob)


def _patiently(entry: Entry, url: str, file: File, part: Path) -> Iterator[int]:
    """The rest of a file; where the connection breaks, on from where it broke."""
    tries = 0
    while not part.exists() or part.stat().st_size < file.n_bytes:
        try:
            for n_bytes in _rest(url, part):
                tries = 0
                yield n_bytes
        except (TransportError, HfHubHTTPError) as error:
            tries += 1
            if tries >= _TRIES or _is_final(error):
                raise UnavailableError(_broke_off(entry)) from error
            time.sleep(_PAUSE)


def _rest(url: str, part: Path) -> Iterator[int]:
    """Write what is missing at the end of `part`, telling the bytes of each piece."""
    have = part.stat().st_size if part.exists() else 0
    headers = build_hf_headers() | {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
    request = get_session().stream(
        "GET", url, headers=headers, timeout=_SECONDS, follow_redirects=True
    )
    with request as answer, part.open("ab") as file:
        hf_raise_for_status(answer)
        if answer.status_code != 206:  # a server that knows no ranges begins anew
            file.truncate(0)
            yield -have
        for piece in answer.iter_raw():
            file.write(piece)
            yield len(piece)


def _is_final(error: Exception) -> bool:
    return isinstance(error, HfHubHTTPError) and error.response.status_code < 500


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _broke_off(entry: Entry) -> str:
    return say(
        "the download of {name} broke off; what came is kept, and the next one goes on from there",
        name=entry.name,
    )
