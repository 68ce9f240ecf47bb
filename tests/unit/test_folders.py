"""Folders of test runs: those that a killed run left behind are removed, those that somebody uses stay."""

import fcntl
from pathlib import Path

import pytest

from tests import folders


def test_what_a_killed_run_left_is_removed_and_what_a_living_one_uses_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(folders, "_has_room", lambda _: True)
    left, used, others = (tmp_path / name for name in ("sluice-test-left", "sluice-test-used", "of-others"))
    for folder in (left, used, others):
        folder.mkdir()
        (folder / folders.LOCK).touch()
    with (used / folders.LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with folders.short_lived_folder() as new, folders.short_lived_folder() as another:
            assert set(tmp_path.iterdir()) == {used, others, new, another}
        assert set(tmp_path.iterdir()) == {used, others}


def test_memory_is_used_only_where_there_is_plenty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "IN_MEMORY", tmp_path)
    monkeypatch.setattr(folders, "ROOM_BYTES", 1 << 60)
    with folders.short_lived_folder() as folder:
        assert folder.parent != tmp_path
    assert not folder.exists()
