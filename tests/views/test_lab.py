import re
from types import SimpleNamespace

import pytest
import torch

from qdemo import FORMATS, Scheme
from qdemo.lab.bitstrip import FIRST, LATER, SHOWN, Row, rows
from qdemo.lab.by_hand import by_hand
from qdemo.lab.course import Figure
from qdemo.views import lab
from qdemo.views.colours import FAMILIES, contrast
from qdemo.views.templates import asset

EVIL = "<b>&\"'"
SAFE = "&lt;b&gt;&amp;&#34;&#39;"


def attribute(name, html):
    return re.findall(rf'{name}="([^"]*)"', html)


@pytest.fixture(scope="module")
def found():
    return by_hand(torch.tensor([[1.0, -4.0], [6.0, 7.0]]), Scheme.parse("int4-tensor"), 0.5)


def test_bits_are_numbered_from_the_last_and_columns_from_the_first():
    for row in rows("1/3", "0.01"):
        html = lab.bitstrip_html([row])
        bits = sum(len(text) for _, text in row.parts)
        assert attribute("data-bit", html) == [str(bit) for bit in range(bits - 1, -1, -1)]
        assert attribute("data-column", html) == [str(column) for column in range(bits)]
        assert attribute("tabindex", html) == ["0"] + ["-1"] * (bits - 1)
        assert set(attribute("data-format", html)) == {row.format}


def test_the_cells_show_the_bits_and_name_them():
    row = next(row for row in rows("-2") if row.format == "fp16")
    html = lab.bitstrip_html([row])
    shown = re.findall(r">([01])</button>", html)
    assert "".join(shown) == f"{0xC000:016b}" == "".join(text for _, text in row.parts)
    assert attribute("aria-label", html)[2:4] == ["fp16 sign bit 15, 1", "fp16 exponent bit 14, 1"]


def test_a_row_of_bits_says_all_that_is_known_of_it():
    row = rows("1/3")[2]
    html = lab.bitstrip_html([row])
    for text in (row.pattern, row.stored, row.below, row.above, row.words, row.digits):
        assert text in html
    assert lab.bitstrip_html(rows("1")).count("<section") == 7


def test_some_rows_of_bits_are_there_on_demand():
    html = lab.bitstrip_html(rows("1"), LATER)
    shown, _, later = html.partition('<details class="later">')
    assert re.findall(r'aria-label="(\w+)"', shown) == list(FIRST)
    assert re.findall(r'aria-label="(\w+)"', later) == list(LATER)


def test_a_row_has_its_format_s_colour_and_its_alarm():
    html = lab.bitstrip_html(rows("70000"))
    looks = re.findall(r'class="bitrow (\w*)" data-row="(\w+)".*?--colour: (#\w+)', html)
    assert [(name, shade) for _, name, shade in looks] == [(n, FAMILIES[n]) for n in SHOWN]
    assert {name for alarm, name, _ in looks if alarm == "overflow"} == {"fp16", "fp8_e5m2"}


def test_rows_of_bits_are_escaped():
    row = Row(EVIL, EVIL, ((EVIL, "1"),), *[EVIL] * 6)
    html = lab.bitstrip_html([row])
    assert EVIL not in html
    assert "<b>" not in html
    assert html.count(SAFE) >= 9


def test_the_course_s_figures_have_a_tick_where_they_are_the_same():
    html = lab.course_html([Figure("a", "1", "1", ""), Figure("b", "1", "2", "Because.")])
    assert html.count("✓") == html.count('class="same"') == 1
    assert html.count('class="aside"') == 1
    assert "Because." in html


def test_the_course_s_figures_are_escaped():
    html = lab.course_html([Figure(EVIL, EVIL, EVIL, EVIL)])
    assert html.count(SAFE) == 4
    assert "<b>" not in html


def test_the_table_has_every_format_with_its_numbers():
    table = lab.formats_table(FORMATS.values())
    shown = {row[0]: row[1:] for row in table.rows}
    assert list(shown) == list(FORMATS)
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert shown["fp16"] == (
        "16", "5", "10", "-65504", "65504", "0.000976562", "6.10352e-05", "5.96046e-08",
    )  # fmt: skip
    assert shown["int8"] == ("8", "–", "–", "-128", "127", "1", "1", "–")
    assert shown["uint2"][3:5] == ("0", "3")


def test_where_there_is_no_room_each_figure_of_a_row_has_its_name():
    table = lab.formats_table([FORMATS["fp16"]])
    html = lab.stacked_html(table)
    assert attribute("data-head", html) == list(table.head[1:])
    assert re.findall(r"<td[^>]*>([^<]*)</td>", html) == list(table.rows[0][1:])


def test_the_grids_show_each_number(found):
    html = lab.grids_html(found, (0, 0))
    cells = re.findall(r"<span>([^<>]*)</span></button>", html)
    assert cells[:4] == ["1.0000", "-4.0000", "6.0000", "7.0000"]
    assert cells[4:8] == [str(q) for row in found.q.tolist() for q in row] == ["2", "-7", "7", "7"]
    assert cells[8:12] == ["1.0000", "-3.5000", "3.5000", "3.5000"]
    assert cells[12:] == ["+0.0000", "+0.5000", "-2.5000", "-3.5000"]


def test_where_there_is_no_room_a_cell_shows_fewer_digits(found):
    html = lab.grids_html(found, (0, 0))
    assert attribute("data-short", html)[-4:] == ["+0.00", "+0.50", "-2.50", "-3.50"]
    assert "many" not in html
    wide = by_hand(torch.ones(1, 9), Scheme("int4"))
    assert lab.grids_html(wide, (0, 0)).count("cells-of-numbers many") == 4


def test_the_cells_of_each_grid_are_numbered_from_0_and_told_from_1(found):
    html = lab.grids_html(found, (0, 0))
    assert attribute("data-row", html) == ["0", "0", "1", "1"] * 4
    assert attribute("data-column", html) == ["0", "1", "0", "1"] * 4
    assert "Weights, row 2, column 1: 6.0000" in attribute("title", html)
    assert "Error, row 1, column 2: +0.5000" in attribute("aria-label", html)


def test_the_chosen_and_the_clipped_cells_are_marked(found):
    html = lab.grids_html(found, (1, 0))
    looks = re.findall(r'<td class="([^"]*)"', html)
    assert [("chosen" in look) for look in looks] == [False, False, True, False] * 4
    assert [("clipped" in look) for look in looks] == [False, True, True, True] * 4
    assert looks[:2] == ["tint0", "tint-2 clipped"]
    assert {int(re.match(r"tint(-?\d)", look)[1]) for look in looks} <= set(range(-3, 4))


def test_the_grids_of_a_zero_matrix_have_no_colour():
    zeros = torch.zeros(2, 2)
    html = lab.grids_html(by_hand(zeros, Scheme("int4")), (0, 0))
    assert set(re.findall(r"tint-?\d", html)) == {"tint0"}


def test_the_steps_are_told_in_order_and_escaped():
    html = lab.steps_html([EVIL, "two"], ["three", EVIL], (1, 3))
    assert re.findall(r"<li>(.*?)</li>", html) == [SAFE, "two", "three", SAFE]
    assert "The weight in row 2, column 4" in html


def test_the_integers_that_flipped_are_ringed():
    html = lab.integers_html([[3, -1], [0, 2]], [[True, False], [False, True]])
    cells = re.findall(r'<td class="([^"]*)">(-?\d+)</td>', html)
    assert cells == [("tint3 chosen", "3"), ("tint-1", "-1"), ("tint0", "0"), ("tint2 chosen", "2")]
    assert "tint0" in lab.integers_html([[0]], [[False]])


def test_the_marks_of_the_integers_must_fit():
    with pytest.raises(ValueError, match="zip"):
        lab.integers_html([[1, 2]], [[True]])


def test_any_object_with_those_numbers_makes_grids():
    one = torch.tensor([[2.0]])
    plain = SimpleNamespace(w=one, q=one.long(), w_hat=one, error=0 * one, clipped=one < 0)
    assert lab.grids_html(plain, (0, 0)).count("chosen") == 4


FILLS = {
    "bit": ("sign", "exponent", "fraction", "integer"),
    "cell": ("cell0", "up1", "up2", "up3", "down1", "down2", "down3"),
    "alarm": ("alarm-fill",),
}
"""What is read, and on which colours."""


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_every_number_can_be_read_on_its_colour(theme):
    found = [
        dict(re.findall(r"--([\w-]+): (#\w{6})", block))
        for block in re.findall(r"\{([^}]*--cell0[^}]*)\}", asset("style/lab.css"))
    ]
    shades = found[theme]
    for text, fills in FILLS.items():
        for fill in fills:
            assert contrast(shades[text], shades[fill]) >= 4.5, (text, fill)
