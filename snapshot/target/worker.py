"""Runs in the target interpreter (-I -S -B): one JSON request a line on stdin, one answer a line on stdout.

{"op": "hash", "path": P}                  the hash of a source as hash-based bytecode records it (PEP 552)
{"op": "compile", "path": P, "name": N, "out": O, "mtime": T}
                                           compile P to O as timestamp bytecode for a source of time T; N is the
                                           file name inside the code (the import system corrects it when it loads)
An answer has "error" when it went wrong. Nothing is imported from the environment.
"""

import _imp
import importlib._bootstrap_external as external
import json
import os
import sys
import warnings


def handle(request):
    path = os.fsencode(request["path"])
    with open(path, "rb") as file:
        source = file.read()
    if request["op"] == "hash":
        magic = int.from_bytes(external.MAGIC_NUMBER, "little")
        return {"hash": _imp.source_hash(magic, source).hex()}
    code = compile(source, request["name"], "exec", dont_inherit=True, optimize=0)
    out = os.fsencode(request["out"])
    os.makedirs(os.path.dirname(out), exist_ok=True)
    data = external._code_to_timestamp_pyc(code, request["mtime"], len(source))
    part = out + b".part"
    with open(part, "wb") as file:
        file.write(data)
    os.replace(part, out)
    return {}


def main():
    warnings.simplefilter("ignore")
    os.umask(0o022)
    sys.setrecursionlimit(10000)
    for line in sys.stdin:
        try:
            answer = handle(json.loads(line))
        except Exception as error:
            answer = {"error": "%s: %s" % (type(error).__name__, error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
