"""The package as it is built and set up: what a wheel holds, what is pinned, what is compiled."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from tests.house.tree import PACKAGE, ROOT, tracked_files

#: Where `scripts/assets.py` puts what the pages load from other projects.
VENDOR = PACKAGE / "web" / "static" / "vendor"


def loaded(name: str, path: Path) -> ModuleType:
    """A script of the repository, as a module."""
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def compile_script() -> ModuleType:
    """`scripts/compile.py`, to be asked."""
    return loaded("compile_script", ROOT / "scripts" / "compile.py")


@pytest.fixture(scope="module")
def assets_script() -> ModuleType:
    """`scripts/assets.py`, to be asked."""
    return loaded("assets_script", ROOT / "scripts" / "assets.py")


def test_a_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    """A wheel has what git tracks below `src/zhiwei`, and the scripts of others; no more."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    environment = {**os.environ, "ZHIWEI_PURE": "1"}
    built = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    assert "pure Python wheel: ZHIWEI_PURE is set" in built.stdout + built.stderr
    (wheel,) = tmp_path.glob("zhiwei-*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        inside = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {
        str(path.relative_to(PACKAGE.parent))
        for path in tracked_files()
        if path.is_relative_to(PACKAGE)
    }
    brought = {str(path.relative_to(PACKAGE.parent)) for path in VENDOR.glob("*")}
    assert inside == expected | brought
    kinds = {Path(name).suffix for name in inside}
    assert {".py", ".po", ".toml", ".sql", ".csv"} <= kinds


def test_the_scripts_of_others_are_the_pinned_ones(assets_script: ModuleType) -> None:
    """What the pages load is there with its licences, and is of the version that is pinned."""
    if not VENDOR.is_dir() and os.environ.get("CI") != "true":
        pytest.skip("the scripts of the pages are not here: `rm .venv/.mark && make setup`")
    assert {path.name for path in VENDOR.glob("*")} == set(assets_script.FILES)
    pinned = assets_script.pinned()
    asked = json.loads((assets_script.ASSETS / "package.json").read_text(encoding="utf-8"))
    for name, version in asked["dependencies"].items():
        assert pinned[name] == version, "package.json names exact versions"
    echarts = (VENDOR / "echarts.min.js").read_text(encoding="utf-8")
    assert f'version="{pinned["echarts"]}"' in echarts
    htmx = (VENDOR / "htmx.min.js").read_text(encoding="utf-8")
    assert pinned["htmx.org"] in htmx


def test_scripts_of_another_version_are_not_taken(
    assets_script: ModuleType, tmp_path: Path
) -> None:
    """What npm unpacked must be what the lock file names; else the reason is said."""
    assert "is not there" in assets_script.why_not(tmp_path)
    for name, version in assets_script.pinned().items():
        (tmp_path / name).mkdir(parents=True)
        told = json.dumps({"version": "0.0.1" if name == "htmx.org" else version})
        (tmp_path / name / "package.json").write_text(told, encoding="utf-8")
    assert assets_script.why_not(tmp_path).startswith("htmx.org is 0.0.1, and not ")


def test_every_pin_satisfies_what_the_package_asks_for() -> None:
    """`requirements-dev.txt` pins each direct dependency within the bounds of pyproject.toml."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    asked = settings["project"]["dependencies"] + settings["dependency-groups"]["dev"]
    lines = (ROOT / "requirements-dev.txt").read_text(encoding="utf-8").splitlines()
    pins = {
        pin.name.lower(): str(pin.specifier).removeprefix("==")
        for pin in (Requirement(line) for line in lines if line and not line.startswith("#"))
    }
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(Version(pins[requirement.name.lower()])), requirement


def test_the_hot_modules_are_a_list_of_real_files(compile_script: ModuleType) -> None:
    """The list to compile finds the core, and leaves out files that hold nothing but names."""
    hot = compile_script.hot_modules(ROOT)
    assert "zhiwei/core/decide.py" in hot
    assert "zhiwei/core/__init__.py" not in hot
    assert all((ROOT / "src" / name).is_file() for name in hot)


def test_classes_without_cycles_are_told_to_the_compiler_and_lines_keep_their_numbers(
    compile_script: ModuleType,
) -> None:
    """Every class of its own in the modules named; none that inherits, since its base decides."""
    hot = set(compile_script.hot_modules(ROOT))
    spared = hot.intersection(compile_script.hot_modules(ROOT, "without_cycles"))
    assert spared >= {"zhiwei/core/card_state.py", "zhiwei/gateways/iso8583/message.py"}
    for name in spared:
        text = (ROOT / "src" / name).read_text(encoding="utf-8")
        before, after = (
            [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
            for source in (text, compile_script.without_cycles(text))
        )
        assert [node.name for node in before] == [node.name for node in after]
        for old, new in zip(before, after, strict=True):
            told = [word for word in map(ast.unparse, new.decorator_list) if "mypyc" in word]
            assert told == ([] if old.bases or old.keywords else ["mypyc_attr(acyclic=True)"])
            assert new.lineno == old.lineno, f"{name}: {old.name}"


def test_a_changed_source_asks_for_a_new_compiled_copy(
    compile_script: ModuleType, tmp_path: Path
) -> None:
    """The fingerprint changes with any byte of a source and with nothing else."""
    package = tmp_path / "src" / "zhiwei" / "core"
    package.mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "compile.py").write_text("pass\n", encoding="utf-8")
    (tmp_path / "pyproject.toml").write_text("[tool]\n", encoding="utf-8")
    source = package / "money.py"
    source.write_text("x = 1\n", encoding="utf-8")
    before = compile_script.fingerprint(tmp_path)
    (package / "money.pyc").write_bytes(b"cache")
    assert compile_script.fingerprint(tmp_path) == before
    source.write_text("x = 2\n", encoding="utf-8")
    assert compile_script.fingerprint(tmp_path) != before


def test_a_machine_without_compiler_is_told_what_it_lacks(
    compile_script: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No compiler is a sentence with a remedy, not a traceback."""
    monkeypatch.setenv("PATH", "")
    assert "no C compiler is installed" in compile_script.why_not_compilable()
