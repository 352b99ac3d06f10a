"""Put what the pages load from other projects into `src/zhiwei/web/static/vendor`.

`scripts/setup.sh` runs `python scripts/assets.py FOLDER` after npm has unpacked into FOLDER what
`src/zhiwei/web/assets/package-lock.json` pins. Each file comes as its maker built it, together with
its licence; git holds none of them, a wheel holds all. Nothing is taken that the lock file does not
name.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ASSETS = ROOT / "src" / "zhiwei" / "web" / "assets"
VENDOR = ROOT / "src" / "zhiwei" / "web" / "static" / "vendor"
#: Name in `vendor`, and where npm puts the file. ECharts holds ZRender, d3 and tslib inside.
FILES = {
    "htmx.min.js": "htmx.org/dist/htmx.min.js",
    "hx-sse.min.js": "htmx.org/dist/ext/hx-sse.min.js",
    "LICENSE-htmx.txt": "htmx.org/LICENSE",
    "echarts.min.js": "echarts/dist/echarts.min.js",
    "LICENSE-echarts.txt": "echarts/LICENSE",
    "NOTICE-echarts.txt": "echarts/NOTICE",
    "LICENSE-d3.txt": "echarts/licenses/LICENSE-d3",
    "LICENSE-zrender.txt": "zrender/LICENSE",
    "LICENSE-tslib.txt": "tslib/LICENSE.txt",
}


def pinned() -> dict[str, str]:
    """The version of each package that the lock file names."""
    text = (ASSETS / "package-lock.json").read_text(encoding="utf-8")
    packages: dict[str, dict[str, str]] = json.loads(text)["packages"]
    return {
        place.removeprefix("node_modules/"): package["version"]
        for place, package in packages.items()
        if place
    }


def why_not(modules: Path) -> str | None:
    """Say what is wrong with the unpacked packages, or None if nothing is."""
    for name, version in pinned().items():
        told = modules / name / "package.json"
        if not told.is_file():
            return f"{name} {version} is not there"
        found = json.loads(told.read_text(encoding="utf-8"))["version"]
        if found != version:
            return f"{name} is {found}, and not {version}"
    missing = [place for place in FILES.values() if not (modules / place).is_file()]
    return f"{missing[0]} is not there" if missing else None


def main() -> int:
    """Copy the files; leave in `vendor` nothing from before."""
    parser = argparse.ArgumentParser(description="Copy what the pages load from other projects.")
    parser.add_argument("folder", type=Path, help="where `npm ci` ran")
    modules = parser.parse_args().folder / "node_modules"
    reason = why_not(modules)
    if reason:
        print(f"assets: failed: {reason}", file=sys.stderr)
        return 1
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    for name, place in FILES.items():
        shutil.copyfile(modules / place, VENDOR / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
