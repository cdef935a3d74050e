"""Data sets: held-out items, a person's own files of every kind, and what is refused in words."""

import csv
import io
import json
import tracemalloc
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qdemo.engine import picture_zip
from qdemo.engine.asking import name_of, typed
from qdemo.engine.datasets import MOST_BYTES, chosen, from_file, held_out
from qdemo.engine.picture_zip import MOST_MEMBERS, MOST_UNPACKED
from qdemo.models.catalogue import CATALOGUE
from qdemo.models.pictures import HELD_OUT, Picture, gallery, named_picture
from qdemo.models.scenes import caption, described
from qdemo.spec.evidence import Item
from qdemo.spec.request import MAX_CHARACTERS, InputError
from tests.bombs import BOMBS

TEXT, LOOKS, CAUSAL = (CATALOGUE[name] for name in ("t5-tiny", "blip-tiny", "smollm2-135m"))
PANDA = gallery()["gallery:a-panda-in-the-mountains"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("files")


def read(folder, name, content, entry=TEXT, **how):
    """What a file of that name and content comes to."""
    path = folder / "file"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return from_file(entry, path, name, **how)


def zipped(members, **how):
    """A zip of `members`, (name, content) each."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **{"compression": zipfile.ZIP_DEFLATED, **how}) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file.getvalue()


def refusal(folder, name, content, entry=TEXT, **how):
    """The sentence that says what is wrong."""
    with pytest.raises(InputError) as caught:
        read(folder, name, content, entry, **how)
    assert caught.value.field == "data"
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400
    return str(caught.value)


def test_the_models_own_items_are_its_held_out_ones():
    text, looks = held_out(TEXT), held_out(LOOKS)
    assert (len(text.items), len(looks.items)) == (text.data.total, looks.data.total) == (990, 400)
    assert text.data.is_held_out
    assert text.data.kind == looks.data.kind == "items"
    assert set(Counter(item.task for item in looks.items).values()) == {80}
    assert len({item.task for item in text.items}) == 16
    assert all(item.expected for item in text.items + looks.items)
    assert text.given(text.items[0]) == text.items[0].input
    assert held_out(TEXT).data == text.data


def test_a_held_out_scene_has_a_name_that_goes_wherever_a_pictures_does():
    found = held_out(LOOKS)
    line = HELD_OUT.read_text(encoding="utf-8").splitlines()[3]
    picture = found.given(found.items[3])
    assert found.items[3] == Item("heldout:3", caption(described(line)), json.loads(line)["task"])
    assert isinstance(picture, Picture)
    assert str(picture) == str(typed("blip-tiny", "heldout:3")) == str(named_picture("heldout:003"))
    assert name_of(picture) == "heldout:3"


@pytest.mark.parametrize("name", ["gpt2", "smollm2-135m"])
def test_a_model_without_held_out_items_says_so(name, tmp_path):
    entry = next(entry for known, entry in CATALOGUE.items() if known.endswith(name))
    with pytest.raises(InputError, match=f"{name} has no held-out items; bring a file"):
        held_out(entry)


def test_items_are_read_from_every_kind_of_file(folder):
    wanted = (Item("2 + 2", "4", "sums"), Item("say “hi”, please", None, ""))
    files = {
        "a.jsonl": '{"input": "2 + 2", "expected": "4", "task": "sums", "key": 7}\n\n'
        '{"input": "say “hi”, please", "expected": null}',
        "a.csv": 'input,expected,task\r\n2 + 2,4,sums\r\n\r\n"say “hi”, please",,\r\n',
        "b.csv": "task;Expected; INPUT \nsums;4;2 + 2\n;;say “hi”, please\n",
        "c.CSV": "task\texpected\tinput\nsums\t4\t2 + 2\n\t\tsay “hi”, please\n",
    }
    digests = set()
    for name, content in files.items():
        for mark in (b"", b"\xef\xbb\xbf"):  # a byte order mark
            found = read(folder, name, mark + content.encode())
            assert found.items == wanted, name
            assert (found.data.name, found.data.total) == (name, 2)
            digests.add(found.data.digest)
    assert len(digests) == 1
    plain = read(folder, "a.txt", "2 + 2\r\n \n  say\u2028“hi”\x0b, please \n")
    assert plain.items == (Item("2 + 2"), Item("  say\u2028“hi”\x0b, please "))
    assert plain.data.digest not in digests


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cf"]), min_size=1)
                .filter(lambda text: not text.isspace() and text.isprintable()),
                min_size=1, max_size=5),
       st.sampled_from(",;\t"))  # fmt: skip
@settings(max_examples=50)
def test_what_other_programs_write_is_read_back(folder, texts, mark):
    items = tuple(map(Item, texts, reversed(texts)))
    rows = [{"input": item.input, "expected": item.expected} for item in items]
    file = io.StringIO()
    writer = csv.DictWriter(file, ["input", "expected"], delimiter=mark)
    writer.writeheader()
    writer.writerows(rows)
    of_csv = read(folder, "a.csv", file.getvalue())
    of_json = read(folder, "a.jsonl", "\n".join(map(json.dumps, rows)))
    assert of_csv.items == of_json.items == items
    assert of_csv.data.digest == of_json.data.digest


def test_the_digest_tells_what_items_are(folder):
    rows = ["input,expected,task", "a,b,c"]
    first = read(folder, "a.csv", "\n".join(rows)).data.digest
    assert first == read(folder, "other.csv", "\n".join(rows)).data.digest
    for other in ("a,b,d", "a,d,c", "d,b,c", "a,b,c\na,b,c", "a,,c", "a,b,"):
        assert read(folder, "a.csv", f"{rows[0]}\n{other}").data.digest != first


def test_a_whole_file_is_one_text_to_a_language_model(folder):
    text = "One line.\n\nAnother, {not JSON}.\n" + "x" * 10_000
    found = read(folder, "a.md", text, CAUSAL, as_text=True)
    assert (found.items, found.data.kind, found.data.total) == ((Item(text),), "text", 1)
    assert not read(folder, "heldout", text, CAUSAL, as_text=True).data.is_held_out
    assert read(folder, "a.txt", "a" * 8000, CAUSAL, as_text=True, most=2).items
    told = refusal(folder, "a.txt", "a" * 8001, CAUSAL, as_text=True, most=2)
    assert told == "'a.txt' has 8,001 characters; at most 8,000 are scored here"
    for entry in (TEXT, LOOKS):
        assert "is no language model" in refusal(folder, "a.txt", text, entry, as_text=True)


def test_items_that_are_drawn_begin_alike_and_differ_by_seed():
    found = held_out(TEXT)
    some, more, every = (chosen(found, limit, 7) for limit in (10, 50, None))
    assert more.items[:10] == some.items
    assert every.items[:50] == more.items
    assert Counter(every.items) == Counter(found.items)
    assert every.items != found.items
    assert chosen(found, 10, 8).items != some.items
    assert some.data == found.data
    assert len({item.task for item in more.items}) > 10
    assert chosen(found, 5000, 7).items == every.items
    # The same on every machine: what came first when this was written.
    assert [found.items.index(item) for item in some.items[:4]] == FIRST_OF_SEED_7
    with pytest.raises(InputError, match="limit is 0, expected 1 or more"):
        chosen(found, 0, 7)


FIRST_OF_SEED_7 = [293, 460, 745, 774]


def test_pictures_made_here_can_be_named_in_a_file(folder):
    names = "scene:007\ngallery:a-panda-in-the-mountains\nheldout:0"
    found = read(folder, "a.txt", names, LOOKS)
    assert [item.input for item in found.items] == ["scene:7", *names.split()[1:]]
    assert str(found.given(found.items[1])) == str(named_picture(names.split()[1]))
    told = refusal(folder, "a.txt", "scene:7\n\nscene:x", LOOKS)
    assert told == "line 3: unknown scene 'x'; expected a number from 0 to 999,999,999"
    assert "line 1: unknown scene '400'" in refusal(folder, "a.txt", "heldout:400", LOOKS)
    assert "unknown picture 'a.png'" in refusal(folder, "a.jsonl", '{"input": "a.png"}', LOOKS)


def test_a_zip_has_pictures_and_their_captions(folder):
    panda = PANDA.read_bytes()
    members = [("some/", ""), ("some/b.png", panda), ("../up.png", panda), ("/etc/a.png", panda),
               ("__MACOSX/some/._b.png", "x"), ("some/.DS_Store", "x")]  # fmt: skip
    captions = "some/captions.csv", "expected,input,task\na panda,b.png,one"
    found = read(folder, "a.ZIP", zipped([*members, captions]), LOOKS)
    assert found.items == (
        Item("some/b.png", "a panda", "one"), Item("../up.png"), Item("/etc/a.png"),
    )  # fmt: skip
    assert [path.name for path in folder.iterdir()] == ["file"]  # nothing was unpacked there
    picture = found.given(found.items[1])
    assert picture.image.tobytes() == named_picture(f"gallery:{PANDA.stem}").image.tobytes()
    assert (picture.name, name_of(picture)) == ("up.png", None)
    assert chosen(found, 2, 0).given(found.items[0]).name == "b.png"
    without = read(folder, "a.zip", zipped(members), LOOKS)
    assert without.data.digest != found.data.digest
    other = Path(gallery()["gallery:a-cat-on-a-couch-in-a-room"]).read_bytes()
    swapped = [(name, other if name == "some/b.png" else data) for name, data in members]
    assert read(folder, "a.zip", zipped(swapped), LOOKS).data.digest != without.data.digest


BAD = {
    "empty": ("a.txt", "", "the file is empty; expected one item or more"),
    "blank": ("a.jsonl", "\ufeff \n\n", "the file is empty; expected one item or more"),
    "binary": ("a.txt", b"ab\0c", "the file is binary; expected text in UTF-8"),
    "utf-16": ("a.csv", "input\na".encode("utf-16"), "the file is binary"),
    "latin-1": ("a.txt", "ok\nna\xefve".encode("latin-1"), "line 2: byte 0xef is not UTF-8; save"),
    "ending": ("a.pdf", "x", "'a.pdf' is no file of items for t5-tiny; expected one in "
               ".txt, .jsonl, .csv"),
    "no ending": ("a", "x", "'a' is no file of items"),
    "pictures": ("a.zip", "x", "'a.zip' is no file of items for t5-tiny"),
    "no JSON": ("a.jsonl", '{"input": "a"}\n{"input": ', "line 2 is '{\"input\": '; expected JSON"),
    "a list": ("a.jsonl", "[1]", "line 1 is '[1]'; expected JSON such as {\"input\": \"…\"}"),
    "deep": ("a.jsonl", "[" * 100_000, "line 1 is '[[["),
    "long number": ("a.jsonl", '{"input": ' + "9" * 5000 + "}", "line 1 is '{\"input\": 999"),
    "no field": ("a.jsonl", '{"prompt": "a"}', "line 1 has no `input`, which each item needs; "
                 "found 'prompt'"),
    "nothing": ("a.jsonl", "{}", "found none"),
    "a number": ("a.jsonl", '\n{"input": 7}', "line 2: input is 7, expected text"),
    "expected a number": ("a.jsonl", '{"input": "a", "expected": 7}', "line 1: expected is 7,"),
    "half": ("a.jsonl", '{"input": "\\ud800"}', "the input of line 1 has half a character"),
    "half a task": ("a.jsonl", '{"input": "a", "task": "\\ud800"}', "the task of line 1 has half"),
    "unseen": ("a.jsonl", '{"input": "\\u200b"}', "the input of line 1 is empty"),
    "long": ("a.txt", f"a\n{'b' * (MAX_CHARACTERS + 1)}", "the input of line 2 has 4,001 "),
    "no column": ("a.csv", "prompt,answer\na,b", "line 1 has no `input`, which each item needs; "
                  "found 'prompt', 'answer'"),
    "cells": ("a.csv", "input,expected\na,b\nc, d,e", "line 3 has 3 cells, expected 2: 'input', "
              "'expected'; a cell with ',' in it stands in double quotes"),
    "few cells": ("a.csv", "input;expected\na", "line 2 has 1 cells, expected 2"),
    "no input": ("a.csv", "input,expected\n,b", "line 2: input is '', expected text with"),
    "open": ("a.csv", 'input\na\n"b\nc', "line 3 is not CSV: unexpected end of data"),
    "long cell": ("a.csv", f"input\n{'b' * 200_000}", "line 2 is not CSV: field larger"),
    "long header": ("a.csv", "b" * 200_000, "line 1 "),
    "blank cells": ("a.csv", ',,,\n""\n', "line 1 has no `input`, which each item needs; "
                    "found none"),
    "two columns": ("a.csv", "task,input,Task\na,b,c", "line 1 names 2 columns 'task', "
                    "expected one"),
    "only a header": ("a.csv", "input,expected\n", "'a.csv' has no items; expected one or more"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD)
def test_what_is_no_item_is_told_by_its_line(folder, bad):
    name, content, told = BAD[bad]
    assert told in refusal(folder, name, content)


def test_a_longer_file_is_refused_by_its_count(folder):
    lines = "a\n" * 100_000
    told = refusal(folder, "a.txt", lines, most=1000)
    assert told == "100,000 lines of items; at most 1,000 are evaluated here"
    assert len(read(folder, "a.txt", lines[:6000]).items) == 3000
    assert len(read(folder, "a.txt", "a\n" * 1000, most=1000).items) == 1000
    assert refusal(folder, "a.txt", "a" * (MOST_BYTES + 1)) == "'a.txt' has more than 20 MB"


def test_a_file_that_is_not_there_is_told(folder):
    for path in (folder / "none.txt", folder):
        with pytest.raises(InputError, match=r"^'it\.txt' can't be read: "):
            from_file(TEXT, path, "it.txt")


PICTURE = ("a.png", PANDA.read_bytes())
BAD_ZIPS = {
    "none": (b"PK\x03\x04nonsense", "no zip that can be read"),
    "cut": (zipped([PICTURE])[:-40], "no zip that can be read"),
    "damaged": (zipped([PICTURE])[:2000] + zipped([PICTURE])[2001:], "no zip that can be read"),
    "no pictures": (zipped([("captions.csv", "input\na.png")]), "the zip has 0 pictures and 1 "),
    "two captions": (zipped([PICTURE, ("captions.csv", "input\na.png"),
                             ("b/captions.csv", "input\na.png")]), "and 2 files of captions"),
    "a text": (zipped([("a.txt", "x")]), "in the zip, a.txt is no picture that can be read"),
    "a zip": (zipped([("a.zip", zipped([PICTURE]))]), "in the zip, a.zip is no picture"),
    "huge": (zipped([("huge.png", BOMBS["huge.png"][0])]), "megapixels, the most that is read"),
    "two of a name": (None, "the zip has two files named 'a.png'"),
    "one of ours": (zipped([("scene:3", PICTURE[1])]), "'scene:3' can't be a file's name here"),
    "a long name": (zipped([("a" * 999, PICTURE[1])]), "can't be a file's name here"),
    "rare": (zipped([PICTURE], compression=zipfile.ZIP_BZIP2), "'a.png' is packed in a rare way"),
    "many": (zipped([(f"{i}.png", "") for i in range(MOST_MEMBERS + 1)]), "more than 1,000 files"),
    "bad caption": (zipped([PICTURE, ("captions.csv", "input,expected\n\nb.png,a cat")]),
                    "captions.csv: line 3: 'b.png' is no picture in the zip, or named twice"),
    "said twice": (zipped([PICTURE, ("captions.jsonl", '{"input": "a.png"}\n' * 2)]),
                   "captions.jsonl: line 2: 'a.png' is no picture in the zip, or named twice"),
    "no JSON": (zipped([PICTURE, ("captions.jsonl", "x")]), "captions.jsonl: line 1 is 'x'"),
}  # fmt: skip


@pytest.mark.parametrize("bad", BAD_ZIPS)
def test_what_is_no_zip_of_pictures_is_told(folder, bad):
    content, told = BAD_ZIPS[bad]
    if content is None:
        with pytest.warns(UserWarning, match="Duplicate name"):
            content = zipped([PICTURE, PICTURE])
    assert told in refusal(folder, "a.zip", content, LOOKS)


def test_a_bomb_is_counted_while_it_is_unpacked(folder, monkeypatch):
    assert MOST_UNPACKED == 200_000_000
    monkeypatch.setattr(picture_zip, "MOST_UNPACKED", 3_000_000)
    third = PICTURE[1] + bytes(1_000_000)
    for members in ([("captions.csv", bytes(100_000_000))],
                    [(f"{i}.png", third) for i in range(3)]):  # fmt: skip
        bomb = zipped(members)
        assert len(bomb) < 500_000
        tracemalloc.start()
        assert "the zip unpacks to more than 3 MB" in refusal(folder, "a.zip", bomb, LOOKS)
        assert tracemalloc.get_traced_memory()[1] < 50_000_000  # 20 of them to read the file
        tracemalloc.stop()


def test_a_locked_zip_is_refused(folder):
    content = bytearray(zipped([PICTURE]))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1  # the flag of encryption
    assert "no zip that can be read: broken, or locked" in refusal(
        folder, "a.zip", bytes(content), LOOKS
    )


def test_a_zip_with_too_many_pictures_is_refused_by_its_count(folder):
    members = [(f"{i}.png", PICTURE[1]) for i in range(3)]
    told = refusal(folder, "a.zip", zipped(members), LOOKS, most=2)
    assert told == "3 pictures; at most 2 are evaluated here"


@given(st.binary(max_size=300) | st.text(max_size=100).map(str.encode),
       st.sampled_from(["a.txt", "a.jsonl", "a.csv", "a.zip"]),
       st.sampled_from([TEXT, LOOKS]))  # fmt: skip
def test_whatever_comes_is_read_or_refused(folder, content, name, entry):
    said = ""
    try:
        found = read(folder, name, content, entry)
        assert found.data.total == len(found.items) > 0
        assert len(found.data.digest) == 64
    except InputError as error:
        said = str(error)
    assert said.isprintable()
