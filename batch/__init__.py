"""The nightly run: population -> point-in-time features -> scores -> idle slot -> verified -> published -> history."""
