"""The Evidence page: what it opens with, an evaluation to its end, and files that are none."""

import json

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import WIDE
from tests.browser.design import SIZES
from tests.browser.steps import leave_for, problem, report
from tests.browser.test_looks import faults_in

HELD = "!document.documentElement.classList.contains('coming')"
WATCH = """() => {
  window.said = [];
  new MutationObserver(() => {
    const text = document.querySelector("#status .status")?.textContent.trim();
    if (text && text !== window.said.at(-1)) window.said.push(text);
  }).observe(document.querySelector("#status"), {subtree: true, childList: true});
}"""


def come(page, address="/evidence"):
    leave_for(page, "/about")  # a new address of the same page alone would not open it anew
    leave_for(page, address)
    page.wait_for_function(HELD)


def points(page):
    return page.locator("#evidence-chart svg.wide .point")


def point(page, format):
    return page.locator(f'#evidence-chart svg.wide .point[data-format="{format}"]')


def rows(page):
    return page.locator("#evidence-verdicts tbody tr")


def evaluate(page):
    page.evaluate(WATCH)
    page.locator("#evaluate").click()
    expect(page.locator("#status")).to_have_text("Done.")


def test_it_opens_with_all_formats_computed_earlier(page):
    come(page)
    expect(page.locator("#evidence-note")).to_contain_text("Computed earlier")
    assert points(page).count() == rows(page).count() >= 25
    assert page.locator("svg.wide .point:not(.dominated)").count() >= 3
    page.locator("#up").get_by_text("KL").click()
    expect(page.locator("#evidence-chart figcaption")).to_contain_text("KL beside bits a weight")
    assert points(page).count() == rows(page).count() - 1  # all but fp32
    page.locator("#along").get_by_text("MB").click()
    expect(page.locator("#evidence-chart figcaption")).to_contain_text("KL beside MB")
    assert "x=mb" in page.url
    assert "y=kl" in page.url


def test_a_point_and_a_row_open_the_items_that_changed(page):
    come(page)
    point(page, "int3").locator(".reach").click()
    items = page.locator("#evidence-items")
    expect(items.locator("h3")).to_have_text("int3")
    expect(items.locator("li.lost").first).to_contain_text("✗")
    assert items.locator("li.lost mark").count() >= 5
    expect(point(page, "int3")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(items.locator("h3")).not_to_have_text("int3")
    rows(page).filter(has_text="int2-mse").get_by_role("button").click()
    expect(items.locator("h3")).to_have_text("int2-mse")
    link = items.get_by_role("link", name="Compare this one").first
    assert "formats=int2-mse&input=" in link.get_attribute("href")
    page.reload()
    page.wait_for_function(HELD)
    expect(items.locator("h3")).to_have_text("int2-mse")


def middle(page, format):
    box = point(page, format).locator(".dot").bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def test_of_points_on_each_other_the_nearest_is_chosen_and_then_the_next(page):
    come(page)
    items = page.locator("#evidence-items h3")
    point(page, "int2").scroll_into_view_if_needed()
    there, found = middle(page, "nf4-g64"), [items.text_content()]
    for _ in range(5):  # so many formats of 4.5 bits answer as many questions right
        page.mouse.click(*there)
        expect(items).not_to_have_text(found[-1])
        found.append(items.text_content())
    four_bits = {"int4-g64", "int4-g64-gptq", "nf4-g64", "nf4-g64-gptq", "q4_0"}
    assert set(found[1:]) == four_bits
    for format in ("int2", "int2-gptq"):
        page.mouse.click(*middle(page, format))
        expect(items).to_have_text(format)
    page.mouse.click(*middle(page, "int2-gptq"))
    expect(items).to_have_text("int2")
    page.mouse.click(*middle(page, "fp32"))
    expect(page.locator("#evidence-chart .picked")).to_contain_text("It is the reference")
    expect(items).to_have_text("int2")
    hidden = page.locator("svg.wide .point[data-name]").first
    hidden.focus()
    named = page.locator("#evidence-chart svg.wide .named")
    expect(named).to_have_text(hidden.get_attribute("data-name"))


def test_an_evaluation_is_seen_while_it_runs_and_taken_away(page, tmp_path):
    come(page, "/evidence#formats=int8,int3,int3-mse&limit=40&seed=5")
    expect(page.locator("#limit input[type=number]")).to_have_value("40")
    evaluate(page)
    said = page.evaluate("window.said")
    assert any("of 160 answers" in one for one in said)
    expect(rows(page)).to_have_count(4)
    expect(page.locator("#evidence-note")).to_have_text("")
    expect(page.locator("#evidence-basis")).to_contain_text("40 of 990 held-out items")
    told = report(page, tmp_path)
    assert [one["format"] for one in told["results"]] == ["fp32", "int8", "int3", "int3-mse"]
    assert [one["n"] for one in told["results"]] == [40] * 4
    assert "run=1" in page.url
    page.reload()  # what an address asks for is evaluated again, of what is kept
    page.wait_for_function(HELD)
    expect(rows(page)).to_have_count(4)


def test_stop_keeps_what_came(page):
    come(page, "/evidence#formats=int2-g64-affine-mse-rot-gptq,int2-gptq,int2&limit=990&seed=6")
    page.evaluate(WATCH)
    page.locator("#evaluate").click()
    expect(rows(page)).not_to_have_count(32)
    expect(rows(page).first).to_be_visible()
    page.locator("#stop").click()
    expect(page.locator("#status")).to_have_text("Stopped.")
    assert 1 <= rows(page).count() <= 4
    expect(page.locator("#evaluate")).to_be_enabled()


FILES = {
    "binary.txt": (b"a\0b", "binary"),
    "no-column.csv": (b"question,answer\n1,2\n", "input"),
    "many.txt": (b"one\n" * 100_000, "at most 1,000"),
    "a.zip": (b"PK\x03\x04 no zip", "no file of items for t5-tiny"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_none_gets_a_sentence(page, name):
    content, reason = FILES[name]
    come(page)
    upload(page, name, content)
    page.locator("#evaluate").click()
    expect(problem(page, "data")).to_contain_text(reason)
    expect(page.locator("#evaluate")).to_be_enabled()
    expect(page.locator("#evidence-note")).to_contain_text("Computed earlier")


def upload(page, name, content):
    page.locator("#data").get_by_text("a file of your own").click()
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": content}
    page.locator("#data-file input[type=file]").set_input_files(file)
    expect(page.locator("#data-file")).to_contain_text(name.partition(".")[0])


def test_ones_own_file_is_evaluated(page):
    come(page, "/evidence#formats=int8&limit=20")
    asked = [
        {"input": "What is 2 + 3?", "expected": "5"},
        {"input": "<b>Hello</b>", "expected": "x"},
    ]
    upload(page, "mine.jsonl", "\n".join(map(json.dumps, asked)).encode())
    evaluate(page)
    expect(page.locator("#evidence-basis")).to_contain_text("2 of 2 items of mine.jsonl")
    expect(page.locator("#evidence-items")).to_contain_text("<b>Hello</b>")
    assert "run=1" not in page.url


@pytest.mark.parametrize("size", [WIDE, SIZES["phone"]], ids=["wide", "phone"])
def test_it_is_whole_at_every_size(page, size):
    page.set_viewport_size(size)
    come(page)
    page.get_by_text("Task by task", exact=True).click()
    for theme in ("light", "dark"):
        outside, serious = faults_in(page, theme)
        assert (outside, serious) == ([], [])


def test_the_worst_layer_is_put_back_in_compare(page):
    come(page)
    cells = page.locator("#hurt-result table.hurts a")
    assert cells.count() > 40
    cell = page.locator("#hurt-result table.hurts a.m8")
    assert "put back it takes" in cell.get_attribute("title")
    assert "~lm_head=fp32" in cell.get_attribute("href")
    page.locator("#mix-value").locator("textarea, input").fill("none")
    page.locator("#mix-begin").click()
    expect(problem(page, "mix")).to_contain_text("none")
    expect(page.locator("#mix-begin")).to_be_enabled()
    cell.click()
    expect(page.locator("#status")).to_have_text("Done.")
    expect(page.locator('.card[data-format="int2-mse~lm_head=fp32"] .output')).to_be_visible()
