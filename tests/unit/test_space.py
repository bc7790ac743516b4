"""A full disk: every place where bytes are written that have no file of their own names the disk that is full."""

from __future__ import annotations

import errno
import os
import pickle
import tempfile

import pytest

from snapshot.codec import DamagedLayerError
from snapshot.space import NoSpaceError, room_in
from snapshot.stretches import Log
from snapshot.tars import Tar


def full(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def said(place):
    return rf"^no space left on the disk of {place}; make room and repeat the command$"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_it_names_the_place(number):
    with pytest.raises(NoSpaceError, match=said("/somewhere")) as raised, room_in("/somewhere"):
        raise OSError(number, os.strerror(number))
    assert raised.value.errno == errno.ENOSPC
    again = pickle.loads(pickle.dumps(raised.value))
    assert (str(again), again.errno) == (str(raised.value), errno.ENOSPC)


def test_what_names_its_place_keeps_it():
    with pytest.raises(NoSpaceError, match=said("/inner")), room_in("/outer"), room_in("/inner"):
        full()


@pytest.mark.parametrize(
    "error", [PermissionError(errno.EACCES, "no"), DamagedLayerError("x"), OSError(errno.EIO, "io")]
)
def test_other_errors_stay_what_they_are(error):
    with pytest.raises(type(error)) as raised, room_in("/somewhere"):
        raise error
    assert raised.value is error


def test_a_tar(tmp_path, monkeypatch):
    with Tar(str(tmp_path)) as tar:
        monkeypatch.setattr(os, "pwrite", full)
        with pytest.raises(NoSpaceError, match=said(tmp_path)):
            tar.write_at(5, b"x")
    with Tar(None) as tar, monkeypatch.context() as patch:
        patch.setattr(tar, "_file", _Full())
        with pytest.raises(NoSpaceError, match=said(tempfile.gettempdir())):
            tar.write(b"x")
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(NoSpaceError, match=said(tmp_path)):
        Tar(str(tmp_path))


class _Full:
    write = full


def test_a_log(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "pwrite", full)
    with Log(str(tmp_path), memory=4) as log, pytest.raises(NoSpaceError, match=said(tmp_path)):
        log.add(b"more than four")
