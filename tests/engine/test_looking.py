"""A model that is typed, from the stand-in for the Hub: looked at, downloaded, compared."""

import json
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import gradio as gr
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, BertConfig, ViTConfig

import qdemo
from qdemo.engine import looking
from qdemo.engine.asking import parse_model
from qdemo.engine.engine import ENGINE
from qdemo.engine.looking import find, shapes_of
from qdemo.models import download as downloading
from qdemo.models import hub as asking
from qdemo.models.availability import (
    INDEX,
    UnavailableError,
    commit_of,
    folder_of,
    get_entry,
    kept,
    offered,
)
from qdemo.models.catalogue import Entry
from qdemo.models.download import download
from qdemo.models.loading import load, skeleton
from qdemo.models.typed import LOOKED
from qdemo.settings import Settings
from qdemo.spec.request import InputError
from qdemo.ui import api, assistants, link
from tests import causal_folder
from tests.hub import Hub
from tests.hub_checkpoints import as_pickle
from tests.hub_client import online
from tests.models.test_typed import hostile

NAME, WEIGHTS, HEADERS = "someone/a-small-llama", "model.safetensors", "bytes=0-100000"
OTHER = "0123456789" * 4


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A tied Llama, stored as bf16."""
    folder = tmp_path_factory.mktemp("llama") / "a-llama"
    causal_folder.write(folder, "tied llama")
    tensors = {name: x.bfloat16() for name, x in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.fixture
def folder(written, tmp_path):
    """The same, to be spoilt."""
    return shutil.copytree(written, tmp_path / "a-llama")


@pytest.fixture(autouse=True)
def _nothing_is_remembered():
    LOOKED.clear()
    yield
    LOOKED.clear()


@pytest.fixture
def hub(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "_PAUSE", 0.01)
    monkeypatch.setattr(asking, "_PAUSES", (0.01, 0.01))
    monkeypatch.setattr(ENGINE.keeping.models, "get", lambda name: None)
    with Hub({NAME: folder}) as hub:
        online(monkeypatch, hub, tmp_path / "cache")
        yield hub


@pytest.fixture
def listed(monkeypatch):
    monkeypatch.setattr(looking, "SETTINGS", Settings(hub="listed"))


def refused(text):
    """Why a model is refused: a short line, which the page shows at its control."""
    with pytest.raises(InputError) as caught:
        ENGINE.look(text)
    message = str(caught.value)
    assert caught.value.field == "model"
    assert message.isprintable()
    assert len(message) < 700
    return message


def change(folder, **values):
    """Have other values in config.json."""
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | values))


def test_a_look_tells_what_a_model_is_before_it_comes(hub, folder):
    hub.licences[NAME] = "mit"
    found = ENGINE.look(NAME)
    model = AutoModelForCausalLM.from_pretrained(folder)
    count = sum(p.numel() for p in model.parameters())
    stored = sum(x.nbytes for x in load_file(folder / WEIGHTS).values())
    assert stored == 2 * count
    assert (found.name, found.commit, found.task) == (NAME, hub.commit, "causal")
    assert (found.architecture, found.licence) == ("LlamaForCausalLM", "mit")
    assert (found.parameters, found.dtype) == (count, "bf16")
    assert (found.stored, found.download, found.fp32) == (stored, stored, 4 * count)
    assert found.needed == 12 * count  # itself, 16 bits a parameter beside it, and as much again
    assert found.fits
    assert found.warnings == ()
    assert found.int8.format == "int8"
    assert found.int8.coverage.parameters == count
    assert set(hub.asked(WEIGHTS)) == {HEADERS}
    assert hub.asked("tokenizer.json") == []


def test_it_is_asked_for_once_and_found_by_everyone(hub):
    entry = find(NAME)
    asked = len(hub.requests)
    assert find(NAME) is get_entry(NAME) is parse_model(NAME) is entry
    assert ENGINE.look(NAME).name == NAME
    assert entry in offered()
    assert len(hub.requests) == asked


def test_it_is_downloaded_and_compared_by_its_name(hub, folder):
    *_, last = qdemo.compare(NAME, "The wolf and", ["bf16"], max_tokens=4)
    assert last.report.model == NAME
    bf16 = last.report.results[1]
    assert bf16.coverage.parameters == find(NAME).parameters
    assert {one.exact == one.numel for one in bf16.weights.values()} == {True}
    assert ENGINE.look(NAME).download == 0
    theirs = AutoModelForCausalLM.from_pretrained(folder).float().state_dict()
    ours = load(find(NAME)).model.state_dict()
    assert all(torch.equal(ours[name], tensor) for name, tensor in theirs.items())


def test_the_commit_of_the_first_download_stays(hub):
    assert kept(NAME) is None
    first = hub.commit
    list(download(find(NAME)))
    assert kept(NAME) == first
    hub.commit = OTHER  # its owner changes it, and we start anew, without a network
    LOOKED.clear()
    hub.down()
    entry = find(NAME)
    assert (entry.revision, folder_of(entry).name) == (first, first)
    assert load(entry).entry.name == NAME


def test_a_look_alone_keeps_no_commit(hub):
    find(NAME)
    assert kept(NAME) is None
    hub.commit = OTHER
    LOOKED.clear()
    assert find(NAME).revision == OTHER


def test_another_program_s_download_is_taken_and_kept_from_then_on(hub, tmp_path):
    list(download(find(NAME)))
    refs = tmp_path / "cache" / "models--someone--a-small-llama" / "refs"
    (refs / "main").write_text(hub.commit)
    (refs / "qdemo").unlink()
    load(Entry(NAME, "causal", True, 0))
    (refs / "main").write_text(OTHER)
    assert kept(NAME) == hub.commit
    assert folder_of(Entry(NAME, "causal", True, 0)).name == hub.commit
    (refs / "qdemo").unlink()
    (refs / "main").write_text(hub.commit)
    LOOKED.clear()
    assert find(NAME).revision == hub.commit  # a look at what is here keeps it, too
    assert (refs / "qdemo").read_text() == hub.commit


def test_a_catalogue_s_model_without_a_commit_stays_at_the_first(hub, folder):
    name = "EleutherAI/pythia-70m"
    hub.folders[name] = folder
    entry = get_entry(name)
    assert (commit_of(entry), folder_of(entry)) == (None, None)
    told = list(download(entry))
    first, hub.commit = hub.commit, OTHER
    assert told[-1].done == told[-1].total
    assert commit_of(entry) == folder_of(entry).name == first
    assert list(download(entry)) == []


def test_a_commit_can_be_typed(hub):
    entry = find(f"{NAME}@{OTHER}")
    assert (entry.name, entry.repo, entry.revision) == (f"{NAME}@{OTHER}", NAME, OTHER)
    list(download(entry))
    assert folder_of(entry).name == OTHER
    assert kept(NAME) is None
    assert load(entry).entry is entry


def whole(hub, file):
    """How a file was asked for, but for its header."""
    return [asked for asked in hub.asked(file) if asked != HEADERS]


def test_a_sharded_checkpoint_in_bf16(hub, folder, monkeypatch):
    monkeypatch.setattr(downloading, "SECONDS_APART", -1)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="bfloat16")
    (folder / WEIGHTS).unlink()
    model.save_pretrained(folder, max_shard_size="20KB")
    shards = sorted(path.name for path in folder.glob("*.safetensors"))
    assert len(shards) > 2
    found = ENGINE.look(NAME)
    assert (found.dtype, found.stored) == ("bf16", 2 * found.parameters)
    entry = find(NAME)
    hub.slow(200_000)
    for _ in download(entry):  # stopped after the first shard
        if whole(hub, shards[1]):
            break
    assert folder_of(entry) is None
    hub.slow(None)
    first = whole(hub, shards[0])
    list(download(entry))
    assert whole(hub, shards[0]) == first == ["bytes=0-"] * 2  # at the Hub, and where that sends us
    ours = load(entry).model.state_dict()
    assert {x.dtype for x in ours.values()} == {torch.float32}
    assert all(torch.equal(ours[name].bfloat16(), x) for name, x in model.state_dict().items())


def test_a_gated_model_needs_the_host_s_token(hub, monkeypatch):
    hub.gated.add(NAME)
    assert refused(NAME).startswith(f"{NAME} is gated: its owner gives it to those who")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert "HF_TOKEN" in refused(NAME)
    hub.tokens.add("hf_right")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert ENGINE.look(NAME).dtype == "bf16"
    list(download(find(NAME)))
    assert load(find(NAME)).parameters == find(NAME).parameters


def test_pickles_are_refused(hub, folder):
    as_pickle(folder)
    assert refused(NAME).endswith("as pickles only, which can run code: not loaded here")
    assert hub.asked("pytorch_model.bin") == []
    assert "pickles only" in refused(str(folder))


def test_code_of_a_repository_is_never_run(hub, folder):
    (folder / "modeling_mine.py").write_text("raise SystemExit('ran')")
    code = {"AutoConfig": "modeling_mine.Config", "AutoModelForCausalLM": "modeling_mine.Model"}
    change(folder, auto_map=code)
    list(download(find(NAME)))  # a type that transformers knows: its own class
    assert type(load(find(NAME)).model).__module__.startswith("transformers.models.llama")
    LOOKED.clear()
    change(folder, model_type="mine")
    shutil.rmtree(asking.cache_folder())
    assert refused(NAME) == f"{NAME} needs code that it brings with it: not run here"
    assert refused(str(folder)) == "a-llama needs code that it brings with it: not run here"
    assert hub.asked("modeling_mine.py") == []


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"model_type": "mine"}, "is of type 'mine', which transformers does not know"),
        ({"model_type": None}, "is of type None, which transformers does not know"),
        ({"model_type": ["llama"]}, "which transformers does not know"),
        (
            {"architectures": ["LlamaForSequenceClassification"]},
            "is LlamaForSequenceClassification of type",
        ),
        ({"quantization_config": {"quant_method": "gptq"}}, "already quantized"),
        ({"num_hidden_layers": 10**9}, "1,000,000,000 as num_hidden_layers; expected 1,024"),
        ({"text_config": {"num_hidden_layers": 10**9}}, "1,000,000,000 as num_hidden_layers"),
        ({"depths": [2, 10**9]}, "1,000,000,000 as depths; expected 1,024"),
        ({"num_blocks": 10**9}, "1,000,000,000 as num_blocks; expected 1,024"),
        ({"hidden_size": "wide"}, "describes no model that can be built"),
    ],
)
def test_what_can_t_be_compared_is_named(folder, values, says):
    change(folder, **values)
    assert says in refused(str(folder))


@pytest.mark.parametrize(
    "key", ["shared_expert_intermediate_size", "vocab_size_per_layer_input", "share_expert_dim"]
)
def test_the_size_of_a_part_is_no_number_of_parts(folder, key):
    change(folder, **{key: 262_144})
    assert ENGINE.look(str(folder)).architecture == "LlamaForCausalLM"


def test_models_of_other_kinds_are_refused_and_those_that_work_are_named(tmp_path, folder):
    for config in (BertConfig(architectures=["BertForMaskedLM"]), ViTConfig()):
        (folder / "config.json").write_text(json.dumps(config.to_dict()))
        said = refused(str(folder))
        assert "text to text (t5), picture to text (blip), language model (as llama, qwen3" in said


def test_integers_are_refused(folder):
    tensors = {name: x.to(torch.int8) for name, x in load_file(folder / WEIGHTS).items()}
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    assert "already quantized" in refused(str(folder))


def test_a_model_without_a_tokenizer_is_refused_before_it_comes(hub, folder):
    (folder / "tokenizer_config.json").unlink()
    assert "has no tokenizer" in refused(NAME)
    assert set(hub.asked(WEIGHTS)) == {HEADERS}


def test_what_can_t_be_read_is_refused(folder, tmp_path):
    (folder / WEIGHTS).write_bytes(b"\xff" * 100)
    assert "no whole safetensors file" in refused(str(folder))
    (folder / WEIGHTS).unlink()
    assert refused(str(folder)) == "a-llama has no weights as safetensors"
    for text in ("[" * 100_000, "[]", "\xff"):
        (folder / "config.json").write_text(text, encoding="latin-1")
        assert refused(str(folder)).endswith("can't be read") or "safetensors" in refused(
            str(folder)
        )
    assert "is no folder of a model" in refused(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("index", "says"),
    [
        ("[" * 100_000, "has no weights as safetensors"),
        ('{"weight_map": {"a": "\\ud800"}}', "no whole safetensors file"),
        ('{"weight_map": {"a": "\\u0000"}}', "no whole safetensors file"),
        ('{"weight_map": {"a": ""}}', "no whole safetensors file"),
    ],
)
def test_an_index_of_no_files_is_refused(folder, index, says):
    (folder / WEIGHTS).unlink()
    (folder / INDEX).write_text(index)
    assert says in refused(str(folder))


def test_a_folder_that_may_not_be_listed_is_refused(folder, monkeypatch):
    def forbidden(_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", forbidden)
    assert "is no folder of a model" in refused(str(folder))


def test_a_folder_goes_by_its_last_part_unless_that_is_taken(folder, tmp_path):
    assert ENGINE.look(str(folder)).name == "a-llama"
    assert get_entry("a-llama").folder == folder
    other = shutil.copytree(folder, tmp_path / "x" / "a-llama")
    assert ENGINE.look(str(other)).name == str(other)
    taken = shutil.copytree(folder, tmp_path / "x" / "t5-tiny")
    assert ENGINE.look(str(taken)).name == str(taken)
    assert get_entry("t5-tiny").task == "text2text"


@pytest.mark.parametrize("kind", causal_folder.CONFIGS)
def test_its_shapes_are_those_that_are_loaded(tmp_path, kind):
    folder = causal_folder.write(tmp_path / "mine", kind)
    entry = find(str(folder))
    model, shapes = load(entry).model, skeleton(entry)
    wanted = {name: p.shape for name, p in model.named_parameters()}
    assert {name: p.shape for name, p in shapes.named_parameters()} == wanted
    assert entry.parameters == sum(p.numel() for p in model.parameters())
    assert bool(model.all_tied_weights_keys) is entry.tied
    assert entry.stored_bytes == sum(x.nbytes for x in load_file(folder / WEIGHTS).values())


def test_shapes_of_any_class_of_transformers(tmp_path):
    ViTConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=2).save_pretrained(tmp_path)
    model = shapes_of(str(tmp_path))
    assert type(model).__name__ == "ViTModel"
    assert all(p.is_meta for p in model.parameters())
    with pytest.raises(UnavailableError, match="no weights as safetensors"):
        find(str(tmp_path))


def test_little_memory_and_little_disk_are_told_at_once(hub, monkeypatch):
    monkeypatch.setattr(looking, "free_bytes", lambda: 1000)
    monkeypatch.setattr(asking, "free_disk", lambda: 2000)
    found = ENGINE.look(NAME)
    assert not found.fits
    memory, disk = found.warnings
    assert "of memory, and 0.00 GB are free here" in memory
    assert "the disk has 0.00 GB left" in disk


def test_a_listed_model_is_looked_at_without_a_network(hub):
    found = ENGINE.look("EleutherAI/pythia-70m")
    assert (found.commit, found.dtype, found.parameters) == (None, "fp16", 70_426_624)
    assert "commit is not known yet" in found.warnings[0]
    assert hub.requests == []


_OPENED = None


def _heed(event, arguments):
    if _OPENED is not None and event in ("open", "os.listdir", "os.scandir", "socket.connect"):
        _OPENED.append(arguments)


sys.addaudithook(_heed)


@contextmanager
def opened():
    """Every file, folder and connection that is opened meanwhile."""
    global _OPENED
    _OPENED = []
    try:
        yield _OPENED
    finally:
        _OPENED = None


def test_five_hundred_hostile_names_get_a_sentence_each_and_touch_nothing(hub):
    ENGINE.look("t5-tiny")  # whatever is imported late
    names = hostile(500)
    began = time.monotonic()
    with opened() as found:
        said = [refused(name) for name in names]
    assert time.monotonic() - began < 5
    assert found == []
    assert hub.requests == []
    assert all("is no name of a model" in one or "unknown model" in one for one in said)


PATHS = ["/", "/etc", "/proc/self", "~", "/dev/zero", "./x", "/etc/passwd", "/" + "a" * 400]


@pytest.mark.parametrize("path", PATHS)
def test_a_path_to_no_model_is_not_opened(path):
    with opened() as found:
        assert "is no folder of a model" in refused(path)
    assert found == []


@pytest.mark.parametrize(
    "name", [NAME, f"{NAME}@{OTHER}", "/etc", "~/llama", "google/flan-t5-xxl", "a/../b"]
)
def test_a_host_of_listed_models_takes_no_others(hub, listed, name):
    said = f"unknown model {name[:60]!r}; the models are t5-tiny, "
    asked = f"model={name}&formats=int8&input=x"
    for ask, value in ((parse_model, name), (link.request, asked), (ENGINE.look, name)):
        with pytest.raises(InputError) as caught:
            ask(value)
        assert str(caught.value).startswith(said)
    assert hub.requests == []


def test_nor_does_its_api_or_an_assistant_of_it(hub, listed):
    no_request = SimpleNamespace(request=None)
    calls = (
        lambda: list(api.compare(NAME, ["int8"], "x", None, "", 4, False, "chat", 0, 0)),
        lambda: list(api.download(NAME)),
        lambda: api.footprint(NAME, ["int8"]),
        lambda: list(assistants.compare(NAME, ["int8"], "x", request=no_request)),
    )
    for call in calls:
        with pytest.raises(gr.Error, match=r"unknown model .* \(QDEMO_HUB=any would\)"):
            call()
    assert hub.requests == []
