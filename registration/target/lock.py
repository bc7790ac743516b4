"""Runs in the environment that is registered (-I -B): locks requirements with its pip-tools, on the indexes that its pip is configured for.

Reads a request from stdin as JSON and writes the answer to the file that is its argument. `rows`: names and versions whose files are wanted;
`indexes`: options that say where to look besides; `requirements`, `pins` and `output`: the requirements to resolve, the constraints, where the lock goes. Both leave out what this interpreter cannot install.
"""

import contextlib
import copy
import json
import logging
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor

unfetched = []
given_up = []


class Listener(logging.Handler):
    """What pip could not fetch: it goes on without, as if there were nothing."""

    def emit(self, record):
        text = record.getMessage()
        if text.startswith("Could not fetch URL") and " 404 " not in text:
            unfetched.append(text)


def listen():
    logger = logging.getLogger("pip._internal.index.collector")
    logger.setLevel(logging.DEBUG)
    if not any(isinstance(handler, Listener) for handler in logger.handlers):
        logger.addHandler(Listener(logging.DEBUG))
        logger.propagate = False


def repository_class():
    from piptools.repositories import PyPIRepository

    class Repository(PyPIRepository):
        """Takes the hashes that the index itself states. pip-tools asks PyPI, and for any other index fetches every file of a release."""

        def __init__(self, *args, **options):
            super().__init__(*args, **options)
            listen()

        def _get_hashes_from_pypi(self, ireq):
            return {}

        def _get_file_hash(self, link):
            if link.hash_name == "sha256" and link.hash:
                return "sha256:" + link.hash
            return super()._get_file_hash(link)

        @contextlib.contextmanager
        def allow_all_wheels(self):
            yield  # no: those that this interpreter can install will do

    return Repository


def trim(finder, versions):
    """Let pip read of each page of an index only the files of one version: of the others there may be a thousand, and each costs it 0.2 ms."""
    collector = finder._link_collector
    fetch = collector.fetch_response

    def fetch_response(location, *args, **options):
        page = fetch(location, *args, **options)
        version = versions.get(location.url.partition("#")[0].rstrip("/").rpartition("/")[2])
        if page is not None and version and page.content_type.lower().startswith("application/vnd.pypi.simple.v1+json"):
            data = json.loads(page.content)
            data["files"] = [file for file in data["files"] if "-%s" % version in file["filename"]] or data["files"]
            page = copy.copy(page)
            object.__setattr__(
                page, "content", json.dumps(data).encode()
            )  # a frozen dataclass in newer releases of pip
        return page

    collector.fetch_response = fetch_response


def candidates(repository, name):
    """What all indexes have. One that cannot be reached does no harm while others have it; with no network, one name is enough to tell."""
    if given_up:
        return []
    found = repository.find_all_candidates(name)
    if unfetched and not found:
        given_up.append(name)
    return found


def hashes(request):
    """The hashes of the files of each row: an empty list where no index has it."""
    from pip._vendor.packaging.version import Version

    repository = repository_class()(request["indexes"], cache_dir=request["cache"])
    rows = request["rows"]
    with contextlib.suppress(AttributeError):  # another pip: it only takes longer
        trim(repository.finder, dict(rows))

    def of(row):
        name, version = row
        found = [one.link for one in candidates(repository, name) if one.version == Version(version)]
        return sorted({repository._get_file_hash(link) for link in found})

    first = [of(row) for row in rows[:1]]
    with ThreadPoolExecutor(8) as pool:
        return first + list(pool.map(of, rows[1:]))


def absent(request):
    """Of the names that are not installed, those that no index has: all of them, where a resolver stops at the first."""
    repository = repository_class()(request["indexes"], cache_dir=request["cache"])
    return [name for name in request["wanted"] if not candidates(repository, name)]


def conflicts(error):
    """Who wants what, of requirements that do not go together: pip's resolver keeps that in the cause of its error."""
    found = []
    for cause in getattr(error.__cause__, "causes", ()):
        by = cause.parent
        found.append(["%s %s" % (by.name, by.version) if by is not None else "", str(cause.requirement)])
    return found


def resolve(request, answer):
    from piptools.scripts import compile as compiling

    compiling.PyPIRepository = repository_class()
    options = ["--generate-hashes", "--allow-unsafe", "--strip-extras", "--no-config", "--quiet", "--no-header"]
    options += ["--no-annotate", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    options += ["--no-emit-options", "--resolver", "backtracking", "--newline", "LF", "--cache-dir", request["cache"]]
    options += ["--constraint", request["pins"], "--output-file", request["output"], request["requirements"]]
    try:
        compiling.cli.main(args=options, prog_name="pip-compile", standalone_mode=False)
    except SystemExit as stopped:
        return stopped.code or 0
    except Exception as error:  # pip's own go through pip-tools; the caller looks for what it knows in the text
        traceback.print_exc()
        answer["conflicts"] = conflicts(error)
        return 2
    return 0


def main():
    request = json.load(sys.stdin)
    answer = {}
    if "rows" in request:
        answer["hashes"] = hashes(request)
    else:
        answer["absent"] = absent(request)
        if not answer["absent"]:
            answer["code"] = resolve(request, answer)
    answer["unfetched"] = unfetched
    with open(sys.argv[1], "w") as file:
        json.dump(answer, file)


main()
