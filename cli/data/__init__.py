"""The feature repo and its data: init, ingest, apply, materialize, check."""
