"""Loads studies that can be measured here, and forecasts how long that takes."""
