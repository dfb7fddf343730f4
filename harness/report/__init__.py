"""What a person reads about a run: lines of the terminal and tables of notebooks, made from its tables alone."""
