"""The stand-in for the Hub, asked by huggingface_hub's own client."""

import json
from hashlib import sha256
from pathlib import Path

import httpx2
import pytest
import torch
from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import tqdm
from safetensors.torch import load_file
from transformers import AutoTokenizer, T5ForConditionalGeneration

from tests.hub import Hub
from tests.hub_checkpoints import (
    as_pickle,
    truncate,
    with_extra_key,
    without_key,
    write_tiny_t5,
)
from tests.hub_client import online, without_waiting

NAME, WEIGHTS, SHA = "google/flan-t5-small", "model.safetensors", "0123456789" * 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    write_tiny_t5(folder)
    return folder


@pytest.fixture
def hub(monkeypatch, tmp_path, written):
    with Hub({NAME: written}) as hub:
        online(monkeypatch, hub, tmp_path / "cache", chunk=1000)
        yield hub


@pytest.fixture
def slept(monkeypatch):
    return without_waiting(monkeypatch)


def _partial(cache):
    return list(Path(cache).rglob("*.incomplete"))


@pytest.mark.parametrize("revision", [None, "main", "refs/pr/50", SHA])
def test_the_model_info_tells_sizes_and_hashes(hub, written, revision):
    info = HfApi().model_info(NAME, revision=revision, files_metadata=True)
    files = {sibling.rfilename: sibling for sibling in info.siblings}
    assert info.sha == (SHA if revision == SHA else hub.commit)
    assert {name: file.size for name, file in files.items()} == {
        path.name: path.stat().st_size for path in written.iterdir()
    }
    weights = (written / WEIGHTS).read_bytes()
    assert files[WEIGHTS].lfs.sha256 == sha256(weights).hexdigest()
    assert files["config.json"].lfs is None
    assert hub.bytes_sent == 0


def test_sizes_are_told_to_those_who_ask_only(hub):
    assert {file.size for file in HfApi().model_info(NAME).siblings} == {None}


@pytest.mark.parametrize("file", [WEIGHTS, "config.json"])
@pytest.mark.parametrize("revision", ["main", "refs/pr/50", SHA])
def test_a_file_comes_once_and_whole(hub, written, file, revision):
    got = [Path(hf_hub_download(NAME, file, revision=revision)) for _ in range(2)]
    assert got[0].read_bytes() == (written / file).read_bytes()
    assert got[0] == got[1]
    assert got[0].parent.name == (SHA if revision == SHA else hub.commit)
    assert hub.asked(file) == [None]
    assert hub.bytes_sent == (written / file).stat().st_size
    sibling = {f.rfilename: f for f in HfApi().model_info(NAME, files_metadata=True).siblings}[file]
    assert got[0].resolve().name == (sibling.lfs.sha256 if sibling.lfs else sibling.blob_id)


def test_a_snapshot_is_what_from_pretrained_reads(hub, written):
    folder = Path(snapshot_download(NAME, revision="refs/pr/50"))
    assert {path.name for path in folder.iterdir()} == {path.name for path in written.iterdir()}
    here = T5ForConditionalGeneration.from_pretrained(written)
    there = T5ForConditionalGeneration.from_pretrained(NAME, revision="refs/pr/50")
    assert torch.equal(here.lm_head.weight, there.lm_head.weight)
    words = AutoTokenizer.from_pretrained(NAME, revision="refs/pr/50")
    assert words("one two").input_ids == [3, 4, 1]


def test_a_header_is_read_without_the_weights(hub, written):
    tensors = load_file(written / WEIGHTS)
    metadata = HfApi().get_safetensors_metadata(NAME, revision=SHA)
    assert metadata.parameter_count == {"F32": sum(t.numel() for t in tensors.values())}
    assert hub.asked(WEIGHTS) == ["bytes=0-100000"] * 2  # at the Hub, and where that sends us


def test_a_sharded_checkpoint_has_an_index(hub, written, tmp_path):
    hub.folders["org/sharded"] = tmp_path / "sharded"
    model = T5ForConditionalGeneration.from_pretrained(written)
    model.save_pretrained(tmp_path / "sharded", max_shard_size=60_000)
    metadata = HfApi().get_safetensors_metadata("org/sharded")
    assert metadata.sharded
    assert len(metadata.files_metadata) == len(list((tmp_path / "sharded").glob("*.safetensors")))
    assert metadata.parameter_count == {"F32": sum(p.numel() for p in model.parameters())}


@pytest.mark.parametrize(
    ("asked", "first", "after"),
    [("0-9", 0, 10), ("100-", 100, None), ("-7", -7, None), ("5-9999999", 5, None)],
)
def test_any_range_is_answered(hub, written, asked, first, after):
    content, headers = (written / WEIGHTS).read_bytes(), {"Range": f"bytes={asked}"}
    with httpx2.Client(trust_env=False) as client:
        answer = client.get(f"{hub.cdn}/cdn/{NAME}/{WEIGHTS}", headers=headers)
        beyond = {"Range": f"bytes={len(content)}-"}
        assert client.get(answer.url, headers=beyond).status_code == 416
    assert answer.status_code == 206
    assert answer.content == content[first:after]
    assert answer.headers["Content-Range"].endswith(f"/{len(content)}")


def test_a_cut_download_goes_on_where_it_stopped(hub, written, slept):
    hub.cut(WEIGHTS, at=0.5, times=2)
    got = Path(hf_hub_download(NAME, WEIGHTS))
    assert got.read_bytes() == (written / WEIGHTS).read_bytes()
    first, *others = hub.asked(WEIGHTS)
    assert first is None
    starts = [int(asked.removeprefix("bytes=").removesuffix("-")) for asked in others]
    assert len(starts) == 2
    assert 0 < starts[0] < starts[1]
    assert [start % 1000 for start in starts] == [0, 0]  # what is less than a chunk is lost
    assert slept == [1, 1]


def test_a_connection_that_is_always_cut_is_given_up(hub, tmp_path, slept):
    hub.cut(WEIGHTS, at=0, times=99)
    with pytest.raises(httpx2.RemoteProtocolError, match="peer closed connection"):
        hf_hub_download(NAME, WEIGHTS)
    assert slept == [1] * 5
    assert not _partial(tmp_path)


def test_a_connection_that_is_reset_is_given_up_at_once(hub, tmp_path, slept):
    hub.cut(WEIGHTS, at=0, reset=True)
    with pytest.raises(httpx2.ReadError):
        hf_hub_download(NAME, WEIGHTS)
    assert (slept, len(hub.asked(WEIGHTS))) == ([], 1)


@pytest.mark.parametrize("status", [500, 503])
def test_whether_a_file_is_there_is_asked_again_when_the_server_fails(hub, written, status, slept):
    hub.fail(WEIGHTS, status, times=3, method="HEAD")
    got = Path(hf_hub_download(NAME, WEIGHTS))
    assert got.stat().st_size == (written / WEIGHTS).stat().st_size
    assert slept == [1, 2]


@pytest.mark.parametrize("status", [500, 503])
def test_the_file_itself_is_not_asked_for_again(hub, status, slept):
    hub.fail(WEIGHTS, status)
    with pytest.raises(HfHubHTTPError, match=str(status)):
        hf_hub_download(NAME, WEIGHTS)
    assert slept == []
    assert hf_hub_download(NAME, WEIGHTS)


def test_a_shorter_file_than_announced_is_noticed(hub, tmp_path):
    hub.shorten(WEIGHTS)
    with pytest.raises(OSError, match="Consistency check failed"):
        hf_hub_download(NAME, WEIGHTS)
    assert not _partial(tmp_path)


def test_a_flipped_byte_is_not_noticed(hub, written):
    hub.corrupt(WEIGHTS)
    got, true = Path(hf_hub_download(NAME, WEIGHTS)).read_bytes(), (written / WEIGHTS).read_bytes()
    assert [i for i in range(len(true)) if got[i] != true[i]] == [len(true) // 2]
    assert len(got) == len(true)


class _Stops(tqdm):
    """Stops at the tenth chunk; `self.n` counts nothing where no terminal shows the bar."""

    chunks = 0

    def update(self, n=1):
        self.chunks += 1
        if self.chunks == 10:
            raise InterruptedError("enough")


def test_a_download_that_is_stopped_begins_anew(hub, tmp_path, written):
    size = (written / WEIGHTS).stat().st_size
    hub.slow(200_000)
    with pytest.raises(InterruptedError, match="enough"):
        hf_hub_download(NAME, WEIGHTS, tqdm_class=_Stops)
    assert hub.bytes_sent < size
    assert not _partial(tmp_path)
    hub.slow(None)
    hf_hub_download(NAME, WEIGHTS)
    assert hub.asked(WEIGHTS) == [None, None]


def test_a_gated_model_says_so(hub):
    hub.gated.add(NAME)
    for ask in (HfApi().model_info, snapshot_download, AutoTokenizer.from_pretrained):
        expected = OSError if ask == AutoTokenizer.from_pretrained else GatedRepoError
        with pytest.raises(expected, match=r"is restricted|gated repo"):
            ask(NAME)
    with pytest.raises(GatedRepoError, match="Please log in"):
        hf_hub_download(NAME, WEIGHTS)


def test_what_is_not_there_is_said_to_be_so(hub):
    with pytest.raises(RepositoryNotFoundError):
        HfApi().model_info("google/flan-t6")
    with pytest.raises(RepositoryNotFoundError):
        hf_hub_download("google/flan-t6", WEIGHTS)
    with pytest.raises(EntryNotFoundError):
        hf_hub_download(NAME, "flax_model.msgpack")
    hub.unknown_revisions.add("refs/pr/51")
    with pytest.raises(RevisionNotFoundError):
        hf_hub_download(NAME, WEIGHTS, revision="refs/pr/51")


def test_a_hub_that_is_down_refuses_until_it_is_up(hub, slept):
    HfApi().model_info(NAME)
    hub.down()
    with pytest.raises(httpx2.ConnectError, match="refused"):
        HfApi().model_info(NAME)
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download(NAME, WEIGHTS)
    assert slept == [1, 2, 4, 8, 8]
    hub.up()
    assert hf_hub_download(NAME, WEIGHTS)


def test_a_client_that_is_switched_off_does_not_ask(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(LocalEntryNotFoundError):
        hf_hub_download(NAME, WEIGHTS)
    with pytest.raises(ConnectionError, match="offline mode is enabled"):
        HfApi().model_info(NAME)
    assert hub.requests == []


def test_no_proxy_comes_between(monkeypatch, tmp_path, written):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Hub({NAME: written}) as hub:
        online(monkeypatch, hub, tmp_path)
        assert hf_hub_download(NAME, "config.json")


def test_a_checkpoint_can_be_spoilt(tmp_path):
    folder = tmp_path / "spoilt"
    write_tiny_t5(folder)
    whole = load_file(folder / WEIGHTS)
    without_key(folder, "shared.weight")
    with_extra_key(folder)
    assert set(load_file(folder / WEIGHTS)) ^ set(whole) == {"shared.weight", "not.of.this.model"}
    truncate(folder / "config.json")
    with pytest.raises(json.JSONDecodeError):
        json.loads((folder / "config.json").read_text())
    as_pickle(folder)
    assert not (folder / WEIGHTS).exists()
    assert "not.of.this.model" in torch.load(folder / "pytorch_model.bin", weights_only=True)
