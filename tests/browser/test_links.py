"""A link opens the same comparison again; what is wrong with one is said at its control."""

from playwright.sync_api import expect

from qdemo.models.pictures import scene_picture
from qdemo.spec.document import as_json
from qdemo.ui.held import example
from tests.browser.steps import cards, compare, leave_for, problem, report, wait_for_charts

SUM = "?model=t5-tiny&formats=int8,int4-g32-affine&input=What%20is%2059%20%2B%2064%3F&run=1"
MIXED = "?model=t5-tiny&formats=nf4,int4-g64~lm_head=int8&input=a+~+b+=+c+%2A+%2B&run=1"
SCENE = "?model=blip-tiny&formats=int8&input=scene:7&max_tokens=9&run=1"
BAD = {
    "?model=gpt-9&formats=int8,int9&input=%20&max_tokens=0&run=1": {
        "model": "unknown model 'gpt-9'; the models are t5-tiny, blip-tiny",
        "formats": "unknown format 'int9'; expected one of fp32, fp16",
        "prompt": "the prompt is empty; type something, or take an example",
        "max_tokens": "expected 1 to 128",
    },
    "?model=t5-tiny&formats=int8,int4-g64%2Bkv8&input=x&run=1": {
        "formats": "+kv8 in 'int4-g64+kv8' is known, but not built yet",
    },
    "?model=blip-tiny&formats=&input=scene:x&run=1": {
        "formats": "choose at least one format to compare with fp32",
        "picture": "unknown scene 'x'",
    },
}
SLOW_OR_FAST = ("first token", "each further")


def run_by_link(page, link):
    leave_for(page, "about:blank")  # or the status may still be that of the link before
    leave_for(page, f"/{link}")
    expect(page.locator("#status")).to_have_text("Done.")
    return {
        name: {key: value for key, value in one.items() if key not in SLOW_OR_FAST}
        for name, one in cards(page).items()
    }


def test_a_link_runs_a_prompt_in_formats_of_ones_own_and_so_does_the_link_under_it(page):
    first = run_by_link(page, SUM)
    assert list(first) == ["fp32", "int8", "int4-g32-affine"]
    assert first["fp32"]["output"] == first["int8"]["output"] == "123"
    again = page.locator("#again").get_attribute("href")
    assert run_by_link(page, again) == first
    expect(page.locator("#again")).to_have_attribute("href", again)
    expect(page.get_by_label("Prompt")).to_have_value("What is 59 + 64?")
    ticked = page.locator("#formats input:checked")
    assert [box.get_attribute("name") for box in ticked.all()] == ["int8", "int4-g32-affine"]


def test_a_link_runs_a_codebook_and_an_exception_and_is_the_link_under_it(page):
    first = run_by_link(page, MIXED)
    assert list(first) == ["fp32", "nf4-g64", "int4-g64~lm_head=int8"]
    assert first["nf4-g64"]["output"] == first["fp32"]["output"]
    again = MIXED.replace("nf4", "nf4-g64").replace("?", "./#")
    expect(page.locator("#again")).to_have_attribute("href", again)
    assert run_by_link(page, again) == first


def test_a_link_to_a_scene_runs_and_is_the_link_under_it(page):
    assert list(run_by_link(page, SCENE)) == ["fp32", "int8"]
    expect(page.locator("#verdict q")).to_have_text("scene number 7")
    expect(page.locator("#verdict q")).to_have_attribute("title", str(scene_picture(7)))
    expect(page.locator("#again")).to_have_attribute("href", SCENE.replace("?", "./#"))


def test_what_is_wrong_with_a_link_is_told_at_its_control_and_nothing_runs(page, tmp_path):
    for link, problems in BAD.items():
        leave_for(page, f"/{link}")
        for field, says in problems.items():
            expect(problem(page, field), link).to_contain_text(says)
        expect(page.locator(".problem")).to_have_count(len(problems))
        wait_for_charts(page)
        assert report(page, tmp_path) == as_json(example())
        expect(page.locator("#verdict .note")).to_contain_text("computed earlier")
        expect(page.locator("#status")).to_have_text("")
        expect(page.locator("#compare")).to_be_enabled()
    compare(page)  # with what was right in the last link, and else what was there
    expect(page.locator("#verdict .model")).to_have_text("blip-tiny")
    expect(page.locator(".problem")).to_have_count(0)
