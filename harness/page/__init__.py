"""The report that a person reads: one HTML file, made from the tables of runs alone. The page of a history is assembled
from the same parts."""
