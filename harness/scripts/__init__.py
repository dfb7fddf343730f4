"""The script beside a study: its own measurements, and the figures and the summary that it makes of a run."""
