"""One typed place for every setting: flags, environment, `.env`, defaults."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import PydanticUndefined

from potluck.contract.errors import UsageError
from potluck.contract.settings import (
    LONGEST_SOCKET_PATH,
    Settings,
    load_settings,
    nearest_home,
    source_path,
)

ROOT = Path(__file__).resolve().parent.parent.parent
ALIASES = sorted(str(field.alias) for field in Settings.model_fields.values())


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, in an environment that says nothing of Potluck."""
    for alias in ALIASES:
        monkeypatch.delenv(alias, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_flag_goes_before_the_environment_and_that_before_the_file(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / ".env").write_text(
        "POTLUCK_REPO=from_file\nREDIS_URL=redis://from-file\nPOTLUCK_LOG_LEVEL=DEBUG\n"
    )
    monkeypatch.setenv("POTLUCK_REPO", "from_environment")
    monkeypatch.setenv("REDIS_URL", "redis://from-environment")
    settings = load_settings(repo=Path("from_flag"))
    assert settings.repo == folder / "from_flag"
    assert settings.redis_url == "redis://from-environment"
    assert settings.log_level == "DEBUG"


def test_a_flag_that_is_not_given_leaves_the_environment_be(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POTLUCK_REPO", "from_environment")
    assert load_settings(repo=None).repo == folder / "from_environment"


def test_without_anything_all_state_is_below_the_working_directory(folder: Path) -> None:
    settings = load_settings()
    assert settings.home == folder / ".potluck"
    assert settings.repo == folder / "feature_repo"
    assert settings.releases.is_relative_to(settings.home)
    assert settings.data_folder("iris").is_relative_to(settings.home)
    assert settings.registry_url == f"sqlite:///{settings.home}/feast.db"
    assert (
        settings.tracking_uri
        == settings.local_tracking_uri
        == f"sqlite:///{settings.home}/mlflow.db"
    )
    assert settings.uses_embedded_redis


def test_paths_do_not_depend_on_where_the_process_goes_later(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_settings(home=Path("home"), repo=Path("repo"))
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert (settings.home, settings.repo) == (folder / "home", folder / "repo")


def test_the_nearest_home_upwards_is_taken(folder: Path) -> None:
    (folder / ".potluck").mkdir()
    (folder / "a" / "b").mkdir(parents=True)
    assert nearest_home(folder / "a" / "b") == folder / ".potluck"
    (folder / "a" / ".potluck").mkdir()
    assert nearest_home(folder / "a" / "b") == folder / "a" / ".potluck"


def test_without_a_home_yet_a_checkout_has_one_at_its_top(folder: Path) -> None:
    (folder / "feature_repo").mkdir()
    assert nearest_home(folder / "feature_repo") == folder / "feature_repo" / ".potluck"
    (folder / ".git").mkdir()
    assert nearest_home(folder / "feature_repo") == nearest_home(folder) == folder / ".potluck"


def test_a_file_called_like_a_home_is_none(folder: Path) -> None:
    (folder / ".potluck").mkdir()
    (folder / "a").mkdir()
    (folder / "a" / ".potluck").write_text("")
    assert nearest_home(folder / "a") == folder / ".potluck"


def test_feast_finds_the_home_from_inside_the_repo(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`feast` changes into the repo's folder before it imports the definitions."""
    (folder / ".potluck").mkdir()
    (folder / "feature_repo").mkdir()
    monkeypatch.chdir(folder / "feature_repo")
    assert source_path("houses", "sales") == str(
        folder / ".potluck" / "data" / "houses" / "sales.parquet"
    )


def test_the_socket_lies_in_the_home_while_the_path_is_short() -> None:
    settings = load_settings(home=Path("/srv/potluck"))
    assert settings.redis_socket == Path("/srv/potluck/redis/redis.sock")


def test_a_long_home_gets_a_short_socket_of_its_own() -> None:
    homes = [Path("/srv") / ("deep" * 40) / name for name in ("one", "two")]
    sockets = [load_settings(home=home).redis_socket for home in homes]
    assert all(len(str(socket)) <= LONGEST_SOCKET_PATH for socket in sockets)
    assert sockets[0] != sockets[1]
    assert load_settings(home=homes[0]).redis_socket == sockets[0]


def test_a_url_of_the_homes_own_server_is_still_the_embedded_one() -> None:
    own = load_settings(home=Path("/srv/potluck"))
    assert load_settings(home=own.home, redis_url=own.embedded_redis_url).uses_embedded_redis
    assert not load_settings(home=own.home, redis_url="redis://localhost:6379").uses_embedded_redis


def test_a_printed_environment_gives_the_same_settings(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_settings(
        home=folder / "home", repo=folder / "repo", feast_registry_url="postgresql://db/feast"
    )
    for name, value in before.variables().items():
        monkeypatch.setenv(name, value)
    after = load_settings()
    assert after.variables() == before.variables()
    assert after.uses_embedded_redis


@pytest.mark.parametrize(
    ("alias", "value"),
    [
        ("POTLUCK_LOG_LEVEL", "LOUD"),
        ("POTLUCK_REDIS_TIMEOUT", "0"),
        ("POTLUCK_REDIS_TIMEOUT", "soon"),
        ("POTLUCK_MAX_IN_FLIGHT", "0"),
        ("POTLUCK_MAX_IN_FLIGHT", "1.5"),
    ],
)
def test_a_bad_value_is_a_usage_error_that_names_the_setting(
    alias: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(alias, value)
    with pytest.raises(UsageError, match=alias) as caught:
        load_settings()
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("word", ["off", " OFF ", ""])
def test_the_nightly_schedule_can_be_switched_off(word: str) -> None:
    assert load_settings(nightly_cron=word).nightly_cron == ""


def test_the_nightly_schedule_is_off_by_a_word_since_an_empty_variable_is_as_good_as_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert load_settings().nightly_cron == "0 2 * * *"
    monkeypatch.setenv("POTLUCK_NIGHTLY_CRON", "")
    assert load_settings().nightly_cron == "0 2 * * *"
    monkeypatch.setenv("POTLUCK_NIGHTLY_CRON", "off")
    assert load_settings().nightly_cron == ""


def test_a_command_with_a_bad_setting_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POTLUCK_LOG_LEVEL", "LOUD")
    ended = subprocess.run(
        [sys.executable, "-m", "cli.main", "env"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "POTLUCK_LOG_LEVEL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_settings_do_not_change(folder: Path) -> None:
    settings: Any = load_settings()
    with pytest.raises(ValueError, match="frozen"):
        settings.home = folder


@pytest.mark.parametrize("name", ["HOME", "REPO", "LOG_LEVEL", "REDIS_TIMEOUT", "MAX_IN_FLIGHT"])
def test_a_variable_of_another_name_is_somebody_elses(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(name, raising=False)
    unset = load_settings().model_dump()
    monkeypatch.setenv(name, "/nobody/1")
    assert load_settings().model_dump() == unset


@pytest.mark.parametrize(
    "alias", ["POTLUCK_HOME", "POTLUCK_REPO", "REDIS_URL", "MLFLOW_TRACKING_URI"]
)
def test_an_empty_variable_is_as_good_as_none(alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compose and CI set variables that they have no value for to nothing."""
    unset = load_settings()
    monkeypatch.setenv(alias, "")
    assert load_settings().variables() == unset.variables()


@pytest.mark.parametrize("alias", ALIASES)
def test_every_setting_is_documented(alias: str) -> None:
    assert f"`{alias}`" in (ROOT / "docs" / "operations.md").read_text()


def documented_defaults() -> dict[str, str]:
    """Settings whose row in the table gives a literal default."""
    page = (ROOT / "docs" / "operations.md").read_text()
    return dict(re.findall(r"^\| `([A-Z_]+)` \| `([^`]+)` \|", page, re.MULTILINE))


def test_every_documented_default_is_the_one_in_force() -> None:
    documented = documented_defaults()
    fields = {str(field.alias): field for field in Settings.model_fields.values()}
    literal = {
        name for name, field in fields.items() if field.default not in (None, "", PydanticUndefined)
    }
    assert set(documented) == literal
    for name, text in documented.items():
        default = fields[name].default
        spelled = str(default).lower() if isinstance(default, bool) else str(default)
        assert text in (spelled, spelled.removesuffix(".0")), name
