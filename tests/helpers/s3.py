"""An object store for the tests: moto's S3 on loopback, behind a layer that counts what is asked
and can refuse it."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

KEY = "the-key"
BUCKET = "bucket"
Answer = tuple[str, str]
"""(status line, S3's code): what a fault answers."""


@dataclass
class Request:
    """One request as it arrived. `at`: seconds of the monotonic clock; `nth`: how often this very
    request came before."""

    method: str
    path: str
    query: str
    nth: int
    at: float = field(default_factory=time.monotonic)

    @property
    def kind(self) -> str:
        """`LIST` for a listing, else the method."""
        return "LIST" if self.method == "GET" and "list-type" in self.query else self.method


@dataclass
class Store:
    """The running store. `fault(request)`: what to answer instead of doing it, None to do it; it
    may also take its time."""

    url: str
    app: Any
    fault: Callable[[Request], Answer | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    done: threading.Condition = field(default_factory=threading.Condition)

    def counts(self) -> Counter[str]:
        """How many requests of each kind came since the last `forget`."""
        return Counter(request.kind for request in self.requests)

    def forget(self) -> None:
        """Count from here; no faults."""
        self.requests.clear()
        self.seen.clear()
        self.fault = lambda request: None

    def objects(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Key -> content of every object, as a reader of this moment sees them; past the
        counting."""
        from moto.s3.models import s3_backends

        found = s3_backends["123456789012"]["aws"].buckets[bucket].keys
        contents = {}
        for key, value in list(found.items()):
            try:
                contents[key] = bytes(value.value)
            except ValueError:  # replaced this moment, and closed
                contents[key] = bytes(found[key].value)
        return contents

    def fill(self, contents: dict[str, bytes], bucket: str = BUCKET) -> None:
        """Put objects past the network."""
        from moto.s3.models import s3_backends

        for key, content in contents.items():
            s3_backends["123456789012"]["aws"].put_object(bucket, key, content)

    def wait_for(self, key: str, seconds: float = 30.0) -> bool:
        """Wait until an object is there."""
        with self.done:
            return self.done.wait_for(lambda: key in self.objects(), seconds)

    def unfinished(self, bucket: str = BUCKET) -> int:
        """Uploads in parts that nobody completed."""
        from moto.s3.models import s3_backends

        return len(s3_backends["123456789012"]["aws"].buckets[bucket].multiparts)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        method, path, query = (
            environ["REQUEST_METHOD"],
            environ["PATH_INFO"],
            environ["QUERY_STRING"],
        )
        request = Request(method, path, query, self.seen[method, path, query])
        self.seen[method, path, query] += 1
        self.requests.append(request)
        answer = self.fault(request)
        if answer is None and KEY not in environ.get("HTTP_AUTHORIZATION", ""):
            answer = ("403 Forbidden", "InvalidAccessKeyId")
        if answer is None:
            found = list(self.app(environ, start_response))
            with self.done:
                self.done.notify_all()
            return found
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        status, code = answer
        body = (
            b""
            if method == "HEAD"
            else (
                f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>as "
                "asked</Message></Error>"
            ).encode()
        )
        start_response(
            status, [("Content-Type", "application/xml"), ("Content-Length", str(len(body)))]
        )
        return [body]


@contextmanager
def running() -> Iterator[Store]:
    """A store with an empty bucket."""
    import logging

    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    store = Store("", DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, store, threaded=True)
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield store
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def environment(patch: pytest.MonkeyPatch, url: str) -> Iterator[None]:
    """The settings that every S3 tool takes, and clients made anew."""
    from shards.storage import object_store

    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_S3", "AWS_DEFAULT_REGION"):
        patch.delenv(name, raising=False)
    settings = {
        "AWS_ENDPOINT_URL": url,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    for name, value in settings.items():
        patch.setenv(name, value)
    _fresh(object_store)
    try:
        yield
    finally:
        _fresh(object_store)


def _fresh(store: Any) -> None:
    store._client.cache_clear()
    store._down.clear()


def make_bucket(name: str = BUCKET) -> None:
    """A new bucket, the only one, past the network."""
    from moto.s3.models import s3_backends

    backend = s3_backends["123456789012"]["aws"]
    backend.reset()
    backend.create_bucket(name, "us-east-1")
