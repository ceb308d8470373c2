"""Redis: its clients, the home's own server, bulk writes, the scan of keys, and Feast's bytes.
Imports no Feast."""
