"""The JSON document of a comparison, which `report` writes and everything that is shown reads.

It is plain: numbers, text, lists, and None where there is none. `formats` are those asked for,
fp32 first; `results` has an item for each that ran, `failures` for each that could not, `stopped`
for each that was not through when the comparison was ended, and `kept` names those whose result an
earlier comparison had computed. `read` are the tokens of the input, `kept_wide` the layers that
transformers would keep in fp32 in fp16. Positions count from 1; the keys name the units.
"""

from __future__ import annotations

from typing import Any

SCHEMA = 2
"""Raised whenever a field changes its meaning. Since 2 `first_divergent_token` counts from 1, and
the bytes of what is quantized are called `quantized weights`."""

Document = dict[str, Any]

WHOLE_MODEL = "the whole model"
"""The name under which the pooled error of all parameters stands among those of each."""


def variants(document: Document) -> list[dict[str, Any]]:
    """The results that are compared with fp32's."""
    return list(document["results"][1:])


def parameters(document: Document) -> list[str]:
    """What weight errors are known of: the whole model, then each parameter by name."""
    return list(variants(document)[0]["weights"]) if variants(document) else []


def matrices(document: Document) -> list[str]:
    """The parameters that are matrices, in the model's order."""
    found = variants(document)[0]["weights"] if variants(document) else {}
    return [name for name, error in found.items() if error["shape"] and len(error["shape"]) > 1]
