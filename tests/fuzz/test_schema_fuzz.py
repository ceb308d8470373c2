"""A short, seeded part of `benchmarks.fuzz.schema`; and the fuzzer finds what it looks for."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from benchmarks.fuzz.schema import SchemaFuzzer, fuzz_schema

CASES, SEED = 400, 11


def test_answers_are_those_that_the_document_names(iris: Any) -> None:
    outcome, grown = fuzz_schema(iris.port, iris.process.pid, cases=CASES, seed=SEED)
    assert outcome.failures == []
    assert grown == []
    assert outcome.played >= CASES
    statuses = {told.rpartition(", ")[2] for told in outcome.answers}
    assert {"200", "404", "422"} <= statuses


NUMBER = {"type": "object", "properties": {"n": {"type": "number"}}, "required": ["n"]}
CONTENT = {"application/json": {"schema": NUMBER}}
DOCUMENT = {
    "openapi": "3.1.0",
    "info": {"title": "made", "version": "1"},
    "paths": {
        path: {"get": {"responses": {"200": {"description": "", "content": CONTENT}}}}
        for path in ("/fails", "/undocumented", "/text", "/wrong")
    },
}
ANSWERS = {
    "/openapi.json": (200, "application/json", json.dumps(DOCUMENT)),
    "/fails": (500, "application/json", '{"n": 1}'),
    "/undocumented": (418, "application/json", '{"n": 1}'),
    "/text": (200, "text/plain", "1"),
    "/wrong": (200, "application/json", '{"n": "one"}'),
}


class Wrong(BaseHTTPRequestHandler):
    """A server that does not keep to its document."""

    def do_GET(self) -> None:
        status, kind, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def wrong() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", 0), Wrong) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_each_answer_that_is_not_as_documented_is_found(wrong: int) -> None:
    fuzzer = SchemaFuzzer(wrong)
    fuzzer.run(4, SEED)
    for path, reason in {
        "/fails": "Server error",
        "/undocumented": "Undocumented status code",
        "/text": "Undocumented content-type",
        "/wrong": "Response violates schema",
    }.items():
        told = [text for text in fuzzer.outcome.failures if text.startswith(f"GET {path}, ")]
        assert told, path
        assert reason.lower() in told[0].lower()
