"""How long a server that is told to stop may take, by its settings."""

from potluck.contract.settings import Settings


def longest_stop(environment: dict[str, str]) -> float:
    """Seconds from SIGTERM to the end, with these settings and else the defaults."""
    return seconds("drain_seconds", environment) + seconds("drain_pause_seconds", environment)


def seconds(name: str, environment: dict[str, str]) -> float:
    default = Settings.model_fields[name].default
    return float(environment.get(f"POTLUCK_{name.upper()}", default))
