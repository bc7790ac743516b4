"""How each contender keeps versions of an environment: one module a tool, all of them a `Packer`.

`ours.py` is envparity; `archives.py` tar with zstd or gzip, `venv_pack.py`, `env_pack.py` (MLflow) make one file a version;
`borg.py`, `restic.py`, `casync.py` keep a repository in which versions share. `uv.py` installs, `copies.py` copies:
they keep nothing, and take part where environments are made.
"""
