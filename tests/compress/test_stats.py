"""What is added up of layers' inputs is what all of their rows say."""

import pytest
import torch
from torch import nn

from qdemo import collect_stats
from qdemo.compress.stats import Collecting, n_bytes
from tests.strategies import values


class Attention(nn.Module):
    """Queries, keys and values of one input; a layer that is never called."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.q, self.k, self.v, self.o, self.unused = (nn.Linear(8, 8) for _ in range(5))
        self.heard = []

    def forward(self, x, attention_mask=None, decoder_attention_mask=None):
        self.heard.append(x)
        q, k, v = self.q(x), self.k(x), self.v(x)
        x = torch.softmax(q @ k.transpose(-1, -2), -1) @ v
        return self.o(x)


def test_sums_over_batches_are_those_of_all_rows():
    model = Attention()
    batches = [{"x": values("normal", (n, 5, 8), n)} for n in (3, 1, 4)]
    stats = collect_stats(model, batches)
    rows = torch.cat([x.flatten(0, 1) for x in model.heard])
    found = stats["k"]
    assert found.count == len(rows) == 40
    assert torch.equal(found.absmax, rows.abs().amax(0))
    assert torch.allclose(found.mean_abs, rows.abs().mean(0), rtol=1e-5)
    assert torch.allclose(found.hessian, 2 * rows.t() @ rows / 40, rtol=1e-4, atol=1e-5)


def test_layers_with_one_input_hold_one_and_the_same():
    stats = collect_stats(Attention(), [{"x": values("normal", (2, 5, 8), 1)}])
    assert stats["q"] is stats["k"] is stats["v"]
    assert stats["o"] is not stats["q"]
    assert n_bytes(stats) == 3 * 4 * (8 * 8 + 8 + 8)


def test_an_input_that_changes_in_place_is_another():
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            x += self.a(x)
            return self.b(x)

    model, x = Residual(), values("normal", (6, 4), 2)
    wanted = (x + model.a(x)).detach()
    stats = collect_stats(model, [{"x": x.clone()}])
    assert torch.allclose(stats["b"].absmax, wanted.abs().amax(0))
    assert not torch.allclose(stats["a"].absmax, wanted.abs().amax(0))


def test_a_layer_that_is_given_nothing_has_zeros():
    found = collect_stats(Attention(), [{"x": torch.ones(1, 2, 8)}])["unused"]
    assert found.count == 0
    assert not any(x.any() for x in (found.absmax, found.mean_abs, found.hessian))


def test_padding_is_left_out_as_masks_say():
    x = values("normal", (2, 5, 8), 3)
    mask = torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    stats = collect_stats(Attention(), [{"x": x, "attention_mask": mask}])
    assert stats["q"].count == 8
    assert torch.equal(stats["q"].absmax, x[mask.bool()].abs().amax(0))
    other = {"attention_mask": mask, "decoder_attention_mask": 1 - mask}
    with pytest.raises(ValueError, match=r"both masks have the shape \(2, 5\)"):
        collect_stats(Attention(), [{"x": x, **other}])


def test_without_hessians_and_without_gradients():
    model = Attention()
    stats = collect_stats(model, [{"x": torch.ones(1, 2, 8)}], hessian=False)
    assert all(one.hessian is None for one in stats.values())
    assert not any(one.absmax.requires_grad for one in stats.values())
    with torch.inference_mode():
        found = collect_stats(model, [{"x": torch.ones(1, 2, 8)}])
    assert found["q"].count == 2


def test_what_is_not_finite_is_told_by_the_layer_s_name():
    with pytest.raises(ValueError, match="q is given numbers that are infinite or NaN"):
        collect_stats(Attention(), [{"x": torch.full((1, 2, 8), torch.inf)}])


def test_nothing_listens_afterwards():
    model = Attention()
    collecting = Collecting(model)
    with pytest.raises(RuntimeError), collecting.listening(lambda x: x.flatten(0, -2)):
        model(torch.ones(1, 2, 7))
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_one_row_alone_and_one_that_is_given_by_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, x):
            return self.layer(input=x) + self.layer(x)

    found = collect_stats(Named(), [{"x": torch.tensor([1.0, 2.0])}])["layer"]
    assert found.count == 2
    assert found.mean_abs.tolist() == [1, 2]
