"""What a repository on the Hub holds, and whether it may come here: asked before any download."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from httpx2 import HTTPError, TransportError
from huggingface_hub import HfApi, constants, hf_hub_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    NotASafetensorsRepoError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
    SafetensorsParsingError,
)
from huggingface_hub.hf_api import ModelInfo
from huggingface_hub.utils import SafetensorsRepoMetadata, disable_progress_bars

from qdemo.models.availability import (
    ALLOWED,
    INDEX,
    TOKENIZER,
    WEIGHTS,
    UnavailableError,
    cache_folder,
    kept,
)
from qdemo.models.catalogue import EMBEDDED, Entry
from qdemo.models.checkpoint import Stored, Tensor, no_safetensors, not_whole
from qdemo.models.memory import check_free, check_memory
from qdemo.models.typed import Typed
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say

_SECONDS = 10.0
_PAUSES = (0.5, 2.0)  # s, before a second and a third try
_WORDS = (".json", ".txt", ".jinja", "spiece.model", "tokenizer.model", ".spm")
_LONGEST_WORDS = 50_000_000  # bytes of one file beside the weights
_LONGEST_CONFIG = 1_000_000
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class File:
    """A file of a repository; `sha256` where the Hub tells it, as for every large file."""

    name: str
    n_bytes: int
    sha256: str | None


Source = Entry | Typed
"""What the Hub is asked for: a model that is known, or one that somebody typed."""


@dataclass(frozen=True)
class Listing:
    """What is to be downloaded of a repository, and what its weights hold. `licence` is as the Hub
    names it; None where it does not."""

    commit: str
    words: tuple[File, ...]
    weights: tuple[File, ...]
    stored: Stored
    licence: str | None = None

    @property
    def parameters(self) -> int:
        """How many numbers the weights have: a tied matrix that is stored twice counts twice."""
        return sum(math.prod(tensor.shape) for tensor in self.stored.tensors.values())

    @property
    def n_bytes(self) -> int:
        """All of it together."""
        return sum(file.n_bytes for file in (*self.words, *self.weights))


def listing(entry: Source) -> Listing:
    """The files of `entry`: its configuration, its vocabulary, its weights as safetensors. Where
    nobody has named a revision it is the one that was kept, or what the Hub has now.

    Raises:
        UnavailableError: the Hub gives no answer or does not give it, it has no safetensors, or
            they are not whole.
    """
    api = HfApi(endpoint=constants.ENDPOINT)
    info = asked(
        entry,
        lambda: api.model_info(
            entry.repo,
            revision=entry.revision or kept(entry.repo),
            files_metadata=True,
            timeout=_SECONDS,
        ),
    )
    files = [
        File(one.rfilename, one.size or 0, one.lfs.sha256 if one.lfs else None)
        for one in info.siblings or ()
    ]
    names = {file.name for file in files}
    if not names & {WEIGHTS, INDEX}:
        raise UnavailableError(no_safetensors(entry.name, names))
    headers = asked(
        entry,
        lambda: api.get_safetensors_metadata(entry.repo, revision=info.sha, timeout=_SECONDS),
    )
    weights = tuple(file for file in files if file.name in headers.files_metadata)
    _check_whole(entry, weights, headers)
    return Listing(
        commit=str(info.sha),
        words=tuple(file for file in files if _is_words(file)),
        weights=weights,
        stored=_stored(headers),
        licence=_licence(info),
    )


def _stored(headers: SafetensorsRepoMetadata) -> Stored:
    return Stored(
        {
            name: Tensor(told.dtype, tuple(told.shape), told.data_offsets[1] - told.data_offsets[0])
            for file in headers.files_metadata.values()
            for name, told in file.tensors.items()
        }
    )


def _licence(info: ModelInfo) -> str | None:
    """As the model's card names it, which its owner wrote."""
    found = getattr(info.card_data, "license", None)
    return found[:60] if isinstance(found, str) and found.isprintable() else None


def config_of(entry: Source, found: Listing) -> bytes:
    """The config.json of what was listed, which is brought into the cache.

    Raises:
        UnavailableError: the Hub does not give it, it has none, or one that is none.
    """
    file = next((file for file in found.words if file.name == "config.json"), None)
    if file is None or file.n_bytes > _LONGEST_CONFIG:
        raise UnavailableError(say("{name} has no config.json of a model", name=entry.name))
    return bring(entry, file, found.commit).read_bytes()


def bring(entry: Source, file: File, revision: str) -> Path:
    """A file, downloaded into the cache by huggingface_hub, or found there.

    Raises:
        UnavailableError: the Hub does not give it.
    """
    get = partial(hf_hub_download, revision=revision, endpoint=constants.ENDPOINT)
    return Path(asked(entry, lambda: get(entry.repo, file.name)))


def check_room(entry: Entry, found: Listing) -> None:
    """Whether this machine can take it, and do anything with it.

    Raises:
        UnavailableError: it is larger than the host allows, or than memory or disk have room for,
            or it has no tokenizer.
    """
    most = SETTINGS.most_parameters
    parameters = entry.parameters or found.parameters
    if parameters > most and not _is_named(entry):
        raise UnavailableError(
            say(
                "{name} has {parameters:,} parameters; this server takes {most:,} at most",
                name=entry.name,
                parameters=parameters,
                most=most,
            )
        )
    if TOKENIZER not in {file.name for file in found.words}:
        raise UnavailableError(no_words(entry.name))
    check_memory(entry, parameters)
    check_free(entry, "disk", found.n_bytes, free_disk())


def _is_named(entry: Entry) -> bool:
    """Whether the host has: in a variable, or as who asks on a machine of one's own."""
    return entry.name in ALLOWED or SETTINGS.hub == "any"


def no_words(name: str) -> str:
    """Why a model is refused that has no tokenizer: it could never be read, or written."""
    return say(
        "{name} has no tokenizer ({file}), so it can't be run here", name=name, file=TOKENIZER
    )


def free_disk() -> int:
    """The bytes that the disk has left where the Hub's cache is."""
    cache = cache_folder().absolute()
    existing = next(folder for folder in (cache, *cache.parents) if folder.exists())
    return shutil.disk_usage(existing).free


def asked(entry: Source, ask: Callable[[], Answer]) -> Answer:
    """The Hub's answer; what may pass is tried again, and what may not is said in a sentence."""
    for pause in (*_PAUSES, None):
        try:
            with disable_progress_bars():  # what comes is told by us
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


def _reason(entry: Source, error: Exception) -> str:
    if isinstance(error, OfflineModeIsEnabled):
        return say(
            "{name} is not on this machine, and the Hub is switched off here", name=entry.name
        )
    if isinstance(error, GatedRepoError):
        return say(
            "{name} is gated: its owner gives it to those who have asked for it only. Who has sets "
            "HF_TOKEN, for the server that runs this, to a token of their own",
            name=entry.name,
        )
    if isinstance(error, RepositoryNotFoundError):
        return say("the Hub has no public model {name}", name=entry.name)
    if isinstance(error, RevisionNotFoundError):
        return say(
            "the Hub has no revision {revision} of {name}", revision=entry.revision, name=entry.name
        )
    if isinstance(error, NotASafetensorsRepoError | SafetensorsParsingError):
        return not_whole(entry.name)
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


def _is_words(file: File) -> bool:
    """Configuration or vocabulary: what stands beside the weights, and is small."""
    is_small = file.n_bytes <= _LONGEST_WORDS
    return "/" not in file.name and file.name.endswith(_WORDS) and is_small


def _check_whole(
    entry: Source, weights: tuple[File, ...], headers: SafetensorsRepoMetadata
) -> None:
    for file in weights:
        tensors = headers.files_metadata[file.name].tensors.values()
        end = max((tensor.data_offsets[1] for tensor in tensors), default=0)
        if file.n_bytes < 8 + end:
            raise UnavailableError(
                say("{file} of {name} is cut short on the Hub", file=file.name, name=entry.name)
            )
