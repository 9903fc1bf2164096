"""The pure policy kernel: no clock, no I/O, no framework."""
