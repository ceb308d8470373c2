"""`make demo`: every verb in its order, then a call to each service."""
