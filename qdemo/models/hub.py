"""What a repository on the Hub holds, and whether it may come here: asked before any download."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from httpx2 import HTTPError, TransportError
from huggingface_hub import HfApi, constants
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    NotASafetensorsRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)
from huggingface_hub.utils import SafetensorsRepoMetadata

from qdemo.models.availability import ALLOWED, INDEX, WEIGHTS, UnavailableError
from qdemo.models.catalogue import EMBEDDED, Entry
from qdemo.models.memory import check_free, check_memory
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say

_SECONDS = 10.0
_PAUSES = (0.5, 2.0)  # s, before a second and a third try
_WORDS = (".json", ".txt", "spiece.model")
_LONGEST_WORDS = 50_000_000  # bytes of one file beside the weights
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class File:
    """A file of a repository; `sha256` where the Hub tells it, as for every large file."""

    name: str
    n_bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Listing:
    """What is to be downloaded of a repository, and the parameters that its weights have."""

    commit: str
    words: tuple[File, ...]
    weights: tuple[File, ...]
    parameters: int

    @property
    def n_bytes(self) -> int:
        """All of it together."""
        return sum(file.n_bytes for file in (*self.words, *self.weights))


def listing(entry: Entry) -> Listing:
    """The files of `entry`: its configuration, its vocabulary, its weights as safetensors.

    Raises:
        UnavailableError: the Hub gives no answer or does not give it, it has no safetensors, or
            they are not whole.
    """
    api = HfApi(endpoint=constants.ENDPOINT)
    info = asked(
        entry,
        lambda: api.model_info(
            entry.name, revision=entry.revision, files_metadata=True, timeout=_SECONDS
        ),
    )
    files = [
        File(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None)
        for one in info.siblings or ()
    ]
    names = {file.name for file in files}
    if not names & {WEIGHTS, INDEX}:
        raise UnavailableError(_no_safetensors(entry, names))
    headers = asked(
        entry,
        lambda: api.get_safetensors_metadata(entry.name, revision=info.sha, timeout=_SECONDS),
    )
    weights = tuple(file for file in files if file.name in headers.files_metadata)
    _check_whole(entry, weights, headers)
    return Listing(
        commit=str(info.sha),
        words=tuple(file for file in files if _is_words(file)),
        weights=weights,
        parameters=sum(headers.parameter_count.values()),
    )


def check_room(entry: Entry, found: Listing) -> None:
    """Whether this machine can take it.

    Raises:
        UnavailableError: it is larger than the host allows, or than memory or disk have room for.
    """
    most = SETTINGS.most_parameters
    if found.parameters > most and entry.name not in ALLOWED:
        raise UnavailableError(
            say(
                "{name} has {parameters:,} parameters; this server takes {most:,} at most",
                name=entry.name,
                parameters=found.parameters,
                most=most,
            )
        )
    check_memory(entry, found.parameters)
    check_free(entry, "disk", found.n_bytes, _free_disk())


def _free_disk() -> int:
    cache = cache_folder().absolute()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def cache_folder() -> Path:
    """The Hub's local cache, which every program that uses the Hub shares."""
    return Path(constants.HF_HUB_CACHE)


def asked(entry: Entry, ask: Callable[[], Answer]) -> Answer:
    """The Hub's answer; what may pass is tried again, and what may not is said in a sentence."""
    for pause in (*_PAUSES, None):
        try:
            return ask()
        except (OSError, HTTPError, NotASafetensorsRepoError, SafetensorsParsingError) as error:
            if pause is None or not _may_pass(error):
                raise UnavailableError(_reason(entry, error)) from error
            time.sleep(pause)
    raise AssertionError


def _may_pass(error: Exception) -> bool:
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code >= 500
    return isinstance(error, TransportError)


def _reason(entry: Entry, error: Exception) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return say(
            "{name} is not on this machine, and the Hub is switched off here", name=entry.name
        )
    if isinstance(error, GatedRepoError):
        return say(
            "{name} is gated: its owner gives it to those who have asked for it only",
            name=entry.name,
        )
    if isinstance(error, RepositoryNotFoundError):
        return say("the Hub has no public model {name}", name=entry.name)
    if isinstance(error, RevisionNotFoundError):
        return say(
            "the Hub has no revision {revision} of {name}", revision=entry.revision, name=entry.name
        )
    if isinstance(error, NotASafetensorsRepoError | SafetensorsParsingError):
        return say("the weights of {name} are no whole safetensors file", name=entry.name)
    if isinstance(error, HfHubHTTPError):
        return say(
            "the Hub answered {status_code} when asked for {name}",
            status_code=error.response.status_code,
            name=entry.name,
        )
    return say(
        "{name} is not on this machine, and the Hub gives no answer. Without a "
        "network, {names}, which come with the page, work",
        name=entry.name,
        names=" and ".join(EMBEDDED),
    )


def _no_safetensors(entry: Entry, names: set[str]) -> str:
    if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names):
        return say(
            "{name} has its weights as pickles only, which can run code: not loaded here",
            name=entry.name,
        )
    return say("{name} has no weights as safetensors", name=entry.name)


def _is_words(file: File) -> bool:
    """Configuration or vocabulary: what stands beside the weights, and is small."""
    is_small = file.n_bytes <= _LONGEST_WORDS
    return "/" not in file.name and file.name.endswith(_WORDS) and is_small


def _check_whole(entry: Entry, weights: tuple[File, ...], headers: SafetensorsRepoMetadata) -> None:
    for file in weights:
        tensors = headers.files_metadata[file.name].tensors.values()
        end = max((tensor.data_offsets[1] for tensor in tensors), default=0)
        if file.n_bytes < 8 + end:
            raise UnavailableError(
                say("{file} of {name} is cut short on the Hub", file=file.name, name=entry.name)
            )
