"""What is told of a run: on the terminal, as Markdown with two plots, as JSON. All from the same `Results`."""
