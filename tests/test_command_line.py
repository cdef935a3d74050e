import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from transformers import AutoModel, ViTConfig

from qdemo.__main__ import main
from qdemo.engine import engine
from qdemo.measure.overflow import Watch
from qdemo.models.scenes import IMAGES
from qdemo.spec.report import Overflow, Span
from qdemo.ui import held
from tests import causal_folder
from tests.views.documents import Page

ROOT = Path(__file__).parent.parent
FIXTURES = ROOT / "tests" / "fixtures"
REPORTS = {1: FIXTURES / "report-1.json", 2: FIXTURES / "report-2.json", 3: held.FILE}
PICTURE = IMAGES / "gallery" / "a-woman-and-a-dog-on-the-beach.png"


def run(capsys, *arguments):
    status = main(arguments)
    return status, *capsys.readouterr()


def cells(output):
    return [line.split() for line in output.splitlines()]


def columns(output):
    """A table's rows, as cells by their heads."""
    head, *rows = [re.split("  +", line) for line in output.splitlines() if "  " in line]
    assert head[0] == "format"
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def test_footprint_prints_the_bytes_of_each_format(capsys):
    formats = ("fp32", "bf16", "int8", "int8+emb", "int4-g64")
    status, out, err = run(capsys, "footprint", "google/flan-t5-small", "--formats", *formats)
    assert (status, err) == (0, "")
    assert "76,961,152 parameters, 145 Linear layers" in out
    rows = {row[0]: row[1:] for row in cells(out) if row and row[0] in formats}
    assert tuple(rows) == formats
    assert rows["fp32"][:3] == ["307.84", "1.00", "307,844,608"]
    assert rows["int8"] == ["126.83", "2.43", "126,827,520", "60,489,728", "452,096",
                            "65,885,696", "0", "8.060", "78.6%"]  # fmt: skip
    assert rows["bf16"][-2:] == ["–", "0%"]
    assert rows["int8+emb"][1] == "3.97"
    assert rows["int4-g64"][2] == "99,911,168"  # 60,489,728 · (1/2 + 4/64) + 65,885,696


def test_a_split_tie_is_told(capsys):
    blip = "Salesforce/blip-image-captioning-base"
    head = "text_decoder.cls.predictions.decoder"
    _, out, _ = run(capsys, "footprint", blip, "--formats", "int8", f"int8~{head}=int8", "int8+emb")
    assert f"int8~{head}=int8: {head} was tied to" in out
    assert "93,769,728 bytes" in out
    assert out.count("was tied to") == 1


def test_footprint_tells_the_cache_of_a_language_model(capsys):
    asked = ("--formats", "int8", "int8@bf16", "--context", "1024")
    status, out, err = run(capsys, "footprint", "EleutherAI/pythia-70m", *asked)
    assert (status, err) == (0, "")
    rows = {line.split()[0]: line.split()[-1] for line in out.splitlines() if line}
    per_token = 2 * 6 * 8 * 64
    assert rows["int8"] == f"{1024 * per_token * 4:,}"
    assert rows["int8@bf16"] == f"{1024 * per_token * 2:,}"
    _, out, _ = run(capsys, "footprint", "t5-tiny", "--formats", "int8", "--context", "1024")
    assert "t5-tiny has no cache that is known here" in out
    status, _, err = run(capsys, "footprint", "EleutherAI/pythia-70m", "--context", "2049")
    assert status == 2
    assert "2,049 tokens of context; the model takes 1 to 2,048" in err


def test_untied_counts_as_older_transformers_did(capsys):
    blip = "Salesforce/blip-image-captioning-base"
    _, out, _ = run(capsys, "footprint", blip, "--formats", "fp32", "bf16", "--untied")
    assert "989,660,400" in out
    assert "494,832,248" in out


HEADS = {
    "first token, ms": "first_token_ms",
    "a token, ms": "token_ms",
    "mean |Δlogit|": "logit_mean_abs",
    "max |Δlogit|": "logit_max_abs",
    "KL, nats": "logit_kl_mean",
    "SQNR, dB": "weight_sqnr_db",
}


def test_compare_shows_what_its_json_holds(capsys, tmp_path):
    path = tmp_path / "all.json"
    command = ["compare", "t5-tiny", "--input", "What is 23 + 45?", "--json", str(path)]
    status, out, err = run(capsys, *command, "--formats", "bf16", "int8", "int2")
    assert (status, err) == (0, "")
    whole = json.loads(path.read_text())
    rows = columns(out)
    assert (whole["model"], whole["input"]) == ("t5-tiny", "What is 23 + 45?")
    assert [result["format"] for result in whole["results"]] == ["fp32", "bf16", "int8", "int2"]
    for result in whole["results"][1:]:
        row = rows[result["format"]]
        assert row["memory"] == f"{result['bytes'] / 1e6:.2f} MB"
        for head, key in HEADS.items():
            assert float(row[head]) == pytest.approx(result[key], rel=0.005), key
        assert row["output"] == repr(result["output"])
        assert "," not in row["KL, nats"]
        assert row["diverges at token"] == str(result["first_divergent_token"] or "–")


def test_compare_captions_a_picture(capsys):
    status, out, _ = run(capsys, "compare", "blip-tiny", "--input", str(PICTURE))
    assert status == 0
    assert "blip-tiny: 'a-woman-and-a-dog-on-the-beach.png, 384 × 384 pixels, sha256 " in out
    assert out.count("'a woman and a dog on the beach'") == 4


def test_a_variant_that_fails_is_told_below_the_table(capsys):
    command = ["compare", "t5-tiny", "--input", "x", "--max-tokens", "2", "--formats", "int4-g80"]
    status, out, _ = run(capsys, *command)
    assert status == 0
    assert "int4-g80 failed: encoder.block.0" in out
    assert "group_size 80 does not divide the row length 192" in out


def test_models_lists_the_catalogue(capsys):
    status, out, _ = run(capsys, "models")
    assert status == 0
    numbers = ["11,135,332,352", "44,541.3", "44,541.3", "fp32"]
    assert ["google/flan-t5-xxl", "text2text", *numbers, "apache-2.0", "ae7c9136ad"] in cells(out)
    numbers = ["134,515,008", "538.1", "269.0", "bf16"]
    name = "HuggingFaceTB/SmolLM2-135M-Instruct"
    assert [name, "causal", *numbers, "apache-2.0", "–"] in cells(out)


def test_a_folder_is_measured_before_it_has_weights(capsys, tmp_path, monkeypatch):
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
    ViTConfig(**shape, num_attention_heads=2, num_labels=5).save_pretrained(tmp_path / "a-vit")
    monkeypatch.chdir(tmp_path)
    command = ["footprint", "./a-vit", "--formats", "bf16", "int8"]
    status, out, _ = run(capsys, *command)
    model = AutoModel.from_config(ViTConfig(**shape, num_attention_heads=2))
    count = sum(p.numel() for p in model.parameters())
    assert status == 0
    assert f"{count:,} parameters" in out
    assert f"{2 * count:,}" in out


def test_a_folder_is_compared_and_goes_by_its_name(capsys, tmp_path, monkeypatch):
    causal_folder.write(tmp_path / "a-llama", "tied llama")
    monkeypatch.chdir(tmp_path)
    command = ["compare", "./a-llama", "--input", "x", "--formats", "bf16", "--max-tokens", "2"]
    status, out, _ = run(capsys, *command)
    assert (status, out.splitlines()[0]) == (0, "a-llama: 'x'")


KV8 = "+kv8 in 'int4-g64+kv8' is known, but not built yet"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (
            ["footprint", "nobody"],
            "unknown model 'nobody'; the models are t5-tiny, ",
        ),
        (["compare", "t5-tiny", "--input", " "], "the prompt is empty"),
        (["compare", "t5-tiny", "--input", "x", "--max-tokens", "0"], "max_tokens is 0"),
        (["compare", "blip-tiny", "--input", "no.png"], "there is no file no.png"),
        (["compare", "blip-tiny", "--input", "README.md"], "README.md is no picture"),
        (["footprint", "google/flan-t5-small", "--formats", "int9"], "unknown format 'int9'"),
        (["footprint", "t5-tiny", "--formats", "int4-g64+kv8"], KV8),
        (["compare", "t5-tiny", "--input", "x", "--formats", "int8", "int4-g64+kv8"], KV8),
        (["compare", "t5-tiny", "--input", "x", "--formats", "int8~lm_head"], "'~lm_head' is no"),
        (["show", "no.json"], "can't read no.json: No such file or directory"),
        (["show", "tests"], "can't read tests: Is a directory"),
        (["show", "README.md"], "README.md: expected a report as JSON; this is none"),
        (
            ["show", "assets/course.json"],
            "assets/course.json: expected a report, with a schema; this is none",
        ),
        (
            ["show", "tests/fixtures/report-2.json", "--write", "x.pdf"],
            "can't write x.pdf; its name has to end in one of .json, .csv, .html",
        ),
        (
            ["show", "tests/fixtures/report-2.json", "--write", "no/x.csv"],
            "can't write no/x.csv: No such file or directory",
        ),
        (
            ["footprint", "google/flan-t5-small", "--formats", "int4-g48"],
            "group_size 48 does not divide the row length 512; use a divisor such as 32",
        ),
    ],
)
def test_bad_input_is_one_clear_line(capsys, arguments, says):
    status, _, err = run(capsys, *arguments)
    assert status == 2
    assert err.startswith("qdemo: ")
    assert says in err
    assert err.count("\n") == 1


def as_people_run_it(*arguments, **environment):
    command = [sys.executable, "-m", "qdemo", *arguments]
    return subprocess.run(command, capture_output=True, cwd=ROOT, env=os.environ | environment)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "cp437", "utf-8"])
def test_a_terminal_of_any_encoding_shows_what_it_can(encoding):
    prompt = "Translate to German: Tuesday 😀"
    command = ["compare", "t5-tiny", "--input", prompt, "--formats", "int8", "--max-tokens", "4"]
    run = as_people_run_it(*command, PYTHONIOENCODING=encoding, PYTHONUTF8="0")
    shown, told = run.stdout.decode(encoding), run.stderr.decode(encoding)
    assert (run.returncode, told) == (0, "")
    assert ("mean |Δlogit|" if encoding == "utf-8" else "mean |dlogit|") in shown
    assert ("😀" if encoding == "utf-8" else "\\U0001f600") in shown
    assert [line.split()[0] for line in shown.splitlines()[-2:]] == ["fp32", "int8"]


def test_an_error_in_a_terminal_without_its_characters():
    run = as_people_run_it("footprint", "nobody→", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert run.returncode == 2
    assert run.stderr.startswith(b"qdemo: unknown model 'nobody\\u2192'")


COMPARE = ("compare", "t5-tiny", "--input", "x", "--formats", "int8", "--max-tokens", "1")


@pytest.mark.parametrize("name", ["nowhere/x.json", "folder"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_runs(
    name, capsys, tmp_path, monkeypatch
):
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(engine, "compare", lambda *_: 1 / 0)
    status, out, err = run(capsys, *COMPARE, "--json", str(tmp_path / name))
    assert (status, out) == (2, "")
    assert err.startswith(f"qdemo: can't write {tmp_path / name}: ")
    assert err.count("\n") == 1


def test_a_run_that_breaks_off_leaves_a_file_as_it_was(capsys, tmp_path):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("what was there")
    for file in (old, new):
        assert run(capsys, *COMPARE[:3], "</s>", "--json", str(file))[0] == 2
    assert old.read_text() == "what was there"
    assert not new.exists()


def test_the_json_can_go_to_a_pipe():
    done = as_people_run_it(*COMPARE, "--json", "/dev/stderr")
    assert json.loads(done.stderr)["formats"] == ["fp32", "int8"]


def test_what_the_model_does_not_know_is_told(capsys):
    _, out, _ = run(capsys, *COMPARE[:2], "--input", "😀 x", *COMPARE[4:])
    assert "this model does not know 😀" in out
    _, out, _ = run(capsys, *COMPARE)
    assert "read as" not in out


def test_where_fp16_overflows_is_told(capsys, monkeypatch):
    first = Overflow("a.wi", infinite=3, nan=0, numbers=9, clamped_in=None)
    monkeypatch.setattr(Watch, "span", Span(60000.0, "a", first), raising=False)
    monkeypatch.setattr(Watch, "see", lambda *_: None)
    monkeypatch.setattr(Watch, "__init__", lambda _: None)
    _, out, _ = run(capsys, *COMPARE[:5], "fp16", "--max-tokens", "1")
    assert "fp16: Too large for fp16: of the 9 numbers out of a.wi, 3 became infinite." in out


def test_as_people_start_it():
    result = as_people_run_it("--help")
    assert result.returncode == 0
    assert b"footprint" in result.stdout


@pytest.mark.parametrize("command", [("--help",), ("show", "--help"), ("compare", "--help")])
def test_help_loads_no_torch(command):
    script = (
        "import sys; from qdemo.__main__ import main\n"
        f"try: main({command!r})\n"
        "except SystemExit: print(sorted({'torch', 'transformers', 'gradio'} & {*sys.modules}))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert run.stderr == ""
    assert run.stdout.endswith("\n[]\n")


def test_importing_qdemo_loads_no_torch():
    script = "import sys, qdemo, qdemo.spec.document; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert (run.stdout, run.stderr) == ("False\n", "")


LAST = {"int3": (3, "12.5"), "int8": (None, "45.1")}
"""Of the last format of those reports: the token at which it diverges, and its SQNR."""


@pytest.mark.parametrize("schema", REPORTS)
def test_a_file_of_any_version_is_shown(capsys, schema):
    status, out, err = run(capsys, "show", str(REPORTS[schema]))
    assert (status, err) == (0, "")
    assert out.startswith("t5-tiny: 'Sort these words: pig, onion, river, wolf'\n\n")
    rows, whole = columns(out), json.loads(REPORTS[schema].read_text())
    assert whole["schema"] == schema
    assert list(rows) == whole["formats"]
    assert rows["fp32"]["output"] == "'onion, pig, river, wolf'"
    assert rows["int8"]["memory"] == "5.87 MB"
    assert rows["int8"]["diverges at token"] == "–"
    name = whole["formats"][-1]
    position, decibels = LAST[name]
    assert rows[name]["diverges at token"] == ("–" if position is None else str(position))
    assert rows[name]["SQNR, dB"] == decibels


def test_a_report_of_today_is_shown_without_torch():
    script = (
        "import sys; from qdemo.__main__ import main\n"
        f"main(['show', {str(held.FILE)!r}]); print('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert run.stderr == ""
    assert run.stdout.endswith("\nFalse\n")


@pytest.mark.parametrize("schema", REPORTS)
def test_a_file_is_written_as_another_kind_of_file(capsys, tmp_path, schema):
    for ending in ("html", "csv", "json"):
        file = tmp_path / f"x.{ending}"
        assert run(capsys, "show", str(REPORTS[schema]), "--write", str(file))[::2] == (0, "")
    whole = json.loads(REPORTS[schema].read_text())
    page = Page((tmp_path / "x.html").read_text())
    assert all(result["output"] in page.text for result in whole["results"])
    rows = list(csv.DictReader(io.StringIO((tmp_path / "x.csv").read_text())))
    written = json.loads((tmp_path / "x.json").read_text())
    assert (written["schema"], written["formats"]) == (3, whole["formats"])
    for row, now, before in zip(rows, written["results"], whole["results"], strict=True):
        for key in ("format", "output"):
            assert row[key] == now[key] == before[key]
        for key in ("bytes", "token_ms", "logit_kl_mean", "weight_rms"):
            assert now[key] == before[key]
            assert row[key] == ("" if before[key] is None else repr(before[key])), key
    assert written["results"][-1]["first_divergent_token"] == LAST[whole["formats"][-1]][0]


def test_what_is_shown_was_written_by_compare(capsys, tmp_path):
    path = tmp_path / "x.json"
    _, compared, _ = run(capsys, *COMPARE, "--json", str(path))
    status, shown, _ = run(capsys, "show", str(path), "--write", str(path))
    assert (status, shown) == (0, compared)
    assert run(capsys, "show", str(path)) == (0, compared, "")


def test_a_later_report_is_refused_and_nothing_is_written(capsys, tmp_path):
    later, file = tmp_path / "later.json", tmp_path / "x.html"
    later.write_text('{"schema": 99}')
    status, out, err = run(capsys, "show", str(later), "--write", str(file))
    assert (status, out) == (2, "")
    assert err == f"qdemo: {later}: a report of schema 99; this version reads 1 to 3\n"
    assert not file.exists()
    later.write_text('{"schema": 3, "results": [], "figures": []}')
    status, out, err = run(capsys, "show", str(later))
    assert (status, out) == (2, "")
    assert err.startswith(f"qdemo: {later}: the report is not whole: ")
    assert err.count("\n") == 1


def test_a_codebook_and_an_exception_are_compared_and_counted(capsys):
    formats = ["nf4", "int4-g64~lm_head=int8"]
    _, out, _ = run(capsys, *COMPARE[:4], "--max-tokens", "2", "--formats", *formats)
    rows = columns(out)
    assert list(rows) == ["fp32", "nf4-g64", "int4-g64~lm_head=int8"]
    status, out, err = run(capsys, "footprint", "t5-tiny", "--formats", "int4-g64", *formats)
    assert (status, err) == (0, "")
    plain, nf4, mixed = ({**row} for row in columns(out.partition("\n\n")[2]).values())
    assert nf4["bytes"] == plain["bytes"]
    assert int(mixed["bytes"].replace(",", "")) > int(plain["bytes"].replace(",", ""))
    assert nf4["MB"] == rows["nf4-g64"]["memory"].removesuffix(" MB")
    assert mixed["MB"] == rows["int4-g64~lm_head=int8"]["memory"].removesuffix(" MB")


def test_the_device_can_be_chosen():
    run = as_people_run_it(
        *COMPARE, "--device", "cpu", "--json", "/dev/stderr", QDEMO_DEVICE="cuda"
    )
    assert run.returncode == 0
    assert json.loads(run.stderr)["machine"]["device"] == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_here_is_refused_in_a_sentence():
    for run in (
        as_people_run_it(*COMPARE, "--device", "cuda"),
        as_people_run_it(*COMPARE, QDEMO_DEVICE="cuda"),
    ):
        assert (run.returncode, run.stdout) == (2, b"")
        said = "qdemo: there is no cuda here; use --device cpu, or QDEMO_DEVICE=cpu\n"
        assert run.stderr.decode() == said


def test_a_device_that_nobody_knows_is_refused(capsys):
    with pytest.raises(SystemExit):
        main([*COMPARE, "--device", "tpu"])
    assert "invalid choice: 'tpu'" in capsys.readouterr().err


def test_what_a_file_holds_does_not_steer_the_terminal(capsys, tmp_path):
    document = json.loads(held.FILE.read_text())
    document["model"] = "\x1b]0;owned\x07\x1b[31mred\u202e"
    document["read"][0]["kind"] = "unknown"
    document["read"][0]["text"] = "\x1b[2J"
    file = tmp_path / "report.json"
    file.write_text(json.dumps(document))
    status, out, _ = run(capsys, "show", str(file))
    assert status == 0
    assert r"\x1b]0;owned\x07\x1b[31mred\u202e" in out
    assert all(character.isprintable() or character == "\n" for character in out)


def test_a_wrong_setting_is_said_in_a_line():
    environment = os.environ | {"QDEMO_DEVICE": "gpu"}
    command = [sys.executable, "-m", "qdemo", "models"]
    ran = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("qdemo: QDEMO_DEVICE is 'gpu', expected one of auto, cpu")


def test_formats_lists_every_text_form_with_what_it_needs(capsys):
    status, out, err = run(capsys, "formats")
    assert (status, err) == (0, "")
    assert re.search(r"^nf4-g64-dq +4\.127 +rows a multiple of 64 +bnb_4bit_use_double", out, re.M)
    assert re.search(r"^int4-g64-gptq +4\.5 +.*calibration inputs +GPTQ", out, re.M)
    assert re.search(r"^-gptq +the columns", out, re.M)


def test_formats_as_json(capsys):
    status, out, _ = run(capsys, "formats", "--json")
    told = json.loads(out)
    assert status == 0
    by_text = {one["format"]: one for family in told["families"] for one in family["formats"]}
    assert by_text["mxfp4"]["bits_per_weight"] == 4.25
    assert by_text["llm.int8"]["also_called"] == "load_in_8bit (bitsandbytes)"
    assert {one["part"] for one in told["parts"]} >= {"-mse", "-gptq", "+emb"}


def test_several_inputs_are_compared_one_after_the_other(capsys, tmp_path):
    file, page = tmp_path / "both.json", str(tmp_path / "both.html")
    asked = [part for text in ("What is 40 + 2?", "What is 1 + 1?") for part in ("--input", text)]
    told = run(capsys, "compare", "t5-tiny", *asked, "--formats", "int8", "--json", str(file))
    assert told[0] == 0
    reports = json.loads(file.read_text())
    assert [report["input"] for report in reports] == asked[1::2]
    assert [report["results"][1]["output"] for report in reports] == ["42", "2"]
    assert run(capsys, "show", str(file)) == told
    status, out, err = run(capsys, "show", str(file), "--write", page)
    assert (status, out) == (2, "")
    assert err == f"qdemo: {file} holds 2 comparisons; one can be written as another kind of file\n"
