"""For tests, ours and those of other backends: a suite that every backend passes, backends that fail, small snapshots."""
