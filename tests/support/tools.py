"""Programs of the machine that a test needs and that no lock file brings: nginx, promtool, …

Without one of them a test is skipped, and says so. Where POTLUCK_REQUIRE_TOOLS is set, as in CI,
it fails.
"""

import os
import shutil

import pytest

REQUIRE = "POTLUCK_REQUIRE_TOOLS"
ADMINISTRATORS = "/usr/sbin:/sbin"  # not on every user's PATH


def tool(name: str) -> str:
    """Path of a program; the test ends here where there is none."""
    path = shutil.which(name, path=f"{os.environ['PATH']}:{ADMINISTRATORS}")
    if path is None:
        do_without(f"expected the program {name} on this machine, found none; install its package")
    return path  # type: ignore[return-value]


def do_without(reason: str) -> None:
    """Skip the test, or fail it where everything must be tried."""
    if os.environ.get(REQUIRE):
        pytest.fail(f"{reason} (it must be there, as {REQUIRE} is set)")
    pytest.skip(reason)
