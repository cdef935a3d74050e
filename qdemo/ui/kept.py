"""What is kept between comparisons: loaded models, results that may be asked for again, and what
pages show, by numbers that nobody can guess."""

from __future__ import annotations

import json
import pickle
import threading
import zlib
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from qdemo.comparison import REFERENCE
from qdemo.document import Document
from qdemo.lru import ByteLRU
from qdemo.measure.weights import WeightError
from qdemo.spec.variant import Variant
from qdemo.request import Request
from qdemo.results import Outcome
from qdemo.settings import SETTINGS
from qdemo.ui import heap
from qdemo.models.access import load
from qdemo.models.availability import UnavailableError
from qdemo.models.catalogue import Entry
from qdemo.models.checkpoint import parameters_of
from qdemo.models.memory import check_memory

if TYPE_CHECKING:
    from qdemo.models.loading import Loaded


@dataclass(frozen=True)
class Key:
    """What a result depends on beside its variant; of what a person wrote, only the hash."""

    model: str
    revision: str | None
    given: str
    max_tokens: int


_MODELS: ByteLRU[str, Loaded] = ByteLRU(SETTINGS.model_bytes)
_RESULTS: ByteLRU[tuple[Key, Variant] | str, bytes] = ByteLRU(SETTINGS.result_bytes)
_WEIGHTS: ByteLRU[tuple[str, Variant], dict[str, WeightError]] = ByteLRU(SETTINGS.result_bytes)
_LOADING = threading.Lock()


def loaded(entry: Entry) -> Loaded:
    """The model; who asks while it is being loaded waits, and does not load it a second time.

    Raises:
        UnavailableError: it is not on this machine, or there is no room for it.
    """
    with _LOADING:
        found = _MODELS.get(entry.name)
        if found is None:
            parameters = parameters_of(entry)
            _make_room(entry, parameters)
            found = load(entry)
            _MODELS.put(entry.name, found, 4 * parameters)
        return found


def _make_room(entry: Entry, parameters: int) -> None:
    """Let go of other models, the one that was not used longest first, until there is room."""
    while True:
        try:
            return check_memory(entry, parameters)
        except UnavailableError:
            if not _MODELS.forget_oldest():
                raise
            heap.collect()


class Results:
    """The results kept of one model and input, as `qdemo.comparison.run` asks for them."""

    def __init__(self, request: Request, shown: str) -> None:
        """`shown` is the input as `Runner.shown` has it."""
        digest = sha256(shown.encode()).hexdigest()
        entry = request.entry
        self._key = Key(entry.name, entry.revision, digest, request.max_tokens)
        self._fresh = request.fresh

    def get(self, variant: Variant) -> Outcome | None:
        """What was kept of that variant, unless all is to be computed."""
        held = None if self._fresh else _RESULTS.get((self._key, variant))
        if held is None:
            return None
        outcome: Outcome = pickle.loads(held)
        if outcome.logits is not None:  # the reference, which has no errors
            return outcome
        errors = self.get_weights(variant)
        return replace(outcome, result=replace(outcome.result, weights=errors)) if errors else None

    def put(self, variant: Variant, outcome: Outcome) -> None:
        """Keep it, as long as there is room, without the errors of the weights, which are kept
        once for all inputs. As bytes: so their number is known, and they leave no gaps behind."""
        alone = replace(outcome, result=replace(outcome.result, weights=None))
        held = pickle.dumps(alone)
        _RESULTS.put((self._key, variant), held, len(held))

    def get_weights(self, variant: Variant) -> dict[str, WeightError] | None:
        """The errors of that variant's weights, which are the same each time."""
        return _WEIGHTS.get((self._key.model, variant))

    def put_weights(self, variant: Variant, errors: dict[str, WeightError]) -> None:
        """Keep them for every input; two histograms a parameter."""
        _WEIGHTS.put((self._key.model, variant), errors, 6_000 * len(errors))


def are_kept(request: Request) -> bool:
    """Whether all that was asked for can be told without computing, or loading, anything."""
    results = Results(request, str(request.given))
    asked = (REFERENCE, *request.variants)
    return _MODELS.get(request.entry.name) is not None and all(map(results.get, asked))


def keep_document(number: str, document: Document) -> None:
    """Keep what a page shows under that number, as long as there is room."""
    held = zlib.compress(json.dumps(document).encode(), level=1)
    _RESULTS.put(number, held, len(held))


def document(number: str) -> Document | None:
    """What was kept under that number; None where nothing was, or is no longer."""
    held = _RESULTS.get(number)
    if held is None:
        return None
    found: Document = json.loads(zlib.decompress(held))
    return found


def forget() -> None:
    """Let go of everything."""
    for memory in (_MODELS, _RESULTS, _WEIGHTS):
        memory.clear()
