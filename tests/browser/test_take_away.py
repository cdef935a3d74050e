"""The files to take away hold what is on screen."""

import csv

import pytest
from playwright.sync_api import expect

from qdemo.spec.document import as_json
from qdemo.spec.setting import WAYS
from qdemo.ui.held import example
from qdemo.views.wording import interval, megabytes, significant
from tests.browser.conftest import watched
from tests.browser.steps import ask, cards, download, report

PROMPT = "Sort these words: pig, onion, river, wolf"
NUMBERS = ("bytes", "times_smaller", "first_token_ms", "token_ms", "logit_mean_abs",
           "logit_max_abs", "logit_kl_mean", "logit_same_top", "weight_sqnr_db", "output_error",
           "bits_per_weight")  # fmt: skip


@pytest.fixture(scope="module")
def page(shared):
    ask(shared, PROMPT, "fp16", "int8", "int3")
    return shared


def as_on_card(result):
    """A row of the report, in the words of a card."""
    first = result["first_divergent_token"]
    alone = {
        "size": megabytes(result["bytes"]),
        "output": result["output"],
        "first token": f"{significant(result['first_token_ms'])} ms",
        "each further": f"{significant(result['token_ms'])} ms",
        "computed on": ", ".join([result["device"], *(WAYS[way] for way in result["ways"])]),
    }
    beside_fp32 = {
        "mean |Δlogit|": significant(result["logit_mean_abs"]),
        "max |Δlogit|": significant(result["logit_max_abs"]),
        "KL from fp32": f"{significant(result['logit_kl_mean'])} nats",
        "same top token": interval(
            *(result[f"logit_same_top{end}"] for end in ("", "_low", "_high"))
        ),
        "diverges at token": "never" if first is None else str(first),
        "weights' SQNR": f"{significant(result['weight_sqnr_db'])} dB",
        "output error": significant(result["output_error"]),
    }
    if result["bits_per_weight"] is not None:
        beside_fp32["bits a weight"] = f"{significant(result['bits_per_weight'], 4)} bits"
    if result["format"] == "fp16":
        assert result["largest_activation"] == result["span"]["largest"]
        beside_fp32["largest activation"] = f"{significant(result['span']['largest'])} of 65,504"
    return alone if result["format"] == "fp32" else alone | beside_fp32


def without_notes(card):
    """A card's figures, and of its size the bytes alone."""
    kept = {key: value for key, value in card.items() if key not in ("state", "marked")}
    return kept | {"size": " ".join(card["size"].split()[:2])}


def test_the_example_can_be_taken_away_before_anything_has_run(shared, tmp_path):
    assert report(shared, tmp_path) == as_json(example())


def test_the_json_has_the_figures_of_the_cards(page, tmp_path):
    document = report(page, tmp_path)
    assert document["model"] == "t5-tiny"
    assert document["input"] == PROMPT
    assert document["formats"] == ["fp32", "fp16", "int8", "int3"]
    assert {result["format"]: as_on_card(result) for result in document["results"]} == {
        name: without_notes(card) for name, card in cards(page).items()
    }


def test_the_csv_has_the_figures_of_the_json(page, tmp_path):
    results = report(page, tmp_path)["results"]
    file = download(page, "csv", tmp_path)
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row, result in zip(rows, results, strict=True):
        assert (row["format"], row["output"]) == (result["format"], result["output"])
        assert (row["model"], row["input"]) == ("t5-tiny", PROMPT)
        for name in NUMBERS:
            assert (float(row[name]) if row[name] else None) == result[name]


def test_the_page_shows_the_same_without_the_app_on_a_phone_too(page, browser, tmp_path):
    file = download(page, "html", tmp_path)
    with watched(browser, "file:") as offline:
        offline.set_viewport_size({"width": 390, "height": 844})
        offline.goto(file.as_uri())
        expect(offline.locator(".drawn.narrow:visible")).to_have_count(3)
        expect(offline.locator(".drawn.wide:visible")).to_have_count(0)
        assert cards(offline) == cards(page)
        for part in (".sentences", ".more"):
            said = page.locator(f"#verdict {part}").text_content()
            expect(offline.locator(part)).to_have_text(said)
        assert offline.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_token_of_the_file_s_ribbon_brings_its_likeliest_tokens(page, browser, tmp_path):
    file = download(page, "html", tmp_path)
    with watched(browser, "file:") as offline:
        offline.goto(file.as_uri())
        for name, position in (("int3", 2), ("fp16", 0)):
            offline.locator(f'[data-format="{name}"] input[value="{position}"]').click()
            expect(offline.locator(".tops:visible")).to_have_count(1)
            expect(offline.locator(".tops:visible h3")).to_contain_text(f"(token {position + 1})")
        cell = offline.locator('.map tr[data-format="int3"] td').nth(1)
        cell.hover()
        expect(offline.locator(".picked")).to_contain_text("int3, encoder.block.0.layer.0.")


def test_the_link_can_be_copied(page):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy-link").click()
    page.wait_for_function(
        "async () => await navigator.clipboard.readText() == document.querySelector('#again').href"
    )
    expect(page.locator("#copy-link")).to_have_text("Copied")
    expect(page.locator("#copy-link")).to_have_text("Copy the link")
