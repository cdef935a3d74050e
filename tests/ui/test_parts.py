from inspect import isgeneratorfunction, signature

import pytest

from qdemo.ui import parts


@pytest.fixture
def log(monkeypatch):
    log = []
    monkeypatch.setattr(parts, "libraries", lambda: log.append("torch is there"))
    return log


def test_a_handler_that_computes_begins_once_torch_is_there(log):
    @parts.computing
    def handler(x: int, y: int = 2) -> int:
        """What it does."""
        log.append("computes")
        return x + y

    assert handler(1) == 3
    assert log == ["torch is there", "computes"]
    assert list(signature(handler).parameters) == ["x", "y"]
    assert not isgeneratorfunction(handler)


def test_so_does_one_that_answers_bit_by_bit_and_can_be_stopped(log):
    @parts.computing
    def handler(count: int):
        try:
            yield from range(count)
        finally:
            log.append("ended")

    assert isgeneratorfunction(handler)  # gradio asks
    answers = handler(3)
    assert log == []
    assert next(answers) == 0
    answers.close()
    assert log == ["torch is there", "ended"]
