"""Starts MLflow's scoring server in this very process, with the interpreter of a restored environment. Passed to it as text (`-c`).

`mlflow models serve` imports MLflow with its whole command line, only to start a second process that imports MLflow again. What it
would start there is what `get_cmd` says, and that is started here.
"""

import gc
import os
import shlex
import signal
import sys
import threading


def follow(grace):
    """End with whoever started this: the other end of standard input closes when that process is gone, however it went.

    A byte says that this process may stay when the other one ends.
    """
    if os.read(0, 1):
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        return
    os.kill(os.getpid(), signal.SIGTERM)
    # Requests that do not end are no reason to stay for ever. The process leads a group of its own.
    threading.Event().wait(grace)
    os.killpg(0, signal.SIGKILL)


def arguments(words, fd):
    """MLflow's arguments for uvicorn, less the address: the socket is open already, so that no other process can take the port."""
    kept = []
    skip = False
    for word in words:
        if skip or word in ("--host", "--port"):
            skip = not skip
        else:
            kept.append(word)
    return ["--fd", fd, *kept]


def main(model, fd, workers, timeout, grace):
    threading.Thread(target=follow, args=(float(grace),), daemon=True).start()
    gc.disable()  # what an import makes stays: to look through it again and again is a tenth of the time until the server answers
    try:
        from mlflow.pyfunc.scoring_server import get_cmd
    except ImportError as error:
        sys.exit(
            "the restored environment has no scoring server: %s; the model needs mlflow, not mlflow-skinny" % error
        )
    command, variables = get_cmd(model, timeout=int(timeout), nworkers=int(workers))
    program, *words = shlex.split(command)
    if program != "uvicorn":
        sys.exit(
            "MLflow wants to serve with %s: envparity knows MLflow 3.1 and later, which serve with uvicorn" % program
        )
    os.environ.update(variables)
    from uvicorn.main import main as uvicorn

    gc.freeze()
    gc.enable()
    uvicorn(args=arguments(words, fd), prog_name="uvicorn")


if __name__ == "__main__":
    main(*sys.argv[1:])
