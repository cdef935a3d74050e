"""Language models of random weights, from the door to the files."""

import csv
import io
import json

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

import qdemo
from qdemo.__main__ import main
from qdemo.engine.asking import ask
from qdemo.engine.engine import ENGINE
from qdemo.engine.telling import now_and_then
from qdemo.models import availability
from qdemo.spec.cache import Cache, Layers
from qdemo.spec.decoding import Decoding
from qdemo.spec.document import as_json, from_json
from qdemo.spec.request import InputError
from qdemo.ui import api
from qdemo.views import files
from tests import causal_folder

NEOX, LLAMA = "gpt-neox", "llama-that-chats"
TEXT = "The wolf and the pig went to the river, and what is the name of the onion? 日本"
FORMATS = ("bf16", "int8+emb", "int3-g8")


@pytest.fixture(autouse=True, scope="module")
def folders(tmp_path_factory):
    """Both are offered, as a host of one's own offers folders."""
    root = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        for name, kind in ((NEOX, "gpt_neox"), (LLAMA, "tied llama")):
            (root / name).mkdir()
            causal_folder.write(root / name, kind, chat=name == LLAMA)
            (entry,) = availability.allowed(f"causal:{root / name}", {}).values()
            patch.setitem(availability.MODELS, entry.name, entry)
        ENGINE.keeping.forget()
        yield root
    ENGINE.keeping.forget()


def asked(model, formats=FORMATS, text=TEXT, **how):
    return ask(model, formats, {"prompt": text}, how.pop("max_tokens", 12), decoding=how)


def run(request):
    """The last report."""
    *_, last = now_and_then(ENGINE.run(request))
    assert not last.failures
    return last


@pytest.mark.parametrize("model", [NEOX, LLAMA])
def test_perplexity_is_exp_of_transformers_own_loss(model, folders):
    plain = AutoModelForCausalLM.from_pretrained(folders / model, trust_remote_code=False).eval()
    words = AutoTokenizer.from_pretrained(folders / model, trust_remote_code=False)
    tokens = words(TEXT, return_tensors="pt").input_ids
    report = run(asked(model, ["bf16", "int8"], read_as="score"))
    for trial, dtype in zip(report.results[:2], (torch.float32, torch.bfloat16), strict=True):
        with torch.no_grad():
            loss = plain.to(dtype)(input_ids=tokens, labels=tokens).loss
        assert trial.figures["loss_mean"] == pytest.approx(loss.item(), rel=1e-3)
        assert trial.figures["perplexity"] == pytest.approx(loss.exp().item(), rel=1e-2)
        assert trial.tokens == tuple(tokens[0, 1:].tolist())
        assert trial.output == TEXT
    assert report.results[2].figures["perplexity_ratio"] == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("how", [{}, {"read_as": "score"}, {"read_as": "text"}])
@pytest.mark.parametrize("model", [NEOX, LLAMA])
def test_a_comparison_is_whole_kept_and_taken_away(model, how):
    request = asked(model, **how)
    report = run(request)
    assert [trial.format for trial in report.results] == ["fp32", *FORMATS]
    assert report.decoding == Decoding(**how)
    assert from_json(as_json(report)) == report
    again = ENGINE.from_kept(request)
    assert again.kept == again.formats
    assert as_json(again)["results"] == as_json(report)["results"]
    rows = list(csv.DictReader(io.StringIO(files.as_csv(report), newline="")))
    assert [row["format"] for row in rows] == list(report.formats)
    assert "</html>" in files.as_page(report)


def test_the_report_says_what_the_model_holds_of_a_text():
    report = run(asked(LLAMA, ["bf16"], max_tokens=2))
    heads, size = 2, 8
    assert report.cache == Cache.of((Layers(2, 2 * heads * size),), causal_folder.POSITIONS)
    (row, other) = csv.DictReader(io.StringIO(files.as_csv(report)))
    assert row["cache_bytes"] == str(2 * 2 * heads * size * 256 * 4)
    assert other["cache_bytes"] == str(2 * 2 * heads * size * 256 * 2)
    assert row["cache_tokens"] == "256"
    assert from_json(as_json(report)).cache == report.cache


def test_a_chat_and_a_text_are_two_questions():
    chat, text = (run(asked(LLAMA, ["bf16"], "Hello", read_as=how)) for how in ("chat", "text"))
    assert len(chat.read) > len(text.read)
    assert chat.kept == text.kept == ()


def test_a_sampled_answer_can_be_had_again():
    how = {"temperature": 0.7, "seed": 3}
    first = run(asked(NEOX, ["bf16"], **how))
    ENGINE.keeping.forget()
    again = run(asked(NEOX, ["bf16"], **how))
    assert not again.kept
    assert [t.tokens for t in again.results] == [t.tokens for t in first.results]


def test_methods_look_at_what_a_language_model_s_layers_are_given():
    formats = ("int3-g8", "int3-g8-gptq", "int3-g8-awq", "int8a8", "int8a8-sq0.5")
    report = run(asked(LLAMA, formats, read_as="score"))
    plain, gptq, awq, _, _ = errors = [t.figures["output_error"] for t in report.variants]
    assert all(error > 0 for error in errors)
    assert max(gptq, awq) < plain
    assert report.calibration.fitted > report.calibration.measured > 0
    matrices = {name for name in report.variants[1].weights if name.endswith("proj.weight")}
    assert len(matrices) == 2 * 7
    for name in matrices:
        assert report.variants[1].weights[name].figures["output_error"] > 0


def test_the_api_takes_it_by_its_places():
    *_, document = api.compare(NEOX, ["int8"], TEXT, None, "", 12, True, "score", 0, 0)
    found = json.loads(document.model_dump_json())
    assert (found["read_as"], found["decoding"]) == ("score", "given")
    assert [row["perplexity"] > 1 for row in found["results"]] == [True, True]
    assert len(found["results"][1]["loss_by_position"]) == len(found["read"]) - 1


def test_from_python_it_is_told_how_to_read():
    *_, finished = qdemo.compare(NEOX, TEXT, ["int8"], decoding=Decoding("score"))
    assert finished.report.results[1].figures["perplexity"] > 1
    with pytest.raises(InputError, match="t5-tiny reads no prompt as score"):
        next(qdemo.compare("t5-tiny", TEXT, ["int8"], decoding=Decoding("score")))


def test_the_command_line_scores_a_text(capsys, tmp_path):
    path = tmp_path / "scored.json"
    command = ["compare", NEOX, "--input", TEXT, "--formats", "int8", "--read-as", "score"]
    assert main([*command, "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    head = next(line for line in printed.splitlines() if line.startswith("format"))
    assert "perplexity  beside fp32's" in head
    assert not [absent for absent in ("output  ", "a token", "diverges") if absent in head]
    assert "One text proves little" in printed
    assert printed.count(TEXT) == 1
    assert main(["show", str(path)]) == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (["--temperature", "hot"], "temperature is 'hot', no number that it can be"),
        (["--temperature", "-1"], "temperature is -1.0, expected 0 to 5"),
        (["--seed", "0.5"], "seed is '0.5', no number that it can be"),
    ],
)
def test_the_command_line_refuses_what_can_t_be(capsys, wrong, says):
    assert main(["compare", NEOX, "--input", "x", *wrong]) == 2
    assert says in capsys.readouterr().err
