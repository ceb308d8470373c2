"""Texts without passwords: those of any URL, and those that this process was given."""

import os
import re
from collections.abc import Mapping
from urllib.parse import unquote

PASSWORD = re.compile(
    r"(?P<before>\w://[^\s/@:\[]*:)[^\s'\"]*(?=@)|(?P<option>\b\w*(?:password|passwd|secret|token)=)[^\s&'\"]*",
    re.IGNORECASE,
)
URLS = (
    "REDIS_URL",
    "MLFLOW_TRACKING_URI",
    "MLFLOW_REGISTRY_URI",
    "FEAST_REGISTRY_URL",
    "MLFLOW_BACKEND_STORE_URI",
    "POTLUCK_INFERENCE_LOG_URL",
)
SECRETS = (
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
)
SHORTEST = 4
"""Shorter ones would be found in any text."""


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """A text with `***` in the place of each password.

    Args:
        environment: variables whose passwords are known, and masked wherever they stand.
    """
    text = PASSWORD.sub(lambda found: f"{found['before'] or found['option']}***", text)
    for secret in sorted(known_secrets(environment), key=len, reverse=True):
        text = text.replace(secret, "***")
    return text


def known_secrets(environment: Mapping[str, str]) -> set[str]:
    written = [password_of(environment.get(name, "")) for name in URLS]
    written += [environment.get(name, "") for name in SECRETS]
    both = {
        *written,
        *map(unquote, written),
    }  # a library may tell it as it is written in the URL, or as it is
    return {secret for secret in both if len(secret) >= SHORTEST}


def password_of(url: str) -> str:
    """The password before a URL's host, as it is written; empty where there is none."""
    authority = url.partition("://")[2].partition("/")[0]
    return authority.rpartition("@")[0].partition(":")[2]
