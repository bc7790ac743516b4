# %% [markdown]
# # A model with the environment it was trained in
#
# For whoever trains models. Run it cell by cell (Jupyter and most editors know `# %%`), or as a whole:
# `python data_scientist.py [DIRECTORY]`. It needs `pip install 'envparity[mlflow]'`, and no network.
#
# Everything goes to one directory, MLflow's registry and envparity's store too. Without DIRECTORY it is gone afterwards.

# %%
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

# As this process was started. Libraries add variables of their own when they are imported, in whatever process imports them.
environ = dict(os.environ)

import mlflow
import numpy as np
import pandas as pd
from mlflow.utils.env_pack import EnvPackConfig
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import diffing
import registration
import snapshot

temporary = tempfile.TemporaryDirectory(prefix="envparity-example-")
home = Path(sys.argv[1] if len(sys.argv) == 2 else temporary.name).absolute()
home.mkdir(exist_ok=True)
print(f"everything is in {home}")

mlflow.set_tracking_uri(f"sqlite:///{home}/mlflow.db")
mlflow.set_experiment(experiment_id=mlflow.create_experiment("churn", str(home / "artifacts")))

# %% [markdown]
# ## Train
# Customers who pay much and have not been here for long leave.

# %%
random = np.random.default_rng(0)
customers = pd.DataFrame({"months": random.uniform(0, 60, 500), "price": random.uniform(10, 90, 500)})
left = customers.price - customers.months + random.normal(0, 20, 500) > 20


def train(strength):
    """Fit a model and log it, with an example of what it is asked."""
    model = make_pipeline(StandardScaler(), LogisticRegression(C=strength)).fit(customers, left)
    with mlflow.start_run():
        return mlflow.sklearn.log_model(
            model,
            name="churn",
            input_example=customers[:3],
            pyfunc_predict_fn="predict_proba",
            # Without this line MLflow loads the model once more to find out, which takes some seconds.
            pip_requirements=[f"mlflow=={mlflow.__version__}", "scikit-learn", "pandas"],
        )


model_info = train(strength=1.0)
print(f"logged {model_info.model_uri}")

# %% [markdown]
# ## Register
# After `enable`, MLflow's own call packs this environment into the store, whatever the registry is. Without `store=` it is the one in
# your data directory; a team has one on a share.
#
# `install_dependencies=False` is for this example only, which is to run without a network: leave it out, and the model's requirements are locked with their hashes, and what is
# missing here is installed first.

# %%
store = snapshot.Store(home / "store")
registration.enable(store=store, said=lambda line: print(f"  {line} …"))
pack = EnvPackConfig(name="databricks_model_serving", install_dependencies=False)
first = mlflow.register_model(model_info.model_uri, "churn", env_pack=pack)

# %% [markdown]
# The version's tags say which snapshot is its environment, and where it is. Equal parity roots are equal environments.

# %%
for name, value in sorted(mlflow.MlflowClient().get_model_version("churn", str(first.version)).tags.items()):
    print(f"{name:24} {value}")

# %% [markdown]
# ## What it costs
# Another model in the same environment: the second version shares all but itself.

# %%
second = mlflow.register_model(train(strength=0.1).model_uri, "churn", env_pack=pack)


def envparity(*words):
    """The command, as `!envparity …` in a notebook."""
    print("$ envparity", *words, flush=True)
    subprocess.run([Path(sys.executable).with_name("envparity"), "--store", home / "store", *words], check=True)


envparity("size", "churn")

# %% [markdown]
# ## Is this still the environment of version 1?
# What `envparity diff` does: this environment against the snapshot, with what the model imports. Here nothing has changed.

# %%
here = snapshot.describe(sys.prefix, variables=environ, fingerprint=True, key=store.variables_key())
report = diffing.assess(
    diffing.Side("churn/1", "snapshot", snapshot.load("churn/1", store), name="churn/1"),
    diffing.Side(sys.prefix, "environment", here),
    usage=diffing.read_model(mlflow.artifacts.download_artifacts(model_info.model_uri)),
    today=date.today(),
)
print(f"{report.verdict}: {len(report.differences)} differences, parity root {report.serve.parity_root}")

# %% [markdown]
# The same as a page to keep or to send: one file without anything from elsewhere.

# %%
from diffing.rendering import html

page = home / "parity.html"
page.write_text(html.render([report]), encoding="utf-8")
print(f"the report is {page}, {page.stat().st_size / 1000:.0f} kB")

# %% [markdown]
# Deploying is somebody else's business: `platform_engineer.py`, with the same directory.

# %%
registration.disable()
