"""What a device is: its clocks and queue, memory, cache, throttling, arithmetic, name. No other room names one."""
