"""Agreements between the rooms, as plain data. Imports no Feast, MLflow, pandas or FastAPI."""
