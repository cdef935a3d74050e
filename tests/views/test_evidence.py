"""What an evaluation comes to: the front, names that keep apart, tables, items and files."""

import csv
import io
import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qdemo.engine.evaluation import Progress
from qdemo.spec import evidence_file
from qdemo.spec.evidence import Judged, Outcome
from qdemo.ui import evidence_held
from qdemo.views import evidence, evidence_files, evidence_items, evidence_labels, evidence_plots
from qdemo.views import evidence_points as points
from qdemo.views.evidence_points import Findings, front
from qdemo.views.evidence_reading import reading
from tests.views import evidences

COORDINATES = st.tuples(st.integers(0, 9), st.integers(0, 9) | st.just(math.inf))


def beats(one, other):
    return one != other and one[0] <= other[0] and one[1] <= other[1]


@given(st.lists(COORDINATES, max_size=30))
def test_the_front_are_those_that_no_other_beats(places):
    found = front(places)
    unbeaten = [i for i, one in enumerate(places) if not any(beats(two, one) for two in places)]
    assert sorted(found) == unbeaten
    assert found == sorted(found, key=lambda i: places[i])


@given(st.lists(COORDINATES, min_size=1, max_size=20), st.randoms())
def test_the_front_is_the_same_in_whatever_order_points_come(places, random):
    before = sorted(places[i] for i in front(places))
    random.shuffle(places)
    assert sorted(places[i] for i in front(places)) == before


PLACES = st.tuples(st.floats(20, 500), st.floats(20, 300))


@given(st.lists(PLACES, min_size=1, max_size=25))
def test_a_name_that_has_to_be_near_is_near_or_left_out(places):
    inside, rings = (0.0, 0.0, 520.0, 320.0), [evidence_labels.NEXT] * len(places)
    for label in evidence_labels.place(places, [60.0] * len(places), inside, rings=rings):
        if label:
            assert math.hypot(label.end_x - label.x, label.end_y - label.y) < 25


@pytest.mark.parametrize("cost", ["bits", "mb"])
def test_whatever_is_on_the_front_is_named_at_its_point(cost):
    found = evidence_held.example()
    for measure in points.measures(found):
        html = drawn(found, cost, measure.key)
        front = re.findall(r'<g class="point" .*?</g>', html, re.DOTALL)
        assert len(front) >= 6
        assert all("<text" in one and "data-name" not in one for one in front)
        beaten = re.findall(r'<g class="point dominated".*?</g>', html, re.DOTALL)
        assert all(("<text" in one) != ("data-name" in one) for one in beaten)


@given(st.lists(PLACES, max_size=25), st.data())
def test_names_cover_neither_each_other_nor_points(places, data):
    widths = [data.draw(st.floats(10, 150)) for _ in places]
    inside = (0.0, 0.0, 520.0, 320.0)
    labels = evidence_labels.place(places, widths, inside)
    boxes = [label.box for label in labels if label]
    for i, box in enumerate(boxes):
        assert inside[0] <= box[0] <= box[2] <= inside[2] + 1e-9
        assert not any(evidence_labels.overlaps(box, other) for other in boxes[:i])
        for x, y in places:
            assert not (box[0] < x < box[2] and box[1] < y < box[3])
    if len(places) == 1 and widths[0] < 400:
        assert labels[0] is not None


def drawn(findings, cost="bits", measure="accuracy"):
    return evidence_plots.chart_html(
        findings, points.cost_named(cost), points.measure_named(measure, findings)
    )


@pytest.mark.parametrize("cost", ["bits", "mb"])
@pytest.mark.parametrize("measure", ["accuracy", "kl", "output_error"])
def test_each_format_is_a_point_of_the_chart(cost, measure):
    html = drawn(evidences.three(), cost, measure)
    shown = re.findall(r'class="point.*?" role="button".*?data-format="([^"]+)"', html)
    formats = {"fp32", "int8", "int2"} - ({"fp32"} if measure == "kl" else set())
    assert set(shown) == formats
    assert len(shown) == 2 * len(formats)  # for a wide and a narrow page
    assert "nan" not in html


def test_what_is_beaten_is_pale_and_what_is_on_the_front_is_not():
    found = points.points(
        evidences.three(), points.COSTS[0], points.measure_named("accuracy", evidences.three())
    )
    assert {one.format: one.is_on_front for one in found} == {
        "fp32": False,  # int8 is as good, and smaller
        "int8": True,
        "int2": True,
    }


def test_a_format_that_is_not_finite_has_its_place_at_the_bottom():
    broken = [Outcome(None, math.inf, 0, 3)] * 20
    ev = evidences.evidence({"fp32": [evidences.right(0.0)] * 20, "fp16": broken})
    html = drawn(Findings(ev), measure="kl")
    assert "not finite" in html
    assert "inf" not in re.sub("not finite", "", html)


def test_a_point_says_what_it_is_with_its_interval():
    assert "int2: 4 bits a weight, Accuracy 75% (59.8 to 85.9%)" in drawn(evidences.three())


def test_the_table_has_a_row_a_format_and_no_empty_column():
    table = evidence.verdicts(evidences.three())
    assert [row[0] for row in table.rows] == ["fp32", "int8", "int2"]
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert rows["int8"]["verdict"] == "check"  # of 40 items
    assert rows["int2"]["verdict"] == "broken"
    assert (rows["int2"]["lost"], rows["int2"]["won"]) == ("10", "0")
    assert rows["int2"]["p (McNemar, Holm)"] == "0.004"
    assert rows["int2"]["accuracy"] == "75% (59.8 to 85.9)"
    assert "perplexity" not in table.head
    assert len(table.keys) == len(table.head)


def test_where_nobody_knows_what_is_right_what_changed_is_judged():
    made = {"fp32": [evidences.right()] * 99, "int8": [evidences.right()] * 99}
    found = Findings(evidences.evidence(made, expected=False, name="mine.txt"))
    assert "accuracy" not in evidence.verdicts(found).head
    assert [one.key for one in points.measures(found)] == ["same", "kl", "output_error"]
    assert "answers that change" in evidence.rules(found.evidence)
    assert "99 of 990 items of mine.txt" in str(evidence.basis(found))


def test_a_text_has_its_perplexity_beside_fp32s():
    found = evidences.of_text()
    table = evidence.verdicts(found)
    rows = {row[0]: dict(zip(table.head, row, strict=True)) for row in table.rows}
    assert rows["int8"]["beside fp32's"].startswith("1.001×")
    assert rows["int8"]["verdict"] == "safe"
    assert rows["int2"]["verdict"] == "broken"
    assert points.measure_named("accuracy", found).key == "perplexity"
    assert "1.02 times" in evidence.rules(found.evidence)
    assert "loss" in evidence_items.items_html(found, "int2")
    assert "Compare this one" not in evidence_items.items_html(found, "int2")


def test_items_that_changed_come_first_with_the_words_that_differ():
    html = evidence_items.items_html(evidences.three(), "int2")
    assert "10 of 40 answers changed: 10 from right to wrong, 0 from wrong to right." in html
    assert html.index('class="lost"') < html.index('class="same"')
    assert "<mark>red cats</mark>" in html
    assert "seven blue &lt;b&gt;cats&lt;/b&gt;" in html
    assert "<b>cats" not in html
    assert "./#model=t5-tiny&amp;formats=int2&amp;input=question+0&amp;run=1" in html


def test_an_item_that_is_a_picture_is_shown_as_one():
    html = evidence_items.items_html(
        evidences.three(), "int2", most=3, picture=lambda name: f"data:image/jpeg;base64,{name}"
    )
    assert html.count("<img") == 3
    assert 'src="data:image/jpeg;base64,question 0" alt="question 0"' in html


def test_what_was_never_evaluated_is_not_shown():
    html = evidence_items.items_html(evidences.three(), "<script>")
    assert "<script>" not in html
    assert 'data-format="int2"' in html or 'data-format="int8"' in html


def test_nothing_is_said_before_anything_came():
    nothing = Findings(evidences.evidence({"fp32": []}))
    assert "on their way" in drawn(nothing)
    assert evidence.verdicts_html(nothing) == reading(nothing) == ""
    assert evidence_items.items_html(nothing, "int8") == ""


def test_the_reading_names_the_smallest_that_is_safe():
    count = 400
    made = {"fp32": [evidences.right(0.0)] * count, "int8": [evidences.right()] * count,
            "int2": [evidences.wrong()] * count}  # fmt: skip
    told = reading(Findings(evidences.evidence(made)))
    assert told == ("The fewest bits that are safe here: int8, with 8 bits a weight and 7.00 MB. "
                    "int2 is broken.")  # fmt: skip


def test_where_nothing_was_lost_in_too_few_items_it_is_said_how_many_would_do():
    def perfect(count, **more):
        each = {"fp32": [evidences.right(0.0)] * count, "int8": [evidences.right()] * count}
        return Findings(evidences.evidence(each, **more))

    for more in ({}, {"expected": False, "name": "mine.txt"}):
        told = reading(perfect(60, **more))
        assert told.startswith("int8 has lost nothing, in too few items")
        assert "None is safe" not in told
        assert "has to be checked" not in told
        needed = int(re.search(r"([0-9]+) without a loss", told)[1])
        assert f"{needed} without a loss are safe" in evidence.verdicts_html(perfect(60, **more))
        assert perfect(needed - 1, **more).variants[0].verdict == "check"
        assert perfect(needed, **more).variants[0].verdict == "safe"
        assert "too few" not in reading(perfect(needed, **more))


def test_only_of_held_out_items_it_is_said_that_nothing_was_fitted_to_them():
    own = evidences.evidence({"fp32": [evidences.right(0.0)] * 4}, name="mine.txt")
    assert "None of these items are among them" in evidence.basis_html(evidences.three())
    assert "among them" not in evidence.basis_html(Findings(own))


STOPPED = "stopped before it finished"


def stopped():
    """fp32 all through, of 40 items 3 of them wrong at the end; int8 through half of them."""
    every = [evidences.right(0.0)] * 37 + [evidences.wrong(0.0)] * 3
    ev = evidences.evidence({"fp32": every, "int8": [evidences.right()] * 20})
    progress = Progress(ev, "int8", 60, 160)
    return Findings(progress.ended(STOPPED, ("fp32", "int8", "int3", "int2-mse")).evidence)


def test_what_a_stop_left_undone_is_said_wherever_it_counts():
    found = stopped()
    assert reading(found).endswith(
        "Stopped before it finished: int8 has 20 of 40 items, of which it has 100% right, and fp32 "
        "100%; int3 and int2-mse were not run."
    )  # of the same items: of all 40, fp32 has fewer right
    assert "20 to 40 items" in drawn(found)
    assert "20 to 40 of 990 held-out items" in evidence.verdicts(found).caption
    assert evidence_file.from_text(evidence_file.as_text(found.evidence)) == found.evidence


def test_a_format_of_which_nothing_came_has_its_reason():
    ev = evidences.three().evidence.with_judged(Judged("int4", 0, ended="no room."))
    assert reading(Findings(ev)).endswith("Nothing came of int4: no room.")


def test_a_file_is_named_at_the_chart():
    made = {"fp32": [evidences.right(0.0)] * 4, "int8": [evidences.right()] * 4}
    assert "4 items of &lt;mine&gt;.txt" in drawn(
        Findings(evidences.evidence(made, name="<mine>.txt"))
    )
    assert "40 items</figcaption>" in drawn(evidences.three())


def test_tasks_stand_in_a_table_of_their_own():
    table = evidence.tasks_table(evidences.three())
    assert table.head == ("task", "items", "fp32", "int8", "int2")
    assert {row[0]: row[-1] for row in table.rows} == {"sums": "50%", "words": "100%"}


def test_files_have_every_figure():
    found = evidences.three()
    rows = list(csv.DictReader(io.StringIO(evidence_files.written(found, "csv"))))
    told = json.loads(evidence_files.written(found, "json"))
    assert [row["format"] for row in rows] == [one["format"] for one in told["results"]]
    for row, one in zip(rows, told["results"], strict=True):
        for key in ("accuracy", "right_to_wrong", "mcnemar_p_holm", "kl_mean", "verdict"):
            assert row[key] == ("" if one.get(key) is None else str(one[key]))
    assert evidence_file.from_text(json.dumps(told)) == found.evidence
    assert evidence_files.file_name(found, "csv") == (
        "qdemo-evidence-t5-tiny-heldout-fp32-int8-int2.csv"
    )


def test_a_cell_of_a_file_is_no_formula():
    ev = evidences.evidence({"fp32": [evidences.right()] * 4}, name="=1+1.txt")
    assert "'=1+1.txt" in evidence_files.as_csv(Findings(ev))


def test_the_page_needs_nothing_else():
    page = evidence_files.written(evidences.three(), "html")
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert page.count("<svg") == 2 * 2 * 3
    assert 'data-items="int2"' in page
