"""The front door: one verb a command. Each verb imports only what it needs, so that `serve` starts fast."""
