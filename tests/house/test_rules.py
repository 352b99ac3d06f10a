"""Each house rule can fail: every one is shown code that breaks it, and code that does not."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from tests.house import furniture, layers, leftovers, purity, shape
from tests.house.tree import Module, tracked_files


def code(path: str, text: str) -> Module:
    """A file of our package that never existed."""
    return Module(f"src/zhiwei/{path}", text)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/money.py", "from zhiwei.services import stop_payment"),
        ("core/money.py", "import zhiwei.ports"),
        ("services/night.py", "from zhiwei import ports"),
        ("ports.py", "from zhiwei.guardian import Guardian"),
        ("stores/sqlite/store.py", "from zhiwei.services import JUDGES"),
        ("stores/sqlite/store.py", "from ...guardian import Guardian"),
        ("gateways/iso8583/server.py", "from zhiwei.engine import Engine"),
        ("gateways/http/app.py", "from zhiwei.stores.sqlite.store import SqliteStore"),
        ("gateways/http/app.py", "def f() -> None:\n    from zhiwei import assemble"),
        ("testing/clock.py", "from zhiwei.cli import main"),
        ("helperless/new.py", "import math"),
    ],
)
def test_an_import_up_the_table_is_found(path: str, line: str) -> None:
    """An import against the direction of the house is a complaint, however it is written."""
    complaints = list(layers.imports_go_one_way(code(path, line)))
    assert len(complaints) == 1, complaints


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/money.py", "from zhiwei.core.errors import ZhiweiError"),
        ("services/night.py", "from ..core import windows"),
        ("stores/sqlite/store.py", "from . import schema"),
        ("gateways/http/app.py", "from zhiwei import __version__, ports"),
        ("assemble.py", "from zhiwei.stores.sqlite.store import SqliteStore"),
        ("cli/__init__.py", "from zhiwei.assemble import serve"),
        ("__init__.py", "import math"),
    ],
)
def test_an_import_down_the_table_is_welcome(path: str, line: str) -> None:
    """What the table allows is no complaint."""
    assert not list(layers.imports_go_one_way(code(path, line)))


def test_neighbours_that_import_each_other_are_found() -> None:
    """A room, a gateway and a store each keep out of the next one's house."""
    for path, line in (
        ("services/night.py", "from zhiwei.services.spend_limits import judge"),
        ("services/night.py", "from zhiwei.services import spend_limits"),
        ("services/safety_locks/region.py", "from ..spend_limits import judge"),
        ("gateways/http/app.py", "from zhiwei.gateways.iso8583 import codec"),
        ("gateways/http/app.py", "import zhiwei.gateways.iso8583.codec"),
        ("stores/sqlite/store.py", "from zhiwei.stores.memory import MemoryStore"),
    ):
        assert list(layers.neighbours_keep_apart(code(path, line))), line
    for path, line in (
        ("services/__init__.py", "from zhiwei.services import spend_limits"),
        ("services/safety_locks/region.py", "from zhiwei.services.safety_locks import places"),
        ("stores/sqlite/store.py", "from zhiwei.stores.coding import encode_state"),
        ("gateways/http/app.py", "from zhiwei.gateways.response_codes import ResponseCodes"),
    ):
        assert not list(layers.neighbours_keep_apart(code(path, line))), line


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("core/money.py", "import time"),
        ("core/money.py", "import random"),
        ("services/night.py", "import logging"),
        ("services/night.py", "from asyncio import Queue"),
        ("services/night.py", "import msgspec"),
        ("engine.py", "import sqlite3"),
        ("stores/memory.py", "from fastapi import FastAPI"),
        ("gateways/http/app.py", "import psycopg.rows"),
    ],
)
def test_a_foreign_import_out_of_place_is_found(path: str, line: str) -> None:
    """Clocks, chance, logs, drivers and frameworks stay where they belong."""
    assert list(layers.foreign_imports_are_allowed(code(path, line)))


def test_foreign_imports_in_their_place_are_welcome() -> None:
    """Arithmetic in the core, a driver in a store, a framework at the door."""
    for path, line in (
        ("core/money.py", "from collections.abc import Sequence"),
        ("stores/sqlite/store.py", "import sqlite3"),
        ("gateways/http/app.py", "from fastapi import FastAPI"),
    ):
        assert not list(layers.foreign_imports_are_allowed(code(path, line))), line


@pytest.mark.parametrize(
    "line",
    [
        "open('x')",
        "print(1)",
        "datetime.now(UTC)",
        "datetime.datetime.utcnow()",
        "date.today()",
        "time.time_ns()",
        "float('1')",
        "x: float = y",
        "x = 0.5",
        "x = a / b",
        "x /= 2",
        "async def f(): pass",
        "zone = ZoneInfo('Asia/Shanghai')",
        "n = hash('x')",
    ],
)
def test_impurity_is_found(line: str) -> None:
    """Each way to the world, a clock or inexact numbers is a complaint in the pure part only."""
    assert len(list(purity.pure_part_stays_pure(code("core/decide.py", line)))) == 1
    assert len(list(purity.pure_part_stays_pure(code("services/night.py", line)))) == 1
    assert len(list(purity.pure_part_stays_pure(code("guardian/desk.py", line)))) == 1
    assert not list(purity.pure_part_stays_pure(code("gateways/http/app.py", line)))


def test_pure_code_is_welcome() -> None:
    """Whole numbers, a value named `now` and whole division are what the core is made of."""
    text = "def f(now: int) -> int:\n    return card.now // 2 + opened.at(now)"
    assert not list(purity.pure_part_stays_pure(code("core/decide.py", text)))


def test_a_long_function_is_found() -> None:
    """61 lines of code are too many, 60 are not, and its docstring and comments are not counted."""
    line = "    x = 1\n"
    remarks = '    """Says.\n\n    More.\n    """\n    # Why.\n\n'
    for body, found in ((line * 60, 1), (line * 59, 0), (remarks + line * 59, 0)):
        complaints = list(shape.functions_are_short(code("a.py", f"def f():\n{body}")))
        assert len(complaints) == found


def test_a_long_file_is_found() -> None:
    """501 lines are too many."""
    assert list(shape.files_are_short(code("a.py", "x = 1\n" * 501)))
    assert not list(shape.files_are_short(code("a.py", "x = 1\n" * 500)))


def test_empty_names_are_found() -> None:
    """Files that say nothing and functions that get something are complaints."""
    assert list(shape.names_say_something(code("core/utils.py", "")))
    assert list(shape.names_say_something(code("helpers/money.py", "")))
    assert list(shape.names_say_something(code("core/money.py", "def get_rate() -> int: ...")))
    method = "class Rate:\n    def get_it(self) -> int: ..."
    assert list(shape.names_say_something(code("core/money.py", method)))
    override = method.replace("Rate", "Rate(APIRoute)")
    assert not list(shape.names_say_something(code("core/money.py", override)))
    assert not list(shape.names_say_something(code("core/money.py", "def rate() -> int: ...")))


def test_inheritance_is_found() -> None:
    """A class of ours as a base is a complaint; exceptions and protocols are not."""
    assert list(shape.inheritance_is_rare(code("engine.py", "class B(Store): ...")))
    for base in ("ZhiweiError", "Protocol[T]", "enum.IntEnum", "asyncio.Protocol"):
        assert not list(shape.inheritance_is_rare(code("engine.py", f"class B({base}): ...")))
    assert not list(shape.inheritance_is_rare(code("gateways/http/a.py", "class B(Shape): ...")))


def test_slots_in_a_hot_module_are_found() -> None:
    """What mypyc cannot compile well is found in the modules it compiles, and allowed elsewhere."""
    text = "@dataclass(frozen=True, slots=True)\nclass A: ..."
    for path in ("core/money.py", "services/night.py", "services/safety_locks/region.py"):
        assert list(shape.hot_modules_can_be_compiled(code(path, text))), path
    assert not list(shape.hot_modules_can_be_compiled(code("ports.py", text)))


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa",
        "x = 1  # noqa: E501",
        "x = 1  # type: ignore",
        "x = 1  # type: ignore[assignment]",
        "x = 1  # type: ignore # because mypy",
        "x = 1  # pragma: no cover",
    ],
)
def test_an_unexplained_exception_is_found(line: str) -> None:
    """A rule switched off without its code and a reason is a complaint."""
    assert list(leftovers.exceptions_are_explained(code("a.py", line)))


@pytest.mark.parametrize(
    "line",
    [
        "x = 1  # noqa: E501 - the table reads better in one line",
        "x = 1  # noqa: BLE001, S110 - nothing may escape here",
        "x = 1  # type: ignore[assignment]  # the stub is wrong",
        "x = 1  # pragma: no cover - only on a full disk",
        "x = 1",
    ],
)
def test_an_explained_exception_is_welcome(line: str) -> None:
    """With code and reason it is house style."""
    assert not list(leftovers.exceptions_are_explained(code("a.py", line)))


def test_leftover_text_is_found() -> None:
    """Reminders, places of one machine and prints outside the command line are complaints."""
    # Spelled backwards, so that this file keeps the rules that it tests.
    for word in ("EMXIF", "ODOT"):
        assert list(leftovers.no_reminders("docs/a.md", f"well, {word[::-1]}: later"))
    assert not list(leftovers.no_reminders("docs/a.md", "we fixed it, and the method is done"))
    for place in ("niam/krow/", "bal/pmt/", "gro.detsohnohtyp.selif", "gro.ipyp//"):
        assert list(leftovers.no_places("docs/a.md", f"see {place[::-1]} for more"))
    assert not list(leftovers.no_places("docs/a.md", "see docs/work/plan.md for more"))
    assert list(leftovers.only_the_command_line_prints(code("engine.py", "print(1)")))
    assert not list(leftovers.only_the_command_line_prints(code("cli/serve.py", "print(1)")))


def test_a_card_number_is_found() -> None:
    """Digits that pass Luhn are found plain and in groups, and only outside tests."""
    plain, grouped = "4111" + "1" * 12, "4111" + " 1111" * 3
    for number in (plain, grouped):
        assert list(leftovers.no_card_numbers("docs/start.md", f"card {number}, please"))
        assert not list(leftovers.no_card_numbers("tests/gateways/golden/a.json", number))
    for harmless in ("4111" + "1" * 11 + "2", "0" * 16, f"{plain}0" * 2, f"x{plain}", f"0.{plain}"):
        assert not list(leftovers.no_card_numbers("docs/start.md", harmless)), harmless


def test_a_bare_room_is_found(tmp_path: Path) -> None:
    """A room is told of each thing that it lacks, and a furnished one of nothing."""
    package = tmp_path / "src" / "zhiwei"
    (package / "services").mkdir(parents=True)
    room = package / "services" / "night.py"
    room.write_text("x = 1\n", encoding="utf-8")
    words = {"zh": {"service.night": "夜间锁"}, "en": {"service.night": ""}}
    rooms = furniture.rooms(package)
    assert [room.name for room in rooms] == ["night"]
    assert len(list(furniture.rooms_have_their_furniture(rooms, tmp_path, words))) == 4

    room.write_text(f'"""{"It promises a quiet night. " * 2}"""\n', encoding="utf-8")
    for file in ("docs/services/night.md", "tests/services/scenarios/night.txt"):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text("yes", encoding="utf-8")
    words["en"]["service.night"] = "Night lock"
    rooms = furniture.rooms(package)
    assert not list(furniture.rooms_have_their_furniture(rooms, tmp_path, words))


def test_a_folder_without_its_own_file_is_a_bare_room(tmp_path: Path) -> None:
    """A folder in `services/` is a room too, even before it has an `__init__.py`."""
    (tmp_path / "services" / "safety_locks").mkdir(parents=True)
    assert furniture.rooms(tmp_path) == [furniture.Room("safety_locks", "")]


@pytest.mark.parametrize(
    ("reasons", "ledger", "said"),
    [
        ([("A", 1), ("B", 1)], "1 A", "is both"),
        ([("A", 1)], "", "not in the ledger"),
        ([("A", 1)], "1 OLD", "take a new number"),
        ([("A", 1)], "1 A retired", "take a new number"),
        ([], "1 A", "is gone"),
        ([("A", 1)], "1 A\n1 A", "twice"),
        ([("A", 1)], "1 A\nB 2", "is not `NUMBER NAME`"),
    ],
)
def test_a_number_used_again_is_found(
    reasons: list[tuple[str, int]], ledger: str, said: str
) -> None:
    """Doubles, renames, disappearances and strays of numbers are complaints."""
    complaints = list(furniture.reasons_keep_their_numbers(reasons, ledger))
    assert any(said in complaint for complaint in complaints), complaints


def test_a_ledger_that_agrees_is_welcome() -> None:
    """Living and retired numbers side by side are how it should look."""
    ledger = "# numbers\n1 A\n2 B retired\n"
    assert not list(furniture.reasons_keep_their_numbers([("A", 1)], ledger))


def test_a_reason_without_words_or_code_is_found() -> None:
    """A reason needs a sentence in each language and its name in the table of answers."""
    words = {"zh": {"reason.night_lock_active": "夜间锁"}, "en": {}}
    reasons = [("NIGHT_LOCK_ACTIVE", 503)]
    assert len(list(furniture.reasons_have_words(reasons, words))) == 1
    table = '[unionpay.reasons]\nnight_lock_active = "62"\n[visa-9g]\nlike = "visa"\n'
    assert not list(furniture.reasons_have_a_wire_code(reasons, table))
    assert len(list(furniture.reasons_have_a_wire_code(reasons, f"{table}[visa]\n"))) == 1


def test_enum_members_keep_their_doubles() -> None:
    """A number given twice, which Python would turn into an alias, is read twice."""
    source = "class Reason(IntEnum):\n    A = 1\n    B = 1\n\n    def f(self) -> int: ...\n"
    assert furniture.enum_members(source, "Reason") == [("A", 1), ("B", 1)]
    assert furniture.enum_members(source, "Other") == []


def test_words_are_read_from_catalogues(tmp_path: Path) -> None:
    """Each language's catalogue gives its keys, wherever the folder of languages lies."""
    for language, word in (("zh", "已挂失"), ("en", "lost")):
        folder = tmp_path / "words" / "locale" / language / "LC_MESSAGES"
        folder.mkdir(parents=True)
        catalogue = f'msgid "reason.card_lost"\nmsgstr "{word}"\n'
        (folder / "zhiwei.po").write_text(catalogue, encoding="utf-8")
    words = furniture.words_of(tmp_path)
    assert words == {"zh": {"reason.card_lost": "已挂失"}, "en": {"reason.card_lost": "lost"}}


def test_the_tree_is_seen_whole() -> None:
    """The list of files holds this one and nothing that is built."""
    files = {path.as_posix() for path in tracked_files()}
    assert Path(__file__).resolve().as_posix() in files
    assert not [path for path in files if "/.venv/" in path or "/__pycache__/" in path]


def test_a_module_knows_its_name() -> None:
    """Names are dotted, a package is its folder, and the package's own file has none."""
    for path, name in (("core/money.py", "core.money"), ("core/__init__.py", "core")):
        assert code(path, "").name == name
    assert code("__init__.py", "").name == ""
    assert Module("tests/test_house.py", "").name == ""
    assert isinstance(code("a.py", "x = 1").tree, ast.Module)
