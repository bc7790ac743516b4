"""Keys: their files, what they are called, what is refused. openssl and securesystemslib as oracles."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys

import pytest
from securesystemslib.signer import SSlibKey

from diffing import keys
from tests.attested import TEST_KEY, TEST_PUB

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def openssl(*words, data=None):
    return subprocess.run(["openssl", *words], input=data, capture_output=True, check=True).stdout


def test_a_pair_belongs_together():
    private, public = keys.generate()
    one, other = keys.private_key(private, "a"), keys.public_key(public, "b")
    assert one.public_key() == other
    assert keys.generate()[0] != private


def test_a_key_has_the_name_that_securesystemslib_gives_it():
    for public in (TEST_PUB, keys.generate()[1]):
        key = keys.public_key(public, "x")
        assert keys.keyid(key) == SSlibKey.from_crypto(key).keyid


@needs_openssl
def test_openssl_writes_the_same_files():
    private, public = keys.generate()
    assert openssl("pkey", data=private) == private
    assert openssl("pkey", "-pubout", data=private) == public


@needs_openssl
def test_a_key_of_openssl_is_read():
    private = openssl("genpkey", "-algorithm", "ed25519")
    public = openssl("pkey", "-pubout", data=private)
    assert keys.private_key(private, "a").public_key() == keys.public_key(public, "b")


def test_the_private_key_is_for_its_owner_alone(tmp_path):
    path = str(tmp_path / "key")
    mask = os.umask(0)
    try:
        assert keys.write(TEST_KEY, TEST_PUB, path) == f"{path}.pub"
    finally:
        os.umask(mask)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(f"{path}.pub").st_mode) == 0o644
    assert keys.read_private(path).public_key() == keys.read_public(f"{path}.pub")


@pytest.mark.parametrize("there", [["key"], ["key.pub"], ["key", "key.pub"]])
def test_nothing_is_replaced(tmp_path, there):
    for name in there:
        (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(keys.KeyExistsError) as caught:
        keys.write(TEST_KEY, TEST_PUB, str(tmp_path / "key"))
    named = " and ".join(str(tmp_path / name) for name in there)
    assert (
        str(caught.value)
        == f"{named} {'exist' if ' and ' in named else 'exists'} already; a key is never replaced: name another file"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == dict.fromkeys(there, b"mine")


def test_a_link_to_nothing_is_not_written_through(tmp_path):
    (tmp_path / "key").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(keys.KeyExistsError, match="exists already"):
        keys.write(TEST_KEY, TEST_PUB, str(tmp_path / "key"))
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_comes_meanwhile_is_not_replaced_and_half_a_pair_does_not_stay(tmp_path, monkeypatch):
    (tmp_path / "key.pub").write_bytes(b"mine")
    monkeypatch.setattr("os.path.lexists", lambda _: False)
    with pytest.raises(keys.KeyExistsError, match=r"key\.pub exists already"):
        keys.write(TEST_KEY, TEST_PUB, str(tmp_path / "key"))
    assert [path.name for path in tmp_path.iterdir()] == ["key.pub"]
    assert (tmp_path / "key.pub").read_bytes() == b"mine"


def test_a_disk_that_is_full_leaves_nothing(tmp_path, monkeypatch):
    def full(fd):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        keys.write(TEST_KEY, TEST_PUB, str(tmp_path / "key"))
    assert list(tmp_path.iterdir()) == []


def other_algorithms():
    from cryptography.hazmat.primitives.asymmetric import ec, x25519
    from cryptography.hazmat.primitives.serialization import (
        BestAvailableEncryption,
        Encoding,
        NoEncryption,
        PrivateFormat,
        PublicFormat,
    )

    found = []
    for made in (ec.generate_private_key(ec.SECP256R1()), x25519.X25519PrivateKey.generate()):
        found += [
            made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
            made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        ]
    mine = keys.private_key(TEST_KEY, "x")
    sealed = mine.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password"))
    ssh = mine.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    return [*found, sealed, ssh]


def test_what_is_no_private_key_is_refused():
    elliptic, _, x25519, _, sealed, ssh = other_algorithms()
    for data, said in (
        (b"", "k holds no private key in PEM; envparity keygen makes a pair"),
        (b"\xff\0", "k holds no private key in PEM; envparity keygen makes a pair"),
        (TEST_KEY[:60], "k holds no private key in PEM; envparity keygen makes a pair"),
        (TEST_KEY.replace(b"MC4C", b"MC4D"), "k holds no private key in PEM; envparity keygen makes a pair"),
        (ssh, "k holds no private key in PEM; envparity keygen makes a pair"),
        (TEST_PUB, "k is a public key; the private one signs (its file without .pub)"),
        (elliptic, "k is no Ed25519 key but EC; envparity keygen makes a pair"),
        (x25519, "k is no Ed25519 key but X25519; envparity keygen makes a pair"),
        (sealed, "k is encrypted; decrypt it first: openssl pkey -in k -out FILE"),
    ):
        with pytest.raises(keys.KeyFormatError) as caught:
            keys.private_key(data, "k")
        assert str(caught.value) == said


def test_what_is_no_public_key_is_refused():
    elliptic, public, *_ = other_algorithms()
    secret = TEST_KEY.splitlines()[1].decode()
    for data, said in (
        (b"", "k holds no public key in PEM"),
        (TEST_PUB[:60], "k holds no public key in PEM"),
        (
            TEST_KEY,
            "k is a private key; the public one checks (its file with .pub), and who checks need not have the other",
        ),
        (elliptic, "k is a private key"),
        (public, "k is no Ed25519 key but EC; "),
    ):
        with pytest.raises(keys.KeyFormatError) as caught:
            keys.public_key(data, "k")
        assert str(caught.value).startswith(said)
        assert secret not in str(caught.value)


def test_a_huge_file_is_not_read_whole(tmp_path):
    path = tmp_path / "key"
    with path.open("wb") as opened:
        opened.truncate(1 << 40)
    with pytest.raises(keys.KeyFormatError, match="holds no private key"):
        keys.read_private(str(path))


@pytest.mark.parametrize(
    "call", [keys.generate, lambda: keys.private_key(TEST_KEY, "k"), lambda: keys.public_key(TEST_PUB, "k")]
)
def test_without_the_extra_the_error_names_it(monkeypatch, call):
    monkeypatch.setitem(sys.modules, "cryptography", None)
    with pytest.raises(keys.MissingSigningError) as caught:
        call()
    assert str(caught.value) == "signing and checking signatures needs cryptography: pip install 'envparity[signing]'"


def test_importing_them_does_not_import_cryptography():
    code = (
        "import sys, diffing.keys, diffing.dsse, diffing.attesting\n"
        "print([name for name in ('cryptography', 'importlib_metadata', 'securesystemslib') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
