"""A chat with a real language model, as one has it who has installed its package."""

from playwright.sync_api import expect

from tests.browser.steps import card, choose, compare, open_page, tick

ASKED = "What is the opposite of hot?"


def test_a_real_language_model_is_chatted_with(page):
    open_page(page, "#model=t5-tiny&max_tokens=12")
    choose(page, "Model", "smollm2-135m")
    expect(page.get_by_role("combobox", name="Model")).to_have_value(
        "smollm2-135m · language model · installed; its 4-bit weights made floats"
    )
    page.get_by_label("Prompt").fill("What is the capital of France?")
    tick(page, "int8")
    compare(page)
    for name in ("fp32", "int8"):
        assert card(page, name)["output"].startswith("The capital of France is Paris")
    page.get_by_label("Prompt").fill(ASKED)
    compare(page)
    assert card(page, "int8")["output"].startswith("The opposite of hot is cold.")
    expect(page.locator("#verdict q")).to_have_text(ASKED)
    assert "model=smollm2-135m" in page.url
    assert "&max_tokens=12" in page.url
