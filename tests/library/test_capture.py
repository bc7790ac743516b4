"""What a capture refuses, reports and leaves behind."""

import os
import subprocess
import sys

import pytest

import snapshot
from snapshot import SizeLimitError
from snapshot.interpreter import InterpreterError, NoEnvironmentError
from snapshot.store import InvalidNameError


def listing(path):
    return sorted(os.path.relpath(os.path.join(top, name), path) for top, _, names in os.walk(path) for name in names)


def blobs(store, tmp_path):
    return [name for name in listing(tmp_path / "store") if name.startswith("blobs/")]


def test_over_the_size_limit_nothing_is_stored_and_the_error_says_what_is_large(environment, store, tmp_path):
    with pytest.raises(SizeLimitError) as refused:
        snapshot.capture(environment, store, name="too/large", size_limit=2_000)
    message = str(refused.value)
    assert "over the limit of 2.0 kB; nothing was stored" in message
    assert "Largest: interpreter" in message
    assert "interpreter=False saves about" in message
    assert 'bytecode="drop" saves about' in message
    assert message.endswith("or raise size_limit")
    assert "budget" not in message
    assert "\n" not in message
    assert blobs(store, tmp_path) == []
    assert listing(tmp_path / "store" / "tmp") == []
    assert store.references() == ()


def test_the_limit_is_what_an_empty_node_must_fetch(environment, store):
    captured = snapshot.capture(environment, store, interpreter=False)
    assert captured.packed_bytes == captured.added_bytes
    again = snapshot.capture(environment, store, interpreter=False, size_limit=captured.packed_bytes)
    assert again.snapshot == captured.snapshot
    assert again.added_bytes == 0


def test_a_bad_name_is_refused_before_anything_is_read(tmp_path, store):
    with pytest.raises(InvalidNameError, match="NAME"):
        snapshot.capture(tmp_path / "missing", store, name="not a name!")


def test_what_is_no_environment(tmp_path, store):
    with pytest.raises(NoEnvironmentError, match="is not a directory; give the prefix of a Python environment"):
        snapshot.capture(tmp_path / "missing", store)
    (tmp_path / "empty").mkdir()
    with pytest.raises(NoEnvironmentError, match=r"is no Python environment: it has no bin/python"):
        snapshot.capture(tmp_path / "empty", store)
    assert not (tmp_path / "store").exists()


def test_an_interpreter_that_is_gone(environment, store):
    python = environment / "bin" / "python"
    for name in environment.glob("bin/python*"):
        name.unlink()
    python.symlink_to("/nowhere/bin/python3")
    with pytest.raises(NoEnvironmentError, match=r"bin/python leads nowhere .* name a fitting one with --python"):
        snapshot.capture(environment, store)


def test_an_interpreter_that_fails(environment, store, tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho it is broken >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(
        InterpreterError, match=r"failed \(exit 3\): it is broken; name a working interpreter with --python"
    ):
        snapshot.capture(environment, store, python=broken)


def test_progress_ends_with_all_of_it(environment, store):
    seen = []
    snapshot.capture(environment, store, interpreter=False, progress=lambda *step: seen.append(step))
    stages = {stage for stage, _, _ in seen}
    assert stages == {"capture"}
    done = [done for _, done, _ in seen]
    assert done == sorted(done)
    assert seen[-1][1] == seen[-1][2] > 1_000_000


def test_a_damaged_snapshot_does_not_stop_the_next_capture(environment, store, tmp_path):
    first = snapshot.capture(environment, store, interpreter=False, name="first")
    config = tmp_path / "store" / "blobs" / "sha256" / first.snapshot[7:]
    config.chmod(0o644)
    config.write_bytes(b"{}")
    site = next(environment.glob("lib/python*/site-packages"))
    (site / "more.py").write_text("new = True\n")
    second = snapshot.capture(environment, store, interpreter=False, name="second")
    assert snapshot.verify("second", store).ok
    assert second.snapshot != first.snapshot


def test_describe_gives_the_id_that_a_capture_has(environment, store):
    captured = snapshot.capture(environment, store)
    described = snapshot.describe(environment)
    stored = snapshot.load(captured.snapshot, store)
    assert described.snapshot == stored.snapshot
    assert dict(described.trees) == dict(stored.trees)


def test_the_root_does_not_depend_on_whether_the_interpreter_is_stored(environment, store):
    with_it = snapshot.capture(environment, store)
    without = snapshot.capture(environment, store, interpreter=False, bytecode="drop")
    assert with_it.parity_root == without.parity_root
    assert with_it.snapshot != without.snapshot
    assert without.packed_bytes < with_it.packed_bytes


def test_an_edit_is_seen_by_the_next_capture_whatever_its_time(environment, store):
    site = next(environment.glob("lib/python*/site-packages"))
    source = site / "thing" / "__init__.py"
    before = source.stat()
    first = snapshot.capture(environment, store, interpreter=False)
    source.write_text("answer = 43\n")
    os.utime(source, ns=(before.st_atime_ns, before.st_mtime_ns))
    second = snapshot.capture(environment, store, interpreter=False)
    assert first.parity_root != second.parity_root


@pytest.mark.parametrize("stale", ["older than its source", "another hash"])
def test_bytecode_that_is_stale_is_compiled_anew(environment, store, tmp_path, stale):
    site = next(environment.glob("lib/python*/site-packages"))
    source = site / "thing" / "__init__.py"
    mode = "unchecked-hash" if stale == "another hash" else "timestamp"
    compiled = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", mode, str(site)]
    subprocess.run(compiled, check=True)
    source.write_text("answer = 43\nmore = True\n")
    captured = snapshot.capture(environment, store, interpreter=False, bytecode="compile")
    (finding,) = [finding for finding in captured.findings if finding.kind == "stale-bytecode"]
    assert finding.path.endswith(f"thing/__pycache__/__init__.{sys.implementation.cache_tag}.pyc")
    assert finding.detail.endswith("; compiled anew")

    destination = tmp_path / "restored"
    snapshot.restore(captured.snapshot, destination, store, python=sys.executable)

    def bytecode():
        return {path: path.stat().st_mtime_ns for path in destination.rglob("*.pyc")}

    before = bytecode()
    subprocess.run([destination / "bin" / "python", "-m", "compileall", "-q", destination / "lib"], check=True)
    assert before
    assert bytecode() == before
    code = "import thing; print(thing.answer)"
    done = subprocess.run([destination / "bin" / "python", "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "43\n"


def test_metadata_without_a_name_is_called_like_its_directory(environment):
    (note,) = environment.glob("lib/python*/site-packages/thing-1.0.dist-info")
    (note / "METADATA").write_text("a text without a header\n")
    (found,) = snapshot.describe(environment).snapshot.distributions
    assert found.label == "thing 1.0"
