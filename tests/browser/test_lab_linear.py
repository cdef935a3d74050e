"""Linear quantization: every integer on the page is the one that torch computes."""

import re

import pytest
import torch
from playwright.sync_api import expect

from qdemo import lab
from qdemo.lab import course, matrices
from tests.browser.conftest import watched
from tests.browser.lab_steps import (
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
from tests.browser.steps import choose, no_answers, problem

SMALL = "0.5 -1.25 2\n-0.75 3.5 0.25"
WHOLE = "matrix=0.5+-1.25+2%3B-0.75+3.5+0.25&bits=2&range=affine&scales=a+column&clip=0.9"


@pytest.fixture(scope="module")
def opened(browser, app):
    """One page for the whole file."""
    with watched(browser, app) as page:
        open_lab(page, "linear")
        yield page


@pytest.fixture
def linear(opened):
    """Each test begins with what the page begins with."""
    box(opened).fill(matrices.write(matrices.preset(lab.NORMAL)))
    expect(problem(opened, "matrix")).to_have_count(0)
    opened.locator("#bits input[type=range]").press("Home")
    expect_shown(opened, "int2")
    set_scheme(opened, 6)  # from 2 to 4
    opened.locator("#minmax").click()
    expect_shown(opened, "int4")
    return opened


def box(page):
    return page.locator("#matrix textarea")


def expect_shown(page, scheme, kept="100%"):
    """The table comes with the numbers: when it says so, what is shown is of now."""
    expect(page.locator("#by-hand-table tbody :is(th, td)")).to_contain_text([scheme, kept])


def expect_link(page, part):
    expect(page.locator("#again")).to_have_attribute("href", f"linear#{part}")


def grid(page, title):
    """The cells of one of the four matrices."""
    return page.locator(f'#grids section[aria-label^="{title}"] td button')


def set_scheme(page, bits=4, range="symmetric", scales="a row"):
    """From four bits, with which each test begins."""
    slide(page, "bits", bits - 4)
    page.locator("#range").get_by_label(range, exact=True).check()
    page.locator("#scales").get_by_label(scales, exact=True).check()


def matrix(page):
    return torch.tensor(
        [[float(w) for w in line.split()] for line in box(page).input_value().splitlines()]
    )


def blocks(w, scales):
    """Those that share a scale as rows, and what takes such rows back to a matrix."""
    rows, columns = w.shape
    if scales == "a column":
        return w.T, lambda q: q.T
    length = {"a row": columns, "the whole matrix": -1, "a group of 4": 4}[scales]
    x = w.reshape(1, -1) if length == -1 else w.reshape(-1, length)
    return x, lambda q: q.reshape(rows, columns)


def quantized(w, bits=4, range="symmetric", scales="a row", clip=1.0):
    """The integers and the weights again, from the definition; rounding is half to even."""
    x, back = blocks(w, scales)
    low, high = x.amin(1, keepdim=True).clamp(max=0), x.amax(1, keepdim=True).clamp(min=0)
    least, most = (1 - 2 ** (bits - 1), 2 ** (bits - 1) - 1), (0, 2**bits - 1)
    qmin, qmax = least if range == "symmetric" else most
    span = torch.maximum(-low, high) if range == "symmetric" else high - low
    zero = torch.zeros_like(low) if range == "symmetric" else (-low / (span / qmax)).round()
    scale = span / qmax * clip
    q = ((x / scale).round() + zero).clamp(qmin, qmax)
    return back(q), back(scale * (q - zero))


def expect_integers(page, w, **scheme):
    q, w_hat = quantized(w, **scheme)
    expect(grid(page, "Integers")).to_have_text([str(int(n)) for n in q.flatten()])
    wanted = {"Dequantized": w_hat, "Error": w_hat - w}
    for _ in range(50):  # the integers may be those of the move before, which is still on screen
        found = {name: numbers(page, name) for name in wanted}
        if all(found[name] == near(x) for name, x in wanted.items()):
            break
        page.wait_for_timeout(100)
    for name, x in wanted.items():
        assert found[name] == near(x), name


def numbers(page, name):
    return [float(text) for text in grid(page, name).all_text_contents()]


def near(x):
    return pytest.approx(x.flatten().tolist(), abs=6e-5)


def line(page):
    return page.locator("#changed [role=status]")


def test_the_example_of_the_course(linear):
    set_scheme(linear, 2, "affine", "the whole matrix")
    choose(linear, "Matrix", lab.COURSE)
    expect(grid(linear, "Integers")).to_have_text(["0", "1", "2", "3"])
    expect(grid(linear, "Dequantized")).to_have_text(["0.0000", "1.0000", "2.0000", "3.0000"])


def test_the_first_matrix_as_torch_quantizes_it(linear):
    w = matrix(linear)
    expect_integers(linear, w)
    scale, zero = w.abs().amax(1) / 7, torch.zeros(len(w), dtype=torch.int32)
    w_hat = torch.fake_quantize_per_channel_affine(w, scale, zero, 0, -7, 7)
    found = [float(text) for text in grid(linear, "Dequantized").all_text_contents()]
    assert found == pytest.approx(w_hat.flatten().tolist(), abs=6e-5)


@pytest.mark.parametrize(
    "scheme",
    [
        {"bits": 8},
        {"bits": 2, "range": "affine"},
        {"scales": "the whole matrix"},
        {"bits": 3, "range": "affine", "scales": "a column"},
        {"bits": 5, "scales": "a group of 4"},
    ],
    ids=lambda scheme: " ".join(map(str, scheme.values())),
)
def test_bits_range_and_scales_change_the_integers(linear, scheme):
    set_scheme(linear, **scheme)
    expect_integers(linear, matrix(linear), **scheme)


def test_half_is_rounded_to_even(linear):
    box(linear).fill("7 0.5 1.5 2.5 -0.5 -1.5")
    expect(grid(linear, "Integers")).to_have_text(["7", "0", "2", "2", "0", "-2"])


@pytest.mark.parametrize("kind", [lab.UNIFORM, *lab.PRESETS[3:]])
def test_every_preset_can_be_chosen(linear, kind):
    choose(linear, "Matrix", kind)
    w = matrices.read(matrices.write(matrices.preset(kind)))
    expect(grid(linear, "Weights")).to_have_text([f"{x:.4f}" for x in w.flatten().tolist()])
    expect_integers(linear, w)


def test_draw_again_draws_another(linear):
    choose(linear, "Matrix", lab.UNIFORM)
    before = box(linear).input_value()
    linear.locator("#again-matrix").click()
    expect(box(linear)).not_to_have_value(before)
    expect(grid(linear, "Weights").first).to_have_text(f"{matrix(linear)[0, 0]:.4f}")
    expect_integers(linear, matrix(linear))


def test_what_is_typed_before_an_answer_comes_is_not_undone_by_it(linear):
    for click in (
        lambda: choose(linear, "Matrix", lab.UNIFORM),
        linear.locator("#again-matrix").click,
        linear.locator("#outlier").click,
    ):
        box(linear).fill("1 2 3")
        expect(grid(linear, "Weights")).to_have_count(3)
        with no_answers(linear):
            click()
            box(linear).fill(SMALL)
        expect(grid(linear, "Weights")).to_have_count(6)
        expect(box(linear)).to_have_value(SMALL)


def expect_formula(page, row, column):
    """The steps of one weight with its own numbers (symmetric, a row)."""
    w = matrix(page)
    q, w_hat = (found[row, column] for found in quantized(w))
    scale = w[row].abs().max() / 7
    steps = page.locator("#steps")
    expect(steps).to_contain_text(f"The weight in row {row + 1}, column {column + 1}")
    for text in (
        f"scale = {w[row].abs().max():.6g} / 7 = {scale:.6g}",
        f"w = {w[row, column]:.6g}, scale = {scale:.6g}",
        f"-7, 7) = {int(q)}",
        f"= {w_hat:.6g}",
        f"error = ŵ − w = {(w_hat - w[row, column]).item():+.6g}",
    ):
        expect(steps).to_contain_text(text)


def test_a_click_on_a_cell_shows_its_formula(linear):
    grid(linear, "Weights").nth(10).click()
    expect_formula(linear, 1, 2)
    grid(linear, "Error").nth(47).click()
    expect_formula(linear, 5, 7)


def test_the_keyboard_alone_chooses_a_cell(linear):
    box(linear).focus()
    tab_to(linear, "#grids button")
    for key in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        linear.keyboard.press(key)
    expect(grid(linear, "Weights").nth(9)).to_be_focused()
    linear.keyboard.press("Enter")
    expect_formula(linear, 1, 1)


def test_the_keyboard_stays_on_the_cell_that_it_chose(linear):
    box(linear).focus()
    tab_to(linear, "#grids button")
    linear.keyboard.press("ArrowDown")
    linear.keyboard.press("Enter")
    expect_formula(linear, 1, 0)
    expect(grid(linear, "Weights").nth(8)).to_be_focused()


def test_an_outlier_silences_its_row_and_groups_heal_it(linear):
    before = matrix(linear)
    at = int(before.abs().argmax())
    linear.locator("#outlier").click()
    expect(grid(linear, "Weights").nth(at)).to_have_text(f"{20 * before.flatten()[at]:.4f}")
    for name in ("Weights", "Integers", "Dequantized", "Error"):  # the same cell in all four
        cells = linear.locator(f'#grids section[aria-label^="{name}"] td')
        expect(cells.nth(at)).to_have_class(re.compile(r"\bchosen\b"))
    zeros = int((quantized(before)[0][at // 8] == 0).sum())
    expect(line(linear)).to_contain_text(f"Row {at // 8 + 1}, column {at % 8 + 1}: ")
    expect(line(linear)).to_contain_text("Its scale grew 20.0 times. 7 of the 7 other weights")
    expect(line(linear)).to_contain_text(f"(before: {zeros})")
    w = matrix(linear)
    expect_integers(linear, w)
    row = [int(text) for text in grid(linear, "Integers").all_text_contents()[at // 8 * 8 :][:8]]
    assert sorted(map(abs, row)) == [0] * 7 + [7]
    linear.locator("#scales").get_by_label("a group of 4").check()
    expect_integers(linear, w, scales="a group of 4")
    q, _ = quantized(w, scales="a group of 4")
    assert (q[at // 8] != 0).sum() > 3


def least_error(w):
    """Of a row at 2 bits."""
    tried = [(quantized(w, 2, clip=i / 100)[1] - w).square().sum() for i in range(20, 101)]
    return (20 + int(torch.stack(tried).argmin())) / 100


def rms_error(w, w_hat):
    return (w_hat - w).square().mean().sqrt().item()


def test_a_button_that_changes_nothing_says_why(linear):
    linear.locator("#best").click()
    expect(line(linear)).to_contain_text("Least error keeps 100% of the range: at 4 bits,")
    linear.locator("#minmax").click()
    expect(line(linear)).to_have_text("100% of the range is kept already.")


def test_the_first_screen_has_choices_line_and_matrices(page):
    for size in ({"width": 1366, "height": 768}, {"width": 1920, "height": 1080}):
        page.set_viewport_size(size)
        open_lab(page, "linear")
        for name in ("Weights", "Integers"):
            box = grid(page, name).last.bounding_box()
            assert box["y"] + box["height"] <= size["height"]
        assert page.locator(".scroll").evaluate_all(
            "all => all.filter(one => one.scrollWidth > one.clientWidth).length"
        ) == 0  # fmt: skip


def test_the_buttons_move_the_clip(linear):
    w, clip = matrix(linear), linear.locator("#clip input[type=number]")
    set_scheme(linear, 2)
    expect_shown(linear, "int2")
    before = lines(linear, "staircase-chart")
    expect(line(linear)).to_contain_text(re.compile(r"Bits [34] → 2: scale"))
    linear.locator("#best").click()
    expect(clip).to_have_value(f"{least_error(w):g}")
    expect_shown(linear, "int2", f"{least_error(w):.0%}")
    rms = [rms_error(w, quantized(w, 2, clip=clip)[1]) for clip in (1, least_error(w))]
    expect(line(linear)).to_contain_text(
        f"Part of the range kept 100% → {least_error(w):.0%}: scale "
    )
    expect(line(linear)).to_contain_text(f"RMS error {rms[0]:.3f} → {rms[1]:.3f}.")
    expect(line(linear)).to_contain_text("the least error that clipping can reach")
    expect_integers(linear, w, bits=2, clip=least_error(w))
    assert least_error(w) < 1
    wait_until_drawn_anew(linear, "staircase-chart", before)
    linear.locator("#percentile").click()
    share = float(w.abs().quantile(0.99) / w.abs().max())
    expect(clip).to_have_value(f"{max(0.2, round(share, 2)):g}")
    linear.locator("#minmax").click()
    expect(clip).to_have_value("1")
    expect_shown(linear, "int2")
    expect_integers(linear, w, bits=2)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 two 3", "'two' is no number"),
        ("1 2 3\n4 5", "equally long"),
        ("", "empty"),
        ("1 nan 3", "'nan' can't be quantized"),
        ("1 " * 10_000, "at most"),
    ],
    ids=["letters", "ragged", "empty", "nan", "10,000 numbers"],
)
def test_what_cannot_be_read_is_said_and_the_grid_stays(linear, text, said):
    w = matrix(linear)
    box(linear).fill(text)
    expect(problem(linear, "matrix")).to_contain_text(said)
    expect_integers(linear, w)
    box(linear).fill(SMALL)
    expect(problem(linear, "matrix")).to_have_count(0)
    expect_integers(linear, matrix(linear))


def test_groups_that_do_not_fit_are_said(linear):
    box(linear).fill("1 2 3 4 5")
    expect(grid(linear, "Integers")).to_have_count(5)
    linear.locator("#scales").get_by_label("a group of 4").check()
    expect(problem(linear, "matrix")).not_to_be_empty()
    expect(grid(linear, "Integers")).to_have_text(["1", "3", "4", "6", "7"])


def test_a_link_opens_the_same(page):
    open_lab(page, "linear")
    box(page).fill(SMALL)
    slide(page, "bits", -1)  # from three
    set_scheme(page, range="affine", scales="a column")
    slide(page, "clip", -10)
    expect_link(page, WHOLE)
    scheme = {"bits": 2, "range": "affine", "scales": "a column", "clip": 0.9}
    expect_integers(page, matrix(page), **scheme)
    open_again(page)
    wait_for_lab(page, "linear")
    expect(box(page)).to_have_value(SMALL)
    expect(page.locator("#bits input[type=number]")).to_have_value("2")
    expect(page.locator("#clip input[type=number]")).to_have_value("0.9")
    for name, label in (("range", "affine"), ("scales", "a column")):
        expect(page.locator(f"#{name}").get_by_label(label, exact=True)).to_be_checked()
    expect_link(page, WHOLE)
    expect_integers(page, matrix(page), **scheme)


def test_the_figures_of_the_course_are_there(linear):
    ours = check_course(linear, "linear", "course-linear", "course-flan")
    assert ours == computed("linear", course.LINEAR, course.FLAN)
    assert "q = 0 1 2 3" in ours["[0, 1, 2, 3] at 2 bits"]
