"""What a person does on the pages of the lab, and what can be read there."""

import json

import pytest
from playwright.sync_api import expect

from qdemo.lab import course
from tests.browser.steps import leave_for

_READY = {
    "formats": "#dots-chart .main-svg",
    "casting": "#course-blip table",  # comes last, and only after the page is alive
    "linear": "#course-flan table",
    "methods": "#super-chart .main-svg",
}
_ROWS = """tables => tables.flatMap(table => [...table.tBodies[0].rows]).map(
  row => [...row.cells].map(cell => cell.textContent.trim()))"""
_FIGURES = """tables => tables.flatMap(table => [...table.tBodies[0].rows]).map(row => ({
  what: row.cells[0].firstChild.textContent,
  note: row.querySelector(".aside")?.textContent ?? "",
  course: row.cells[1].textContent,
  ours: row.cells[2].firstChild.textContent.trim(),
  tick: row.querySelector(".tick") != null,
}))"""


def open_lab(page, name, query=""):
    """Wait for what the page shows last: from then on it takes clicks and keys."""
    leave_for(page, f"/{name}{query}")
    wait_for_lab(page, name)


def open_again(page):
    """Open the link that a page offers of itself, as one who was sent it does."""
    link = page.locator("#again").get_attribute("href")
    leave_for(page, "/about")
    leave_for(page, f"/{link}")


def wait_for_lab(page, name):
    expect(page.locator(_READY[name]).first).to_be_visible()


def rows(page, name):
    """The texts of a table's cells, row by row, without its head."""
    return page.locator(f"#{name} table").evaluate_all(_ROWS)


def cells(page, name):
    """The same cells one after another, to be waited for."""
    return page.locator(f"#{name} table tbody").locator("th, td")


def lines(page, name):
    """The names and heights of a chart's lines; none while there is no chart."""
    return page.evaluate(
        """name => [...document.querySelectorAll(`#${name} .js-plotly-plot`)].flatMap(
          plot => plot.data.map(line => [line.name, [...line.y]]))""",
        name,
    )


def wait_until_drawn_anew(page, chart, before):
    page.wait_for_function(
        """([name, before]) => {
          const plot = document.querySelector(`#${name} .js-plotly-plot`);
          const now = plot.data.map(line => [line.name, [...line.y]]);
          return JSON.stringify(now) != JSON.stringify(before);
        }""",
        arg=[chart, before],
    )


def slide(page, name, by):
    """Move a slider with the arrow keys, so many steps to the right or to the left."""
    handle = page.locator(f"#{name} input[type=range]")
    for _ in range(abs(by)):
        handle.press("ArrowRight" if by > 0 else "ArrowLeft")


def tab_to(page, selector):
    """Press Tab until the keyboard is there, as one does without a mouse."""
    for _ in range(100):
        page.keyboard.press("Tab")
        if page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    pytest.fail(f"no Tab leads to {selector}")


def check_course(page, name, *parts):
    """Every figure of the course and ours are on the page; a tick, or a sentence why not."""
    found = [row for part in parts for row in page.locator(f"#{part} table").evaluate_all(_FIGURES)]
    printed = json.loads(course.FILE.read_text(encoding="utf-8"))[name]
    assert [(row["what"], row["course"]) for row in found] == [
        (line["what"], line["course"]) for line in printed
    ]
    for row in found:
        assert row["tick"] == (row["course"] == row["ours"])
        assert row["tick"] or row["note"]
    return {row["what"]: row["ours"] for row in found}


def computed(name, *ours):
    """Our side of the figures of a page."""
    return {figure.what: figure.ours for some in ours for figure in course.figures(name, some)}
