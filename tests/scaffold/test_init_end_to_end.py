"""From a stranger's table to answers: `init`, every verb, a server, and the same table again."""

import json
from pathlib import Path
from typing import Any


def examples(repo: Path) -> list[str]:
    """What the repo's README tells to send: the real-time record, the hybrid one, and an id."""
    lines = (repo / "README.md").read_text().splitlines()
    told = [line for line in lines if line.startswith(("potluck predict", "potluck lookup"))]
    return [line.split(" ", 3)[3].strip("'") for line in told]


def test_a_strangers_table_becomes_three_services_that_answer(served: Any) -> None:
    request, keyed, entity = examples(served.stack.repo.path)
    realtime = served.stack.post(f"/predict/{served.stack.repo.realtime}", request.encode()).json()
    hybrid = served.stack.post(f"/predict/{served.stack.repo.hybrid}", keyed.encode()).json()
    assert (realtime["served_by"], hybrid["served_by"]) == ("realtime", "hybrid")
    looked_up = served.stack.get(f"/lookup/{served.stack.repo.batch}/{entity}").json()
    for answer in (realtime, hybrid, looked_up):
        assert isinstance(answer["prediction"], float if served.stack.repo.name == "taxi" else str)
    if (
        served.stack.repo.name != "letters"
    ):  # where an id has one row, the night scores the one that README shows
        assert looked_up["prediction"] == hybrid["prediction"]


def test_the_same_table_appended_changes_nothing(served: Any) -> None:
    again = served.stack.verb("ingest", "--append", "--json")
    if served.stack.repo.name == "bank":
        assert (again.returncode, "no id" in again.stderr or "an id" in again.stderr) == (2, True)
        return
    told = json.loads(again.stdout)
    assert told["before"] == {name: told["rows"][name] for name in told["before"]}
    for account in told["accounts"]:
        assert account["came"] == account["kept"] + sum(
            each["count"] for each in account["left_out"]
        )
