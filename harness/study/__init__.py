"""What was asked for: the study file, its values, its cases and cells."""
