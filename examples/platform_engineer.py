# %% [markdown]
# # A model in production, without a build
#
# For whoever runs what others have trained: deploy, gate, serve, notice a change, update, roll back. `python platform_engineer.py
# [DIRECTORY]`: DIRECTORY is what `data_scientist.py` has made; without it, that is run first. No network is needed but this machine's own.

# %%
import atexit
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import mlflow
import pandas as pd
from mlflow.deployments import get_deploy_client

from registration import events
from registration.checking import RefusedError
from registration.deploying import deploy
from registration.serving import Server

temporary = tempfile.TemporaryDirectory(prefix="envparity-example-")
home = Path(sys.argv[1] if len(sys.argv) == 2 else temporary.name).absolute()
if not (home / "mlflow.db").exists():
    subprocess.run([sys.executable, Path(__file__).with_name("data_scientist.py"), home], check=True)

mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")

# %% [markdown]
# ## A gate
# What may differ on this host is a policy, kept with the rest of the configuration. This one is stricter than the default: a variable that chooses another
# kernel of a numeric library, which may change the last digits, counts as drift.

# %%
policy = home / "policy.toml"
policy.write_text('schema = 1\nmax-verdict = "NUMERIC"\n\n[rules]\nvariable-dispatch = "DRIFTED"\n', encoding="utf-8")

# %% [markdown]
# ## Deploy
# The store is the one that the version's tags name. Each step is an event; none of them builds anything.

# %%
service = home / "service"
done = deploy("models:/churn/1", service, policy=policy, variables=os.environ)
print(*events.table(done.events), sep="\n")
print(f"{done.label} is {done.report.verdict}, within {done.report.policy.name}\n")

# %% [markdown]
# The same stands in a log in the deployment, one JSON object a line, for whatever collects logs.

# %%
for line in done.log.read_text().splitlines():
    row = json.loads(line)
    print(f"{row['time']}  {row['event']:10} {row.get('seconds', 0):6.2f} s")

# %% [markdown]
# On a host where such a variable is set the same is refused, and nothing stays of it.

# %%
try:
    deploy(
        "models:/churn/1", home / "elsewhere", policy=policy, variables={**os.environ, "OPENBLAS_CORETYPE": "Prescott"}
    )
except RefusedError as error:
    print(f"\nrefused: {error}")
assert not (home / "elsewhere").exists()

# %% [markdown]
# ## Serve
# MLflow's scoring server, with the interpreter and the packages of the training. It is stopped at the end of the block, whatever happens.

# %%
customers = pd.DataFrame({"months": [3.0, 55.0], "price": [80.0, 20.0]})
request = {"dataframe_split": customers.to_dict("split", index=False)}
with Server(done.destination, os.environ) as server:
    answer = json.loads(server.predict(json.dumps(request).encode()))
print(f"\nfor a new, dear customer and an old, cheap one version 1 predicts {answer['predictions']}")

# %% [markdown]
# ## Somebody edits a file in production
# As an editor does it: a new file takes the place of the old one. No version number tells.

# %%
edited = next(service.glob("lib/python*/site-packages/sklearn/linear_model/_logistic.py"))
text = edited.read_text(encoding="utf-8")
edited.unlink()
edited.write_text(text.replace("import numpy as np", "import numpy as np  # a quick fix", 1), encoding="utf-8")

words = ["envparity", "--store", str(home / "store"), "serve", "churn/1", "--dest", str(service)]
print("\n$", *words, flush=True)
refused = subprocess.run([Path(sys.executable).with_name("envparity"), *words[1:]], check=False)
print(f"exit code {refused.returncode}: a check failed, and nothing was started\n")
assert refused.returncode == 1

# %% [markdown]
# ## Update, and roll back
# Deployments that outlive this script, by MLflow's own interface (`mlflow deployments … -t envparity`). An update starts the new version beside the old
# one and switches when it has predicted; when anything fails, the old one goes on serving.

# %%
client = get_deploy_client(f"envparity:{home}/deployments")
atexit.register(client.delete_deployment, "churn")  # whatever happens below: this is an example


def ask(what):
    """Whichever version serves now."""
    found = client.get_deployment("churn")
    leaves = client.predict("churn", customers).get_predictions()[1][1]
    print(f"{what:12} {found['version']} at {found['url']} says {leaves}")
    return leaves


client.create_deployment("churn", "models:/churn/1", config={"policy": str(policy)})
before = ask("created")
client.update_deployment("churn", "models:/churn/2")
updated = ask("updated")
client.update_deployment("churn", "models:/churn/1")
assert ask("rolled back") == before != updated

# %% [markdown]
# A rollback is an update to the version before, as fast as any: its layers are still unpacked on this host.

# %%
client.delete_deployment("churn")
print(f"deleted; {len(client.list_deployments())} deployments are left")
