"""Scripts that run in the environment of a model: the standard library only, no import of ours."""
