"""Where a restored environment has what a venv has no place for, and which time its files have."""

from __future__ import annotations

#: Modification time of everything restored, in seconds since the epoch. A timestamp `.pyc` names the time of its
#: source, so the two must be fixed together.
FIXED_MTIME = 1_000_000_000

#: The directory of a restored environment for what a venv has no place for.
HOME = ".envparity"
PYTHON_MOUNT = f"{HOME}/python"
SOURCE_MOUNT = f"{HOME}/src"
RECEIPT = f"{HOME}/restored.json"
#: The log of a deployment: beside the receipt, and no part of the environment either.
DEPLOYMENT = f"{HOME}/deploy.jsonl"
MODEL_MOUNT = f"{HOME}/model"
