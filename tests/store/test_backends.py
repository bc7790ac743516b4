"""Each backend passes the one suite."""

from __future__ import annotations

import pytest

from snapshot.store.directory import DirectoryBackend
from snapshot.store.memory import MemoryBackend
from snapshot.testing.conformance import BackendConformance
from snapshot.testing.faults import FaultyBackend


class TestDirectory(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path):
        return DirectoryBackend(tmp_path / "store")


class TestMemory(BackendConformance):
    @pytest.fixture
    def backend(self):
        return MemoryBackend()


class TestFaultyWithoutFault(BackendConformance):
    @pytest.fixture
    def backend(self, tmp_path):
        return FaultyBackend(DirectoryBackend(tmp_path / "store"), None)


class TestDirectoryWithoutLocks(BackendConformance):
    """On a file system that has no flock."""

    @pytest.fixture
    def backend(self, tmp_path, monkeypatch):
        monkeypatch.setattr("snapshot.store.locking.try_lock", lambda fd, *, wait=False: None)
        monkeypatch.setattr("snapshot.store.area.try_lock", lambda fd, *, wait=False: None)
        return DirectoryBackend(tmp_path / "store")
