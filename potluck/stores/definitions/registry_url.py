"""Where Feast's SQL registry lives, decided by the settings: `path: "sqlite:///?plugin=potluck"`
needs no variable."""

from sqlalchemy.engine import URL, CreateEnginePlugin, make_url

from potluck.contract.home import make_home
from potluck.contract.settings import load_settings


class RegistryUrlPlugin(CreateEnginePlugin):  # type: ignore[misc]
    """Replaces the placeholder URL by `FEAST_REGISTRY_URL`, or by the home's SQLite file."""

    def update_url(self, url: URL) -> URL:
        settings = load_settings()
        target = with_driver(make_url(settings.registry_url))
        if target.database and target.get_backend_name() == "sqlite":
            make_home(settings.home)
        return target


def with_driver(url: URL) -> URL:
    """Name psycopg 3 where the URL names no driver: SQLAlchemy's default for Postgres is
    psycopg2."""
    bare = url.drivername in ("postgres", "postgresql")
    return url.set(drivername="postgresql+psycopg") if bare else url
