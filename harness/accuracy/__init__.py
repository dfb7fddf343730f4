"""How far a right result is from the references, and whether a repeated call returns the same bits."""
