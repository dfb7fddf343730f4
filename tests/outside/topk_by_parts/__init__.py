"""A package that the harness does not know: a study names its method by import path."""
