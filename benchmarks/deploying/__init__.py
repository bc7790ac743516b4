"""How long it takes from a registered model to its first prediction, and to register it, beside what people use today."""
