"""Questions to a running server: predict, lookup."""
