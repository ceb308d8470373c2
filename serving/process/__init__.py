"""The server's processes: how they start, watch each other, and end."""
