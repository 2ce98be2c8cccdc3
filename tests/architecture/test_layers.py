"""The shape of the package: which layer may import which, and how long things may grow."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import maskrcnn

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "maskrcnn"

LAYERS: list[set[str]] = [
    {"text"},
    {"errors", "file_kinds", "failures"},
    {"config"},
    {"files", "memory"},
    {"ways", "structures", "devices", "json_values", "yaml_values", "xml_values", "process", "pipeline", "marks"},
    {"kernels"},
    {"masks"},
    {"ops"},
    {"viz"},
    {"models", "data", "evaluation"},
    {"acceleration"},
    {"settings"},
    {"presets", "build"},
    {"weights"},
    {"sources"},
    {"detected"},
    {"conversions"},
    {"prediction"},
    {"large"},
    {"predictor"},
    {"runtime"},
    {"export"},
    {"results"},
    {"model"},
    {"loading"},
    {"scoring"},
    {"evaluation_run", "dataset_prediction"},
    {"conclusion"},
    {"evaluator"},
    {"label_rules", "compared_sides"},
    {"comparing"},
    {"inspection", "benchmark", "quantisation", "label_review"},
    {"training"},
    {"serve", "scale"},
    {"cli"},
]
"""Lowest first. A module imports from lower layers and from its own part, never from a neighbour in its layer."""

MODULE_NAMES = {
    "pillow": "PIL",
    "opencv-python-headless": "cv2",
    "pyyaml": "yaml",
    "prometheus-client": "prometheus_client",
}
"""What a distribution is imported as, where that is not its own name."""

MAX_FUNCTION_LINES = 47
MAX_FILE_LINES = 300
MEDIAN_FUNCTION_LINES, LONG_FUNCTION_LINES = 6, 15
"""Half of all functions have at most so many lines, and nine of ten."""

FILES = sorted(PACKAGE.rglob("*.py"))


def part_of(path: Path) -> str:
    """`src/maskrcnn/ops/nms.py` belongs to the part "ops", `src/maskrcnn/settings.py` to "settings"."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def imported_modules(tree: ast.AST) -> Iterator[str]:
    """Every module a file imports, inside functions too; `from maskrcnn import x` counts as maskrcnn.x."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""
            if node.module == "maskrcnn":
                yield from (f"maskrcnn.{alias.name}" for alias in node.names)


def rank(part: str) -> int:
    return next(i for i, layer in enumerate(LAYERS) if part in layer)


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its docstring and decorators."""
    lines = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


@pytest.fixture(params=FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def file(request: pytest.FixtureRequest) -> Path:
    return request.param


def test_every_part_has_a_layer() -> None:
    named = set().union(*LAYERS) | {"__init__", "__main__"}
    assert {part_of(path) for path in FILES} <= named


def test_imports_go_down_only(file: Path) -> None:
    part = part_of(file)
    if part in ("__init__", "__main__"):
        return
    for module in imported_modules(ast.parse(file.read_text())):
        if not module.startswith("maskrcnn."):
            continue
        other = module.split(".")[1]
        assert other == part or rank(other) < rank(part), f"{file.name} ({part}) imports {module}"


def test_no_circle_of_imports() -> None:
    """Neither between files of one part; imports inside functions count."""
    files = {module_of(path): path for path in FILES}
    imports = {
        name: {found for target in imported_names(path) if (found := nearest_file(target, files)) and found != name}
        for name, path in files.items()
    }
    while free := {name for name, needs in imports.items() if not needs & imports.keys()}:
        imports = {name: needs for name, needs in imports.items() if name not in free}
    assert not imports, f"each of these needs another one of them: {sorted(imports)}"


def module_of(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_names(path: Path) -> Iterator[str]:
    """Modules, and what is imported from them, which may be modules as well."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def nearest_file(name: str, files: dict[str, Path]) -> str | None:
    """The module that a dotted name is, or lies in."""
    while name not in files and "." in name:
        name = name.rpartition(".")[0]
    return name if name in files else None


def test_settings_are_plain_data() -> None:
    """Everybody may look into `config/` to learn what can be set; it leans on nothing."""
    files = [file for file in FILES if part_of(file) == "config"]
    modules = {module for file in files for module in imported_modules(ast.parse(file.read_text()))}
    ours = {module.split(".")[1] for module in modules if module.startswith("maskrcnn.")}
    assert ours == {"config", "errors", "text"}


def test_the_rooms_below_the_settings_take_plain_values(file: Path) -> None:
    """They can be used and tested without a `Config`. The one exception: augmentation is described by its settings."""
    if part_of(file) in ("config", "__init__", "__main__") or rank(part_of(file)) >= rank("settings"):
        return
    modules = {module for module in imported_modules(ast.parse(file.read_text())) if module.startswith("maskrcnn.conf")}
    assert modules <= ({"maskrcnn.config.augmentation"} if part_of(file) == "data" else set())


def test_the_scan_sees_imports_inside_functions() -> None:
    tree = ast.parse("def f():\n    from maskrcnn.cli import main\n    import maskrcnn.ops.nms")
    assert set(imported_modules(tree)) == {"maskrcnn.cli", "maskrcnn.ops.nms"}


def test_no_import_of_what_is_not_declared(file: Path) -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    optional = [requirement for name, extra in extras.items() if name != "dev" for requirement in extra]
    requirements = [*declared["dependencies"], *optional]
    names = {re.split(r"[^\w-]", r)[0].lower() for r in requirements}
    allowed = {MODULE_NAMES.get(name, name) for name in names} | {"maskrcnn"} | set(sys.stdlib_module_names)
    if "triton" in str(file.relative_to(PACKAGE)):  # comes with PyTorch's CUDA builds for Linux; the rest does without
        allowed |= {"triton"}
    for module in imported_modules(ast.parse(file.read_text())):
        assert module.split(".")[0] in allowed, f"{module} is not a dependency in pyproject.toml"


def test_every_dependency_is_needed() -> None:
    requirements = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    declared = {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}
    used = {m.split(".")[0] for path in FILES for m in imported_modules(ast.parse(path.read_text()))}
    assert {MODULE_NAMES.get(name.lower(), name) for name in declared} <= used


def test_functions_and_files_stay_short(file: Path) -> None:
    text = file.read_text()
    assert len(text.splitlines()) <= MAX_FILE_LINES, "split the file: one idea each"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert code_lines(node) <= MAX_FUNCTION_LINES, f"{node.name} is too long: give its parts names"


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_private_functions_are_used(file: Path) -> None:
    """By their own module, whose only they are: one that nothing calls has been forgotten."""
    tree = ast.parse(file.read_text())
    kinds = (ast.FunctionDef, ast.ClassDef)
    private = {node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("_")}
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert {name for name in private if not name.startswith("__")} <= loaded


def test_most_functions_are_short() -> None:
    lengths = sorted(
        code_lines(node)
        for file in FILES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert lengths[len(lengths) // 2] <= MEDIAN_FUNCTION_LINES
    assert lengths[len(lengths) * 9 // 10] <= LONG_FUNCTION_LINES


def test_no_path_of_the_workplace_in_the_package(file: Path) -> None:
    text = file.read_text()
    assert "../shared" not in text and "/work/" not in text


def test_public_names_exist_without_extras() -> None:
    """Each public name can be had, and neither torchvision nor an extra is loaded for it."""
    code = (
        "import sys\n"
        "for extra in ('torchvision', 'tensorboard', 'pycocotools', 'triton'): sys.modules[extra] = None\n"
        "import maskrcnn\n"
        "assert 'torch' not in sys.modules, 'import maskrcnn must not wait for PyTorch'\n"
        "for name in maskrcnn.__all__: assert getattr(maskrcnn, name) is not None, name\n"
        "assert callable(maskrcnn.evaluate) and callable(maskrcnn.train) and maskrcnn.__version__\n"
        "import maskrcnn.evaluator, maskrcnn.training.loop\n"
        "assert callable(maskrcnn.evaluate) and callable(maskrcnn.train)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_no_module_hides_a_public_function() -> None:
    """Importing `maskrcnn/evaluate.py` would put the module where `maskrcnn.evaluate(...)` is expected."""
    assert {part_of(path) for path in FILES} & set(maskrcnn.__all__) == set()


def test_every_tested_folder_mirrors_the_package() -> None:
    """`tests/<part>/test_<file>.py` tests `src/maskrcnn/<part>/<file>.py`."""
    parts = {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("_")}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and not path.name.startswith("_")}
    assert parts - folders == set(), "parts without a folder of tests"
