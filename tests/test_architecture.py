"""What depends on what, what is public, and what is loaded when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import qdemo

ROOT = Path(__file__).parent.parent
MAY_IMPORT = {
    "spec": {"spec"},
    "settings": {"spec"},
    "numerics": {"numerics", "loops", "spec"},
    "loops": {"loops", "spec"},
    "compress": {"compress", "numerics", "loops", "spec"},
    "measure": {"measure", "compress", "numerics", "loops", "spec"},
    "models": {"models", "settings", "spec"},
    "engine": {"engine", "measure", "models", "compress", "numerics", "settings", "spec"},
    "lab": {"lab", "models", "measure", "compress", "numerics", "spec"},
    "views": {"views", "spec"},
    "ui": {"ui", "views", "lab", "engine", "models", "settings", "spec"},
    "listing": {"views", "engine", "models", "spec"},
    "commands": {"engine", "models", "spec"},
    "evaluating": {"commands", "listing", "views", "engine", "spec"},
    "searching": {"commands", "listing", "views", "engine", "models", "spec"},
    "__main__": {
        "commands", "evaluating", "searching", "listing", "views", "engine", "measure", "models",
        "settings", "spec",
    },
}  # fmt: skip
"""From left to right only: what a package may know of the others."""

ONLY_IN = {
    "transformers": {"models"},
    "llvmlite": {"loops"},
    "gradio": {"ui"},
    "plotly": {"views"},
    "jinja2": {"views"},
}
LAZY = "qdemo/__init__.py"
"""The one module that gives names when they are asked for."""

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
        if package == "qdemo" and rest and layer in MAY_IMPORT:
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


def test_the_public_names_are_there_and_no_others():
    everything = {}
    exec("from qdemo import *", everything)
    assert all(everything[name] is getattr(qdemo, name) for name in qdemo.__all__)
    assert sorted(qdemo._MODULE_OF) == sorted(qdemo.__all__)
    assert set(qdemo.__all__) <= set(dir(qdemo))
    with pytest.raises(AttributeError, match="'qdemo' has no attribute 'nothing'"):
        qdemo.nothing  # noqa: B018


def test_editors_are_told_of_the_same_names_in_the_same_modules():
    tree = ast.parse((ROOT / LAZY).read_text())
    told = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module.startswith("qdemo.")
        for alias in node.names
    }
    assert told == qdemo._MODULE_OF


def test_one_module_gives_its_names_lazily():
    lazy = [
        str(path.relative_to(ROOT))
        for path in FILES
        for node in ast.parse(path.read_text()).body
        for inner in ast.walk(node)
        if isinstance(inner, ast.FunctionDef) and inner.name == "__getattr__"
        if not isinstance(node, ast.ClassDef)
    ]
    assert lazy == [LAZY]


def annotations_of(function):
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    return [argument.annotation for argument in every] + [function.returns]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_no_bag_of_anything_is_passed_between_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            told = [ast.unparse(one) for one in annotations_of(node) if one is not None]
            assert not [one for one in told if "dict[str, Any]" in one], node.name


SHALLOW, FEW = 45, 12


def test_few_files_are_shallow():
    found = {
        str(path.relative_to(ROOT)): lines
        for path in FILES
        if (lines := len(path.read_text().splitlines())) < SHALLOW
    }
    assert len(found) <= FEW, found


HEAVY = {"torch", "transformers", "tokenizers", "sentencepiece", "safetensors", "scipy", "sklearn"}
NOT_ITS_OWN = {"numpy", "gradio", "plotly", "pandas", "PIL", "jinja2"}
"""gradio needs most of these itself."""


@pytest.mark.parametrize(
    ("script", "heavy"),
    [
        ("import qdemo", HEAVY | NOT_ITS_OWN),
        ("import qdemo; qdemo.Scheme, qdemo.Variant", HEAVY | NOT_ITS_OWN),
        ("import qdemo.engine.engine, qdemo.models.families, qdemo.models.pictures", HEAVY),
        (
            "import app; from qdemo.ui.dashboard import launch_settings; launch_settings(app.demo)",
            HEAVY,
        ),
    ],
    ids=["the package", "a name of it", "the engine", "the page"],
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
