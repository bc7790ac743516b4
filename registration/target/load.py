"""Runs in the environment that is registered (-I -B): loads a model as a server does, predicts on its example, tells what that imported.

Argument: the file for the answer, JSON. The model's directory comes from standard input, at the end of which it begins: nothing there
means that no model is to be loaded. A model that cannot be loaded ends this with its traceback.
"""

import gc
import hashlib
import io
import json
import os
import sys
import time


def loaded(known=()):
    """Modules by name with the files they came from, but for those that are known."""
    found = []
    for name, module in sorted(sys.modules.items()):
        if name in ("__main__", "__mp_main__") or name in known:
            continue
        origin = getattr(getattr(module, "__spec__", None), "origin", None) or getattr(module, "__file__", None)
        found.append([name, origin if isinstance(origin, str) else ""])
    return found


def listen():
    """What is put into os.environ from now on, even where it has no effect because it is there: sklearn sets two defaults at its
    import, and the process that starts this one may have imported it. None for what is put there twice, as by one who puts it back.
    """
    given = {}
    kind = type(os.environ)
    put, remove = kind.__setitem__, kind.__delitem__

    def setitem(self, name, value):
        put(self, name, value)
        given[name] = None if name in given else value

    def delitem(self, name):
        remove(self, name)
        given[name] = None

    def setdefault(self, name, value):
        if name not in self:
            self[name] = value
        given.setdefault(name, value)
        return self[name]

    kind.__setitem__, kind.__delitem__, kind.setdefault = setitem, delitem, setdefault
    return given


def said(error):
    """The error's first line, as the last of a traceback has it."""
    lines = str(error).strip().splitlines()
    return "%s: %s" % (type(error).__name__, lines[0][:300]) if lines else type(error).__name__


def example(path):
    """The input example and its parameters; None when the model has none."""
    from mlflow.models import Model

    model = Model.load(path)
    if not model.saved_input_example_info:
        return None
    return model.load_input_example(path), model.load_input_example_params(path)


def digest_of(prediction):
    """Of what a server would answer."""
    from mlflow.pyfunc.scoring_server import predictions_to_json

    out = io.StringIO()
    predictions_to_json(prediction, out)
    return "sha256:" + hashlib.sha256(out.getvalue().encode("utf-8", "surrogatepass")).hexdigest()


def serve(model):
    """Everything that a server imports before it answers."""
    import importlib_metadata
    import uvicorn
    from mlflow.pyfunc import scoring_server

    # It holds what is installed against the model's requirements. To read the metadata of one is enough to import what that takes.
    next(iter(importlib_metadata.distributions())).metadata

    uvicorn.Config(scoring_server.init(model), log_config=None).load()


def main():
    answer = sys.argv[1]
    # Nothing that the model does here is for the caller's tracking server.
    os.environ["MLFLOW_TRACKING_URI"] = "sqlite:///" + os.path.abspath("mlflow.db")
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    given = listen()
    gc.disable()  # nearly all that imports and loading make stays: to look through it again and again is a seventh of their time
    begin = time.perf_counter()
    import mlflow.pyfunc
    import mlflow.tracing

    mlflow.tracing.disable()
    seconds = time.perf_counter() - begin
    path = os.fsdecode(sys.stdin.buffer.read())
    if not path:
        return
    begin = time.perf_counter()
    try:
        model = mlflow.pyfunc.load_model(path, suppress_warnings=True)
    except SystemExit as error:
        raise RuntimeError("it ends the process that loads it: sys.exit(%r)" % error.code)
    gc.enable()
    problems, predicted, digest, prediction = [], False, "", None
    try:
        found = example(path)
        if found is not None:
            data, params = found
            prediction = model.predict(data, params=params) if params else model.predict(data)
            predicted = True
    except Exception as error:
        problems.append("the prediction on its input example failed: " + said(error))
    seconds += time.perf_counter() - begin
    modules = loaded()
    known = {name for name, _ in modules}
    try:
        serve(model)
        if predicted:
            digest = digest_of(prediction)
    except Exception as error:
        problems.append("it cannot be served in this environment: " + said(error))
    report = {
        "modules": modules,
        "serving": loaded(known),
        "predicted": predicted,
        "prediction": digest,
        "problems": problems,
        "seconds": seconds,
        "variables": {name: value for name, value in given.items() if isinstance(name, str) and value is not None},
    }
    with open(answer, "w") as file:
        json.dump(report, file)
        file.flush()
    # Threads that a model started need not end, and what it does at exit is its own affair.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
