"""The name in a store for a registered model: MLflow allows more than a snapshot's name may hold."""

from __future__ import annotations

import hashlib
import re

from snapshot.store.manifest import InvalidNameError, check_name


def snapshot_name(name: str, version: int | str | None = None) -> str:
    """The reference for a registered model, or for one version of it: `churn` and 3 give `churn/3`.

    A name that a snapshot may have stays as it is. Any other (`Churn model`) keeps its letters and digits, and gets the beginning of
    its sha256, so that two names of models do not become one: `Churn-model-4e8a7f0d`.
    """
    try:
        if "/" in name:
            raise InvalidNameError(name)  # what comes after it would be taken for the version
        found = check_name(name)
    except InvalidNameError:
        readable = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") or "model"
        found = f"{readable}-{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}"
    return found if version is None else check_name(f"{found}/{version}")
