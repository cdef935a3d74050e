import json
import re

from qdemo.engine.asking import ask
from qdemo.measure import FIGURES, figures
from qdemo.models.catalogue import CATALOGUE
from qdemo.spec.document import SCHEMA, as_json
from qdemo.spec.report import WHOLE_MODEL
from qdemo.ui import held


def test_the_example_is_a_report_of_today():
    report = held.example()
    whole = json.loads(held.FILE.read_text(encoding="utf-8"))
    assert whole["schema"] == SCHEMA
    assert as_json(report) == whole
    assert report.figures == figures(is_scored=False)
    assert CATALOGUE[report.model].folder  # it can be computed anew without a network
    assert report.finished
    assert report.failures == ()
    assert tuple(trial.format for trial in report.results) == report.formats
    assert all(WHOLE_MODEL in trial.weights for trial in report.variants)
    assert all(trial.coverage for trial in report.results)


def test_every_figure_is_known_to_the_page_before_torch_is_there():
    assert held.figures() == FIGURES
    assert held.FIGURES.read_text(encoding="utf-8") == held.figures_as_text(FIGURES)


def test_the_example_can_be_asked_for():
    report = held.example()
    asked = ask(report.model, report.formats[1:], {"prompt": report.input}, report.max_tokens)
    assert asked.formats == report.formats


def test_the_note_says_when_and_where():
    report = held.example()
    assert report.computed[:10] in held.note()
    assert re.search(r"20\d\d-\d\d-\d\d", held.note())
    assert report.machine.processor in held.note()
    count = report.machine.threads
    assert f"{count} thread{'s' if count > 1 else ''} of " in held.note()


def test_the_example_keeps_the_surprise():
    """All formats say what fp32 says: the first click, or the next story, shows what is lost."""
    report = held.example()
    assert {trial.output for trial in report.results} == {report.results[0].output}


def test_the_example_holds_what_its_model_holds():
    sizes = {trial.format: trial.figures["bytes"] for trial in held.example().results}
    assert sizes == {trial.format: trial.footprint.total for trial in held.example().results}
    assert sizes["fp32"] == 4 * CATALOGUE["t5-tiny"].parameters
    assert sizes["fp16"] == sizes["bf16"] == sizes["fp32"] / 2
