"""What calls `snapshot` and `diffing`: the `envparity` command."""
