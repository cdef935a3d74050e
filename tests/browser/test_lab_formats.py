"""Number formats: every number on the page is the one that torch has."""

import re
import struct

import pytest
import torch
from playwright.sync_api import expect

from qdemo.lab import bitstrip, course
from tests.browser.conftest import watched
from tests.browser.lab_steps import (
    cells,
    check_course,
    computed,
    lines,
    open_again,
    open_lab,
    slide,
    tab_to,
    wait_for_lab,
    wait_until_drawn_anew,
)
from tests.browser.steps import leave_for, problem

DTYPES = {
    "fp64": torch.float64,
    "fp32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
    "fp8_e4m3": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}
THIRD = 1 / 3


@pytest.fixture(scope="module")
def opened(browser, app):
    """One page for the whole file."""
    with watched(browser, app) as page:
        open_lab(page, "formats")
        yield page


@pytest.fixture
def formats(opened):
    """Each test begins with what the page begins with."""
    scale(opened).fill("")
    box(opened).fill("1/3")
    expect_stored(opened, THIRD)
    expect(problem(opened, "value")).to_have_count(0)
    expect(shown(opened, "int8")).to_have_count(0)
    return opened


def shown(page, name, what="stored"):
    return page.locator(f'[data-row="{name}"] [data-what="{what}"]')


def words(page, name):
    return page.locator(f'[data-row="{name}"] .words')


def bit(page, name, number):
    return page.locator(f'[data-format="{name}"][data-bit="{number}"]')


def box(page):
    return page.locator("#value").get_by_role("textbox")


def scale(page):
    return page.locator("#scale").get_by_role("textbox")


def cast(value, dtype):
    """What torch stores, as the page writes it."""
    number = float(torch.tensor(value, dtype=torch.float64).to(dtype))
    return repr(number).replace("inf", "infinity").replace("nan", "NaN")


def expect_stored(page, value, names=tuple(DTYPES)):
    for name in names:
        expect(shown(page, name)).to_have_text(cast(value, DTYPES[name]))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1/3", THIRD), ("pi", torch.pi), ("0x3C00", 1.0), ("1e-7", 1e-7), ("NaN", torch.nan)],
)
def test_what_is_stored_is_what_torch_stores(formats, text, value):
    box(formats).fill("2")
    expect_stored(formats, 2.0)
    box(formats).fill(text)
    expect_stored(formats, value)


def test_too_large_is_said_in_words(formats):
    box(formats).fill("70000")
    expect_stored(formats, 70000.0, ("fp64", "fp32", "fp16", "bf16", "fp8_e5m2"))
    for name in ("fp16", "fp8_e5m2"):
        expect(words(formats, name)).to_contain_text("overflows to infinity")
    expect(shown(formats, "fp8_e4m3")).to_have_text("448.0")  # a format without an infinity
    expect(words(formats, "fp8_e4m3")).to_contain_text("stays at 448")


def test_too_small_is_said_in_words(formats):
    box(formats).fill("1e-8")
    expect_stored(formats, 1e-8)
    expect(words(formats, "fp16")).to_contain_text("underflows to zero")


def test_the_first_screen_has_floats_of_32_to_4_bits(page):
    for size in ({"width": 1366, "height": 768}, {"width": 1920, "height": 1080}):
        page.set_viewport_size(size)
        open_lab(page, "formats")
        for name in bitstrip.FIRST:
            box = page.locator(f'[data-row="{name}"]').bounding_box()
            assert box["y"] + box["height"] <= size["height"]
    expect(words(page, "fp16")).to_have_css("font-weight", "700")  # it overflows
    expect(page.locator('[data-row="fp64"]')).to_be_hidden()
    page.locator(".later summary").first.click()
    expect(page.locator('[data-row="fp64"]')).to_be_visible()


def test_more_formats_stay_open_while_one_types(formats):
    later = formats.locator(".later")
    later.locator("summary").first.click()
    box(formats).fill("2")
    expect_stored(formats, 2.0)
    expect(later).to_have_attribute("open", "")
    later.locator("summary").first.click()


def test_60_digits_on_demand(formats):
    digits = formats.locator('[data-row="fp32"] .digits')
    expect(digits).to_be_hidden()
    formats.locator('[data-row="fp32"] summary').click()
    expect(digits).to_be_visible()
    expect(digits).to_have_text(f"{float(torch.tensor(THIRD)):.60f}")


def test_a_click_flips_a_bit(formats):
    bit(formats, "fp16", 15).click()
    expect(box(formats)).to_have_value("fp16:0xb555")
    expect(shown(formats, "fp16")).to_have_text("-0.333251953125")
    bit(formats, "bf16", 15).click()
    expect(shown(formats, "bf16")).to_have_text("0.333984375")


def test_the_keyboard_alone_flips_bits(formats):
    box(formats).focus()
    tab_to(formats, '[data-format="fp32"]')
    for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "Enter"):
        formats.keyboard.press(key)
    pattern = struct.unpack(">I", struct.pack(">f", THIRD))[0] ^ 1 << 30
    expect(box(formats)).to_have_value(f"fp32:{pattern:#010x}")
    flipped = struct.unpack(">f", struct.pack(">I", pattern))[0]
    expect_stored(formats, flipped, ("fp64", "fp32", "fp16", "bf16"))


def test_the_keyboard_stays_on_the_bit_that_it_flipped(formats):
    box(formats).focus()
    tab_to(formats, '[data-format="fp16"]')
    formats.keyboard.press("ArrowRight")
    formats.keyboard.press("Enter")
    expect(box(formats)).to_have_value("fp16:0x7555")
    expect(bit(formats, "fp16", 14)).to_have_text("1")
    expect(bit(formats, "fp16", 14)).to_be_focused()


@pytest.mark.parametrize("value", [0.625, 0.875, -0.625, 200.0])
def test_a_scale_adds_int8_rounded_half_to_even(formats, value):
    scale(formats).fill("0.25")
    box(formats).fill(str(value))
    q = int(torch.tensor(value / 0.25).round().clamp(-127, 127))
    expect(words(formats, "int8")).to_contain_text(f"q = {q};")
    expect(shown(formats, "int8")).to_have_text(str(q * 0.25))


def test_an_int8_bit_flips(formats):
    scale(formats).fill("0.25")
    box(formats).fill("0.5")
    expect(words(formats, "int8")).to_contain_text("q = 2;")
    bit(formats, "int8", 7).click()
    expect(words(formats, "int8")).to_contain_text("q = -126;")
    expect(box(formats)).to_have_value("-31.5")


@pytest.mark.parametrize(
    ("text", "value"), [("0.1", 0.1), ("smallest subnormal", None), ("bf16:0x3F80", 1.0)]
)
def test_the_examples_fill_the_box(formats, text, value):
    formats.locator("#values").get_by_text(text, exact=True).click()
    expect(box(formats)).to_have_value(text)
    if value is None:  # another number in each format
        expect(shown(formats, "fp16")).to_have_text("5.960464477539063e-08")
        expect(words(formats, "bf16")).to_contain_text("subnormal")
    else:
        expect_stored(formats, value)


@pytest.mark.parametrize(
    "text", ["one third", "", "0x12345", "1/0", "9" * 250], ids=lambda text: text[:9]
)
def test_what_cannot_be_read_is_said_and_the_rows_stay(formats, text):
    box(formats).fill(text)
    expect(problem(formats, "value")).not_to_be_empty()
    expect_stored(formats, THIRD)
    box(formats).fill("0.5")
    expect(problem(formats, "value")).to_have_count(0)
    expect_stored(formats, 0.5)


@pytest.mark.parametrize("text", ["small", "0", "-1", "nan", "inf"])
def test_no_scale_is_said_and_the_rows_stay(formats, text):
    scale(formats).fill(text)
    expect(problem(formats, "value")).to_contain_text("is no scale")
    expect_stored(formats, THIRD)


def test_a_link_opens_the_same(page):
    open_lab(page, "formats")
    scale(page).fill("1000")
    box(page).fill("70001")
    expect(words(page, "int8")).to_contain_text("q = 70;")
    expect(page.locator("#again")).to_have_attribute("href", re.compile("value=70001"))
    open_again(page)
    wait_for_lab(page, "formats")
    expect(box(page)).to_have_value("70001")
    expect(shown(page, "fp16")).to_have_text("infinity")
    expect(words(page, "int8")).to_contain_text("q = 70;")


def test_a_reload_and_the_way_back_find_what_was_chosen(page):
    open_lab(page, "formats")
    box(page).fill("1/3")
    expect(shown(page, "fp16")).to_have_text("0.333251953125")
    page.reload()
    wait_for_lab(page, "formats")
    expect(box(page)).to_have_value("1/3")
    expect(shown(page, "fp16")).to_have_text("0.333251953125")
    for back in (page.go_back, page.get_by_role("link", name="Number formats").click):
        leave_for(page, "/about")
        expect(page.locator("h1")).to_have_text("About qdemo")
        back()
        wait_for_lab(page, "formats")
        expect(box(page)).to_have_value("1/3")
        expect(shown(page, "fp16")).to_have_text("0.333251953125")


def dot_rows(seed):
    """The table of x · x by torch alone."""
    x = torch.rand(1000, generator=torch.Generator().manual_seed(seed))
    exact, total = torch.dot(x.double(), x.double()).item(), torch.tensor(0, dtype=torch.bfloat16)
    for product in x.bfloat16() * x.bfloat16():
        total = total + product
    values = {"fp32": torch.dot(x, x), "fp16": torch.dot(x.half(), x.half())}
    values |= {"bf16": torch.dot(x.bfloat16(), x.bfloat16()), "bf16 throughout": total}
    found = ["exact (fp64)", f"{exact:.4f}", "–"]
    for way, value in values.items():
        found += [way, f"{value.item():.4f}", f"{abs(value.item() - exact) / exact:.2g}"]
    return found


def test_another_seed_draws_another_vector(formats):
    expect(cells(formats, "dots-table")).to_have_text(dot_rows(0))
    before = lines(formats, "dots-chart")
    slide(formats, "seed", 3)
    expect(cells(formats, "dots-table")).to_have_text(dot_rows(3))
    x = torch.rand(5, generator=torch.Generator().manual_seed(3))
    low = [f"{value:.4f}" for value in x.bfloat16().tolist()]
    expect(cells(formats, "values-table").filter(has_text=".")).to_contain_text(low)
    wait_until_drawn_anew(formats, "dots-chart", before)


def test_the_table_holds_what_finfo_says(formats):
    for name, dtype in DTYPES.items():
        info = torch.finfo(dtype)
        numbers = (info.min, info.max, info.eps, info.smallest_normal)
        row = formats.locator("#formats-table tr", has=formats.get_by_text(name, exact=True))
        expect(row.locator("td")).to_contain_text([f"{number:.6g}" for number in numbers])


def test_the_figures_of_the_course_are_there(formats):
    assert check_course(formats, "formats", "course-formats") == computed("formats", course.FORMATS)
