"""Point-in-time data set -> model -> evidence -> registry -> bundle."""

import os

MLFLOW_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # By default MLflow tries 7 times and waits 2 minutes each time: a command would seem to hang.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
"""What MLflow does in our processes, unless somebody says otherwise in the environment."""

# Here, as the package is imported before each of its modules: MLflow starts its telemetry while it
# is imported.
for _name, _value in MLFLOW_SETTINGS.items():
    os.environ.setdefault(_name, _value)
