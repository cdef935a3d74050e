"""A prompt is typed, formats are ticked, Compare is pressed."""

from playwright.sync_api import expect

from tests.browser.steps import (
    ask,
    card,
    cards,
    start,
    tick,
    wait_until_through,
)

GOODBYE = "Please say goodbye to Hugo."


def rows(page, name):
    """A table's rows as lists of what their cells show."""
    return page.locator(f"#{name}-table tbody tr").evaluate_all(
        "all => all.map(row => [...row.cells].map(cell => cell.textContent))"
    )


def test_a_format_that_says_something_else_is_marked_and_told(shared):
    ask(shared, GOODBYE, "fp16", "bf16", "int8", "int3")
    shown = cards(shared)
    assert list(shown) == ["fp32", "fp16", "bf16", "int8", "int3"]
    assert {name: one["output"] for name, one in shown.items()} == {
        **dict.fromkeys(["fp32", "fp16", "bf16", "int8"], "Goodbye, Hugo!"),
        "int3": "Hello, Hugo!",
    }
    assert [one["marked"] for one in shown.values()] == [[], [], [], [], ["Hello,"]]
    assert shown["int3"]["diverges at token"] == "1"
    verdict = shared.locator("#verdict")
    expect(verdict.locator(".asked")).to_have_text(f"t5-tiny {GOODBYE}")
    expect(verdict.locator(".note")).to_have_count(0)
    expect(verdict.locator(".sentences")).to_have_text(
        "fp16, bf16 and int8 say exactly what fp32 says; int3 diverges at token 1."
    )
    expect(verdict.locator(".more")).to_have_text(
        "int8 is 2.85 times smaller than fp32, 5.87 MB instead of 16.70 MB; it would be 3.92 times "
        "if the embeddings were quantized too. One question proves little: of 990 held-out "
        "questions fp32, fp16, bf16 and int8 answer 99.4% exactly (98.6 to 99.8%) and int3 answers "
        "96.3% exactly (94.8 to 97.3%); ranges are 95% intervals."
    )


def test_the_tables_have_the_figures_of_the_cards(shared):
    ask(shared, GOODBYE, "bf16", "int3")
    shown = cards(shared)
    memory, logits, weights = (rows(shared, name) for name in ("memory", "logits", "weights"))
    assert [row[0] for row in memory] == ["fp32", "bf16", "int3"]
    for row, one in zip(memory, shown.values(), strict=True):
        assert one["size"].startswith(f"{row[-3]} ")
    for name, row in zip(["bf16", "int3"], logits, strict=True):
        one = shown[name]
        assert row[:3] == [name, one["mean |Δlogit|"], one["max |Δlogit|"]]
        assert f"{row[5]} nats" == one["KL from fp32"]
        assert row[-2].split(" ±")[0] == one["same top token"]
    assert [row[-1] for row in logits] == ["–", "1"]
    assert [f"{row[1]} dB" for row in weights] == [
        shown[name]["weights' SQNR"] for name in ("bf16", "int3")
    ]


def test_ctrl_enter_compares(shared):
    tick(shared, "fp16")
    shared.get_by_label("Prompt").fill(GOODBYE)
    start(shared, lambda: shared.keyboard.press("Control+Enter"))
    wait_until_through(shared)
    assert card(shared, "fp16")["output"] == "Goodbye, Hugo!"


def test_an_example_is_compared_by_one_click(shared):
    start(shared, shared.locator("#prompts").get_by_text("Translate to German: Tuesday").click)
    wait_until_through(shared)
    expect(shared.get_by_label("Prompt")).to_have_value("Translate to German: Tuesday")
    assert card(shared, "fp32")["output"] == "Dienstag"
