"""The `envparity` command as a process of its own: what may be done there, and not where the command is called by other code."""

from __future__ import annotations

import gc


def main() -> None:
    """Run the command with `sys.argv`. Raises SystemExit, with the exit code.

    A warm restore takes a tenth of a second, of which the collector would take one seventh: it looks for garbage in what was
    just imported, which stays, and at the end in all there is, which goes with the process.
    """
    gc.disable()
    from registration.cli import main as command

    gc.freeze()
    gc.enable()
    try:
        command()
    finally:
        gc.freeze()
