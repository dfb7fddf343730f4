"""Measures cases on the workers of a Dask cluster; their results come back as rows of the usual tables."""

from harness.distribute.cluster import Cluster, on_local_workers, on_scheduler

__all__ = ["Cluster", "on_local_workers", "on_scheduler"]
