"""What /metrics tells of champions and of the online store, read at each scrape."""
