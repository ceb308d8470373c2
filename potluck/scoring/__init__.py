"""A bundle and a record in, a prediction out: the one path that online, nightly and replay
share."""
