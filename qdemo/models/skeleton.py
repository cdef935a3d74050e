"""Models without storage, on torch's meta device: all shapes, no weights."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from qdemo.models import checkpoint
from qdemo.models.availability import folder_of
from qdemo.models.building import BUILDING
from qdemo.models.catalogue import Entry
from qdemo.models.kinds import KINDS


def skeleton(entry: Entry, tied: bool | None = None) -> PreTrainedModel:
    """The architecture of `entry` without weights.

    `tied` overrides whether the word embedding and the output layer are one matrix: transformers
    5 ties the two when a checkpoint holds equal values for both, earlier versions counted both.

    Raises:
        UnavailableError: it is the host's own and not on this machine yet.
    """
    build = KINDS[entry.task].model
    is_tied = checkpoint.is_tied(entry) if tied is None else tied
    if entry.config:
        config = build.config_class(**entry.config)
    else:
        config = build.config_class.from_pretrained(folder_of(entry))
    with BUILDING, torch.device("meta"):
        model: PreTrainedModel = build(config)
    if not is_tied:
        _untie(model)
    return model


def _untie(model: PreTrainedModel) -> None:
    """Give the output layer its own matrix; T5Config can't be told to, it ties whatever it says."""
    for key in model.all_tied_weights_keys:
        layer = model.get_submodule(key.rpartition(".")[0])
        if isinstance(layer, nn.Linear):  # the encoder's and decoder's embeddings stay one
            layer.weight = nn.Parameter(torch.empty_like(layer.weight))
