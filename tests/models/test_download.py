"""Our download, through huggingface_hub's own client, from a stand-in for the Hub."""

import threading
from contextlib import closing

import pytest
import torch

from qdemo.models import download as downloading
from qdemo.models import hub as asking
from qdemo.models import memory
from qdemo.models.availability import UnavailableError, folder_of, where
from qdemo.models.catalogue import Entry
from qdemo.models.download import Downloading, download
from qdemo.models.loading import load
from qdemo.settings import Settings
from tests import hub_checkpoints as checkpoints
from tests.hub import Hub
from tests.hub_client import online

NAME = "someone/a-small-t5"
WEIGHTS = "model.safetensors"
COMMIT = "5ca1ab1e" * 5
ENTRY = Entry(NAME, "text2text", tied=False, parameters=0, revision=COMMIT)


@pytest.fixture
def folder(tmp_path):
    checkpoints.write_tiny_t5(tmp_path / "source")
    return tmp_path / "source"


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "_PAUSE", 0.01)
    monkeypatch.setattr(asking, "_PAUSES", (0.01, 0.01))
    with Hub({NAME: folder}) as hub:
        online(monkeypatch, hub, tmp_path / "cache")
        yield hub


def bring(entry=ENTRY):
    return list(download(entry))


def refused(entry=ENTRY):
    """Why it can't be had: a sentence with nothing of the machine; the model is not half here."""
    with pytest.raises(UnavailableError) as caught:
        bring(entry)
    assert folder_of(entry) is None
    message = str(caught.value)
    assert "\n" not in message
    assert "/" not in message.replace(entry.name, "")
    return message


def parts(tmp_path):
    return list((tmp_path / "cache").rglob("*.part"))


def test_a_first_download_brings_all_and_says_how_far_it_is(hub, folder, monkeypatch):
    monkeypatch.setattr(downloading, "SECONDS_APART", -1)
    assert where(ENTRY) == "on the Hub"
    told = bring()
    assert where(ENTRY) == "downloaded"
    done = [known.done for known in told]
    assert done == sorted(done)
    assert done[-1] == told[-1].total == told[-1].fresh
    assert told[-1].total == sum(
        file.stat().st_size for file in folder.iterdir() if file.name != "README.md"
    )
    assert (folder_of(ENTRY) / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert load(ENTRY).family.encode("one two").inputs["input_ids"].shape == (1, 3)


def test_words_of_every_kind_come_and_nothing_else_does(hub, folder):
    words = {"chat_template.jinja", "tokenizer.model", "source.spm", "merges.txt", "vocab.json",
             "generation_config.json"}  # fmt: skip
    others = {"README.md", "modeling_mine.py", "pytorch_model.bin", "model.onnx", "run.sh", "x.pkl"}
    for name in words | others:
        (folder / name).write_text("{}")
    bring()
    here = {path.name for path in folder_of(ENTRY).iterdir()}
    assert here >= words
    assert not here & others


def test_what_is_here_is_not_asked_for_again(hub):
    bring()
    asked = len(hub.requests)
    assert bring() == []
    load(ENTRY)
    assert len(hub.requests) == asked


def test_what_is_here_loads_without_a_network(hub):
    bring()
    hub.down()
    assert bring() == []
    assert load(ENTRY).entry == ENTRY


def test_in_shards(hub, folder, monkeypatch):
    model = load(Entry("here", "text2text", False, 0, folder=folder)).model
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    assert len(list(folder.glob("*.safetensors"))) > 1
    bring()
    theirs = load(ENTRY).model.state_dict()
    assert all(torch.equal(theirs[name], tensor) for name, tensor in model.state_dict().items())


def test_a_shard_that_is_missing_is_not_here_yet(hub, folder):
    model = load(Entry("here", "text2text", False, 0, folder=folder)).model
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    bring()
    next(folder_of(ENTRY).glob("model-00002*")).unlink()
    assert folder_of(ENTRY) is None


def test_no_network(hub):
    hub.down()
    assert "the Hub gives no answer" in refused()


def test_switched_off(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert "the Hub is switched off here" in refused()


def test_no_such_model(hub):
    entry = Entry("nobody/nothing", "text2text", False, 0, revision=COMMIT)
    assert refused(entry) == "the Hub has no public model nobody/nothing"


def test_no_such_revision(hub):
    hub.unknown_revisions.add(COMMIT)
    assert "the Hub has no revision 5ca1ab1e" in refused()


def test_gated(hub):
    hub.gated.add(NAME)
    assert "is gated" in refused()


def test_an_error_that_passes_is_waited_for(hub):
    hub.fail(f"revision/{COMMIT}", 500, times=2)
    hub.fail(WEIGHTS, 503, times=2)
    assert bring()[-1].done > 0
    assert where(ENTRY) == "downloaded"


def test_an_error_that_stays_is_told(hub):
    hub.fail(f"revision/{COMMIT}", 500, times=99)
    assert "the Hub answered 500" in refused()


@pytest.fixture
def begun(hub, monkeypatch):
    """A download whose first file is here: what is to befall the weights can be set now."""
    monkeypatch.setattr(downloading, "SECONDS_APART", -1)
    with closing(download(ENTRY)) as telling:
        next(telling)
        yield telling


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_is_cut_goes_on_where_it_broke(hub, begun, folder, reset):
    size = (folder / WEIGHTS).stat().st_size
    hub.cut(WEIGHTS, at=0.5, reset=reset)
    told = list(begun)
    first, second = sorted({int(r[6:-1]) for r in hub.asked(WEIGHTS) if r and r.endswith("-")})
    assert first == 0 < second <= size // 2 + 1
    assert told[-1].done == told[-1].total
    assert (folder_of(ENTRY) / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()


def test_one_that_breaks_off_for_good_is_told_and_the_next_goes_on(hub, begun, tmp_path):
    hub.cut(WEIGHTS, at=0.5)
    hub.fail(WEIGHTS, 503, times=1000)
    with pytest.raises(UnavailableError, match="broke off; what came is kept"):
        list(begun)
    hub.clear()
    bring()
    assert where(ENTRY) == "downloaded"
    assert parts(tmp_path) == []


def test_stop_keeps_what_came_and_the_next_download_goes_on(hub, begun, folder, tmp_path):
    size = (folder / WEIGHTS).stat().st_size
    hub.slow(100_000)
    for known in begun:
        if known.done > known.total - size * 0.8:
            break
    begun.close()
    (part,) = parts(tmp_path)
    came = part.stat().st_size
    assert 0 < came < size
    assert folder_of(ENTRY) is None
    hub.slow(None)
    told = bring()
    assert told[-1].done == told[-1].total
    assert told[-1].fresh <= told[-1].total - came
    assert f"bytes={came}-" in hub.asked(WEIGHTS)
    assert (folder_of(ENTRY) / WEIGHTS).read_bytes() == (folder / WEIGHTS).read_bytes()
    assert parts(tmp_path) == []


def test_a_corrupt_file_is_thrown_away(hub, tmp_path):
    hub.corrupt(WEIGHTS)
    assert "is not what the Hub names" in refused()
    assert parts(tmp_path) == []


def test_a_part_that_was_spoilt_here_is_thrown_away(hub, folder, tmp_path):
    blobs = downloading._blobs(ENTRY)
    blobs.mkdir(parents=True)
    sha256 = checkpoints.describe(folder)[WEIGHTS].lfs
    (blobs / f"{sha256}.part").write_bytes(b"\0" * 100)
    assert "is not what the Hub names" in refused()
    bring()
    assert where(ENTRY) == "downloaded"


@pytest.mark.parametrize("share", [0.5, 0.001])
def test_weights_that_are_cut_short_on_the_hub_are_refused_before_they_come(hub, folder, share):
    checkpoints.truncate(folder / WEIGHTS, share)
    message = refused()
    assert "cut short" in message or "no whole safetensors" in message
    assert f"bytes={0}-" not in hub.asked(WEIGHTS)


def test_pickles_are_refused_before_they_come(hub, folder):
    checkpoints.as_pickle(folder)
    assert "pickles only" in refused()
    assert hub.asked("pytorch_model.bin") == []


def test_no_weights_at_all(hub, folder):
    (folder / WEIGHTS).unlink()
    assert refused().endswith("has no weights as safetensors")


def test_a_model_with_missing_weights_is_refused(hub, folder):
    checkpoints.without_key(folder, "lm_head.weight")
    checkpoints.without_key(folder, "decoder.final_layer_norm.weight")
    bring()
    with pytest.raises(UnavailableError, match=r"lack 1 weights .* decoder\.final_layer_norm"):
        load(ENTRY)


def test_weights_that_no_one_asks_for_do_no_harm(hub, folder):
    checkpoints.with_extra_key(folder)
    bring()
    assert load(ENTRY).model.lm_head.weight.shape == (10, 32)


def test_a_file_that_was_spoilt_here_is_told(hub):
    bring()
    checkpoints.truncate((folder_of(ENTRY) / WEIGHTS).resolve(), 0.5)
    with pytest.raises(UnavailableError, match="can't be read"):
        load(ENTRY)


def test_another_kind_of_model_is_refused(hub):
    bring()
    other = Entry(NAME, "captioning", tied=True, parameters=0, revision=COMMIT)
    with pytest.raises(UnavailableError, match="type 't5', expected 'blip'"):
        load(other)


def test_what_is_too_large_for_the_host_is_refused_before_it_comes(hub, monkeypatch):
    monkeypatch.setattr(asking, "SETTINGS", Settings(most_parameters=1000, hub="listed"))
    assert "parameters; this server takes 1,000 at most" in refused()
    assert "bytes=0-" not in hub.asked(WEIGHTS)
    monkeypatch.setattr(asking, "ALLOWED", {NAME: ENTRY})  # as the host has named it
    bring()


def test_what_memory_has_no_room_for_is_refused_before_it_comes(hub, monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    assert "of memory; 0.00 GB are free here" in refused()
    assert "bytes=0-" not in hub.asked(WEIGHTS)


def test_what_the_disk_has_no_room_for_is_refused_before_it_comes(hub, monkeypatch):
    monkeypatch.setattr(asking, "free_disk", lambda: 1000)
    assert "of disk" in refused()
    assert "bytes=0-" not in hub.asked(WEIGHTS)


def test_two_downloads_of_one_model_do_not_meet(hub, begun):
    with pytest.raises(UnavailableError, match="another program is downloading"):
        bring()
    rest = []
    other = threading.Thread(target=lambda: rest.extend(begun))  # gradio changes threads, too
    other.start()
    other.join()
    assert rest[-1].done == rest[-1].total


def test_speed_and_time_left():
    known = Downloading(done=300, total=500, fresh=100, seconds=2.0)
    assert (known.bytes_per_second, known.seconds_left) == (50.0, 4.0)
    begun = Downloading(done=300, total=500, fresh=0, seconds=0.1)
    assert (begun.bytes_per_second, begun.seconds_left) == (None, None)
