"""How long tests wait for what should happen. Waiting is for conditions; this is only how long a failing test takes."""

PATIENCE = 180.0
"""Seconds; generous, because the machine may be ten times slower than ours, or busy."""
