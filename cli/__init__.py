"""The front door: one verb a command; each verb imports only what it needs, and starts fast."""
