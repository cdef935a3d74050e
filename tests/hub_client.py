"""Turn huggingface_hub's own client to the stand-in for the Hub."""

from types import SimpleNamespace

from huggingface_hub import close_session, constants, file_download, hf_api
from huggingface_hub.utils import _http
from transformers.utils import hub as transformers_hub


def online(monkeypatch, hub, cache_dir, chunk=None):
    """Turn this process's client, which the tests switch off, to `hub`, with an empty cache.

    It hands on, and keeps when cut, no less than a `chunk` at once: 10 MB if not told.
    """
    close_session()  # it has read the environment's proxies
    values = {
        "ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(cache_dir), "HF_HUB_OFFLINE": False,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.endpoint + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_XET": True, "HF_HUB_DISABLE_IMPLICIT_TOKEN": True,
        "DOWNLOAD_CHUNK_SIZE": chunk or constants.DOWNLOAD_CHUNK_SIZE,
    }  # fmt: skip
    for name, value in values.items():
        monkeypatch.setattr(constants, name, value)
    monkeypatch.setattr(hf_api.api, "endpoint", hub.endpoint)  # both took theirs when imported
    monkeypatch.setattr(transformers_hub, "_hf_api", None)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")


def environment(hub, cache_dir):
    """The same for a process to be started."""
    return {
        "HF_ENDPOINT": hub.endpoint, "HF_HUB_CACHE": str(cache_dir), "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_IMPLICIT_TOKEN": "1",
        "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
    }  # fmt: skip


def without_waiting(monkeypatch):
    """Let the client try again at once; the list gets the seconds that it would have slept."""
    slept = []
    for module in (file_download, _http):
        monkeypatch.setattr(module, "time", SimpleNamespace(sleep=slept.append))
    return slept
