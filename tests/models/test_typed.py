"""What a person types is checked before anything is asked."""

import random
from pathlib import Path

import pytest
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id
from hypothesis import assume, given
from hypothesis import strategies as st

from qdemo.models.catalogue import Entry
from qdemo.models.typed import MOST, Looked, Typed, parse

COMMIT = "0123456789abcdef" * 2 + "01234567"
PARTS = [
    "..", "../..", "a", "owner", "name", "%2e%2e", "..%2f", "\0", "\n", "\r\n", "\x1b[31m",
    "\u202e", "\u200b", "日本", "🤗", "é", "-", "--", ".", ".git", " ", "\t", "@", "@main",
    f"@{COMMIT}0", "@refs/pr/x", "?x=1", "#", ";", "'", '"', "<script>", "{name}", "%s", "$(id)",
    "`id`", "|", "*", "http://10.0.0.1/", "file:///", "datasets/", "spaces/", "x" * 97, "y" * 2000,
    "\ud800", ":", "~", "\\\\server\\share", "resolve/main/x",
]  # fmt: skip


def hostile(count, seed=0):
    """Names that no model has: pieces of what has broken programs before, in any order."""
    draw = random.Random(seed)
    found = set()
    while len(found) < count:
        text = draw.choice(["", "/", "/"]).join(draw.choices(PARTS, k=draw.randint(1, 4)))
        if not _is_fine(text):
            found.add(text)
    return sorted(found)


def _is_fine(text):
    """Whether that is an id after all, or a path that only happens not to exist."""
    try:
        parse(text)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "repo", "revision", "name"),
    [
        ("EleutherAI/pythia-70m", "EleutherAI/pythia-70m", None, "EleutherAI/pythia-70m"),
        (f"a/b@{COMMIT}", "a/b", COMMIT, f"a/b@{COMMIT}"),
        ("a/b@refs/pr/50", "a/b", "refs/pr/50", "a/b@refs/pr/50"),
        ("  https://huggingface.co/Qwen/Qwen3-0.6B\n", "Qwen/Qwen3-0.6B", None, "Qwen/Qwen3-0.6B"),
        ("1/_x.y-z_", "1/_x.y-z_", None, "1/_x.y-z_"),
    ],
)
def test_an_id_of_the_hub(text, repo, revision, name):
    assert parse(text) == Typed(repo, revision)
    assert parse(text).name == name


@pytest.mark.parametrize("text", ["/data/llama", "~/llama", "./llama", r"C:\models\llama"])
def test_a_path_is_a_folder(text):
    assert parse(text) == Typed(folder=Path(text))


@pytest.mark.parametrize(
    "text",
    [
        "", "gpt2", "a/b/c", "a//b", "/a/../b", "../a", "a/..", "a/b@", "a/b@main", "a/b@ABCDEF",
        f"a/b@{COMMIT}0", "a/b.git", "a/b--c", ".a/b/..", "-a/b", "a/b-", "a/b c", "a/é", "日/本",
        "a/" + "b" * 97, "http://huggingface.co/a/b", "https://evil.example/a/b", "a/b?x", "a/b\0",
        "/a\nb", "/" + "a" * 1000, "\ud800/b",
    ],
)  # fmt: skip
def test_what_is_neither_is_named(text):
    with pytest.raises(ValueError, match="is no name of a model; expected OWNER/NAME"):
        parse(text)


@given(st.text(max_size=200) | st.sampled_from(PARTS))
def test_whatever_is_typed_is_taken_apart_or_refused_in_a_short_line(text):
    try:
        found = parse(text)
    except ValueError as error:
        message = str(error)
        assert message.isprintable()
        assert len(message) < 500
    else:
        assert found.folder is not None or found.repo.isascii()
        assert ".." not in found.repo
        assert found.folder is None or ".." not in found.folder.parts


@given(
    st.from_regex(
        r"[\w.@-]{1,8}/[\w.@-]{1,8}", fullmatch=True, alphabet=st.characters(codec="ascii")
    )
)
def test_an_id_is_what_huggingface_hub_takes_for_one(text):
    assume(not text.startswith("."))  # of a path
    try:
        validate_repo_id(text)
    except HFValidationError:
        with pytest.raises(ValueError, match="is no name of a model"):
            parse(text)
    else:
        assert parse(text).repo == text


def entry(name):
    return Entry(name, "causal", False, 1)


def test_what_was_looked_up_is_found_by_its_name_and_by_what_was_typed():
    looked = Looked()
    looked.put("/data/mine", entry("mine"))
    assert looked.get("/data/mine") is looked.get("mine") is looked.entries()[0]
    assert looked.get("other") is None


def test_the_one_that_was_looked_up_first_is_forgotten_first():
    looked = Looked()
    for i in range(MOST + 2):
        looked.put(f"/data/{i}", entry(str(i)))
    assert len(looked.entries()) == MOST
    assert looked.get("/data/1") is looked.get("1") is None
    assert looked.get(f"/data/{MOST + 1}") is not None
