"""Every section is on the page, one that is added too."""

from dataclasses import replace
from types import SimpleNamespace

import gradio as gr
import pytest

from qdemo.spec.cache import Cache, Layers
from qdemo.spec.report import WHOLE_MODEL
from qdemo.ui import charts
from qdemo.views import SECTIONS
from qdemo.views.sections import LOGITS
from tests.views.documents import Page, compared, without_reference
from tests.views.test_sections import ONE_MORE


@pytest.fixture(scope="module")
def report():
    return compared()


def shown(report):
    """The charts of a page that begins with a report, and their values for it."""
    with gr.Blocks():
        page = charts.build(report)
    return page, charts.updates(page, report)


def test_every_section_is_on_the_page(report, monkeypatch):
    monkeypatch.setattr(charts, "SECTIONS", (*SECTIONS, ONE_MORE))
    page, values = shown(report)
    assert set(page.sections) == {section.key for section in (*SECTIONS, ONE_MORE)}
    for section in (*SECTIONS, ONE_MORE):
        parts = page.sections[section.key]
        assert (parts.figure is None) == (section.figure is None)
        assert (parts.drawn is None) == (section.drawn is None)
        assert all(values[part] for part in (parts.figure, parts.drawn) if part) or (
            section is LOGITS and values[parts.drawn] == ""  # of a text that is scored alone
        )
        assert section.reading(report, WHOLE_MODEL) in Page(values[parts.reading]).text
        assert (parts.table is None) == (section.table is None)
        if parts.table:
            caption = section.table(report, WHOLE_MODEL).caption
            assert caption in Page(values[parts.table]).text


def test_without_anything_to_compare_the_charts_are_hidden(report):
    with gr.Blocks():
        page = charts.build(report)
    for nothing in (without_reference(), compared(())):
        assert charts.updates(page, nothing) == {page.whole: gr.update(visible=False)}


def test_a_language_model_s_cache_is_told_after_as_many_tokens_as_one_chooses(report, monkeypatch):
    with_cache = replace(report, cache=Cache.of((Layers(2, numbers=100),), 4096))
    page, values = shown(with_cache)
    chosen = values[page.context]
    assert [value for _, value in chosen["choices"]] == ["1024", "2048", "4096"]
    assert (chosen["value"], chosen["visible"]) == ("4096", True)
    monkeypatch.setattr(charts.Held, "read", lambda _: SimpleNamespace(report=lambda: with_cache))
    lost, _, reading, table = charts._of_context(page, "", "1024")
    assert lost == ""
    assert "holds 0.82 MB for 1,024 tokens of context, in fp32" in Page(reading).text
    assert "Memory held after 1,024 tokens" in Page(table).text


def test_of_other_models_there_is_no_such_choice(report):
    page, values = shown(report)
    assert values[page.context]["visible"] is False
    assert page.context.visible is False
