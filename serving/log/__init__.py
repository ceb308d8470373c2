"""The inference log as a worker writes it: rows into segments, beside the requests."""
