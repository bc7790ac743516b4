"""A small venv with distributions that were made by hand, so that each of their files can be as odd as a test wants it."""

from __future__ import annotations

import base64
import compileall
import hashlib
import shutil
import subprocess
import sys


def recorded(data):
    """`sha256=…,SIZE` of a RECORD row."""
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode() + f",{len(data)}"


class HandMade:
    """Three distributions in a venv: `one` and `other` both claim `bin/tool`."""

    def __init__(self, path):
        self.path = path
        self.site = path / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
        self.tool = f"#!{path}/bin/python\nprint('a tool')\n".encode()

    @property
    def note(self):
        """The metadata directory of `one`."""
        return self.site / "one-1.0.dist-info"

    def make(self):
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(self.path)], check=True)
        (self.path / "bin/tool").write_bytes(self.tool)
        (self.path / "bin/tool").chmod(0o755)
        for name in ("one", "other", "third"):
            self._distribution(name, shared=name != "third")
        (self.path / "notes.txt").write_text(f"kept in {self.path}\n")
        (self.path / "link").symlink_to("notes.txt")
        compileall.compile_dir(str(self.site), quiet=2)
        return self

    def copy_to(self, path):
        shutil.copytree(self.path, path, symlinks=True)
        return HandMade(path)

    def _distribution(self, name, *, shared):
        note = self.site / f"{name}-1.0.dist-info"
        note.mkdir()
        metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode()
        (note / "METADATA").write_bytes(metadata)
        (self.site / f"{name}.py").write_bytes(b"value = 1\n")
        rows = [
            f"{name}.py,{recorded(b'value = 1' + bytes([10]))}",
            f"{note.name}/METADATA,{recorded(metadata)}",
            f"{note.name}/RECORD,,",
        ]
        if shared:
            rows.append(f"../../../bin/tool,{recorded(self.tool)}")
        (note / "RECORD").write_text("\n".join(rows) + "\n")
