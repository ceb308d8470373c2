"""The online store as the server reads it."""
