"""Downcasting beside linear quantization, on the page of the latter."""

import pytest
import torch
from playwright.sync_api import expect

from qdemo import lab
from qdemo.lab import matrices
from tests.browser.lab_steps import lines, open_lab, rows, wait_until_drawn_anew
from tests.browser.steps import choose


def test_another_layer_changes_the_chart_beside(page):
    open_lab(page, "linear")
    name, before = lab.LAYERS[3], lines(page, "beside-chart")
    choose(page, "A weight of t5-tiny", name)
    expect(page.locator("#beside-table caption")).to_have_text(name)
    wait_until_drawn_anew(page, "beside-chart", before)
    w, found = matrices.layer(name), {row[0]: row for row in rows(page, "beside-table")}
    for way, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
        error = w.to(dtype).float() - w
        assert found[way][1] == f"{2 * w.numel():,}"
        assert float(found[way][3]) == pytest.approx(error.square().mean().sqrt().item(), rel=0.01)
        assert float(found[way][4]) == pytest.approx(error.abs().max().item(), rel=0.01)
