"""`envparity restore`: what the library is asked for, and what is printed."""

from __future__ import annotations

from registration.interpreters import HostInterpreters


def test_every_option_reaches_the_library(envparity, library):
    envparity(*["restore", "churn/3", "/srv/env", "--link", "copy", "--verify", "full", "--python", "/py"])
    ((_, args, options),) = library.calls
    assert args[:2] == ("churn/3", "/srv/env")
    assert isinstance(options.pop("candidates"), HostInterpreters)
    assert options == {"link": "copy", "verify": "full", "python": "/py", "progress": None}


def test_by_default_it_links_as_it_can_and_verifies_quickly(envparity, library):
    envparity("restore", "churn", "/srv/env")
    options = library.calls[0][2]
    assert (options["link"], options["verify"], options["python"]) == ("auto", "quick", None)


def test_json(envparity, library, make):
    assert envparity.json("restore", "churn", "/srv/env") == {
        "snapshot": make.snapshot,
        "destination": "/srv/env",
        "python": "/srv/env/bin/python",
        "parity_root": library.restore("", "", "").parity_root,
        "verified": "quick",
        "linked_files": 11_000,
        "written_files": 42,
        "link": "hardlink",
        "seconds": 0.1,
    }


def test_for_people_the_interpreter_is_named(envparity, library, make):
    assert envparity("restore", "churn", "/srv/env").stdout == (
        f"restored {make.snapshot[:19]} in 0.10 s\n"
        "11,000 files from the cache by hardlink, 42 written, verified: quick\n"
        "/srv/env/bin/python\n"
    )


def test_interpreters_are_looked_for_on_path_and_at_pyenvs_and_uvs(tmp_path):
    def interpreter(path):
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("#!/bin/sh\n")
        target.chmod(0o755)
        return str(target)

    first = interpreter("bin/python3.12")
    pyenv = interpreter(".pyenv/versions/3.9.1/bin/python3.9")
    uv = interpreter(".local/share/uv/python/cpython-3.13/bin/python3.13")
    interpreter(".pyenv/shims/python3.12")
    interpreter("bin/python3.7")  # older than what can be captured
    (tmp_path / "bin" / "python3").symlink_to("python3.12")  # the same one, under its shorter name
    (tmp_path / "bin" / "python3.10").write_text("not executable")
    (tmp_path / "bin" / "python3.11").mkdir()
    path = f"{tmp_path / '.pyenv' / 'shims'}:{tmp_path / 'bin'}:{tmp_path / 'nowhere'}:"
    found = HostInterpreters({"HOME": str(tmp_path), "PATH": path})
    assert list(found) == [first.replace("python3.12", "python3"), pyenv, uv]
    assert len(found) == 3
    assert found[1:] == [pyenv, uv]


def test_interpreters_are_not_looked_for_before_they_are_wanted(monkeypatch):
    class Guarded(dict):
        def get(self, key, default=None):
            raise AssertionError(f"{key} was read")

    HostInterpreters(Guarded())
