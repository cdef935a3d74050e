import pytest

from qdemo.engine.engine import ENGINE


@pytest.fixture
def nothing_loaded():
    """The process's engine has nothing yet, and keeps nothing for the next test."""
    ENGINE.keeping.forget()
    yield
    ENGINE.keeping.forget()
