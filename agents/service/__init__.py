"""Effects carried out in crash-safe order, over the ports."""
