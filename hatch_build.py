"""The build hook: a wheel with the hot modules compiled where possible, a pure one elsewhere.

Both wheels hold the same sources and decide the same. `ZHIWEI_PURE=1` asks for the pure one. An
editable install is always pure: a compiled module beside a source file would shadow every later
edit of it.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


def compile_script(root: Path) -> ModuleType:
    """Load `scripts/compile.py`, which knows how to compile and what."""
    spec = importlib.util.spec_from_file_location("zhiwei_compile", root / "scripts/compile.py")
    if spec is None or spec.loader is None:
        message = "scripts/compile.py is missing from the source tree"
        raise FileNotFoundError(message)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiler_packages(root: Path) -> list[str]:
    """Name mypy (which brings mypyc) and setuptools with the bounds of the development group."""
    with (root / "pyproject.toml").open("rb") as file:
        group: list[str] = tomllib.load(file)["dependency-groups"]["dev"]
    return [line for line in group if line.startswith(("mypy=", "setuptools"))]


class CompiledModulesHook(BuildHookInterface[Any]):
    """Puts the compiled modules into the wheel, or says why it holds none."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask for the compiler's Python packages only where they would be of use."""
        return [] if self.wants_pure() else compiler_packages(Path(self.root))

    def wants_pure(self) -> bool:
        """Only a plain word in the environment turns compiling off."""
        return os.environ.get("ZHIWEI_PURE", "") not in {"", "0"}

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile before the wheel is put together, and name the extensions to be put in."""
        if self.target_name != "wheel" or version == "editable":
            return
        root = Path(self.root)
        script = compile_script(root)
        reason = "ZHIWEI_PURE is set" if self.wants_pure() else script.why_not_compilable()
        if reason:
            self.app.display_warning(f"building a pure Python wheel: {reason}")
            return
        folder = root / "build" / "wheel"
        shutil.rmtree(folder, ignore_errors=True)
        script.compile_copy(root, folder, script.hot_modules(root), opt_level="3")
        extensions = sorted(folder.rglob("*.so"))
        build_data["force_include"].update(
            {str(path): str(path.relative_to(folder)) for path in extensions}
        )
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        self.app.display_info(f"compiled {len(extensions) - 1} modules into the wheel")
