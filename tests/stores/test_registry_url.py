"""`sqlite:///?plugin=potluck` goes where the settings say."""

from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from potluck.contract.settings import Settings
from potluck.stores.definitions.registry_url import with_driver

PLACEHOLDER = "sqlite:///?plugin=potluck"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)
    monkeypatch.setenv("POTLUCK_HOME", str(tmp_path / "deep" / "home"))
    return tmp_path / "deep" / "home"


def test_the_registry_is_a_file_of_the_home_which_need_not_be_there(home: Path) -> None:
    engine = create_engine(PLACEHOLDER)
    with engine.begin() as connection:
        connection.execute(text("create table kept (id integer)"))
    engine.dispose()
    assert (home / "feast.db").stat().st_size > 0


def test_every_engine_reads_the_settings_anew(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert create_engine(PLACEHOLDER).url.database == str(home / "feast.db")
    monkeypatch.setenv("POTLUCK_HOME", str(home.parent / "other"))
    assert create_engine(PLACEHOLDER).url.database == str(home.parent / "other" / "feast.db")


def test_a_url_of_ones_own_goes_before_the_home(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "FEAST_REGISTRY_URL", "postgresql://user:p%40ss@db.example:5433/feast?sslmode=require"
    )
    url = create_engine(PLACEHOLDER).url
    assert url.render_as_string(hide_password=False) == (
        "postgresql+psycopg://user:p%40ss@db.example:5433/feast?sslmode=require"
    )
    assert not home.exists()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgres_gets_the_driver_that_is_installed(scheme: str) -> None:
    assert with_driver(make_url(f"{scheme}://db/feast")).drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    "url", ["sqlite:////srv/feast.db", "postgresql+psycopg2://db/feast", "mysql+pymysql://db/feast"]
)
def test_a_named_driver_stays(url: str) -> None:
    assert with_driver(make_url(url)) == make_url(url)
