"""Every setting, in one typed place: environment, `.env` file or a flag of the command line."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from potluck.contract.env_file import check_env_file
from potluck.contract.errors import UsageError
from potluck.contract.home import nearest_home, short_socket
from potluck.contract.redis_url import parse_redis_url

ENV_FILE = ".env"
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes


class Settings(BaseSettings):
    """What a process of Potluck needs to know about its surroundings.

    Each field is read from the environment variable of its alias, then from `.env` in the working
    directory.
    """

    # The prefix is for `populate_by_name`, which also reads a field's bare name: HOME is somebody
    # else's.
    model_config = SettingsConfigDict(
        env_file=ENV_FILE,
        env_prefix="POTLUCK_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    home: Path = Field(default_factory=lambda: nearest_home(Path.cwd()), alias="POTLUCK_HOME")
    """Folder of all state. Default: the nearest `.potluck` at or above the working directory; where
    there is none yet, one at the top of the git checkout, or else in the working directory."""
    repo: Path = Field(default=Path("feature_repo"), alias="POTLUCK_REPO")
    """The Feast feature repo."""
    redis_url: str | None = Field(default=None, alias="REDIS_URL")
    """The online store, in one of the forms of `potluck.contract.redis_url`. Default: an embedded
    redis-server."""
    mlflow_tracking_uri: str | None = Field(default=None, alias="MLFLOW_TRACKING_URI")
    """MLflow's tracking server and registry. Default: SQLite in the home."""
    mlflow_projects: str = Field(default="", alias="POTLUCK_PROJECTS")
    """Feast projects, with commas between them, whose models are taken from MLflow's registry.
    Default: the repo's project and those that the home serves; every project where there is no
    repo."""
    feast_registry_url: str | None = Field(default=None, alias="FEAST_REGISTRY_URL")
    """Feast's SQL registry. Default: SQLite in the home."""
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", alias="POTLUCK_LOG_LEVEL"
    )
    """Least severe message that is logged."""
    log_format: Literal["text", "json"] = Field(default="text", alias="POTLUCK_LOG_FORMAT")
    """Form of the lines of long-running processes: for people, or one JSON object each."""
    access_log: bool = Field(default=False, alias="POTLUCK_ACCESS_LOG")
    """Whether the server logs a line for each answer."""
    redis_timeout: float = Field(default=0.25, alias="POTLUCK_REDIS_TIMEOUT", gt=0)
    """Seconds that one online read may take before the answer is FEATURE_STORE_UNAVAILABLE."""
    max_in_flight: int = Field(default=256, alias="POTLUCK_MAX_IN_FLIGHT", ge=1)
    """Requests that one worker works on at once; one more is answered OVERLOADED."""

    drain_seconds: float = Field(default=20.0, alias="POTLUCK_DRAIN_SECONDS", gt=0)
    """Longest that a server which was told to stop waits for requests in flight, in seconds."""
    drain_pause_seconds: float = Field(default=0.0, alias="POTLUCK_DRAIN_PAUSE_SECONDS", ge=0)
    """Seconds for which `/readyz` says 503 before the server closes its listener."""
    header_seconds: float = Field(default=10.0, alias="POTLUCK_HEADER_SECONDS", gt=0)
    """Seconds from the first byte of a request's head to its last."""
    body_seconds: float = Field(default=20.0, alias="POTLUCK_BODY_SECONDS", gt=0)
    """Seconds within which a body is whole, or brings `body_bytes_per_second` for each of them;
    then anew."""
    body_bytes_per_second: int = Field(default=4096, alias="POTLUCK_BODY_BYTES_PER_SECOND", ge=1)
    """Least rate of a body that takes longer than `body_seconds`."""
    idle_seconds: float = Field(default=75.0, alias="POTLUCK_IDLE_SECONDS", gt=0)
    """Seconds for which a connection may stay open without a request."""
    unread_seconds: float = Field(default=30.0, alias="POTLUCK_UNREAD_SECONDS", gt=0)
    """Seconds for which a caller may leave its answers unread."""
    max_header_bytes: int = Field(default=32_768, alias="POTLUCK_MAX_HEADER_BYTES", ge=1024)
    """Bytes of a request's head, and of what stands between two pieces of a body in chunks."""
    max_connections: int = Field(default=2000, alias="POTLUCK_MAX_CONNECTIONS", ge=1)
    """Connections that one worker keeps open; one more is answered TOO_MANY_CONNECTIONS."""
    max_pipelined: int = Field(default=16, alias="POTLUCK_MAX_PIPELINED", ge=1)
    """Requests of one connection that wait for the answer before theirs; the rest is not read until
    then."""
    max_body_bytes: int = Field(default=64 << 20, alias="POTLUCK_MAX_BODY_BYTES", ge=8 << 20)
    """Bytes of large bodies that one worker holds; a caller who would pass it waits."""
    materialize_max_gone: float = Field(
        default=0.5, alias="POTLUCK_MATERIALIZE_MAX_GONE", ge=0, le=1
    )
    """Share of a view's entities online that a materialize may delete because the data lacks
    them."""

    inference_log: bool = Field(default=True, alias="POTLUCK_INFERENCE_LOG")
    """Whether the server logs every predicted and looked-up row."""
    inference_log_url: str | None = Field(default=None, alias="POTLUCK_INFERENCE_LOG_URL")
    """Folder of the log's parquet files: a path, or `s3://bucket/prefix`. Default: in the home."""
    inference_segments_bytes: int = Field(
        default=1 << 30, alias="POTLUCK_INFERENCE_SEGMENTS_BYTES", ge=1 << 20
    )
    """Bytes of answered rows that wait for the log's decoder; more are dropped and counted."""
    inference_leave_out: str = Field(default="", alias="POTLUCK_INFERENCE_LEAVE_OUT")
    """Fields, with commas between them, whose values the log does not keep."""
    inference_hash: str = Field(default="", alias="POTLUCK_INFERENCE_HASH")
    """Fields, with commas between them, that the log keeps only as a salted hash."""
    keep_inferences_days: int | None = Field(default=90, alias="POTLUCK_KEEP_INFERENCES_DAYS", ge=1)
    """Days that the inference log is kept."""
    keep_inferences_bytes: int | None = Field(
        default=10 << 30, alias="POTLUCK_KEEP_INFERENCES_BYTES", ge=1
    )
    """Bytes of parquet files that the log may have; the oldest days go first."""

    nightly_engine: Literal["local", "ray"] = Field(default="local", alias="POTLUCK_NIGHTLY_ENGINE")
    """Where the nightly run scores: in processes of this machine, or on Ray (`potluck[ray]`)."""
    nightly_workers: int = Field(
        default_factory=lambda: available_cores(), alias="POTLUCK_NIGHTLY_WORKERS", ge=1
    )
    """Shards scored at once. Default: the cores of this machine."""
    nightly_shard_rows: int = Field(default=50_000, alias="POTLUCK_NIGHTLY_SHARD_ROWS", ge=1)
    """Entities that a worker holds in memory at a time."""
    nightly_max_failed: float = Field(default=0.01, alias="POTLUCK_NIGHTLY_MAX_FAILED", ge=0)
    """Share of entities that may go without a prediction before a run is refused."""
    nightly_max_rows_change: float = Field(
        default=0.5, alias="POTLUCK_NIGHTLY_MAX_ROWS_CHANGE", ge=0
    )
    """Relative change of the number of predictions against the published run."""
    nightly_max_outside: float = Field(default=0.05, alias="POTLUCK_NIGHTLY_MAX_OUTSIDE", ge=0)
    """Share of predictions beyond the lowest and the highest of the published run."""
    nightly_max_drift: float = Field(default=0.25, alias="POTLUCK_NIGHTLY_MAX_DRIFT", ge=0)
    """Population stability index of the predictions against the published run; not looked at below
    200 rows."""
    nightly_cron: str = Field(default="0 2 * * *", alias="POTLUCK_NIGHTLY_CRON")
    """When `up` and `schedule` call the nightly run, in UTC; empty after `off`.

    `cli.nightly.cron` knows what is valid.
    """

    keep_runs: int = Field(default=100, alias="POTLUCK_KEEP_RUNS", ge=1)
    """Folders of ended nightly runs that a service keeps."""
    keep_history_days: int | None = Field(default=None, alias="POTLUCK_KEEP_HISTORY_DAYS", ge=1)
    """Days that the history of predictions reaches back, by as-of date; None: for ever."""
    keep_logs_days: int | None = Field(default=90, alias="POTLUCK_KEEP_LOGS_DAYS", ge=1)
    """Days that traces in `logs/` are kept."""
    keep_replaced_days: int | None = Field(default=None, alias="POTLUCK_KEEP_REPLACED_DAYS", ge=1)
    """Days that the sources before the last `ingest` are kept; None: until the next one."""
    gc_min_age_hours: float = Field(default=24.0, alias="POTLUCK_GC_MIN_AGE_HOURS", ge=1)
    """What was changed within so many hours `potluck gc` never deletes."""
    gc_after_night: bool = Field(default=False, alias="POTLUCK_GC_AFTER_NIGHT")
    """Whether the schedule calls `potluck gc` after a night that went well."""
    skew_after_night: bool = Field(default=False, alias="POTLUCK_SKEW_AFTER_NIGHT")
    """Whether the schedule calls `potluck skew` after a night that went well."""

    @field_validator("nightly_cron")
    @classmethod
    def off_is_empty(cls, cron: str) -> str:
        return "" if cron.strip().lower() == "off" else " ".join(cron.split())

    @field_validator("redis_url")
    @classmethod
    def redis_url_is_valid(cls, url: str | None) -> str | None:
        if url is not None:
            parse_redis_url(url)
        return url

    def model_post_init(self, _context: object) -> None:
        object.__setattr__(self, "home", self.home.expanduser().absolute())
        object.__setattr__(self, "repo", self.repo.expanduser().absolute())

    @property
    def redis_socket(self) -> Path:
        """Unix socket of the embedded redis-server; in a private folder of /tmp where the home's
        path is too long."""
        inside = self.home / "redis" / "redis.sock"
        return inside if len(str(inside)) <= LONGEST_SOCKET_PATH else short_socket(self.home)

    @property
    def embedded_redis_url(self) -> str:
        return f"unix://{self.redis_socket}"

    @property
    def online_store_url(self) -> str:
        return self.redis_url or self.embedded_redis_url

    @property
    def uses_embedded_redis(self) -> bool:
        """Also where REDIS_URL names the home's own server, as it does after `eval "$(potluck
        env)"`."""
        return self.online_store_url == self.embedded_redis_url

    @property
    def registry_url(self) -> str:
        return self.feast_registry_url or f"sqlite:///{self.home / 'feast.db'}"

    @property
    def local_tracking_uri(self) -> str:
        return f"sqlite:///{self.home / 'mlflow.db'}"

    @property
    def tracking_uri(self) -> str:
        return self.mlflow_tracking_uri or self.local_tracking_uri

    @property
    def projects(self) -> tuple[str, ...]:
        """Those of `mlflow_projects`, apart."""
        return names_in(self.mlflow_projects)

    @property
    def left_out_fields(self) -> tuple[str, ...]:
        """Those of `inference_leave_out`, apart."""
        return names_in(self.inference_leave_out)

    @property
    def hashed_fields(self) -> tuple[str, ...]:
        """Those of `inference_hash`, apart."""
        return names_in(self.inference_hash)

    @property
    def releases(self) -> Path:
        """Folder of the bundles that the server may load."""
        return self.home / "releases"

    def data_folder(self, project: str) -> Path:
        """Folder of a project's parquet files."""
        return self.home / "data" / project

    def variables(self) -> dict[str, str]:
        """The environment that makes plain `feast` and `mlflow` see what Potluck sees."""
        return {
            "POTLUCK_HOME": str(self.home),
            "POTLUCK_REPO": str(self.repo),
            "REDIS_URL": self.online_store_url,
            "FEAST_REGISTRY_URL": self.registry_url,
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "FEAST_USAGE": "False",
        }


def load_settings(**flags: object) -> Settings:
    """Build the settings from flags (by field name; None means not given), environment and
    `.env`."""
    given = {name: value for name, value in flags.items() if value is not None}
    check_env_file(Path(ENV_FILE))
    try:
        return Settings(**given)  # type: ignore[arg-type]
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"a setting is not valid: {reasons}") from None


def source_path(project: str, source: str) -> str:
    """Where `potluck ingest` puts the parquet file of a source; for the feature repo's
    `FileSource(path=…)`."""
    return str(load_settings().data_folder(project) / f"{source}.parquet")


def names_in(text: str) -> tuple[str, ...]:
    """Return the names of a text with commas between them."""
    names = [name.strip() for name in text.split(",")]
    return tuple(name for name in names if name)


def available_cores() -> int:
    """Those that this process may run on."""
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
