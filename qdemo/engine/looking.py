"""A model that is in no list is looked up by what a person types: what it is, and what it costs,
before it is downloaded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING

from qdemo.engine.first import libraries
from qdemo.models.availability import (
    MODELS,
    UnavailableError,
    commit_of,
    folder_of,
    get_entry,
    to_install,
    unknown,
)
from qdemo.models.catalogue import Entry
from qdemo.models.memory import free_bytes, needed_bytes
from qdemo.models.typed import LOOKED, parse
from qdemo.settings import SETTINGS
from qdemo.spec.messages import say
from qdemo.spec.variant import Variant

if TYPE_CHECKING:
    from torch import nn

    from qdemo.engine.shelf import Sized

_LOOKING = Lock()


@dataclass(frozen=True)
class Look:
    """What a model is, and will cost; all sizes in bytes.

    `name` is what it goes by from now on, in every request, link and report. `commit` is the Hub's,
    None of a folder. `architecture` is transformers' class; `dtype` and `stored` what its files
    hold of weights, `download` how much of that is not here, and `fp32` what it computes with. Of
    what a comparison takes, `needed`, `free` is there now; None where nobody knows. `licence` is as
    its owner names it; None where that is not known. `int8` is what the format of that name holds,
    and how much it quantizes. `warnings` are sentences, the gravest first.
    """

    name: str
    commit: str | None
    task: str
    architecture: str
    parameters: int
    dtype: str
    stored: int
    download: int
    fp32: int
    needed: int
    free: int | None
    licence: str | None
    int8: Sized
    warnings: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether there is memory for a comparison."""
        return self.free is None or self.needed <= self.free


def find(text: str, listed: Mapping[str, Entry] = MODELS) -> Entry:
    """The model of that name: one that is listed, or was looked up; or, where the host allows any,
    one that is looked up now, on the Hub or in the folder that is typed, and remembered.

    Raises:
        ValueError: it is no name of a model, or of none that is listed, where no others are.
        UnavailableError: it can't be had, or is none that can be compared.
    """
    known = listed.get(text) or LOOKED.get(text)
    if known is None and (told := to_install(text)):
        raise UnavailableError(told)
    if known is None and SETTINGS.hub == "any":
        known = MODELS.get(text)
    if known is not None:
        return known
    if _is_typed(text) and SETTINGS.hub == "any":
        return _looked_up(text)
    told = unknown(text, listed)
    if _is_typed(text):
        told = say("{unknown}. This server takes no others (QDEMO_HUB=any would)", unknown=told)
    raise ValueError(told)


def _is_typed(text: str) -> bool:
    """Whether that may be an id or a path, as no name of a list that is only mistyped."""
    return "/" in text or "\\" in text or text.startswith("~")


def _looked_up(text: str) -> Entry:
    typed = parse(text)
    libraries()
    from qdemo.models.describing import describe, entry_of

    with _LOOKING:
        found = LOOKED.get(text)
        if found is None:
            found = entry_of(describe(typed))
            LOOKED.put(text, found)
    return found


def shapes_of(text: str, tied: bool | None = None) -> nn.Module:
    """A model without its weights: of a list, or typed, of any class that transformers has, whether
    it can be compared or not; `tied` as of `qdemo.models.loading.skeleton`.

    Raises:
        ValueError: as `find`.
        UnavailableError: it can't be had, or built.
    """
    libraries()
    from qdemo.models import describing
    from qdemo.models.loading import skeleton

    is_known = text in MODELS or LOOKED.get(text) is not None
    if is_known or not _is_typed(text) or SETTINGS.hub != "any":
        model: nn.Module = skeleton(find(text), tied)
    else:
        found = describing.describe(parse(text), needs_weights=False)
        model = describing.shapes_of(found, tied)
    return model


def look(text: str, listed: Mapping[str, Entry] = MODELS) -> Look:
    """What a model is and will cost, one that is listed or typed. Nothing of it is downloaded but
    its config.json and the headers of its weights.

    Raises:
        ValueError: as `find`.
        UnavailableError: as `find`.
    """
    entry = find(text.strip(), listed)
    libraries()
    from qdemo.engine.shelf import sized
    from qdemo.models.loading import skeleton

    model = skeleton(entry)
    (int8,) = sized(model, [Variant.parse("int8")])
    parameters = int8.coverage.parameters
    found = Look(
        name=entry.name,
        commit=commit_of(entry),
        task=entry.task,
        architecture=type(model).__name__,
        parameters=parameters,
        dtype=entry.dtype or "fp32",
        stored=entry.stored_bytes,
        download=0 if folder_of(entry) else entry.stored_bytes,
        fp32=4 * parameters,
        needed=needed_bytes(parameters),
        free=free_bytes(),
        licence=entry.licence,
        int8=int8,
        warnings=(),
    )
    return replace(found, warnings=tuple(_warnings(found)))


def _warnings(found: Look) -> Iterator[str]:
    """What speaks against it, the gravest first."""
    if not found.fits:
        yield say(
            "A comparison takes {needed:.2f} GB of memory, and {free:.2f} GB are free here: it "
            "would be refused.",
            needed=found.needed / 1e9,
            free=(found.free or 0) / 1e9,
        )
    from qdemo.models.hub import free_disk

    room = free_disk()
    if found.download > room:
        yield say(
            "The download takes {needed:.2f} GB, and the disk has {free:.2f} GB left.",
            needed=found.download / 1e9,
            free=room / 1e9,
        )
    if found.commit is None and not folder_of(get_entry(found.name)):
        yield say("Its commit is not known yet: that of the first download stays.")
