"""The studio in a browser, as people use it. `REDPOP_SCREENSHOTS=<folder>` keeps pictures of what was seen."""

import contextlib
import os
import re
import shutil
import time
from pathlib import Path
from urllib.parse import urljoin

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Error, expect, sync_playwright

from redpop_assets.studio.serving import running
from redpop_assets_tests.studio.samples import MARKUP, SampleDesk, picture, publish_reading

pytestmark = pytest.mark.end_to_end

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome", "microsoft-edge")
PATIENCE = 30_000  # milliseconds: a shared machine may be busy


@pytest.fixture(scope="module")
def chromium():
    own = next(filter(None, map(shutil.which, NAMES)), None)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(
                f"No Chromium is found, neither as {', '.join(NAMES)} nor Playwright's own: {error.message[:80]}"
            )
        yield browser
        browser.close()


@pytest.fixture
def address(make_site):
    with running(make_site(studio_requests_per_minute=10_000)) as url:
        yield url


@pytest.fixture
def of_places(make_site, places):
    """Address of a studio on communities that have everything."""
    with running(make_site(folder=places.published.parent, studio_requests_per_minute=10_000)) as url:
        yield url


@pytest.fixture
def open_page(chromium, address):
    """Opens the draft's page or another one; keywords are those of a context. Nothing may be complained about."""
    complaints, contexts = [], []

    def opened(path="/", **how):
        context = chromium.new_context(**{"timezone_id": "Europe/Vienna", "reduced_motion": "reduce"} | how)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
        page.goto(urljoin(address, path))
        return page

    yield opened
    for context in contexts:
        context.close()
    # A refusal is part of some tests, and that a stale question is given up is how it has to be.
    assert not [
        one
        for one in complaints
        if "status of 4" not in one
        and "status of 502" not in one
        and "htmx:sendAbort" not in one
        and "htmx:afterRequest" not in one
    ]


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture())
    return path


def shown(page, name):
    if folder := os.environ.get("REDPOP_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def number(page):
    return page.locator("#answer .number").first


def write(page, titles):
    page.locator("#titles").fill(titles)


def is_fine(page):
    """No violation of the rules for accessible pages that is serious; no page that is wider than its window."""
    expect(page.locator(".htmx-request")).to_have_count(0)  # what is being asked is dimmed
    found = Axe().run(page, options={"resultTypes": ["violations"]}).response["violations"]
    assert not [(one["id"], one["nodes"][0]["html"][:120]) for one in found if one["impact"] in ("serious", "critical")]
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.fixture(autouse=True)
def _patient():
    expect.set_options(timeout=PATIENCE)


def test_a_picture_three_titles_another_hour_and_why(open_page, photo):
    page = open_page(viewport={"width": 1440, "height": 900})
    is_fine(page)
    shown(page, "draft-wide")
    page.locator("#file").set_input_files(photo)
    expect(page.locator("#picture-said")).to_contain_text("300 × 200")
    write(page, f"one\nthree\n{MARKUP}")
    expect(number(page)).to_have_text(f"{100 * len(MARKUP):,}")
    expect(page.locator(".titles li")).to_have_count(3)
    expect(page.locator(".titles li .title").first).to_have_text(MARKUP)
    expect(page).to_have_title("Draft · RedPop")
    expect(page.locator("#said")).to_contain_text("points expected")
    expect(page.locator("#panel")).to_contain_text("What each side adds")
    expect(page.locator("#panel")).to_contain_text("This very picture was posted before")
    page.locator(".record summary").click()
    expect(page.locator(".record")).to_contain_text("picture and title")
    is_fine(page)
    shown(page, "why-wide")
    page.get_by_label("When", exact=True).check(force=True)
    expect(page.locator("#panel canvas")).to_be_visible()
    is_fine(page)
    shown(page, "when-wide")
    best = page.locator("[data-at]").nth(1)
    wanted = best.get_attribute("data-at")
    best.click()
    expect(page.locator("#at")).to_have_value(wanted)
    expect(page.locator("#zone-said")).to_have_text("Europe/Vienna")
    expect(page.locator("[data-at]").first).to_have_attribute("data-at", wanted)
    for name in ("Where", "May I"):
        page.get_by_label(name, exact=True).check(force=True)
        expect(page.locator("#panel h3").first).to_contain_text("Communities" if name == "Where" else "May I")
        is_fine(page)
        shown(page, f"{name.split()[0].lower()}-wide")
    page.locator("#picture-away").click()
    expect(page.locator("#preview")).to_be_hidden()


def test_a_stale_answer_is_dropped(open_page):
    page = open_page()
    for text in ("a", "ab", "abc", "abcd"):
        write(page, text)
        time.sleep(0.02)
    expect(number(page)).to_have_text("400")


def test_a_phone_in_the_dark(open_page, photo):
    page = open_page(viewport={"width": 390, "height": 844}, color_scheme="dark", has_touch=True)
    page.locator("#file").set_input_files(photo)
    write(page, "one\nthree")
    page.locator(".chip", has_text="r/pics").click()
    expect(page.locator("#answer article")).to_have_count(2)
    page.get_by_label("When", exact=True).check(force=True)
    expect(page.locator("#panel canvas")).to_be_visible()
    is_fine(page)
    shown(page, "when-phone-dark")
    page.locator("#about").select_option("pics")
    expect(page.locator("#about")).to_have_value("pics")


def test_a_broken_upload_is_said_and_the_title_still_answered(open_page, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(picture()[:1500])
    page = open_page()
    page.locator("#file").set_input_files(tmp_path / "broken.jpg")
    expect(page.locator("#picture-said")).to_contain_text("damaged")
    write(page, "one")
    expect(number(page)).to_have_text("300")


@pytest.mark.parametrize(("status", "words"), [(413, "larger than the server"), (502, "instead of it (502)")])
def test_what_a_proxy_says_instead_is_put_into_words(open_page, photo, status, words):
    page = open_page()
    body = "<html>\r\n<head><title>Bad</title></head><body><h1>nginx</h1></body></html>"
    page.route("**/draft/answer", lambda route: route.fulfill(status=status, body=body, content_type="text/html"))
    page.route("**/api/v1/pictures", lambda route: route.fulfill(status=status, body=body, content_type="text/html"))
    page.locator("#file").set_input_files(photo)
    expect(page.locator("#picture-said")).to_contain_text(words)
    write(page, "one")
    expect(page.locator("#answer .problem")).to_contain_text(words)
    assert "nginx" not in page.content()


def test_dropping_and_pasting(open_page):
    page = open_page()
    for kind, target in (("drop", "dataTransfer"), ("paste", "clipboardData")):
        page.locator("body").evaluate(
            """async (body, [kind, target]) => {
                const canvas = Object.assign(document.createElement("canvas"), { width: 200, height: 160 });
                canvas.getContext("2d").fillRect(0, 0, 90, 90);
                const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
                const data = new DataTransfer();
                data.items.add(new File([blob], "mine.png", { type: "image/png" }));
                const event = kind === "drop"
                    ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
                    : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true });
                body.dispatchEvent(event);
            }""",
            [kind, target],
        )
        expect(page.locator("#picture-said")).to_contain_text("200 × 160")
        expect(page.locator("#preview")).to_be_visible()
        page.locator("#picture-away").click()
        expect(page.locator("#picture-said")).to_contain_text("removed")


def test_the_keyboard_alone(open_page):
    page = open_page()
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.locator("#titles").evaluate("one => one === document.activeElement"):
            break
    page.keyboard.type("one")
    expect(number(page)).to_have_text("300")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    expect(page.locator("#answer article")).to_have_count(2)
    page.locator("#sections input:checked").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#panel h3").first).to_contain_text("five best hours")
    assert page.locator("#sections input:focus").evaluate("one => one.value") == "when"


def test_what_is_published_meanwhile_is_answered_from(open_page, home):
    page = open_page()
    write(page, "one")
    expect(number(page)).to_have_text("300")
    publish_reading(home, "a")
    for attempt in range(50):
        write(page, "one" + " " * (attempt % 2))
        with contextlib.suppress(AssertionError):
            expect(number(page)).to_have_text("301", timeout=700)
            break
    expect(number(page)).to_have_text("301")


def test_the_api_s_page_and_a_page_that_is_not_there(open_page):
    page = open_page("/api")
    expect(page.locator("h1")).to_have_text("API")
    is_fine(page)
    shown(page, "api")
    page = open_page("/nowhere", color_scheme="dark")
    expect(page.locator("h1")).to_have_text("Not here")
    is_fine(page)


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_pages_of_communities_and_posts(open_page, of_places, width, scheme):
    """On a wide screen and on a phone, in the light and in the dark; what is not known of one is said there."""
    look = f"{width}-{scheme}"
    page = open_page(
        of_places + "/communities",
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        timezone_id="Europe/Vienna",
    )
    expect(page.locator(".shelf li")).to_have_count(3)
    is_fine(page)
    shown(page, f"communities-{look}")
    page.get_by_role("link", name="r/pics").click()
    expect(page.locator("h1")).to_have_text("r/pics")
    expect(page.locator("#hours")).to_contain_text("By the clock of Europe/Vienna")
    expect(page.locator(".chart canvas")).to_have_count(3)  # hours, growth and members
    expect(page.locator("[aria-labelledby=words]")).to_contain_text("sunset")
    is_fine(page)
    shown(page, f"community-{look}")
    page.goto(of_places + "/post/pi00038")
    expect(page.locator(".picture-side img")).to_have_js_property("naturalWidth", 640)
    expect(page.locator("[aria-labelledby=noted]")).to_contain_text("in 80 of 100 cases")
    is_fine(page)
    shown(page, f"post-{look}")
    page.locator("[aria-labelledby=by-title] a").first.click()
    expect(page).to_have_url(re.compile(r"/post/pi(?!00038)"))
    page.goto(of_places + "/r/later")
    expect(page.locator("main")).to_contain_text("redpop materialize")
    is_fine(page)
    shown(page, f"community-unknown-{look}")


def test_the_entrance(chromium, make_site):
    token = "a-token-of-some-length"
    with running(make_site(studio_token=token)) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(url)
        is_fine(page)
        shown(page, "entrance")
        page.get_by_label("Token").fill("wrong")
        page.get_by_role("button", name="Enter").click()
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Enter").click()
        expect(page).to_have_url(re.compile(r"/$"))
        write(page, "one")
        expect(number(page)).to_have_text("300")
        context.close()


def test_scripts_are_no_condition(chromium, address):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(address)
    write(page, "one")
    page.get_by_role("button", name="Ask").click()
    expect(number(page)).to_have_text("300")
    context.close()


def test_a_desk_that_fails_is_said_in_the_page(chromium, make_site):
    site = make_site(desk=lambda edition: SampleDesk(edition, fault=RuntimeError("secret")))
    with running(site) as url:
        context = chromium.new_context()
        page = context.new_page()
        page.goto(url)
        write(page, "one")
        expect(page.locator("#answer .problem")).to_contain_text("does not expect")
        assert "secret" not in page.content()
        context.close()
