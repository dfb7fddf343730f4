"""A history that a person looks at: one HTML file of a machine's judged runs, made from history.csv alone."""
