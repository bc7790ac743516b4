"""Scripts that the measured environment runs: it has MLflow and envparity, but not these benchmarks."""
