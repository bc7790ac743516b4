"""Removing what was measured: at once, aside, or with a pause. The clock is made up."""

from __future__ import annotations

from benchmarks.settling import FEW, Settling, put_aside, remove_tree


class Clock:
    def __init__(self):
        self.now = 100.0
        self.slept = []

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.now += seconds


def settling(clock, said):
    return Settling(60, said.append, lambda: clock.now, clock.sleep)


def test_only_the_rest_of_the_pause_is_waited_for(tmp_path, said):
    clock = Clock()
    tested = settling(clock, said)
    (tmp_path / "a").mkdir()
    tested.clear(tmp_path / "a")
    clock.now += 45
    tested.settle()
    tested.settle()
    assert clock.slept == [15]
    assert said == ["waiting 15 s for the file system to settle"]


def test_without_a_removal_nobody_waits(tmp_path, said):
    clock = Clock()
    tested = settling(clock, said)
    tested.clear(tmp_path / "nothing")
    tested.settle()
    assert clock.slept == []


def tree(path, files):
    path.mkdir()
    for number in range(files):
        (path / str(number)).touch()


def test_few_files_are_removed_at_once(tmp_path):
    tree(tmp_path / "a", 3)
    put_aside(tmp_path / "a", tmp_path / "aside")
    assert list(tmp_path.iterdir()) == []


def test_many_files_are_moved_each_time_to_another_place(tmp_path):
    for _ in range(2):
        tree(tmp_path / "a", FEW + 1)
        put_aside(tmp_path / "a", tmp_path / "aside")
    assert sorted(path.name for path in (tmp_path / "aside").iterdir()) == ["a-0", "a-1"]
    assert not (tmp_path / "a").exists()


def test_what_is_not_there_need_not_go(tmp_path):
    put_aside(tmp_path / "a", tmp_path / "aside")
    remove_tree(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_read_only_directories_are_removed_and_links_not_followed(tmp_path):
    tree(tmp_path / "kept", 1)
    tree(tmp_path / "a", 1)
    (tmp_path / "a" / "link").symlink_to(tmp_path / "kept")
    (tmp_path / "a").chmod(0o500)
    remove_tree(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept" / "0").exists()
