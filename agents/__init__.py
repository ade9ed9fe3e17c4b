"""What one organisation runs: decisions in `core`, their execution in `service`, the world in `adapters`."""
