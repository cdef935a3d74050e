"""A picture is chosen, made or brought, and put into words."""

import re
from base64 import b64decode
from io import BytesIO

import pytest
from PIL import Image, ImageChops, ImageStat
from playwright.sync_api import expect

from qdemo.models.pictures import Picture, scene_picture
from tests.browser.pictures import DOG, write_bad, write_good
from tests.browser.steps import (
    card,
    cards,
    choose,
    choose_blip,
    compare,
    download,
    no_answers,
    problem,
    remove_picture,
    take_other_picture,
    tick,
    upload,
)


@pytest.fixture(scope="module")
def page(shared):
    choose_blip(shared)
    tick(shared, "fp16", "int8")
    return shared


def asked(page):
    return page.locator("#verdict .asked")


def test_a_picture_of_the_gallery_is_put_into_words(page):
    for name in ("a cat on a couch in a room", "a woman and a dog on the beach"):
        image = page.locator("#gallery").get_by_role("img", name=name)
        take_other_picture(page, image.click)
    compare(page)
    assert list(cards(page)) == ["fp32", "fp16", "int8"]
    assert card(page, "fp32")["output"] == "a woman and a dog on the beach"
    expect(asked(page)).to_contain_text("a picture of the gallery: a woman and a dog on the beach")


def test_what_is_chosen_before_an_answer_comes_is_what_one_gets(page):
    pictures = page.locator("#gallery img")
    take_other_picture(page, pictures.nth(2).click)
    second = page.locator("#picture img").get_attribute("src")
    with no_answers(page):
        pictures.nth(0).click()
        pictures.nth(1).click()
        pictures.nth(2).click()
    expect(page.locator("#picture img")).to_have_attribute("src", second)
    with no_answers(page):
        choose(page, "Model", "t5-tiny")
        choose(page, "Model", "blip-tiny")
        choose(page, "Model", "t5-tiny")
    expect(page.get_by_label("Prompt")).to_be_visible()
    expect(page.locator("#gallery")).to_be_hidden()
    choose_blip(page)


def test_a_new_scene_is_another_picture_that_a_link_can_name(page):
    take_other_picture(page, page.locator("#scene").click)
    compare(page)
    seed = re.search(r"scene number (\d+)", asked(page).text_content())[1]
    expect(asked(page).locator("q")).to_have_attribute("title", str(scene_picture(seed)))
    expect(page.locator("#again")).to_have_attribute("href", re.compile(f"input=scene:{seed}&"))
    assert card(page, "fp32")["output"]


def test_a_picture_of_ones_own_works_and_the_link_says_that_it_cannot_carry_it(page, tmp_path):
    (tmp_path / "mine.png").write_bytes(DOG.read_bytes())
    upload(page, tmp_path / "mine.png")
    compare(page)
    assert card(page, "fp32")["output"] == "a woman and a dog on the beach"
    expect(page.locator("#link")).to_contain_text("A link can't carry your own picture")
    expect(page.locator("#again")).to_have_count(0)
    file = download(page, "html", tmp_path).read_text(encoding="utf-8")
    (data,) = re.findall('class="of-report" src="data:image/jpeg;base64,([^"]*)"', file)
    seen = Image.open(BytesIO(b64decode(data)))
    whole = Image.open(DOG).convert("RGB").resize(seen.size)
    assert ImageStat.Stat(ImageChops.difference(seen, whole)).mean < [12.0] * 3


_SLOWER = """() => {
  const quick = window.fetch;
  window.fetch = async (...asked) => {
    if (String(asked[0]).includes("/file=")) await new Promise(done => setTimeout(done, 1500));
    return quick(...asked);
  };
  window.asBefore = () => { window.fetch = quick; };
}"""


def test_compare_pressed_at_once_means_the_picture_that_was_just_uploaded(page, tmp_path):
    seen = Image.linear_gradient("L").convert("RGB").resize((64, 48))
    seen.save(tmp_path / "new.png")
    page.evaluate(_SLOWER)  # the page looks at what is uploaded, to keep it
    upload(page, tmp_path / "new.png")
    compare(page)
    page.evaluate("asBefore()")
    assert str(Picture(seen, "the uploaded file")) in asked(page).locator("q").get_attribute(
        "title"
    )


def test_pictures_of_every_kind_are_seen_as_a_person_sees_them(page, tmp_path):
    for name, seen in write_good(tmp_path).items():
        upload(page, tmp_path / name)
        compare(page)
        assert str(Picture(seen, "the uploaded file")) in asked(page).locator("q").get_attribute(
            "title"
        ), name
        assert card(page, "fp32")["state"] == "done"


def test_what_cannot_be_looked_at_is_told_at_the_picture_and_the_cards_stay(page, tmp_path):
    before = cards(page)
    for name, says in write_bad(tmp_path).items():
        upload(page, tmp_path / name)
        page.locator("#compare").click()
        expect(problem(page, "picture"), name).to_have_text(says)
    remove_picture(page)
    page.locator("#compare").click()
    missing = "there is no picture; upload one, or take a scene"
    expect(problem(page, "picture")).to_have_text(missing)
    assert cards(page) == before


def test_after_a_bad_picture_a_good_one_works_and_nothing_is_complained_of(page):
    page.locator("#scene").click()
    expect(page.locator("#picture img")).to_be_visible()
    compare(page)
    expect(problem(page, "picture")).to_have_count(0)
