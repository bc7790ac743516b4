"""Renderers of parity reports, one module a format: each turns reports into text, and does nothing else."""
