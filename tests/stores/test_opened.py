"""Opened files: what a server of PostgreSQL remembers of them saves time and decides nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.stores.values import KEY, parts, states
from zhiwei.core.card_state import CardState
from zhiwei.ports import CorruptFileError
from zhiwei.stores.coding.recent import encode_recent
from zhiwei.stores.coding.settings import encode_settings
from zhiwei.stores.coding.usage import encode_usage
from zhiwei.stores.postgres.arrays import bigint
from zhiwei.stores.postgres.found import FileRow
from zhiwei.stores.postgres.opened import OpenedFile, OpenedFiles


def row_of(state: CardState, records: bytes = b"") -> FileRow:
    """The row of a file as it is read."""
    cold = encode_settings(state.settings, KEY)
    hot = encode_usage(state, state.chain, 0, 7)
    return FileRow((KEY, bigint(state.version), cold, hot, encode_recent(records, 0, KEY)))


def with_cold_part(state: CardState, other: CardState) -> CardState:
    """The state with the cold part of another one."""
    hot = (state.usage, state.holds, state.inquiries)
    return CardState(KEY, state.version, state.last_ms, state.chain, other.settings, *hot)


def told(opened: OpenedFile) -> object:
    """Everything that an opened file says."""
    file = (opened.settings, opened.usage, opened.recent, opened.records)
    return parts(opened.state), opened.last_event, opened.spilled_until, file


@settings(max_examples=40)
@given(before=states, after=states, is_cold_part_the_same=st.booleans())
def test_what_another_server_wrote_is_read_as_by_who_remembers_nothing(
    before: CardState, after: CardState, *, is_cold_part_the_same: bool
) -> None:
    """Also where it left the cold part as it was, which is then not worked out again."""
    if is_cold_part_the_same:
        after = with_cold_part(after, before)
    files = OpenedFiles(10)
    known = files.open(row_of(before))
    files.take_in([known])
    assert files.open(row_of(before)) is known
    row = row_of(after, bytes(32))
    opened = files.open(row)
    assert told(opened) == told(OpenedFiles(10).open(row))
    if is_cold_part_the_same:
        assert opened.state.settings is known.state.settings


@settings(max_examples=20)
@given(states)
def test_a_version_that_does_not_fit_is_damage_however_well_the_file_is_known(
    state: CardState,
) -> None:
    """The column of the version is no part of the file's bytes."""
    files = OpenedFiles(10)
    row = row_of(state)
    files.take_in([files.open(row)])
    wrong = FileRow((KEY, bigint(state.version + 1), row.settings, row.usage, row.recent))
    with pytest.raises(CorruptFileError):
        files.open(wrong)
