"""How long a server that is told to stop may take, by its settings."""

from potluck.contract.settings import Settings

# Until the branch that adds both settings is merged; then they are read from there alone.
BEFORE_THE_SETTINGS = {"drain_seconds": 20.0, "drain_pause_seconds": 5.0}


def longest_stop(environment: dict[str, str]) -> float:
    """Seconds from SIGTERM to the end, with these settings and else the defaults."""
    return sum(seconds(name, environment) for name in BEFORE_THE_SETTINGS)


def seconds(name: str, environment: dict[str, str]) -> float:
    field = Settings.model_fields.get(name)
    default = field.default if field else BEFORE_THE_SETTINGS[name]
    return float(environment.get(f"POTLUCK_{name.upper()}", default))
