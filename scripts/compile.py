"""Make a compiled copy of the package under `build/compiled`; `src/` stays plain Python.

Run `python scripts/compile.py`, then any program with `PYTHONPATH=build/compiled`: the copy holds
every source file, and beside the hot ones (the list is `[tool.zhiwei.compiled]` in pyproject.toml)
the C extension that mypyc made of it, which Python prefers. Nothing is done when no source has
changed since.

The copy is compiled with `-O1`, which takes half the time of `-O3` and makes code that is 2 to 4 %
slower (measured on the ISO 8583 codec); `ZHIWEI_OPT_LEVEL=3` asks for what a wheel gets.

Exit codes: 0 made or up to date, 1 the sources do not compile, 3 this machine cannot compile (the
reason is printed). `hatch_build.py` uses the same functions when it builds a wheel.
"""

from __future__ import annotations

import argparse
import ast
import fcntl
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import time
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STAMP = "SOURCES.sha256"
OPT_LEVEL = os.environ.get("ZHIWEI_OPT_LEVEL", "1")
EXIT_CANNOT_COMPILE = 3
_FUTURE = "from __future__ import annotations"
_NO_CYCLES = "@mypyc_attr(acyclic=True)"


def why_not_compilable() -> str | None:
    """Say what this machine lacks for compiling, or None if it lacks nothing."""
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    if not any(shutil.which(name) for name in (compiler, "cc")):
        return "no C compiler is installed (Debian: `apt-get install gcc`)"
    if not Path(sysconfig.get_paths()["include"], "Python.h").exists():
        return "the C headers of Python are not installed (Debian: `apt-get install python3-dev`)"
    for module in ("mypyc", "setuptools"):
        if importlib.util.find_spec(module) is None:
            return f"the Python package that brings `{module}` is not installed"
    return None


def defines_something(path: Path) -> bool:
    """A package's `__init__.py` with nothing but names and imports gains nothing from C."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        for node in tree.body
    )


def hot_modules(root: Path, key: str = "modules") -> list[str]:
    """List the files to compile, relative to `src/`, as pyproject.toml names them under a key."""
    with (root / "pyproject.toml").open("rb") as file:
        patterns = tomllib.load(file)["tool"]["zhiwei"]["compiled"][key]
    source = root / "src"
    found = {path for pattern in patterns for path in source.glob(pattern)}
    return sorted(
        str(path.relative_to(source))
        for path in found
        if path.name != "__init__.py" or defines_something(path)
    )


def fingerprint(root: Path) -> str:
    """Digest all that the result depends on: sources, the list of them, the compiler."""
    digest = hashlib.sha256()
    spec = importlib.util.find_spec("mypyc")
    digest.update(f"{sys.version}\n{spec.origin if spec else ''}\n{OPT_LEVEL}\n".encode())
    inputs = [root / "pyproject.toml", root / "scripts" / "compile.py"]
    inputs += sorted(path for path in (root / "src" / "zhiwei").rglob("*") if is_source(path))
    for path in inputs:
        digest.update(f"{path.relative_to(root)}\n".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_source(path: Path) -> bool:
    """Whatever belongs to the package, and nothing that a run or a build left there."""
    return path.is_file() and path.suffix not in {".pyc", ".so"}


def copy_sources(source: Path, target: Path) -> None:
    """Lay the package's files out below `target` as they are below `source`."""
    for path in source.rglob("*"):
        if is_source(path):
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def without_cycles(text: str) -> str:
    """Tell mypyc in a module's source that the collector of cycles need not look at its classes.

    That is a sixteenth of a decision's time: smaller objects, and none of them walked through. It
    is said here and not in `src/`, where it would be a line above every class. Lines keep their
    numbers where a blank one can give way.
    """
    lines = text.split("\n")
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    plain = [node for node in classes if not node.bases and not node.keywords]
    if not plain:
        return text
    for node in reversed(plain):
        first = min([node.lineno, *[decorator.lineno for decorator in node.decorator_list]]) - 1
        lines[first - (not lines[first - 1]) : first] = [_NO_CYCLES]
    at = lines.index(_FUTURE)
    lines[at] += "; from typing import TYPE_CHECKING"
    lines[at + 1 : at + 2] = ["if TYPE_CHECKING: from mypy_extensions import mypyc_attr"]
    return "\n".join(lines)


def compile_copy(root: Path, target: Path, modules: list[str], opt_level: str) -> None:
    """Copy the package to `target` and compile `modules` there, in a process of its own.

    Raises `subprocess.CalledProcessError` if they do not compile; mypyc has said why by then.
    """
    source = root / "src" / "zhiwei"
    copy_sources(source, target / "zhiwei")
    for name in set(modules).intersection(hot_modules(root, "without_cycles")):
        path = target / name
        path.write_text(without_cycles(path.read_text(encoding="utf-8")), encoding="utf-8")
    # The cache of type-checking is kept between runs; it halves the time of the next one.
    cache = root / "build" / "mypyc-cache"
    command = [sys.executable, str(Path(__file__).resolve()), "--here", str(cache), *modules]
    # Our package must be found here and nowhere else: an inherited path could name another copy.
    environment = {
        **os.environ,
        "PYTHONPATH": "",
        "MYPYPATH": "",
        "ZHIWEI_OPT_LEVEL": opt_level,
    }
    subprocess.run(command, cwd=target, env=environment, check=True)
    shutil.rmtree(target / "build", ignore_errors=True)
    copy_sources(source, target / "zhiwei")  # as they were


def compile_here(cache: str, modules: list[str]) -> None:
    """Compile `modules` in the current directory and leave each extension beside its source."""
    from mypyc.build import mypycify  # noqa: PLC0415 - only this process needs the compiler
    from setuptools import setup  # noqa: PLC0415 - the same

    extensions = mypycify(
        # Types are judged by `make check`, strictly; here only what mypyc itself needs.
        ["--config-file=", f"--cache-dir={cache}", "--ignore-missing-imports", *modules],
        opt_level=OPT_LEVEL,
        debug_level="0",
        group_name="zhiwei",
        multi_file=False,  # one C file: the compiler sees across modules
    )
    for extension in extensions:
        # Python's own flags ask for all warnings; on generated C they tell nobody anything, and
        # looking for them takes as long as all the rest.
        extension.extra_compile_args.append("-Wno-all")
    setup(
        name="zhiwei",
        packages=[],
        ext_modules=extensions,
        script_args=["--quiet", "build_ext", "--inplace"],
    )


def replace_folder(new: Path, old: Path) -> None:
    """Put `new` where `old` was; a program that runs from `old` keeps the files it has open."""
    retired = old.with_name(old.name + ".retired")
    shutil.rmtree(retired, ignore_errors=True)
    if old.exists():
        old.rename(retired)
    new.rename(old)
    shutil.rmtree(retired, ignore_errors=True)


def make_compiled_copy(root: Path, target: Path, only: str | None) -> str:
    """Bring the compiled copy up to date and say in one line what was done."""
    modules = [name for name in hot_modules(root) if only is None or only in name]
    if not modules:
        return "nothing to compile: no source file matches"
    target.parent.mkdir(parents=True, exist_ok=True)
    with (target.parent / f".{target.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two calls at once: the second finds the work done
        mark = f"{fingerprint(root)} {only or 'all'}\n"
        stamp = target / STAMP
        if stamp.exists() and stamp.read_text(encoding="utf-8") == mark:
            return f"up to date: {len(modules)} compiled modules in {target}"
        started = time.monotonic()
        fresh = target.with_name(target.name + ".new")
        shutil.rmtree(fresh, ignore_errors=True)
        compile_copy(root, fresh, modules, OPT_LEVEL)
        (fresh / STAMP).write_text(mark, encoding="utf-8")
        replace_folder(fresh, target)
        seconds = time.monotonic() - started
        return f"compiled {len(modules)} modules in {seconds:.0f} s into {target}"


def main() -> int:
    """Do what the command line asks for; see the top of this file for the exit codes."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", help="compile only modules whose path contains this text")
    parser.add_argument(
        "--to", type=Path, default=ROOT / "build" / "compiled", help="target folder"
    )
    parser.add_argument("--why", action="store_true", help="only say if this machine can compile")
    parser.add_argument("--here", metavar="CACHE", help=argparse.SUPPRESS)
    parser.add_argument("modules", nargs="*", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        compile_here(arguments.here, arguments.modules)
        return 0
    reason = why_not_compilable()
    if reason:
        print(f"not compiled: {reason}. The same sources run as plain Python, more slowly.")
        return EXIT_CANNOT_COMPILE
    if arguments.why:
        print("this machine can compile")
        return 0
    try:
        print(make_compiled_copy(ROOT, arguments.to.resolve(), arguments.only))
    except subprocess.CalledProcessError:
        print("not compiled: mypyc or the C compiler refused the sources (its words are above)")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
