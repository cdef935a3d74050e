import pytest
import torch
from gradio_client import Client
from hypothesis import settings

from qdemo.engine.engine import ENGINE

settings.register_profile("suite", derandomize=True, deadline=None, max_examples=60)
settings.load_profile("suite")


def pytest_collection_modifyitems(items):
    """Browsers first: their files are the longest, and one that came last would have a core wait
    for the other."""
    items.sort(key=lambda item: "tests/browser/" not in item.nodeid)


@pytest.fixture(scope="module")
def client(url):
    """A client of the app at `url`, which the file says; no proxy of the machine knows of it."""
    client = Client(url, verbose=False, httpx_kwargs={"trust_env": False})
    yield client
    client.close()


@pytest.fixture
def no_trials_kept():
    """What an evaluation computes is not kept of another test's, nor for it."""
    ENGINE.keeping.trials.clear()
    yield
    ENGINE.keeping.trials.clear()


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)
