"""Laws of identity: what counts changes the digest, what does not count does not, whatever the environment holds."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from snapshot.blueprint import file_time
from snapshot.digest import Digest
from snapshot.home import FIXED_MTIME
from snapshot.model import Kind, Layer
from snapshot.parity import console_script, counted, parity_of, parity_root, rule_for_path
from tests.building import ENVIRONMENT, INTERPRETER

from .strategies import PATHS, TREES, entries, in_order

law = settings(deadline=None)
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
FILES = PATHS.flatmap(lambda path: entries(path, b"content")).filter(lambda entry: entry.type == "f")


def flipped(digest, position):
    """The same hexadecimal digits but for one."""
    return digest[:position] + "0123456789abcdef"[int(digest[position], 16) ^ 1] + digest[position + 1 :]


@law
@given(FILES)
def test_the_write_bit_never_counts(entry):
    assert counted(entry) == counted(replace(entry, mode=entry.mode ^ 0o200))


@law
@given(FILES)
def test_the_executable_bit_always_counts(entry):
    other = replace(entry, mode=entry.mode ^ 0o111)
    assert entry.executable != other.executable
    assert (counted(entry) is None) == (counted(other) is None)
    assert counted(entry) is None or counted(entry) != counted(other)


@law
@given(TREES, st.data())
def test_a_changed_digest_of_what_counts_changes_the_parity(tree, data):
    counting = [entry for entry in tree if entry.type == "f" and counted(entry) is not None]
    assume(counting)
    entry = data.draw(st.sampled_from(counting))
    position = data.draw(st.integers(0, 63))
    name = "counts_as" if entry.counts_as else "sha256"
    other = replace(entry, **{name: flipped(getattr(entry, name), position)})
    altered = tuple(other if each is entry else each for each in tree)
    assert parity_of(altered) != parity_of(tree)


@law
@given(TREES, st.data())
def test_a_changed_digest_of_what_does_not_count_changes_nothing(tree, data):
    silent = [entry for entry in tree if entry.type == "f" and counted(entry) is None]
    assume(silent)
    entry = data.draw(st.sampled_from(silent))
    altered = tuple(replace(each, sha256=flipped(each.sha256, 5)) if each is entry else each for each in tree)
    assert parity_of(altered) == parity_of(tree)
    without = tuple(each for each in tree if each is not entry)
    assert parity_of(without) == parity_of(tree)


@law
@given(TREES, st.data())
def test_what_counts_cannot_be_left_out_moved_or_changed_in_kind(tree, data):
    counting = [entry for entry in tree if counted(entry) is not None]
    assume(counting)
    entry = data.draw(st.sampled_from(counting))
    rest = [each for each in tree if each is not entry]
    moved = replace(entry, path=data.draw(PATHS))
    assume(moved.path not in {each.path for each in tree})
    assert parity_of(tuple(rest)) != parity_of(tree)
    assert parity_of(in_order([*rest, moved])) != parity_of(tree)


@law
@given(TREES, st.lists(PATHS, max_size=3))
def test_directories_never_count(tree, paths):
    from snapshot.model import Entry

    more = [Entry(path, "d", 0o555) for path in paths if path not in {entry.path for entry in tree}]
    assert parity_of(in_order([*tree, *more])) == parity_of(tree)


LAYERS = st.lists(
    st.builds(
        Layer,
        kind=st.sampled_from(Kind),
        name=st.sampled_from("abc"),
        version=st.sampled_from([None, "1", "2"]),
        mount=st.sampled_from(["", ".envparity/python"]),
        tar=HEX.map(Digest.of_hex),
        tree=HEX.map(Digest.of_hex),
        files=st.integers(0, 9),
        size=st.integers(0, 9),
        parity=st.none() | HEX.map(Digest.of_hex),
    ),
    max_size=5,
)


@law
@given(LAYERS, st.randoms(use_true_random=False))
def test_the_order_and_the_encoding_of_layers_do_not_count(layers, random):
    shuffled = [replace(layer, tar=layer.tree, files=0, size=1, mount="") for layer in layers]
    random.shuffle(shuffled)
    assert parity_root(INTERPRETER, ENVIRONMENT, shuffled) == parity_root(INTERPRETER, ENVIRONMENT, layers)


@law
@given(LAYERS, st.data())
def test_a_layer_counts_unless_it_is_derived_or_empty(layers, data):
    assume(layers)
    number = data.draw(st.integers(0, len(layers) - 1))
    rest = [*layers[:number], *layers[number + 1 :]]
    layer = layers[number]
    counts = layer.parity is not None and layer.kind not in (Kind.BYTECODE, Kind.INTERPRETER, Kind.MODEL)
    same = parity_root(INTERPRETER, ENVIRONMENT, rest) == parity_root(INTERPRETER, ENVIRONMENT, layers)
    assert same is not counts


@law
@given(HEX)
def test_the_time_of_a_file_says_its_second_and_something_of_its_digest(digest):
    assert int(file_time(digest) / 1e9) == FIXED_MTIME
    assert file_time(digest) == file_time(digest[:12] + "0" * 52)


NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,6}", fullmatch=True)
SCRIPT = "#!/bin/python\nimport sys\nfrom {} import {}\nif __name__ == '__main__':\n    sys.exit({}())\n"


@law
@given(
    st.lists(NAMES, min_size=1, max_size=3),
    st.lists(NAMES, min_size=1, max_size=3),
    st.lists(NAMES, min_size=1, max_size=3),
)
def test_a_console_script_stands_for_its_entry_point_and_no_other(module, function, other):
    def script(*names):
        return SCRIPT.format(".".join(module), names[0], ".".join(names)).encode()

    digest = console_script(script(*function))
    assert digest == hashlib.sha256(f"console-script\0{'.'.join(module)}:{'.'.join(function)}".encode()).hexdigest()
    assert (console_script(script(*other)) == digest) is (function == other)


@law
@given(st.binary(min_size=1, max_size=20), st.integers(0, 200))
def test_anything_put_into_a_console_script_is_noticed(junk, position):
    good = SCRIPT.format("package.cli", "main", "main").encode()
    start = len(b"#!/bin/python\n")
    position = start + position % (len(good) - start + 1)
    altered = good[:position] + junk + good[position:]
    assume(b"\n" in junk or junk.strip(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_."))
    # The only thing that may come in without a change is an empty line after the imports.
    assert console_script(altered) is None or altered.replace(b"\n\n", b"\n") == good


@law
@given(st.sampled_from(Kind), PATHS)
def test_a_rule_is_one_of_the_format(kind, path):
    assert rule_for_path(kind, path) in {
        None, "bytecode", "model", "record", "installer-note", "direct-url", "activation", "venv-config", "tool-marker",
    }  # fmt: skip
