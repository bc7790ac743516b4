"""Which content the store holds in which blob, over all manifests, without reading them all each time.

A database in the cache directory says which manifest to look into; what is believed is the manifest, verified as ever. So
a database that is lost, damaged or wrong costs time and nothing else. One that cannot be used (locked for long, on a read-only or
network file system without locks) is replaced by one in memory, for as long as the process needs it.
"""

from __future__ import annotations

import json
import os
import re
import weakref
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from snapshot.digest import Descriptor, Digest
from snapshot.documents import FormatError
from snapshot.store.manifest import CONTENT, LAYER_TYPE, decode_manifest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from sqlite3 import Connection

    from snapshot.store.manifest import Manifest

    #: The bytes of a manifest, verified; None when it cannot be read.
    Read = Callable[[Digest], bytes | None]

_T = TypeVar("_T")

_SCHEMA = 2
_FILE = re.compile(rf"contents{_SCHEMA}-([0-9]+)\.sqlite\Z")

#: What was superseded, and what an envparity before this one kept: removed when it is met.
_OTHERS = re.compile(rf"contents(?:{_SCHEMA}-[0-9]+\.sqlite(?:-journal)?|\.json(?:\.new)?)\Z")

#: Seconds to wait for another process that is writing to it. Without it the manifests have to be read: that takes as long.
_PATIENCE = 2.0

#: How many manifests are kept decoded.
_DECODED = 16

# `recency` is the negative of a manifest's number: the newest comes first. In one order for all contents, so that bases of deltas
# never lead in a circle: a manifest lists the bases of what it lists, so each step leads to the same manifest or to a newer one.
_HELD = "content INTEGER, encoded INTEGER, recency INTEGER"
_TABLES = (
    "CREATE TABLE manifests (number INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE)",
    "CREATE TABLE contents (number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE)",
    f"CREATE TABLE held ({_HELD}, PRIMARY KEY (content, encoded, recency)) WITHOUT ROWID",
)
# In the order of the key: the first row is there at once, however many manifests have the content.
_FIND = (
    "SELECT manifests.digest FROM held CROSS JOIN manifests ON manifests.number = -held.recency "
    "WHERE held.content = (SELECT number FROM contents WHERE digest = ?) "
    "ORDER BY held.encoded, held.recency"
)
_LIST = (
    "SELECT manifests.digest FROM held CROSS JOIN manifests ON manifests.number = -held.recency "
    "WHERE held.content = (SELECT number FROM contents WHERE digest = ?) ORDER BY held.recency"
)
_HOLD = "INSERT OR IGNORE INTO held SELECT number, ?, ? FROM contents WHERE digest = ?"


class Contents(Mapping[Digest, Descriptor]):
    """Content digest to the blob that holds it. Of several a full one, then that of the newest manifest.

    The database is opened when it is first asked. Threads may ask at the same time.
    """

    def __init__(self, wanted: Iterable[Digest], read: Read, cache: str | None) -> None:
        """Over the manifests `wanted`, the oldest first."""
        import threading

        self._wanted = {_raw(digest): digest for digest in wanted}
        self._read = read
        self._cache = cache
        self._connection: Connection | None = None
        self._path: str | None = None
        # What it covered, and the state of the file then.
        self._had: set[bytes] = set()
        self._version: tuple[int] | None = None
        self._decoded: OrderedDict[Digest, Manifest | None] = OrderedDict()
        self._lock = threading.Lock()

    def __getitem__(self, content: Digest) -> Descriptor:
        found = self._asked(self._find, content)
        if found is None:
            raise KeyError(content)
        return found

    def holders(self, content: Digest) -> tuple[Digest, ...]:
        """The manifests that list a content, as far as the database knows, the newest first: read them to be sure."""
        return self._asked(self._list, content) or ()

    def _asked(self, question: Callable[[Digest], _T | None], content: Digest) -> _T | None:
        if not self._wanted:  # a store that is not there yet is not made by this
            return None
        import sqlite3

        with self._lock:
            # What a copy in memory took over may be wrong too; what is made in memory is not.
            for _ in range(2):
                try:
                    return question(content)
                except sqlite3.Error as error:
                    self._give_up(error)
            return question(content)

    def __iter__(self) -> Iterator[Digest]:
        with self._lock:
            # From the manifests themselves: whatever is handed out has a value.
            known = [manifest.content for each in self._wanted.values() if (manifest := self._manifest(each))]
        return iter(dict.fromkeys(content for each in known for content in each))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<contents of {len(self._wanted)} manifests>"

    def _find(self, content: Digest) -> Descriptor | None:
        while True:
            for (raw,) in self._open().execute(_FIND, (_raw(content),)):
                if raw not in self._wanted:
                    continue  # of another store that has the same cache, or published since
                manifest = self._manifest(self._wanted[raw])
                if manifest is None:
                    continue  # collected since
                if content not in manifest.content:
                    raise _wrong(f"it says that {self._wanted[raw]} has {content}")
                return manifest.content[content]
            if self._unchanged():
                return None

    def _list(self, content: Digest) -> tuple[Digest, ...]:
        while True:
            rows = [raw for (raw,) in self._open().execute(_LIST, (_raw(content),))]
            if self._unchanged():
                return tuple(self._wanted[raw] for raw in rows if raw in self._wanted)

    def _unchanged(self) -> bool:
        """Whether nobody has written to the database since it was known to be complete.

        Raises sqlite3.Error if another process has taken out what this one needs: one that has seen another index.
        """
        import sqlite3

        connection = self._connected()
        version = connection.execute("PRAGMA data_version").fetchone()
        if version == self._version:
            return True
        if not self._had <= _covered(connection):
            raise sqlite3.OperationalError("another process has changed it")
        # Complete it is, but perhaps only again: what was not found in between has to be looked for once more.
        self._version = version
        return False

    def _manifest(self, digest: Digest) -> Manifest | None:
        if digest not in self._decoded:
            self._decoded[digest] = _decode(self._read(digest))
            if len(self._decoded) > _DECODED:
                self._decoded.popitem(last=False)
        self._decoded.move_to_end(digest)
        return self._decoded[digest]

    def _open(self) -> Connection:
        import sqlite3

        if self._connection is None and self._cache is not None:
            try:
                self._path = _newest(self._cache)
                self._use(_connect(self._path))
            except OSError:
                self._connection = None  # no directory for it
            except sqlite3.Error as error:
                self._give_up(error)
        if self._connection is None:
            self._use(_connect(":memory:"))
        return self._connected()

    def _connected(self) -> Connection:
        if self._connection is None:
            raise ValueError("the database is closed")
        return self._connection

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        weakref.finalize(self, connection.close)
        self._version = connection.execute("PRAGMA data_version").fetchone()
        self._had = _cover(connection, self._wanted, self._read)

    def _give_up(self, error: Exception) -> None:
        """Go on in memory. What the file says is taken over when it is merely not to be written."""
        import sqlite3

        copy = _connect(":memory:")
        if isinstance(error, sqlite3.OperationalError) and self._connection is not None:
            try:
                with suppress(sqlite3.Error):
                    self._connection.rollback()
                self._connection.backup(copy, progress=_impatient)
                _make(copy)
            except sqlite3.Error:
                copy.close()
                copy = _connect(":memory:")
        elif self._path is not None:
            _supersede(self._path)
        if self._connection is not None:
            self._connection.close()
        self._use(copy)


def _raw(digest: str) -> bytes:
    return bytes.fromhex(digest[7:])


def _impatient(status: int, _remaining: int, _total: int) -> None:
    """By itself a backup would wait for a lock for ever."""
    import sqlite3

    if status in (5, 6):  # SQLITE_BUSY, SQLITE_LOCKED: sqlite3 names them from Python 3.11 on
        raise sqlite3.OperationalError("it is locked")


def _wrong(what: str) -> Exception:
    import sqlite3

    return sqlite3.DatabaseError(what)


def _decode(data: bytes | None) -> Manifest | None:
    try:
        return None if data is None else decode_manifest(data)
    except FormatError:
        return None  # `check` reports it; nothing needs to be shared with it


# The file


def _newest(cache: str) -> str:
    """The path of the database; what earlier ones left is removed.

    A damaged one is never made anew under its own name: another process may have it open, and its journal would be taken
    for that of the new one. It gets a successor, of the next number.
    """
    os.makedirs(cache, exist_ok=True)
    names = os.listdir(cache)
    current = (
        f"contents{_SCHEMA}-{max((int(found[1]) for name in names if (found := _FILE.match(name))), default=0)}.sqlite"
    )
    for name in names:
        if _OTHERS.match(name) and not name.startswith(current):
            with suppress(OSError):  # it does no harm
                os.unlink(os.path.join(cache, name))
    return os.path.join(cache, current)


def _supersede(path: str) -> None:
    """See to it that nobody opens the database at `path` from now on."""
    directory, name = os.path.split(path)
    found = _FILE.match(name)
    if found:
        fresh = os.path.join(directory, f"contents{_SCHEMA}-{int(found[1]) + 1}.sqlite")
        with suppress(OSError):  # then the next one finds the damage again
            os.close(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o666))


def _connect(path: str) -> Connection:
    import sqlite3

    # Transactions are begun and ended by hand.
    connection = sqlite3.connect(path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False)
    try:
        # Unsynchronised, it survives a killed process; after a power failure it may be damaged, and is made anew.
        connection.execute("PRAGMA synchronous = OFF")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def _cover(connection: Connection, wanted: Mapping[bytes, Digest], read: Read) -> set[bytes]:
    """Make the database cover exactly the manifests `wanted` that can be read, and return them. Raises sqlite3.Error."""
    _make(connection)
    have = _covered(connection)
    if have == wanted.keys():
        return have
    # Before anything is read, so that nobody else reads the same.
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("DELETE FROM manifests WHERE number < 0")  # there is none: who may not write finds out now
        have = _covered(connection)
        _drop(connection, have - wanted.keys())
        for raw, digest in wanted.items():
            if raw not in have and (rows := _rows(read(digest))):
                _add(connection, raw, rows)
        have = _covered(connection)  # after the transaction it may be another process's
    except BaseException:  # Control-C too: others wait for the lock
        connection.rollback()
        raise
    connection.execute("COMMIT")
    return have


def _make(connection: Connection) -> None:
    found = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'")]
    if not found:
        connection.execute("BEGIN IMMEDIATE")
        for table in _TABLES:
            connection.execute(table.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
        connection.execute("COMMIT")
    elif not set(_TABLES) <= set(found):
        raise _wrong("it has other tables")


def _covered(connection: Connection) -> set[bytes]:
    return {raw for (raw,) in connection.execute("SELECT digest FROM manifests")}


def _drop(connection: Connection, gone: set[bytes]) -> None:
    if not gone:
        return
    connection.executemany("DELETE FROM manifests WHERE digest = ?", [(raw,) for raw in gone])
    connection.execute("DELETE FROM held WHERE -recency NOT IN (SELECT number FROM manifests)")
    connection.execute("DELETE FROM contents WHERE number NOT IN (SELECT content FROM held)")


def _add(connection: Connection, manifest: bytes, rows: list[tuple[bytes, bool]]) -> None:
    number = connection.execute("INSERT INTO manifests (digest) VALUES (?)", (manifest,)).lastrowid
    if number is None:
        raise _wrong("it does not number its rows")
    connection.executemany("INSERT OR IGNORE INTO contents (digest) VALUES (?)", [(content,) for content, _ in rows])
    connection.executemany(_HOLD, [(encoded, -number, content) for content, encoded in rows])


def _rows(data: bytes | None) -> list[tuple[bytes, bool]]:
    """Content of each blob that a manifest lists, and whether it is encoded otherwise than in full.

    Quick rather than strict: whatever is looked up here is read again from the manifest, decoded properly.
    """
    try:
        layers = json.loads(data or b"{}").get("layers", ())
        return [(_raw(row["annotations"][CONTENT]), row["mediaType"] != LAYER_TYPE) for row in layers]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return []
