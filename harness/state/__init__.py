"""Global state of a worker process that a method can change for every other method."""
