"""What is asked for: the study file and what it may say, its cases and cells, its budget."""
