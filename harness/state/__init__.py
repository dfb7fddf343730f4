"""Global state of a worker's process that a method can change for every other method."""
