"""Every variant that the README names fits every model of the catalogue."""

import pytest
from torch import nn

from qdemo import Variant, footprint
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import skeleton

TEXTS = ["bf16", "int8", "int8-affine", "int8-tensor", "int8-axis1", "int4-g64", "int3", "int2",
         "fp8_e4m3", "int8+emb", "int8@bf16", "int4-g64-affine+emb@bf16"]  # fmt: skip


def with_two_of_each_block(model):
    """The same without those blocks that have the shapes of the second of their kind."""
    for blocks in [m for m in model.modules() if isinstance(m, nn.ModuleList)]:
        shapes = [[(name, x.shape) for name, x in b.named_parameters()] for b in blocks[1:]]
        if all(one == shapes[0] for one in shapes):
            del blocks[2:]
    return model


@pytest.mark.parametrize("name", CATALOGUE)
def test_variants_fit(name):
    model = with_two_of_each_block(skeleton(CATALOGUE[name]))
    full = footprint(model).total
    for text in TEXTS:
        assert footprint(Variant.parse(text).build(model)).total < full, text
