"""What each story claims, held against the numbers that it shows."""

import math
import re
from dataclasses import replace

import pytest

from qdemo.spec.messages import speak
from qdemo.spec.model_card import card_of
from qdemo.ui import first_paint
from qdemo.ui.first_paint import stage_html
from qdemo.views import stories as kept_stories
from qdemo.views import telling
from qdemo.views.colours import colour
from qdemo.views.stories import QUESTIONS, kept
from qdemo.views.templates import ASSETS, asset, fill

STORIES = {story.key: story for story in telling.stories()}
KNOWN = kept()
CARDS = {
    model: (ASSETS / "models" / model / "README.md").read_text(encoding="utf-8")
    for model in ("t5-tiny", "blip-tiny")
}


def answers(key):
    return {one.format: one for one in KNOWN.answers[key]}


def right(key):
    return STORIES[key].answers[STORIES[key].right]


def times(key, format):
    found = answers(key)
    return found["fp32"].bytes / found[format].bytes


@pytest.mark.parametrize("story", STORIES.values(), ids=lambda story: story.key)
def test_each_is_a_guess_with_one_right_answer_and_a_number(story):
    assert 2 <= len(story.answers) <= 4
    assert len(set(story.answers)) == len(story.answers)
    assert 0 <= story.right < len(story.answers)
    assert all((story.title, story.before, story.after, story.unit, story.shown.onward))
    assert story.question.endswith("?")
    assert re.search(r"\d", story.number)
    assert len(story.shown.rows) >= 3
    assert all(0 <= row.share <= 1 for row in story.shown.rows)


def test_they_are_eleven_in_the_order_of_a_talk():
    wanted = "agree slips breaks smaller outlier groups speaks hurts thread overflow many"
    assert list(STORIES) == wanted.split()
    assert {key for key, story in STORIES.items() if story.runs} == set(QUESTIONS)


def test_all_agree():
    assert len({one.output for one in answers("agree").values()}) == 1
    assert right("agree") == "all three"
    assert STORIES["agree"].number == f"{times('agree', 'int8'):.2f}×"


def test_int3_slips_at_one_word_of_four_which_is_the_one_that_is_told():
    found = answers("slips")
    words = [found[name].output.replace(",", "").split() for name in ("fp32", "int3")]
    assert sorted(words[0]) == sorted(words[1])
    first = next(i for i, pair in enumerate(zip(*words, strict=True)) if len(set(pair)) == 2)
    assert right("slips") == words[1][first] == "river"
    assert f"int3 writes “{words[1][first]}” where fp32 writes “{words[0][first]}”" in (
        STORIES["slips"].after
    )
    marked = [run for run, differs in STORIES["slips"].shown.rows[-1].words if differs]
    assert [run.strip(" ,") for run in marked] == ["river"]
    assert found["int8"].output == found["fp32"].output
    assert found["int3"].diverges == 3


def test_int2_breaks_and_int3_does_not():
    found = answers("breaks")
    assert found["int4"].output == found["int3"].output == found["fp32"].output
    words = [
        set(found[name].output.split()) - {"a", "and", "in", "on"} for name in ("fp32", "int2")
    ]
    assert not words[0] & words[1]
    assert {"sheep", "fish"} < words[1]
    assert right("breaks") == "other animals"
    assert f"int2 writes “{found['int2'].output}”" in STORIES["breaks"].after


def test_two_bits_speak_again():
    found = answers("speaks")
    fp32, int2, searched, fitted = (one.output for one in KNOWN.answers["speaks"])
    words = {word.strip(",") for word in fp32.split()}
    assert not words & set(int2.replace(",", " ").split())
    assert 0 < len(words & set(searched.replace(",", " ").split())) < len(words)
    assert fitted == fp32
    assert found["int2"].bytes == found["int2-mse"].bytes
    assert right("speaks") == "over 9 of 10"
    plain, search, best = (_share("int2"), _share("int2-mse"), _share("int2-g64-affine-mse-gptq"))
    assert plain < 5 < 70 < search < 90 < best
    assert f"int2 alone: {plain}%" in STORIES["speaks"].after
    assert f"A better range: {search}%" in STORIES["speaks"].after
    assert STORIES["speaks"].number == f"{best}%"


def test_one_layer_hurts_and_its_repair_is_the_one_that_was_found():
    fp32, plain, mended = KNOWN.answers["hurts"]
    repair = KNOWN.repair
    assert (fp32.output, plain.output) == (repair.answer, repair.before)
    assert plain.output != fp32.output == mended.output
    words = [set(one.output.replace(",", "").split()) for one in (fp32, plain)]
    assert words[1] - words[0]  # some are invented
    assert (plain.format, mended.format) == (repair.format, repair.repaired)
    assert repair.is_smallest
    assert [one.modules for one in repair.singles if one.is_back] == [repair.modules]
    assert len(repair.singles) == repair.layers == 55
    assert right("hurts") == "one"
    assert "55 was tried alone, and 1 does it: encoder 0 SelfAttention.o" in STORIES["hurts"].after
    assert STORIES["hurts"].number == f"+{100 * (mended.bytes / plain.bytes - 1):.1f}%"


def test_a_language_model_loses_its_thread_format_by_format():
    found = answers("thread")
    outputs = {name: one.output for name, one in found.items()}
    shown = {row.name: "".join(run for run, _ in row.words) for row in STORIES["thread"].shown.rows}
    marked = {
        r.name for r in STORIES["thread"].shown.rows if any(differs for _, differs in r.words)
    }
    assert marked == {"int4-g64+emb", "int4+emb", "int3+emb"}
    assert outputs["int8+emb"] == outputs["fp32"]
    for right_or_not in ("fp32", "int4-g64+emb"):
        assert shown[right_or_not].startswith("The capital of France is Paris")
        assert "United States" not in outputs[right_or_not]
    assert shown["int4+emb"].startswith("Paris is the capital of the United States ")
    assert {"capital", "Paris", "France"}.isdisjoint(outputs["int3+emb"].split())
    assert right("thread") == "int4+emb"
    more = found["int4-g64+emb"].bytes / found["int4+emb"].bytes - 1
    assert STORIES["thread"].number == f"+{100 * more:.0f}%"
    assert "of 135 million weights" in STORIES["thread"].before


def _share(format):
    count = card_of("t5-tiny").counts[format]
    return float(f"{100 * count.share:.1f}")


def test_int8_is_about_three_times_smaller_and_the_embeddings_are_why():
    assert round(times("smaller", "int8")) == 3
    assert 3.9 < times("smaller", "int8+emb") < 4
    assert right("smaller") == "about three times"


def test_an_outlier_takes_all_others_and_groups_bring_those_of_another_group_back():
    weights, alone, stretched, grouped = KNOWN.outlier
    assert (weights.measured, alone.measured) == (0, 0)
    assert [x == 0 for x in stretched.values] == [True] * 7 + [False]
    assert [x == 0 for x in grouped.values] == [False] * 4 + [True] * 3 + [False]
    assert right("outlier") == "all seven"
    scale = abs(stretched.values[-1]) / 7
    assert all(abs(x) < scale / 2 for x in weights.values[:-1])


def test_groups_bring_the_words_of_int3_back():
    found = answers("groups")
    assert found["int3-g64"].output == found["fp32"].output != found["int3"].output
    assert right("groups") == "yes"
    more = found["int3-g64"].bytes / found["int3"].bytes - 1
    assert STORIES["groups"].number == f"+{100 * more:.0f}%"


def test_fp16_overflows_and_bf16_does_not():
    fp32, fp16, bf16 = KNOWN.overflow
    assert fp16.values == (math.inf, 0)
    assert fp16.measured == 65504 < fp32.values[0]
    for mine, asked in zip(bf16.values, fp32.values, strict=True):
        assert 0 < abs(mine / asked - 1) < 2**-8
    assert right("overflow") == "fp16"


def test_the_held_out_figures_are_those_of_the_cards():
    for found, items, model in (
        (KNOWN.accuracy, KNOWN.items, "t5-tiny"),
        (KNOWN.captions, KNOWN.pictures, "blip-tiny"),
    ):
        (head,) = (line for line in CARDS[model].splitlines() if line.startswith("| task | items"))
        (whole,) = (line for line in CARDS[model].splitlines() if line.startswith("| **all**"))
        table = dict(zip(head.split("|")[2:], whole.split("|")[2:], strict=True))
        table = {name.strip(): value.strip() for name, value in table.items()}
        assert int(table["items"]) == items
        assert {one.format: str(one.share) for one in found} == {
            one.format: table[one.format] for one in found
        }
        assert all(one.low <= one.share <= one.high for one in found)
    int3 = next(one for one in KNOWN.accuracy if one.format == "int3")
    assert 90 < int3.share < 100
    assert right("many") == "over 9 of 10"
    assert STORIES["many"].shown.address == "./evidence"


def test_a_format_has_its_colour():
    for key in QUESTIONS:
        assert {row.name: row.colour for row in STORIES[key].shown.rows} == {
            row.name: colour(row.name) for row in STORIES[key].shown.rows
        }


def test_what_is_told_follows_the_numbers(monkeypatch):
    """Another file, and other words: nothing is written beside it."""
    rows = KNOWN.answers["agree"]
    others = (*rows[:-1], replace(rows[-1], bytes=rows[0].bytes // 4, output="onion"))
    changed = replace(KNOWN, answers={**KNOWN.answers, "agree": others})
    monkeypatch.setattr(telling, "kept", lambda: changed)
    story = telling.stories()[0]
    assert story.number == "4.00×"
    assert story.answers[story.right] != "all three"


def test_what_comes_from_a_file_stays_text(monkeypatch):
    evil = "<img src=x onerror=alert(1)>"
    rows = KNOWN.answers["smaller"]
    changed = replace(
        KNOWN,
        answers={**KNOWN.answers, "smaller": tuple(replace(row, output=evil) for row in rows)},
        processor=evil,
    )
    for module in (telling, first_paint):
        monkeypatch.setattr(module, "kept", lambda: changed)
    assert evil not in stage_html() + fill("stories", stories=telling.stories())
    assert "&lt;img src=x" in stage_html()


def test_the_stage_has_all_and_is_small():
    html = stage_html()
    assert html.count('data-step="guess"') == html.count('data-step="after"') == len(STORIES)
    assert len(html.encode()) < 60_000
    assert kept_stories.FILE.stat().st_size < 30_000
    for script in ("stage.js", "stories.js"):
        assert "innerHTML" not in asset(script)


def test_they_are_said_in_the_language_of_the_process(tmp_path):
    try:
        speak("xx", tmp_path)
        assert telling.stories() == tuple(STORIES.values())
    finally:
        speak("en")
