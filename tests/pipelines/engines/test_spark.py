"""Which Spark a cluster has: by the page of its master, with the markup of Spark 4.0.1 and the
versions put in by hand."""

import http.server
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipelines.engines import spark
from shards.errors import UserError

HEAD = (
    "<!DOCTYPE html><html>\n<head><title>Spark Master at "
    "spark://127.0.0.1:49163</title></head><body>\n"
)
PAGES = {
    "3.4.4": HEAD + '<span class="version" style="margin-right: 15px;">3.4.4</span>\n',
    "4.0.1": HEAD
    + '                  <span class="version" style="margin-right: 15px;">4.0.1</span>\n',
    "3.5.7": HEAD + '<span class="version" style="margin-right: 15px;">3.5.7</span>\n',
    "another program": '<html><span class="version">9.9.9</span></html>',
    "nothing": "",
}


@pytest.fixture(params=PAGES)
def page(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    content = PAGES[request.param].encode()

    class Page(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Page) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        monkeypatch.setenv("SPARK_MASTER_WEBUI_PORT", str(server.server_port))
        yield request.param
        server.shutdown()
        thread.join()


def new_jar(folder: Path) -> str:
    with zipfile.ZipFile(folder / "a.jar", "w") as jar:
        jar.writestr("spark-version-info.properties", "version=3.5.0\nuser=ubuntu\n")
    return str(folder / "a.jar")


def test_a_cluster_of_another_minor_is_refused(page: str, tmp_path: Path) -> None:
    jar, master = new_jar(tmp_path), "spark://127.0.0.1:7077,127.0.0.2:7077"
    if page in ("3.4.4", "4.0.1"):
        with pytest.raises(UserError) as error:
            spark.check_versions(master, jar, "-Xmx1g")
        assert (
            error.value.what
            == f"--spark_master_url={master}: the cluster has Spark {page}, {jar} has 3.5.0"
        )
        assert (
            error.value.hint.startswith("use a cluster of Spark 3.5, or build the jar")
            and error.value.exit_code == 3
        )
    else:
        spark.check_versions(master, jar, "-Xmx1g")
    assert spark.cluster_version(master) == (page if page[0].isdigit() else "")
    if page != "4.0.1":
        spark.check_versions(
            master, jar, "-Dspark.executor.extraClassPath=/a.jar"
        )  # its executors take the jar's Spark
    else:
        with pytest.raises(UserError, match=r"has Spark 4\.0\.1"):
            spark.check_versions(master, jar, "-Dspark.executor.extraClassPath=/a.jar")
    spark.check_versions(master, str(tmp_path / "no.jar"), "")


def test_a_jar_without_spark(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.jar", "w"):
        pass
    (tmp_path / "text.jar").write_text("no jar")
    assert [
        spark.jar_version(str(tmp_path / name)) for name in ("empty.jar", "text.jar", "none.jar")
    ] == ["", "", ""]
    assert spark.jar_version(new_jar(tmp_path)) == "3.5.0"
