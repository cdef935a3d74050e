"""Picking a token, choosing a layer: the charts that hang on it follow."""

import re
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from qdemo.ui import held
from qdemo.views import panels
from qdemo.views.panels import KL_STEPS
from qdemo.views.templates import asset
from tests.browser.steps import ask, choose, traces, wait_until_redrawn

WHOLE = "the whole model"
LAYER = "encoder.block.0.layer.0.SelfAttention.q.weight"
SORT = "Sort these words: pig, onion, river, wolf"


@pytest.fixture(scope="module")
def page(shared):
    """A comparison in which a format slips."""
    ask(shared, SORT, "fp16", "bf16", "int8", "int3")
    return shared


def cell(page, name, position):
    return page.locator(f'#ribbon [data-format="{name}"] input[value="{position}"]')


def title(page):
    return page.locator("#top h3")


def test_thousands_of_nats_have_the_last_colour(browser):
    """They are sent as they are read, with their thousands set apart."""
    report = held.example()
    first = report.variants[0]
    many = {**first.by_position, "kl_by_position": [12345.6] * len(first.tokens)}
    results = [replace(one, by_position=many) if one is first else one for one in report.results]
    alone = browser.new_page()
    alone.set_content(panels.ribbon_html(replace(report, results=tuple(results))))
    alone.evaluate(
        "script => new Function('element', 'watch', script)(document.body, () => {})",
        asset("ribbon.js"),
    )
    cell = alone.locator(f'[data-format="{first.format}"] label').first
    expect(cell).to_have_class(f"kl{len(KL_STEPS)}")
    expect(cell.locator("input")).to_have_attribute("aria-label", re.compile(r"12,346 nats"))
    alone.close()


def test_a_token_of_the_ribbon_brings_its_likeliest_tokens(page):
    expect(title(page)).to_contain_text("where fp32 writes ▁onion (token 1)")
    cell(page, "int3", 2).click()
    expect(title(page)).to_contain_text("where fp32 writes ▁pig (token 3)")
    tokens = page.locator('#top .top:has(h4:text-is("int3")) .token')
    expect(tokens).to_have_count(5)
    expect(tokens.first).to_have_text("▁river")
    expect(page.locator('#ribbon [data-format="int3"] input:checked')).to_have_count(1)


def test_each_cell_of_the_ribbon_has_a_name_which_is_shown_over_it_too(page):
    same, other = cell(page, "fp16", 2), cell(page, "int3", 2)
    expect(same).to_have_accessible_name(re.compile(r"^fp16, token 3 ▁pig: \S+ nats$"))
    expect(other).to_have_accessible_name(
        re.compile(r"^int3, token 3 ▁pig: \S+ nats, would write ▁river$")
    )
    other.hover()
    expect(other.locator("..")).to_have_attribute("title", other.get_attribute("aria-label"))


def test_what_is_looked_at_is_told_in_a_line_under_the_ribbon(page):
    line, chosen = page.locator("#ribbon .cell-told"), cell(page, "int3", 2)
    chosen.click()
    for shown in (chosen, cell(page, "fp16", 0)):
        shown.hover()
        expect(line).to_have_text(shown.get_attribute("aria-label"))
    page.locator("#logits-reading").hover()
    expect(line).to_have_text(chosen.get_attribute("aria-label"))


def test_arrows_go_from_token_to_token_and_from_format_to_format(page):
    cell(page, "int8", 2).click()
    for key, name, position in (
        ("ArrowDown", "int3", 2), ("ArrowLeft", "int3", 1), ("ArrowUp", "int8", 1),
        ("ArrowRight", "int8", 2),
    ):  # fmt: skip
        page.keyboard.press(key)
        expect(cell(page, name, position)).to_be_focused()
        expect(cell(page, name, position)).to_be_checked()
        expect(title(page)).to_contain_text(f"(token {position + 1})")


def test_the_colour_of_a_cell_follows_its_kl(page):
    told = page.locator("#ribbon label").evaluate_all(
        "all => all.map(label => [label.className, label.firstChild.ariaLabel])"
    )
    nats = [float(re.search(r": (\S+) nats", name)[1]) for _, name in told]
    assert [colour for colour, _ in told] == [
        f"kl{sum(kl >= step for step in KL_STEPS)}" for kl in nats
    ]
    assert len({colour for colour, _ in told}) > 2


def test_the_arrow_keys_move_along_the_tokens(page):
    cell(page, "fp16", 0).focus()
    for key, token in (("Right", 2), ("Right", 3), ("Left", 2)):
        page.keyboard.press(f"Arrow{key}")
        expect(title(page)).to_contain_text(f"(token {token})")
        expect(cell(page, "fp16", token - 1)).to_be_focused()


def test_a_point_of_the_chart_names_its_token(page):
    point = page.locator("#logits-chart .scatterlayer .trace").first.locator(".point").last
    point.hover(force=True)
    expect(page.locator("#logits-chart .hoverlayer .hovertext")).to_contain_text("token 8 </s>:")


def small_charts(page):
    return page.locator("#weights-drawn path").evaluate_all("all => all.map(one => one.outerHTML)")


def test_a_layer_changes_its_histograms_its_table_and_nothing_else(page):
    choose(page, "Layer", WHOLE)
    before, small = (
        {chart: traces(page, chart) for chart in ("weights", "memory")},
        small_charts(page),
    )
    assert [name for name, _ in before["weights"]] == ["fp16", "bf16", "int8", "int3"]
    choose(page, "Layer", LAYER)
    expect(page.locator("#weights-table caption")).to_have_text(f"Weight errors of {LAYER}")
    expect(page.locator("#weights-reading")).to_contain_text(f"keeps {LAYER} best")
    wait_until_redrawn(page, "weights", before["weights"])
    assert len(small) == len(small_charts(page)) == 4
    assert not set(small) & set(small_charts(page))
    assert traces(page, "memory") == before["memory"]


def on_map(page, format, layer):
    """The cell of a matrix of the example, of which the first is no layer's."""
    matrices = held.example().matrices
    row = page.locator(f'#map-drawn tr[data-format="{format}"] td')
    return row.nth(matrices.index(layer))


def chosen(page):
    return page.get_by_role("combobox", name="Layer")


def test_a_cell_of_the_map_chooses_its_layer(page):
    choose(page, "Layer", WHOLE)
    cell = on_map(page, "int8", LAYER)
    cell.click()
    expect(chosen(page)).to_have_value(LAYER)
    expect(page.locator("#weights-table caption")).to_have_text(f"Weight errors of {LAYER}")
    expect(page.locator("#map-drawn .picked")).to_contain_text(f"int8, {LAYER}: ")
    expect(page.locator("#map-drawn td[aria-selected]")).to_have_count(4)
    choose(page, "Layer", WHOLE)
    expect(page.locator("#map-drawn td[aria-selected]")).to_have_count(0)
    cell.click()  # the same once more
    expect(chosen(page)).to_have_value(LAYER)


def test_the_map_is_walked_by_the_arrow_keys(page):
    choose(page, "Layer", WHOLE)
    on_map(page, "int8", LAYER).click()
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    expect(on_map(page, "int8", LAYER)).to_be_focused()
    expect(on_map(page, "int8", LAYER)).to_have_accessible_name(re.compile(rf"^int8, {LAYER}: "))
    page.keyboard.press("Enter")
    expect(chosen(page)).to_have_value(LAYER)
    assert page.locator("#map-drawn td[tabindex='0']").count() == 1


def test_the_same_comparison_begins_at_the_first_token_again(page):
    ask(page, SORT, "fp16", "int3")
    cell(page, "int3", 2).click()
    expect(title(page)).to_contain_text("(token 3)")
    ask(page, SORT, "fp16", "int3")
    expect(title(page)).to_contain_text("(token 1)")
    expect(page.locator("#ribbon input:checked")).to_have_attribute("value", "0")
    expect(page.locator("#position")).to_be_hidden()


def test_a_new_comparison_begins_at_the_first_token_and_with_the_whole_model(page):
    cell(page, "fp16", 4).click()
    choose(page, "Layer", LAYER)
    expect(title(page)).to_contain_text("(token 5)")
    ask(page, SORT, "fp16", "int3")
    expect(title(page)).to_contain_text("(token 1)")
    expect(page.locator("#ribbon input:checked")).to_have_attribute("value", "0")
    expect(chosen(page)).to_have_value(WHOLE)
    cell(page, "int3", 3).click()
    expect(title(page)).to_contain_text("(token 4)")
    choose(page, "Layer", LAYER)
    expect(page.locator("#weights-table tbody th")).to_have_text(["fp16", "int3"])
