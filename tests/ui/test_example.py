import re

from qdemo.document import SCHEMA, WHOLE_MODEL, variants
from qdemo.ui import example
from qdemo.models.catalogue import CATALOGUE


def test_the_example_is_a_document_of_today():
    document = example.example()
    assert document["schema"] == SCHEMA
    assert CATALOGUE[document["model"]].folder  # it can be computed anew without a network
    assert document["failures"] == []
    assert [result["format"] for result in document["results"]] == document["formats"]
    assert all(WHOLE_MODEL in result["weights"] for result in variants(document))


def test_the_note_says_when_and_where():
    document = example.example()
    assert document["computed"][:10] in example.note()
    assert re.search(r"20\d\d-\d\d-\d\d", example.note())
    assert document["machine"]["processor"] in example.note()
    assert f"{document['machine']['threads']} threads" in example.note()


def test_the_example_shows_that_formats_differ():
    parts = [result["first_divergent_token"] for result in variants(example.example())]
    assert None in parts
    assert any(part is not None for part in parts)


def test_the_example_holds_what_its_model_holds():
    sizes = {r["format"]: r["bytes"] for r in example.example()["results"]}
    assert sizes["fp32"] == 4 * CATALOGUE["t5-tiny"].parameters
    assert sizes["fp16"] == sizes["bf16"] == sizes["fp32"] / 2
