"""Methods: what the page shows follows the matrix and each control, and is what torch computes."""

import re

import pytest
import torch
from playwright.sync_api import expect

from qdemo import lab
from qdemo.lab import columns, found_ranges, matrices
from tests.browser.conftest import WIDE, watched
from tests.browser.lab_steps import (
    lines,
    open_again,
    open_lab,
    rows,
    slide,
    wait_for_lab,
    wait_until_drawn_anew,
)
from tests.browser.steps import choose, problem

FIRST = matrices.read(lab.START)
SMALL = "0.5 -1.25 2\n-0.75 3.5 0.25"


@pytest.fixture(scope="module")
def opened(browser, app):
    """One page for the whole file, on which no test needs what another did."""
    with watched(browser, app) as page:
        page.set_viewport_size(WIDE)
        open_lab(page, "methods")
        yield page


@pytest.fixture
def methods(opened):
    box(opened).fill(lab.START)
    expect(problem(opened, "matrix")).to_have_count(0)
    expect(opened.locator("#scales-table tbody tr").last).to_contain_text("2.30")
    return opened


def box(page):
    return page.locator("#matrix textarea")


def test_every_part_is_there_before_anything_is_computed(methods):
    heads = methods.locator(".section h2").all_text_contents()
    assert heads[0] == "Codebooks"
    assert heads[-1] == "QuIP# and AQLM"
    assert len(heads) == 10
    grids = [row[0] for row in rows(methods, "codebook-table")]
    assert grids == list(lab.CODEBOOKS)


def test_a_grid_lays_its_levels_over_the_weights(methods):
    methods.locator("#codebook-grid").get_by_label("nf2", exact=True).check()
    title = methods.locator("#codebook-chart .gtitle")
    expect(title).to_have_text("The 4 levels of nf2 over the weights")
    choose(methods, "Weights", "the matrix above")
    row = methods.locator("#codebook-table tbody tr").filter(has_text="nf2")
    expect(row.locator("td").nth(1)).to_have_text("6")  # 2 bits, and a scale of 32 for 8 weights


def test_the_scales_of_blocks_are_those_of_the_definition(methods):
    for row, w in zip(rows(methods, "scales-table"), FIRST, strict=True):
        absmax = w.abs().max()
        assert float(row[2]) == pytest.approx(absmax.item() / 6, rel=1e-3)
        assert float(row[4]) == 2.0 ** (torch.floor(torch.log2(absmax)).item() - 2)


def test_another_row_and_grid_are_searched(methods):
    before = lines(methods, "search-chart")
    methods.locator("#search-grid").get_by_label("int3", exact=True).check()
    wait_until_drawn_anew(methods, "search-chart", before)
    before = lines(methods, "search-chart")
    slide(methods, "search-row", -3)
    wait_until_drawn_anew(methods, "search-chart", before)
    expect(methods.locator("#search-numbers h3")).to_contain_text("Row 1")
    found = found_ranges.search(FIRST[0], "int3")
    expect(methods.locator("#search-line")).to_contain_text(f"Keeping {found.chosen:.0%} of")
    drawn = dict(lines(methods, "search-chart"))["Σ|e|^2.4"]
    wanted = [power / found.powers[0] for power in found.powers]
    assert drawn == pytest.approx(wanted, rel=1e-3)


def test_columns_are_rounded_one_after_the_other(methods):
    methods.locator("#gptq-column input[type=range]").press("End")
    caption = methods.locator("#gptq-table caption")
    expect(caption).to_have_text("After 8 columns")
    end = columns.walk(FIRST, 3, 0.8).after[-1]
    assert rows(methods, "gptq-table")[0][1] == f"{end.output_error:.1%}"
    assert rows(methods, "gptq-table")[1][1] == f"{end.nearest_error:.1%}"
    assert methods.locator("#gptq-numbers section").first.locator(".done, .now").count() == 48
    methods.locator("#gptq-column input[type=range]").press("Home")
    expect(caption).to_have_text("After 0 columns")


@pytest.mark.parametrize(
    ("control", "chart"),
    [
        ("hqq-bits", "hqq-chart"),
        ("gptq-alike", "gptq-chart"),
        ("alpha", "smoothing-chart"),
        ("smoothing-loud", "alpha-chart"),
        ("outlier-loud", "threshold-chart"),
        ("rotation-times", "rotation-chart"),
        ("super-row", "super-chart"),
    ],
)
def test_a_control_changes_its_chart(methods, control, chart):
    before = lines(methods, chart)
    handle = methods.locator(f"#{control} input[type=range]")
    handle.press("Home" if handle.input_value() != handle.get_attribute("min") else "End")
    wait_until_drawn_anew(methods, chart, before)


def test_an_outlier_changes_all_of_it(methods):
    before = lines(methods, "scales-chart")
    methods.locator("#outlier").click()
    wait_until_drawn_anew(methods, "scales-chart", before)
    largest = 20 * FIRST.abs().max().item()
    assert float(rows(methods, "scales-table")[5][1]) == pytest.approx(largest, rel=1e-2)


def test_what_cannot_be_read_is_said_and_all_stays(methods):
    before = rows(methods, "scales-table")
    box(methods).fill("1 two 3")
    expect(problem(methods, "matrix")).to_contain_text("'two' is no number")
    assert rows(methods, "scales-table") == before
    box(methods).fill(SMALL)
    expect(problem(methods, "matrix")).to_have_count(0)
    expect(methods.locator("#scales-table tbody tr")).to_have_count(2)


def test_a_link_opens_the_same(page):
    open_lab(page, "methods")
    box(page).fill(SMALL)
    page.locator("#codebook-grid").get_by_label("e2m1", exact=True).check()
    slide(page, "gptq-column", -1)
    page.locator("#smoothing-method").get_by_label("SmoothQuant", exact=False).check()
    link = page.locator("#again")
    for part in ("matrix=0.5", "grid=e2m1", "columns=2", "method=sq"):
        expect(link).to_have_attribute("href", re.compile(re.escape(part)))
    open_again(page)
    wait_for_lab(page, "methods")
    expect(box(page)).to_have_value(SMALL)
    expect(page.locator("#gptq-column input[type=number]")).to_have_value("2")
    expect(page.locator("#gptq-table caption")).to_have_text("After 2 columns")
    expect(page.locator("#codebook-chart .gtitle")).to_contain_text("e2m1")
    expect(page.locator("#scales-table tbody tr")).to_have_count(2)
