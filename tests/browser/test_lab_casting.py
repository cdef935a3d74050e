"""Casting: the dummy model and a real one, every number beside torch's and transformers'."""

import pytest
import torch
from playwright.sync_api import expect
from torch import nn
from transformers import AutoModelForImageTextToText, AutoModelForSeq2SeqLM

from qdemo.lab import course
from qdemo.models.availability import get_entry
from tests.browser.conftest import watched
from tests.browser.lab_steps import cells, check_course, computed, lines, open_lab, rows
from tests.browser.steps import choose, problem
from tests.compress.models import Dummy

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
CLASSES = {"t5-tiny": AutoModelForSeq2SeqLM, "blip-tiny": AutoModelForImageTextToText}


@pytest.fixture(scope="module")
def casting(browser, app):
    """One page for the whole file."""
    with watched(browser, app) as page:
        open_lab(page, "casting")
        yield page


def load(name, dtype):
    return CLASSES[name].from_pretrained(get_entry(name).folder, dtype=dtype)


@torch.inference_mode()
def logits(format):
    model = Dummy().to(DTYPES[format])
    return model(torch.tensor([[1, 0], [0, 1]])).reshape(4, 2).double()


def logit_rows(format):
    """The table of logits, cell by cell."""
    wanted, got = logits("fp32"), logits(format)
    both = torch.cat([wanted, got], 1).tolist()
    places = ("1, 1", "1, 2", "2, 1", "2, 2")
    found = [[place, *(f"{z:.7f}" for z in row)] for place, row in zip(places, both, strict=True)]
    away = (wanted - got).abs()
    for what, value in (("mean |Δ|", away.mean()), ("max |Δ|", away.max())):
        found.append([what, f"{value:.10f}"])
    return [text for row in found for text in row]


def test_a_cast_changes_logits_and_dtypes(casting):
    for format in ("fp32", "fp16", "bf16"):
        casting.locator("#cast-to").get_by_label(format).check()
        expect(casting.locator("#cast-logits th").nth(3)).to_have_text(f"{format}, 1st")
        expect(cells(casting, "cast-logits")).to_have_text(logit_rows(format))
        dtype = str(DTYPES[format]).removeprefix("torch.")
        named = [text for name, _ in Dummy().named_parameters() for text in (name, dtype)]
        expect(cells(casting, "cast-dtypes")).to_have_text(named)


def test_the_keyboard_alone_chooses_a_format(casting):
    casting.locator("#cast-to").get_by_label("fp32").focus()
    casting.keyboard.press("Tab")
    casting.keyboard.press("Space")
    expect(cells(casting, "cast-logits")).to_have_text(logit_rows("fp16"))


def test_the_default_dtype_was_tried_out(casting):
    assert [row[1] for row in rows(casting, "default-dtype")] == ["bfloat16", "float32"]


def measure(page, model, format="fp16"):
    choose(page, "Model", model)
    page.locator("#cast-real-to").get_by_label(format).check()
    page.locator("#measure").click()
    expect(page.locator("#cast-kinds caption")).to_contain_text(f"{model} after a cast to {format}")
    expect(page.locator("#cast-peaks tbody tr")).to_have_count(10)


def kinds(model):
    """Parameters and buffers by dtype."""
    tensors = [("parameters", p) for p in model.parameters()]
    tensors += [("buffers", b) for b in model.buffers()]
    found = {}
    for what, tensor in tensors:
        key = what, str(tensor.dtype).removeprefix("torch.")
        count, size = found.get(key, (0, 0))
        found[key] = count + tensor.numel(), size + tensor.nbytes
    return [[*key, f"{count:,}", f"{size:,}"] for key, (count, size) in found.items()]


@pytest.fixture(scope="module", params=["t5-tiny", "blip-tiny"])
def measured(request, browser, app):
    """A page of its own for each model, and what that model is."""
    with watched(browser, app) as page:
        open_lab(page, "casting")
        measure(page, request.param)
        yield page, request.param


def test_a_real_model_is_measured_unasked(browser, app):
    with watched(browser, app) as page:
        open_lab(page, "casting")
        expect(page.locator("#cast-headroom .main-svg").first).to_be_visible()
        expect(page.locator("#cast-headroom")).to_contain_text("layers of t5-tiny")
        bars = dict(lines(page, "cast-headroom"))["largest |activation|"]
        assert len(bars) == len(rows(page, "cast-peaks")) == 10


def test_what_a_cast_changes_in_a_real_model(measured):
    page, model = measured
    wanted = kinds(load(model, torch.float32).half())
    assert rows(page, "cast-kinds") == wanted
    assert any(row[1] == "int64" for row in wanted) == (model == "blip-tiny")


def test_what_from_pretrained_keeps_in_fp32(measured):
    page, model = measured
    loaded = load(model, torch.float16).named_modules()
    linears = [(name, m) for name, m in loaded if isinstance(m, nn.Linear)]
    wide = [[name, "float32"] for name, m in linears if m.weight.dtype == torch.float32]
    assert rows(page, "cast-kept") == (wide or [["none", "–"]])
    assert bool(wide) == (model == "t5-tiny")
    assert all(name.endswith(".wo") for name, _ in wide)


def test_how_near_the_activations_come_to_the_end_of_fp16(measured):
    page, model = measured
    names = {name for name, _ in load(model, torch.float32).named_modules()}
    found = [
        (name, float(largest.replace(",", "")), float(share.rstrip("%")))
        for name, _, largest, share in rows(page, "cast-peaks")
    ]
    assert {name for name, _, _ in found} <= names
    assert [peak for _, peak, _ in found] == sorted((p for _, p, _ in found), reverse=True)
    for _, peak, share in found:
        assert share == pytest.approx(100 * peak / torch.finfo(torch.float16).max, rel=0.02)


def test_a_model_that_is_not_here_is_said_and_the_tables_stay(casting):
    measure(casting, "t5-tiny")
    before = rows(casting, "cast-kinds")
    choose(casting, "Model", "google/flan-t5-small")
    casting.locator("#measure").click()
    expect(problem(casting, "cast-model")).not_to_be_empty()
    assert rows(casting, "cast-kinds") == before
    measure(casting, "t5-tiny", "bf16")
    expect(problem(casting, "cast-model")).to_have_count(0)


def test_the_figures_of_the_course_are_there(casting):
    ours = check_course(casting, "casting", "course-casting", "course-blip")
    assert ours == computed("casting", course.CASTING, course.BLIP)
