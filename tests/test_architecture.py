"""What depends on what, what is public, and what is loaded when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qdemo

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "numerics": {"numerics"},
    "compress": {"numerics", "compress"},
    "measure": {"numerics", "measure"},
    "public": {"by_name", "measure", "compress", "numerics"},
    "importing": set(),
    "by_name": {"comparison", "results", "compress", "models"},
    "results": {"compress", "measure"},
    "comparison": {"results", "compress", "measure"},
    "document": set(),
    "report": {"document", "results", "measure", "numerics"},
    "progress": {"document", "report", "results"},
    "request": {"importing", "compress", "models"},
    "views": {"document", "views", "measure"},
    "settings": set(),
    "lru": set(),
    "models": {"models", "importing", "lru", "results", "settings"},
    "lab": {"lab", "importing", "models", "compress", "measure", "numerics"},
    "ui": {
        "ui", "lab", "importing", "views", "results", "request", "progress", "report", "document",
        "models", "comparison", "measure", "compress", "numerics", "settings", "lru",
    },
}  # fmt: skip
ONLY_IN = {"transformers": {"models"}, "gradio": {"ui"}, "plotly": {"views"}, "jinja2": {"views"}}
FILES = sorted((ROOT / "qdemo").rglob("*.py"))


def layer_of(path):
    first = path.relative_to(ROOT / "qdemo").parts[0]
    return first.removesuffix(".py")


def module_of(package, name):
    """What `from package import name` imports: a module of ours, or a name in `package`."""
    place = ROOT / package.replace(".", "/") / name
    is_module = place.is_dir() or place.with_suffix(".py").is_file()
    return f"{package}.{name}" if is_module else package


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from {module_of(node.module, alias.name) for alias in node.names}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_in_one_direction(path):
    layer = layer_of(path)
    for name in imports_of(path):
        package, _, rest = name.partition(".")
        assert layer in ONLY_IN.get(package, {layer}), f"{package} is not for {layer}"
        if package == "qdemo" and layer in MAY_IMPORT:
            assert rest.split(".")[0] in MAY_IMPORT[layer], f"{layer} may not import {name}"


def test_no_cycle_between_files():
    graph = {}
    for path in FILES:
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        graph[module.removesuffix(".__init__")] = [
            name for name in imports_of(path) if name.startswith("qdemo.")
        ]
    done = set()

    def visit(module, path):
        assert module not in path, " -> ".join([*path, module])
        if module not in done:
            for other in graph.get(module, []):
                visit(other, [*path, module])
            done.add(module)

    for module in graph:
        visit(module, [])


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_stay_short(path):
    assert len(path.read_text().splitlines()) <= 300


def test_everything_public_is_there_and_told():
    assert sorted(qdemo.__all__) == sorted(set(qdemo.__all__))
    for name in qdemo.__all__:
        assert getattr(qdemo, name).__doc__, name


def test_the_public_names_are_those_of_public():
    import qdemo.public

    given = {name for name in vars(qdemo.public) if not name.startswith("_")}
    assert given - set(vars(qdemo)) - {"qdemo"} == set()
    assert set(qdemo.__all__) <= given & set(dir(qdemo))
    everything = {}
    exec("from qdemo import *", everything)
    assert all(everything[name] is getattr(qdemo, name) for name in qdemo.__all__)
    with pytest.raises(AttributeError, match="'qdemo' has no attribute 'nothing'"):
        qdemo.nothing  # noqa: B018


HEAVY = {"torch", "transformers", "tokenizers", "sentencepiece", "safetensors", "scipy", "sklearn"}
NOT_ITS_OWN = {"numpy", "gradio", "plotly", "pandas", "PIL", "jinja2"}
"""gradio needs most of these itself."""


@pytest.mark.parametrize(
    ("script", "heavy"),
    [
        ("import qdemo", HEAVY | NOT_ITS_OWN),
        ("import qdemo; qdemo.Scheme", (HEAVY | NOT_ITS_OWN) - {"torch", "safetensors", "numpy"}),
        ("import app; from qdemo.ui.theme import launch_settings; launch_settings()", HEAVY),
    ],
    ids=["the package", "a name of it", "the page"],
)
def test_nothing_heavy_is_loaded_before_it_is_needed(script, heavy):
    found = f"import sys; {script}; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, cwd=ROOT)
    assert run.stdout.strip() == "[]", run.stderr


def test_requirements_are_pinned():
    for file in ("requirements.txt", "tests/requirements.txt"):
        for line in (ROOT / file).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                assert "==" in line or line.startswith("torch>="), f"{file}: {line}"
