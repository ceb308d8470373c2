"""HTTP: bundles and Redis behind the contract of docs/http-contract.md. Imports neither Feast,
MLflow nor pandas."""
