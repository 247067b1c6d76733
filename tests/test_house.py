"""The house keeps its floors: every import runs down, nothing runs in a circle, and nothing grows too long."""

import ast
import doctest
from pathlib import Path

import house
import pytest

import miniframe as mf

PACKAGE = Path(mf.__file__).parent
IMPORTS = house.imports(PACKAGE)
FILES = house.modules_of(PACKAGE)


# -------------------------------------------------------------------- the package


def test_every_import_runs_down_the_floors():
    assert house.upward(IMPORTS) == []


def test_no_files_import_each_other_in_a_circle():
    assert house.circles(house.between_files(IMPORTS)) == []


def test_no_folders_import_each_other_in_a_circle():
    assert house.circles(house.between_rooms(IMPORTS)) == []


def test_the_root_holds_at_most_seven_files():
    assert len(list(PACKAGE.glob("*.py"))) <= 7


def test_every_folder_has_its_floor_and_every_import_was_seen():
    assert {house.floor(module) for module in IMPORTS} == set(house.FLOORS)
    assert ("miniframe.core.node", "miniframe.core.walk") in pairs(IMPORTS)
    assert ("miniframe.layers.arithmetic", "miniframe.core.expression") in pairs(IMPORTS)
    assert ("miniframe", "miniframe.training.fit") not in pairs(IMPORTS), "the training folder imports fit itself"
    assert ("miniframe.training", "miniframe.training.fit") in pairs(IMPORTS)


def test_what_a_module_needs_is_read_in_an_afternoon():
    needed = house.pulled_in(IMPORTS, "miniframe.core.module")
    assert len(needed) <= 12, sorted(needed)
    assert sum(house.lines_of(FILES[module]) for module in needed) <= 1300


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_no_file_is_longer_than_300_lines_and_no_function_longer_than_60(path):
    assert house.lines_of(path) <= 300
    for name, line, length in house.functions(path):
        assert length <= 60, f"{path.name}, line {line}: {name} has {length} lines of code"


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_only_the_checker_uses_automatic_differentiation(path):
    forbidden = {"grad", "vjp", "jvp", "value_and_grad", "checkpoint", "custom_function"}
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("mx", "core"):
            found.add(node.attr)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mlx"):
            found.update(alias.name for alias in node.names)
    if path.parent.name != "checking":
        assert not found & forbidden


# -------------------------------------------------------------------- the test itself can fail


def pairs(found):
    return {(module, target) for module, targets in found.items() for target, _ in targets}


def planted(folder, **sources):
    """A made-up package: {"core_a": text} becomes core/a.py."""
    package = folder / "miniframe"
    for name, text in {"": "", **sources}.items():
        path = package / (name.replace("_", "/", 1) + ".py" if name else "__init__.py")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for inner in package.iterdir():
        if inner.is_dir():
            (inner / "__init__.py").touch()
    return house.imports(package)


@pytest.mark.parametrize(
    "text",
    [
        "\nfrom ..training.fit import fit\n",
        "\nfrom ..training import fit\n",
        "\nimport miniframe.training.fit\n",
        "\nfrom miniframe.training.fit import fit as f\n",
    ],
)
def test_a_planted_upward_import_is_named(tmp_path, text):
    found = planted(tmp_path, core_module=text, training_fit="from ..core import module\n")
    assert house.upward(found) == [
        "miniframe/core/module.py, line 2: imports miniframe.training.fit; floor 5 (training) is above floor 1 (core)"
    ]


def test_an_upward_import_inside_a_function_is_found(tmp_path):
    text = "class A:\n    def f(self):\n        if self:\n            from ..graph import passes\n"
    (words,) = house.upward(planted(tmp_path, layers_tap=text, graph_passes=""))
    assert words.startswith("miniframe/layers/tap.py, line 4: imports miniframe.graph.passes")


def test_the_root_may_not_be_imported_from_below(tmp_path):
    (words,) = house.upward(planted(tmp_path, core_cells="from .. import something\n", core_b="from .. import core\n"))
    assert words.startswith("miniframe/core/cells.py, line 1: imports miniframe; floor 9 (__init__) is above")


def test_everybody_may_read_the_version(tmp_path):
    found = planted(tmp_path, backend_info="from ..version import v\n", version="v = 1\n")
    assert pairs(found) == {("miniframe.backend.info", "miniframe.version")} and house.upward(found) == []


def test_an_import_for_type_checkers_is_none_but_what_stands_beside_it_is(tmp_path):
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ..training import fit\n"
        "else:\n    from . import cells\nif len('x'):\n    from ..graph import names\n"
    )
    found = planted(tmp_path, core_module=text, core_cells="", training_fit="", graph_names="")
    assert found["miniframe.core.module"] == {("miniframe.core.cells", 5), ("miniframe.graph.names", 7)}


def test_a_planted_circle_is_found_file_by_file_and_folder_by_folder(tmp_path):
    found = planted(
        tmp_path,
        core_a="from . import b\n",
        core_b="def f():\n    from .c import x\n",
        core_c="from . import a\n",
        core_d="from . import a\n",
        losses_x="from ..data import y\n",
        data_z="from ..losses import w\n",
        losses_w="",
        data_y="",
    )
    files = house.circles(house.between_files(found))
    assert files == [["miniframe.core.a", "miniframe.core.b", "miniframe.core.c"]]
    assert house.circles(house.between_rooms(found)) == [["data", "losses"]]
    assert house.pulled_in(found, "miniframe.core.d") == {f"miniframe.core.{name}" for name in "abcd"}


def test_the_examples_of_the_checker_are_right():
    assert doctest.testmod(house) == (0, 3)


def test_a_folder_without_a_floor_is_asked_for_one(tmp_path):
    with pytest.raises(KeyError, match="'attic' is on none of the floors"):
        house.upward(planted(tmp_path, attic_box="from ..core import a\n", core_a=""))


def test_the_length_of_a_function_is_its_code_alone(tmp_path):
    path = tmp_path / "a.py"
    path.write_text(
        'def f(\n    x,\n):\n    """Words.\n\n    More.\n    """\n    # why\n    x = 1\n\n    return x  # so\n'
    )
    assert list(house.functions(path)) == [("f", 1, 2)] and house.lines_of(path) == 11
