"""The page of the loop in a browser: a year that is known, and a loop that lives."""

from __future__ import annotations

import contextlib
import re
import struct
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from driftloop.kit.kafka import KafkaBroker
from infra.local import ports
from tests.e2e.conftest import Looped
from tests.support import page as support
from tests.support.eventually import eventually
from tests.support.kafka import SharedKafka
from tests.support.page import Scheme, opened, served
from tests.support.year import fill

pytestmark = pytest.mark.timeout(240)  # the first one waits for Kafka and a year written to it
OPENS_S_MAX = 5.0  # a fifth of it on a quiet machine: tests/bench/test_page.py measures
TABS_MAX = 40
SLIPS = re.compile(r"undefined|NaN|\[object|\bnull\b|false|Infinity|1970")  # of JavaScript


@pytest.fixture(scope="module")
def year(kafka: SharedKafka) -> dict[str, str]:
    """365 days of buckets and a dozen runs, under a namespace of their own; where to find them."""
    namespace = f"year-{uuid.uuid4().hex[:8]}"
    with contextlib.closing(KafkaBroker(kafka.properties, namespace)) as broker:
        fill(broker)
    settings = {f"KAFKA_{n.upper().replace('.', '_')}": v for n, v in kafka.properties.items()}
    return {**settings, "KAFKA_BOOTSTRAP": kafka.bootstrap, "DRIFTLOOP_NAMESPACE": namespace}


@pytest.fixture(scope="module")
def address(year: dict[str, str], browser: Browser) -> Iterator[str]:
    with served(year) as where:
        with opened(browser, where) as there:  # until all of the log is read
            bucket = there.page.locator('[data-total="drifts"]')
            expect(bucket).to_have_text("11", timeout=support.WAIT_MS)
        yield where


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_it_is_whole_at_every_size_and_in_every_colour(
    browser: Browser, address: str, width: int, scheme: Scheme
) -> None:
    view = "table=1" if width > 640 and scheme == "light" else ""  # the colours are the same ones
    with opened(browser, address, width=width, scheme=scheme, view=view) as there:
        expect(there.page.locator(".lane").first).to_be_visible()
        assert not there.scrolls_sideways()
        assert there.violations() == []
        assert there.wrong == []
        assert SLIPS.findall(there.page.locator("body").inner_text()) == []


def test_a_run_is_as_whole_as_the_page(browser: Browser, address: str) -> None:
    with opened(browser, address, width=390, scheme="dark") as there:
        there.page.locator("#trigger-list button").first.click()
        expect(there.page.locator("#run-body")).to_contain_text("Step by step")
        assert not there.scrolls_sideways()
        assert there.violations() == []
        assert there.wrong == []


def test_what_is_wrong_is_seen(browser: Browser, address: str) -> None:
    with opened(browser, address) as there:
        there.page.evaluate("fetch('http://elsewhere.invalid/').catch(() => null)")
        assert there.wrong != []
        there.page.evaluate("document.querySelector('#pipeline').parentElement.replaceWith('x')")
        there.page.evaluate("document.querySelector('#run-close').removeAttribute('aria-label')")
        there.page.evaluate("document.querySelector('h2').style.color = '#ddd'")
        assert any(each.startswith("color-contrast") for each in there.violations())


def test_the_picture_is_taken_down_to_the_lists(address: str, tmp_path: Path) -> None:
    file = tmp_path / "page.png"
    command = [sys.executable, "-m", "infra.tools.screenshot", address, str(file), "--dark"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    wide, high = struct.unpack(">II", file.read_bytes()[16:24])  # of a PNG's first chunk
    assert wide == 1.5 * 1280
    assert 1.5 * 700 < high < 1.5 * 1400


def test_a_year_opens_at_once_and_its_lines_sum_up_to_its_totals(
    browser: Browser, address: str
) -> None:
    with opened(browser, address) as there:
        assert there.drawn_s() < OPENS_S_MAX
        assert len(there.page.locator(".lane .mark").all()) == 12 + 11
        readout = there.page.locator("#readout")
        for lane in ("loop", "frozen"):
            expect(readout).to_contain_text(f"{lane} log-loss{there.total(f'{lane}-log_loss')}")
        expect(readout).to_contain_text(f"rows{there.total('scored')}")
        expect(readout).to_contain_text("In view, mean of buckets")
        scored, never = (
            float(re.sub(r"\D", "", there.total(name))) for name in ("scored", "unlabelled")
        )
        labelled = (readout.text_content() or "").split("labelled")[1].split("%")[0]
        assert float(labelled) == pytest.approx(100 * scored / (scored + never), abs=0.1)


def test_the_keyboard_goes_to_a_trigger_opens_its_run_and_comes_back(
    browser: Browser, address: str
) -> None:
    with opened(browser, address) as there:
        page = there.page
        assert _tab_to(page, ".mark")
        page.keyboard.press("ArrowLeft")
        key = page.evaluate("document.activeElement.dataset.key")
        page.keyboard.press("Enter")
        expect(page.locator("#run")).to_be_visible()
        expect(page.locator("#run-body")).to_contain_text("The gate")
        expect(page.locator("#run-body")).to_contain_text("Candidates")
        assert re.search("trigger=", page.url)
        page.keyboard.press("Escape")
        expect(page.locator("#run")).to_be_hidden()
        assert page.evaluate("document.activeElement.dataset.key") == key
        assert there.wrong == []


def test_the_keyboard_moves_the_axis_and_the_address_keeps_it(
    browser: Browser, address: str
) -> None:
    with opened(browser, address) as there:
        page = there.page
        page.locator("#stack").focus()
        page.keyboard.press("+")
        eventually(lambda: "from=" in page.url)
        near = page.url
        page.keyboard.press("ArrowLeft")
        eventually(lambda: page.url != near)
        page.keyboard.press("Shift+ArrowRight")
        expect(page.locator("#readout")).to_contain_text("At the cursor")
        assert "loop log-loss" in page.locator("#said").inner_text()
        moved = page.url.split("#")[1]
        page.keyboard.press("0")
        eventually(lambda: "from=" not in page.url)
    with opened(browser, address, view=moved) as again:
        eventually(lambda: again.page.url.split("#")[1] == moved)
        expect(again.page.locator("#readout")).to_contain_text("In view")


def test_an_unknown_pipeline_is_said_and_another_can_be_chosen(
    browser: Browser, address: str
) -> None:
    context = browser.new_context()
    with contextlib.closing(context):
        page = context.new_page()
        context.set_default_timeout(support.WAIT_MS)
        page.goto(f"{address}/#p=nowhere")
        expect(page.locator("#trouble")).to_contain_text(
            "no pipeline nowhere", timeout=support.WAIT_MS
        )
        page.locator("#pipeline").select_option("flights")
        expect(page.locator(".mark").first).to_be_attached(timeout=support.WAIT_MS)
        expect(page.locator("#trouble")).not_to_contain_text("nowhere")


def test_a_server_that_goes_away_is_said_and_the_page_stays(
    browser: Browser, year: dict[str, str]
) -> None:
    [port] = ports.free(1)
    with contextlib.ExitStack() as first:
        address = first.enter_context(served(year, port))
        with opened(browser, address) as there:
            loop = there.page.locator('[data-total="loop-log_loss"]')
            expect(loop).to_have_text(re.compile(r"0\.\d{4}"), timeout=support.WAIT_MS)
            first.close()
            expect(there.page.locator("#trouble")).to_contain_text("does not answer")
            expect(loop).to_have_text(re.compile(r"0\.\d{4}"))
            with served(year, port):
                expect(there.page.locator("#live")).to_have_text("live", timeout=support.WAIT_MS)
                expect(there.page.locator("#trouble")).not_to_contain_text("does not answer")


def test_promote_and_rollback_ask_once_and_are_seen_without_a_reload(
    browser: Browser, looped: Looped
) -> None:
    stream, version = looped.stream, looped.world.released(looped.stream)[-1].version
    live = f"{stream}@{version}"
    with opened(browser, looped.world.stack.layout.page, view=f"p={stream}") as there:
        page = there.page
        champion = page.locator("#model-list tr.won b")
        expect(champion).to_have_text(live)
        page.evaluate("window.same = true")

        _change(page, page.get_by_role("button", name=f"Promote {stream}@1"), "to see the first")
        expect(champion).to_have_text(f"{stream}@1")
        expect(page.locator("h1")).to_have_text(f"{stream}@1")
        page.locator("#rollback").click()
        page.keyboard.press("Escape")  # no means no
        expect(page.locator("#ask")).to_be_hidden()
        expect(champion).to_have_text(f"{stream}@1")
        _change(page, page.locator("#rollback"), "seen enough")
        expect(champion).to_have_text(live)

        assert page.evaluate("window.same")
        assert [each.version for each in looped.world.released(stream)][-1] == version
        assert there.wrong == []


def test_services_and_a_real_run_are_shown(browser: Browser, looped: Looped) -> None:
    with opened(browser, looped.world.stack.layout.page, view=f"p={looped.stream}") as there:
        services = there.page.locator("#service-list tbody tr")
        expect(services).to_have_count(7, timeout=support.WAIT_MS)
        expect(services.first).to_contain_text("running")
        released = there.page.get_by_role("button", name=f"released as version {looped.version}")
        released.first.click()
        run = there.page.locator("#run-body")
        for part in ("Evidence", "log_loss of version 1", "The gate", "wins", "Stages", "swap"):
            expect(run).to_contain_text(part)
        assert there.wrong == []
        assert there.violations() == []


def test_beyond_loopback_the_token_is_asked_for_once(browser: Browser, looped: Looped) -> None:
    environ = {**looped.world.stack.environ, "DRIFTLOOP_HOST": "0.0.0.0"}
    stream, secret = looped.stream, "a-token-of-sixteen"
    version = looped.world.released(stream)[-1].version
    with served({**environ, "DRIFTLOOP_WEB_TOKEN": secret}) as address:
        local = re.sub("//[^:]+", "//127.0.0.1", address)
        with opened(browser, local, view=f"p={stream}") as there:
            page = there.page
            page.get_by_role("button", name=f"Promote {stream}@1").click()
            page.locator("#ask-reason").fill("to see the token")
            page.locator("#ask-token").fill("a guess")
            page.locator("#ask-yes").click()
            expect(page.locator("#ask-problem")).to_contain_text("token")
            page.locator("#ask-token").fill(secret)
            page.locator("#ask-yes").click()
            champion = page.locator("#model-list tr.won b")
            expect(champion).to_have_text(f"{stream}@1")
            _change(page, page.locator("#rollback"), "and back, without a word about a token")
            expect(champion).to_have_text(f"{stream}@{version}")


def _tab_to(page: Page, selector: str) -> bool:
    """Whether the Tab key gets there."""
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if page.evaluate(f"document.activeElement.matches('{selector}')"):
            return True
    return False


def _change(page: Page, button: Locator, reason: str) -> None:
    """Ask for it, be asked once, say yes."""
    button.click()
    page.locator("#ask-reason").fill(reason)
    page.locator("#ask-yes").click()
    expect(page.locator("#ask")).to_be_hidden()
