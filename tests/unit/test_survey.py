"""What an environment is found to be before any of its files is read."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snapshot.scan import UnreadableError
from snapshot.survey import survey
from tests.handmade import HandMade

SAYS = {
    "no": "include-system-site-packages = false\n",
    "yes": "include-system-site-packages = true\n",
    "nothing": "",
    "yes, behind what venv wrote": "include-system-site-packages = false\ninclude-system-site-packages = true\n",
    "no, behind what venv wrote": "include-system-site-packages = true\ninclude-system-site-packages = false\n",
    "in other letters": "Include-System-Site-Packages=TRUE\n",
    "something else": "include-system-site-packages = 1\n",
}


@pytest.mark.parametrize("says", SAYS.values(), ids=SAYS)
def test_the_base_is_seen_when_python_sees_it(tmp_path, says):
    made = tmp_path / "env"
    python = os.path.realpath(sys.executable)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    (made / "lib" / version / "site-packages").mkdir(parents=True)
    (made / "bin").mkdir()
    (made / "bin" / "python").symlink_to(python)
    (made / "pyvenv.cfg").write_text(f"home = {os.path.dirname(python)}\n{says}")
    asked = "import site, sys; print(sys.base_prefix in site.PREFIXES)"
    answer = subprocess.run([made / "bin" / "python", "-c", asked], check=True, capture_output=True, text=True).stdout
    assert survey(made).system_site_packages == (answer.strip() == "True")


def test_what_is_left_out_need_not_be_readable(tmp_path, monkeypatch):
    master = HandMade(tmp_path / "env").make()
    (master.path / "locked").mkdir()
    scandir = os.scandir

    def refusing(path):
        if os.fsdecode(path).endswith("/locked"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("snapshot.scan.os.scandir", refusing)
    with pytest.raises(UnreadableError, match=f"no permission to read {master.path}/locked; run as"):
        survey(master.path)
    assert survey(master.path, exclude=["locked"]).plans
