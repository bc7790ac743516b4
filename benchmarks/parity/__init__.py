"""The mutation catalogue: single changes to a real environment, what parity says of each, and what other tools see of it."""
