"""The report in a real browser, opened from disk: no request, no error, every control works, narrow
and wide, light and dark."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import looked
import pytest
from hostile_home import write_home

from pipelines.look.report.page import page
from pipelines.wording import json_value

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
if os.environ.get("CI") == "true":
    assert BROWSER and DRIVER, (
        "chromium and chromium-driver must be there in CI: .ci/run installs them"
    )
pytestmark = pytest.mark.skipif(
    not (BROWSER and DRIVER),
    reason="no chromium with its driver: apt-get install chromium chromium-driver",
)


def open_browser(javascript: bool = True) -> Any:
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for argument in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--host-resolver-rules=MAP * ~NOTFOUND",
    ):
        options.add_argument(argument)
    if not javascript:
        options.add_experimental_option(
            "prefs", {"profile.managed_default_content_settings.javascript": 2}
        )
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    return webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A report over hostile texts, and its figures."""
    folder = tmp_path_factory.mktemp("browser")
    found = looked.gathered(write_home(folder))
    (folder / "report.html").write_text(page(found, "<b>home</b>"), "utf-8")
    return folder / "report.html", cast(dict[str, Any], json_value(found))


@pytest.fixture(scope="module")
def browser(report: tuple[Path, dict[str, Any]]) -> Iterator[Any]:
    found = open_browser()
    yield found
    found.quit()


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest, report: tuple[Path, dict[str, Any]]) -> None:
    if "browser" in request.fixturenames:
        found = request.getfixturevalue("browser")
        found.set_window_size(1600, 1000)
        found.get(report[0].as_uri())


def color_of(browser: Any) -> str:
    return str(browser.execute_script("return getComputedStyle(document.body).backgroundColor"))


def click(browser: Any, element: Any) -> None:
    """Click it where the bar at the top does not lie over it."""
    browser.execute_script(
        "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element
    )
    element.click()


def test_nothing_is_asked_of_a_network_and_nothing_fails(browser: Any) -> None:
    browser.get_log("performance")
    browser.refresh()
    requests = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [
        message["params"]["request"]["url"]
        for message in requests
        if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in urls if not url.startswith(("file:", "data:"))] == [] and len(urls) == 1
    assert browser.get_log("browser") == []


def test_hostile_text_did_nothing(browser: Any, report: tuple[Path, dict[str, Any]]) -> None:
    assert browser.title == "Corpus report: <b>home</b>"
    assert browser.execute_script("return document.scripts.length") == 2
    assert (
        browser.execute_script(
            "return document.querySelectorAll('main img, main b, plaintext, iframe').length"
        )
        == 0
    )
    text = browser.execute_script("return document.body.textContent")
    assert "DOCUMENT.TITLE = 'BROKEN'" in text and '{"text": "<script>cut' in text
    held = json.loads(
        browser.execute_script("return document.getElementById('figures').textContent")
    )
    assert held == json.loads(json.dumps(report[1]))


def test_the_numbers_on_the_page_are_the_figures(
    browser: Any, report: tuple[Path, dict[str, Any]]
) -> None:
    figures = report[1]
    for key in ("records", "documents", "kept", "tokens"):
        assert browser.find_element("id", key).text == f"{figures['stats']['total'][key]:,}"
    rows = browser.find_elements("css selector", "#funnel-table tr")[1:]
    for row, name in zip(rows, [*figures["stats"]["sources"], "total"], strict=True):
        of = figures["stats"]["total"] if name == "total" else figures["stats"]["sources"][name]
        cells = [cell.text for cell in row.find_elements("css selector", "td")]
        expected = [
            of["records"],
            sum(of["rejects"].values()),
            of["documents"],
            *(of["removed"][stage] for stage in ("exact", "near")),
            of["kept"],
        ]
        assert cells[:7] == [name, *(f"{count:,}" for count in expected)]
    counts = [element.text for element in browser.find_elements("css selector", ".reason .count")]
    assert counts == [f"{reason['count']:,}" for reason in figures["reasons"]]


def test_clicking_through(browser: Any, report: tuple[Path, dict[str, Any]]) -> None:
    from selenium.webdriver.support.select import Select

    for link in browser.find_elements("css selector", "nav a"):
        target = link.get_attribute("href").rsplit("#", 1)[1]
        link.click()
        assert browser.execute_script("return location.hash") == f"#{target}"
        assert browser.find_element("id", target).is_displayed()
    before = color_of(browser)
    browser.find_element("id", "theme").click()
    assert color_of(browser) != before
    browser.find_element("id", "theme").click()
    assert color_of(browser) == before
    reasons = browser.find_elements("css selector", ".reason")
    click(browser, reasons[0].find_element("css selector", "summary"))
    assert reasons[0].find_element("css selector", ".example").is_displayed()
    button = browser.find_element("css selector", "#reason-filter button")
    click(browser, button)
    assert all(reason.get_attribute("open") for reason in reasons)
    click(browser, button)
    assert not any(reason.get_attribute("open") for reason in reasons)
    Select(browser.find_element("css selector", "#reason-filter select")).select_by_value("exact")
    assert [reason.is_displayed() for reason in reasons] == [
        reason["stage"] == "exact" for reason in report[1]["reasons"]
    ]
    box = browser.find_element("css selector", "#pair-filter input")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", box)
    box.send_keys("the 3th")
    pairs = browser.find_elements("css selector", ".pair")
    assert sum(pair.is_displayed() for pair in pairs) == sum(
        "the 3th" in json.dumps(pair).lower() for pair in report[1]["pairs"]
    )
    assert browser.find_element("css selector", "#pair-filter output").text.endswith(
        f"of {len(pairs)} shown"
    )
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [400, 800, 1600])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_fits_and_can_be_read(width: int, theme: str, browser: Any) -> None:
    """No sideways scrolling of the page, no text under a contrast of 4.5, with every reason
    open."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 1000, "deviceScaleFactor": 1, "mobile": width < 500},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": theme}]},
    )
    try:
        browser.refresh()
        for item in browser.find_elements("css selector", "details"):
            browser.execute_script("arguments[0].open = true", item)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        assert ("#f6f6f3" if theme == "light" else "#14171a") == browser.execute_script(
            "return getComputedStyle(document.documentElement).getPropertyValue('--page')"
        ).strip()
        assert browser.execute_script(CONTRAST) == []
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


CONTRAST = """
const linear = (value) => value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
const light = (color) => {
  const [r, g, b] = color.match(/[\\d.]+/g).map((value) => linear(Number(value) / 255));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = (element) => {
  for (let at = element; at; at = at.parentElement) {
    const color = getComputedStyle(at).backgroundColor;
    if (color.startsWith("rgb(")) return color;
  }
  return "rgb(255, 255, 255)";
};
const weak = [];
for (const element of document.querySelectorAll("body *")) {
  const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!hasText || !element.getClientRects().length) continue;
  const colors = [light(getComputedStyle(element).color), light(behind(element))];
  const [a, b] = colors.sort((x, y) => y - x);
  const ratio = (a + 0.05) / (b + 0.05);
  if (ratio < 4.5) weak.push(`${element.tagName}.${element.className}: ${ratio.toFixed(2)}`);
}
return [...new Set(weak)];
"""


def test_without_javascript_everything_can_be_read(report: tuple[Path, dict[str, Any]]) -> None:
    browser = open_browser(javascript=False)
    try:
        browser.get(report[0].as_uri())
        assert (
            not browser.find_element("id", "theme").is_displayed()
            and not browser.find_element("id", "pair-filter").is_displayed()
        )
        assert browser.find_element("id", "kept").text == f"{report[1]['stats']['total']['kept']:,}"
        assert all(pair.is_displayed() for pair in browser.find_elements("css selector", ".pair"))
        click(browser, browser.find_element("css selector", ".reason summary"))
        assert browser.find_element("css selector", ".reason .example").is_displayed()
    finally:
        browser.quit()
