"""How fast and how big, as ratios to what others take for the same job in the same run: `python -m benchmarks`."""
