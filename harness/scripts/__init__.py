"""The script beside a study: what it measures besides, and the figures that it draws."""
