"""What the rows of a run say. Readers only: nothing here measures."""
