"""The page of a machine's judged runs: one HTML file, made from history.csv alone."""
