"""Checkpoints for the stand-in for the Hub: written, spoilt, and described as the Hub does."""

import json
import os
import shutil
from dataclasses import dataclass
from functools import cache
from hashlib import file_digest, sha1
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import BertTokenizer, BlipImageProcessor, BlipProcessor
from transformers.initialization import no_init_weights

from qdemo.models.catalogue import CATALOGUE
from qdemo.models.loading import BUILDING
from tests.models.models import write_t5

FLAN, BLIP = "google/flan-t5-small", "Salesforce/blip-image-captioning-base"
LARGE = (".safetensors", ".bin", "spiece.model")  # what the Hub keeps in LFS
BERT_WORDS = {0: "[PAD]", 100: "[UNK]", 101: "[CLS]", 102: "[SEP]", 103: "[MASK]",
              30522: "[DEC]", 30523: "[ENC]"}  # fmt: skip


def write_tiny_t5(folder):
    """45 KB, in a second's fraction."""
    folder.mkdir(parents=True, exist_ok=True)
    write_t5(folder, tied=False, activation="gated-gelu")


def write_flan_t5_small(folder, shards=1):
    """308 MB of random weights in the shapes of the real one, in so many files."""
    folder.mkdir(parents=True, exist_ok=True)
    _write_t5_words(folder, CATALOGUE[FLAN].config["vocab_size"])
    model = random_t5(FLAN)
    # A file is full before it is of that size: a matrix goes into one file whole.
    most = int(4 * CATALOGUE[FLAN].parameters / shards * (1.15 if shards > 1 else 1.01))
    model.save_pretrained(folder, max_shard_size=most)
    assert len(list(folder.glob("*.safetensors"))) == shards


def write_blip_base(folder):
    """896 MB of random weights in the shapes of the real one."""
    folder.mkdir(parents=True, exist_ok=True)
    words = [BERT_WORDS.get(i, f"word{i}") for i in range(30524)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    tokenizer = BertTokenizer(vocab=str(folder / "vocab.txt"))
    images = BlipImageProcessor(size={"height": 384, "width": 384})
    BlipProcessor(images, tokenizer).save_pretrained(folder)
    random_blip(BLIP).save_pretrained(folder)


def truncate(file, share=0.5):
    """Leave only the first `share` of a file, as a download that was stopped does."""
    os.truncate(file, int(file.stat().st_size * share))


def without_key(folder, key):
    """Take a tensor out of model.safetensors."""
    tensors = load_file(folder / "model.safetensors")
    del tensors[key]
    _save(folder, tensors)


def with_extra_key(folder, key="not.of.this.model"):
    """Put a tensor into model.safetensors that no model has."""
    tensors = load_file(folder / "model.safetensors")
    _save(folder, tensors | {key: torch.zeros(3)})


def as_pickle(folder):
    """Have pytorch_model.bin instead of model.safetensors."""
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


@dataclass(frozen=True)
class File:
    """What the Hub says of a file."""

    path: Path
    name: str
    size: int
    blob: str  # git's name for the content, or for the pointer to it
    lfs: str | None  # its sha256

    def listed(self, name, blob, lfs):
        """The same facts have other keys in model_info() and in list_repo_tree()."""
        told = {name: self.name, "size": self.size, blob: self.blob}
        if not self.lfs:
            return told
        pointer = len(_pointer(self.lfs, self.size))
        return told | {"lfs": {lfs: self.lfs, "size": self.size, "pointerSize": pointer}}


def describe(folder):
    """All files below a folder by name."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {(name := path.relative_to(folder).as_posix()): _file(path, name) for path in paths}


def _file(path, name):
    state = path.stat()
    return _hashed(path, name, state.st_size, state.st_mtime_ns)


@cache  # a gigabyte takes seconds
def _hashed(path, name, size, _changed):
    if not name.endswith(LARGE):
        return File(path, name, size, _git(path.read_bytes()), None)
    with path.open("rb") as file:
        lfs = file_digest(file, "sha256").hexdigest()
    return File(path, name, size, _git(_pointer(lfs, size)), lfs)


def _pointer(lfs, size):
    version = "https://git-lfs.github.com/spec/v1"
    return f"version {version}\noid sha256:{lfs}\nsize {size}\n".encode()


def _git(content):
    return sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _write_t5_words(folder, size):
    """t5-tiny's tokenizer, and as many unlikely words that a random model can answer with."""
    source = CATALOGUE["t5-tiny"].folder
    for name in ("tokenizer_config.json", "spiece.model"):
        shutil.copy(source / name, folder)
    words = json.loads((source / "tokenizer.json").read_text())
    known = words["model"]["vocab"]
    known += [[f"▁word{i}", -100.0] for i in range(len(known), size)]
    (folder / "tokenizer.json").write_text(json.dumps(words))


def random_t5(name, **shape):
    """A FLAN-T5 of the catalogue with random weights: the output layer has its own matrix. `shape`
    is what its configuration has instead."""
    model = _model(name, decoder_start_token_id=0, tie_word_embeddings=False, **shape)
    model.lm_head.weight = nn.Parameter(torch.empty_like(model.lm_head.weight))
    return _fill(model)


def random_blip(name):
    """A BLIP of the catalogue with random weights."""
    return _fill(_model(name))


def _model(name, **more):
    """A model of the catalogue, with whatever was in memory for weights."""
    entry = CATALOGUE[name]
    build = entry.family.architecture(entry.family.model_types[0]).model
    with BUILDING, no_init_weights():  # random ones of BLIP's would take four seconds
        model = build(build.config_class(**(entry.config | more)))
    model.tie_weights()
    return model


def _fill(model):
    """Small seeded random weights: the logits stay finite."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(std=0.05, generator=generator)
            else:  # of a norm, or a bias
                parameter.fill_(0.0 if name.endswith("bias") else 1.0)
    return model.eval()


def _save(folder, tensors):
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
