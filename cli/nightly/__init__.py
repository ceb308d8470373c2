"""The nightly run and its schedule: nightly, export, schedule."""
