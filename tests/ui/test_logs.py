import logging
import sys
import traceback

import pytest
from gradio import queueing, routes

from qdemo.ui import logs

SECRET = "zebra violin quartz"


def raised(error):
    try:
        raise error
    except type(error) as caught:
        return caught


@pytest.fixture
def logger():
    logger, lines = logging.Logger("of this test"), []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(logging.Formatter("%(message)s").format(record))
    logger.addHandler(handler)
    logger.addFilter(logs._OneLine())
    return logger, lines


def test_an_error_is_one_line_with_its_place_and_without_its_words():
    line = logs.one_line(raised(ValueError(f"{SECRET}\nand more")))
    assert line.startswith("ValueError at ui/test_logs.py:")
    assert line.endswith(" raised")
    assert SECRET not in line
    assert "\n" not in line


def test_an_error_inside_a_library_names_our_line_too():
    from qdemo.spec.request import parse_formats

    with pytest.raises(ValueError) as caught:  # noqa: PT011
        parse_formats(["int8", "\n"])
    line = logs.one_line(caught.value)
    assert "qdemo/" in line or "spec/" in line


def test_an_error_that_was_never_raised_is_named_all_the_same():
    assert logs.one_line(KeyError("x")) == "KeyError at no place"


def test_a_logged_error_is_one_line(logger):
    log, lines = logger
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        log.exception("a comparison broke off\nand more")
    (line,) = lines
    assert line.startswith("a comparison broke off: RuntimeError at ui/test_logs.py:")
    assert SECRET not in line


def test_what_is_no_error_stays_as_it_is(logger):
    log, lines = logger
    log.warning("%s of %s\nlines", 2, 3)
    assert lines == ["2 of 3\nlines"]


def test_what_gradio_prints_is_one_line(capsys):
    logs._print_one_line()
    try:
        raise RuntimeError(SECRET)
    except RuntimeError:
        logs._print_one_line()
    printed = capsys.readouterr().err
    assert printed.count("\n") == 1
    assert printed.startswith("a request failed: RuntimeError at ")
    assert SECRET not in printed


def test_only_gradio_prints_differently(monkeypatch):
    for module in (queueing, routes):
        monkeypatch.setattr(module, "traceback", traceback)
    for name in ("uvicorn.error", "asyncio", "qdemo"):
        monkeypatch.setattr(logging.getLogger(name), "filters", [])
    logs.keep_short()
    assert queueing.traceback.print_exc is logs._print_one_line
    assert queueing.traceback.format_exc is traceback.format_exc
    assert sys.modules["traceback"].print_exc is not logs._print_one_line
    assert logging.getLogger("qdemo").filters
