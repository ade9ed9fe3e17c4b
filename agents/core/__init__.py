"""Decisions as pure functions: no clock, disk, network, logging or randomness."""
