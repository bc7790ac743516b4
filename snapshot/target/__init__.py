"""Scripts that run in the captured interpreter: standard library only, Python 3.8 and later."""
