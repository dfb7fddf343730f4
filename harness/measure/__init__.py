"""The name under which every version of the harness keeps its worker."""
