"""The files of a new feature repo, and the folder that they are written into."""

import json
from pathlib import Path

import pyarrow as pa

from potluck.contract.errors import UsageError
from scaffold.definitions_text import definitions_text, feature_store_text
from scaffold.ingest_text import ingest_text
from scaffold.plan import RepoPlan

README = """\
# {name}

Three services that predict `{label}` ({objective}), made by `potluck init` from `{file}`.
`definitions.py` says who brings which column, `ingest.py` how the file is read: both are yours \
to edit.

```sh
export POTLUCK_REPO={repo}
potluck ingest             # {file}, or: potluck ingest FILE
potluck apply
potluck materialize
potluck train {realtime}
potluck train {hybrid}
potluck nightly
potluck serve &
potluck predict {realtime} '{request}'
potluck predict {hybrid} '{keyed}'
potluck lookup {batch} {entity}
```

{notes}
"""


def repo_files(plan: RepoPlan, folder: Path) -> dict[str, str]:
    """Write the files of a repo: file name -> text."""
    return {
        ".feastignore": "ingest.py\n",
        "README.md": readme_text(plan, folder),
        "definitions.py": definitions_text(plan),
        "feature_store.yaml": feature_store_text(plan),
        "ingest.py": ingest_text(plan),
    }


def write_folder(files: dict[str, str], folder: Path, *, force: bool) -> None:
    """Write a repo's files.

    Raises:
        UsageError: the folder holds something already, or can't be written.
    """
    check_folder(folder, force=force)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"--to {folder} can't be written: {error.strerror}") from None


def check_folder(folder: Path, *, force: bool) -> None:
    """Refuse a folder that holds something.

    Raises:
        UsageError: it is a file, or it holds something and `force` is not set.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--to: expected a folder, {folder} is a file")
    if not force and folder.is_dir() and any(folder.iterdir()):
        raise UsageError(
            f"--to {folder} is not empty; --force overwrites the files of a feature repo in it"
        )


def readme_text(plan: RepoPlan, folder: Path) -> str:
    realtime, hybrid, batch = plan.services
    request, entity = example_request(plan)
    keyed = {plan.key.name: entity, **request}
    return README.format(
        name=plan.name,
        label=plan.label.name,
        objective=plan.objective,
        file=plan.table.path.name,
        repo=folder,
        realtime=realtime,
        hybrid=hybrid,
        batch=batch,
        request=shell_json(request),
        keyed=shell_json(keyed),
        entity=entity,
        notes="\n".join(f"- {note}" for note in plan.notes),
    )


def example_request(plan: RepoPlan) -> tuple[dict[str, object], object]:
    """Take the first value of each request field, and the first key."""
    choices = plan.of("request")
    request = {choice.name: choice.profile.values[0].as_py() for choice in choices}
    if plan.key.header is None:
        return request, 1
    known: pa.ChunkedArray = plan.table.profiles[plan.key.header].values
    return request, next(value.as_py() for value in known if value.is_valid)


def shell_json(record: dict[str, object]) -> str:
    """Write JSON that stands between single quotes in a shell."""
    return json.dumps(record, ensure_ascii=False, default=str).replace("'", "'\\''")
