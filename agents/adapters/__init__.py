"""The outside world, one thing per file; each implements a port."""
