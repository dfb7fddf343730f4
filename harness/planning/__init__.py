"""A study that can be measured here, and how long that will take."""
