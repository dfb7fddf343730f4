"""Devices: clocks, queue, memory, cache, throttling, arithmetic and name. No other room names a particular device."""
