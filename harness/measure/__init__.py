"""The name under which every version of the harness has its worker."""
