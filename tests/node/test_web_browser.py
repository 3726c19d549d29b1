"""The page in a real browser: it moves while steps are set, on a desk and on a phone, in light and dark."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("starlette", reason="the extra 'web' is not installed")
pytest.importorskip("numpy", reason="NumPy is not installed")
pytest.importorskip("playwright", reason="Playwright is not installed")

from playwright.sync_api import sync_playwright

from node import page_data
from node.page_data import CASES
from node.served import Served, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.timeout(120),
]

# As root Chromium has no sandbox; none of the others may look for hosts outside of this machine.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK, PHONE = (1360, 850), (360, 740)
LOOKS = [(size, scheme) for size in (DESK, PHONE) for scheme in ("light", "dark")]
PAGES = ("", "steps", "studies", "films", "commitments", "log", "about")
MILLISECONDS = 15_000

CONTRAST = """() => {
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = (colour) => colour.slice(0, 3).map((each) => each / 255)
    .map((each) => each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4)
    .reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
  const behind = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const found = rgba(getComputedStyle(each).backgroundColor);
      if (found[3] === 255) return found;
    }
    return [255, 255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest("option, script, dialog, progress, meter, .away, .skip")) continue;
    const both = [light(rgba(getComputedStyle(element).color)), light(behind(element))];
    const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
    const text = walker.currentNode.data.trim();
    if (contrast < 4.5) found.push(`${contrast.toFixed(2)} ${element.className} ${text}`);
  }
  return found;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


class Busy:
    """A node in the middle of a morning."""

    def __init__(self, served: Served, end: Callable[[str], None]) -> None:
        self.served = served
        self.end = end


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Busy]:
    data: Path = tmp_path_factory.mktemp("browser") / "data"
    with Served(data, "--web", "--web-port", "0") as served:
        yield Busy(served, page_data.morning(served.address))


@pytest.fixture
def look(browser: Any, busy: Busy) -> Iterator[Callable[..., Any]]:
    """Open a page; whatever the browser complains about fails the test."""
    complaints: list[str] = []
    contexts = []

    def opened(path: str = "", size: tuple[int, int] = DESK, scheme: str = "light", **options: Any) -> Any:
        live = options.pop("live", True)
        context = browser.new_context(
            viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(MILLISECONDS)
        page.on(
            "console",
            lambda message: complaints.append(message.text) if message.type in {"error", "warning"} else None,
        )
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(busy.served.page + path)
        if live:
            page.locator("#live.on").wait_for()
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not complaints


def settled(page: Any) -> None:
    """Wait until every picture is there, those below the fold too."""
    page.evaluate("""async () => {
      for (const each of document.images) each.loading = "eager";
      await Promise.all([...document.images].map((each) => each.decode().catch(() => 0)));
    }""")


@pytest.mark.parametrize(("size", "scheme"), LOOKS)
def test_every_page_can_be_read(look, tmp_path, size, scheme):
    page = look(size=size, scheme=scheme)
    for path in (*PAGES, f"studies/{CASES[2].study}", f"instances/{CASES[1].study}.1.3"):
        page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/")[2] + "/" + path)
        page.locator("#live.on").wait_for()
        settled(page)
        too_wide = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert too_wide <= 0, f"/{path} has to be scrolled sideways"
        assert page.evaluate(CONTRAST) == [], f"/{path}"
        broken = page.evaluate(
            "[...document.images].filter((each) => !each.naturalWidth).map((each) => each.src)"
        )
        assert broken == [], f"/{path}"
        assert page.locator("h1").count() == 1
        name = path.replace("/", "-") or "overview"
        picture = tmp_path / f"{name}-{scheme}-{size[0]}.png"
        page.screenshot(path=picture)
        assert picture.stat().st_size > 5000


@pytest.mark.parametrize(("size", "scheme"), [(DESK, "light"), (PHONE, "dark")])
def test_the_board_moves_while_steps_are_set(look, busy, tmp_path, size, scheme):
    page = look("steps", size, scheme)
    page.evaluate("window.loadedOnce = true")
    case = CASES[1]
    cards = page.locator(f"[data-card]:has-text('P{size[0]}')")
    assert cards.count() == 0
    step = page_data.step(case)
    step.PerformedProcedureStepDescription = f"P{size[0]}"
    with page_data.associate(busy.served.address, "MRROOM1", *page_data.mpps.contexts()) as association:
        made = page_data.Mpps.create(association, step)
        running = page.locator("#column-in-progress [data-card]", has_text=f"P{size[0]}")
        running.wait_for(state="attached")
        total = int(page.locator("#column-completed .count").inner_text())
        # Focus is kept: who reads with the keyboard is not thrown out of the board.
        running.focus()
        page.screenshot(path=tmp_path / "before.png")
        change = page_data.completion()
        status, _ = association.send_n_set(change, page_data.mpps.contexts()[0].abstract_syntax, made.uid)
        assert status.Status == 0x0000
    done = page.locator("#column-completed [data-card]", has_text=f"P{size[0]}")
    done.wait_for(state="attached")
    page.screenshot(path=tmp_path / "after.png")
    assert running.count() == 0
    until(lambda: page.locator("#column-completed .count").inner_text() == str(total + 1))
    assert page.evaluate("window.loadedOnce") is True, "the page was loaded again"


def test_studies_come_while_somebody_looks(look, busy):
    page = look("studies")
    case = page_data.Case(
        "Novak^Petr", "RX-1", "19700101", "M", "US", "Thyroid", "NECK", "A99001", 1, "120000"
    )
    page_data.send(busy.served.address, "US", page_data.images(case, 64))
    page.locator(".rows strong", has_text="Novak, Petr").wait_for()
    assert page.locator(".rows li").first.inner_text().startswith("Novak, Petr")


def test_an_association_is_seen_on_the_overview(look, busy):
    page = look()
    with page_data.associate(
        busy.served.address, "ECHOLIVE", page_data.build_context("1.2.840.10008.1.1")
    ) as association:
        assert association.send_c_echo().Status == 0
        page.locator("#main li", has_text="ECHOLIVE").wait_for()
    page.locator("#main li", has_text="ECHOLIVE").wait_for(state="detached")


def test_a_search_narrows_as_it_is_typed(look):
    page = look("studies")
    page.evaluate("window.loadedOnce = true")
    page.keyboard.press("/")
    page.keyboard.type("lindq")
    page.locator(".rows li", has_text="Okafor").wait_for(state="detached")
    assert page.locator(".rows li").count() == 1
    assert page.url.endswith("/studies?q=lindq")
    assert page.evaluate("window.loadedOnce") is True
    page.reload()
    assert page.locator(".rows li").count() == 1


def test_keys(look):
    page = look()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left") >= 0
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("g")
    page.keyboard.press("b")
    page.wait_for_url("**/steps")
    page.locator("#live.on").wait_for()
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.id")
    page.keyboard.press("k")
    first = page.evaluate("document.activeElement.id")
    assert first.startswith("step-") and second.startswith("step-") and first != second
    page.keyboard.press("?")
    dialog = page.locator("#keys")
    dialog.wait_for()
    page.locator("#keys-on").uncheck()
    page.keyboard.press("Escape")
    dialog.wait_for(state="hidden")
    page.keyboard.press("g")
    page.keyboard.press("s")
    page.keyboard.press("?")
    dialog.wait_for()
    assert page.url.endswith("/steps"), "a key was used after it was switched off"


def test_a_thumb_is_large_enough_for_what_can_be_touched(look):
    page = look("", PHONE, has_touch=True, is_mobile=True)
    small = page.evaluate("""() => [...document.querySelectorAll(".menu a, button, input, .tile a")]
      .filter((each) => each.checkVisibility())
      .map((each) => [each.textContent.trim(), each.getBoundingClientRect().height])
      .filter(([, height]) => height < 40)""")
    assert small == []


def test_without_scripts_everything_can_be_read(look):
    page = look("studies", java_script_enabled=False, live=False)
    page.locator("#q").fill("okafor")
    page.locator("button", has_text="Search").click()
    page.wait_for_url("**/studies?q=okafor")
    assert page.locator(".rows li").count() == 1
    page.locator(".rows a").click()
    assert page.locator("h1").inner_text() == "Okafor, Daniel"
    page.locator(".menu a", has_text="Steps").click()
    page.wait_for_url("**/steps")
    assert page.locator("[data-card]").count() > 5


def test_it_says_when_it_is_not_live_and_catches_up(browser, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(30_000)
    with Served(tmp_path / "data", "--web", "--web-port", "0") as served:
        port = served.page.rstrip("/").rpartition(":")[2]
        page.goto(served.page + "steps")
        page.locator("#live.on").wait_for()
        assert served.stop() == 0
    page.locator("#live.off").wait_for()
    assert page.locator("#live").inner_text() == "Not live"
    with Served(tmp_path / "data", "--web", "--web-port", port) as served:
        page_data.perform(served.address, CASES[0], None)
        page.locator("#column-in-progress [data-card]", has_text="Morgan, Ines").wait_for()
        page.locator("#live.on").wait_for()
    context.close()
