"""The built site in a real browser, and the page that ``fastgrad dither --compare`` writes.

FASTGRAD_SITE names the folder of a site that `sphinx-build` has made; without it only the command's
page is looked at. Needs Chromium, found on the path or by CHROMIUM, and the packages playwright and
axe-playwright-python.
"""

import contextlib
import functools
import html.parser
import http.server
import os
import shutil
import threading
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

import numpy as np
import pytest

from fastgrad.dithering.pictures import comparison_page

pytest.importorskip("playwright")
axe_core = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.optional,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]
SITE = os.environ.get("FASTGRAD_SITE")
of_the_site = pytest.mark.skipif(not SITE, reason="FASTGRAD_SITE names no built site")
WIDTHS, SCHEMES = (390, 1400), ("light", "dark")
LARGEST, LONGEST = 1_000_000, ("wall.html",)  # bytes of a page with its pictures
KINDS = ("api/fastgrad.sample", "api/fastgrad.Estimate", "module_random", "estimators/rebar")
REPEATED = ("generated/api/", "generated/module_", "generated/estimators/")  # made by one pattern


class Parsed(html.parser.HTMLParser):
    """The links, the pictures and the anchors of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.sources, self.anchors, self.without_alt = [], [], set(), []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.anchors |= {found[name] for name in ("id", "name") if found.get(name)}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        elif tag in ("img", "script", "link", "source"):
            address = found.get("src") or found.get("href")
            if address and found.get("rel") not in ("index", "search", "next", "prev", "canonical"):
                self.sources.append(address)
            if tag == "img" and "alt" not in found:
                self.without_alt.append(address)


def pages():
    """Return the pages of the site by their address in it."""
    if not SITE:
        return {}
    root = Path(SITE)
    found = {str(path.relative_to(root)): path for path in sorted(root.rglob("*.html"))}
    return {name: path for name, path in found.items() if not name.startswith("_static")}


@pytest.fixture(scope="module")
def parsed():
    return {name: Parsed(path) for name, path in pages().items()}


@pytest.fixture(scope="module")
def address():
    handler = functools.partial(Quiet, directory=SITE)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextlib.contextmanager
def opened(browser, width=1400, scheme="light"):
    """Open a page that notes what it complains of, and what it asks others for."""
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page, complaints = context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
    page.on(
        "console",
        lambda m: complaints.append(f"{page.url}: {m.text}") if m.type == "error" else None,
    )
    page.on(
        "request",
        lambda r: (
            None
            if r.url.startswith(("http://127.0.0.1", "file:", "data:"))
            else complaints.append(f"{page.url} asks for {r.url}")
        ),
    )
    yield page, complaints
    context.close()


def overflow(page):
    """Return by how many pixels the page is wider than the window."""
    return page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )


def violations(page):
    """Return what axe-core finds serious or worse, with the place."""
    found = axe_core.Axe().run(page).response["violations"]
    return [
        (one["id"], [node["target"] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


# -- the site -------------------------------------------------------------------------------------


@of_the_site
def test_links_and_pictures_of_the_site_resolve(parsed):
    root, wrong = Path(SITE), []
    for name, page in parsed.items():
        for target in page.links + page.sources:
            if target.startswith(("http:", "https:", "mailto:", "data:", "javascript:")):
                continue
            place, fragment = urldefrag(urljoin(f"/{name}", target))
            path = unquote(place).lstrip("/")
            path = path + "index.html" if path.endswith("/") or not path else path
            path = path.partition("?")[0]
            if not (root / path).is_file() or (
                fragment and path in parsed and unquote(fragment) not in parsed[path].anchors
            ):
                wrong.append(f"{name}: {target}")
    assert not wrong


@of_the_site
def test_pages_are_light_and_their_pictures_described(parsed):
    root = Path(SITE)
    for name, page in parsed.items():
        assert not page.without_alt, name
        names = {urljoin(f"/{name}", source).partition("?")[0] for source in page.sources}
        pictures = [n for n in names if n.endswith((".png", ".svg", ".jpg"))]
        size = sum((root / unquote(n).lstrip("/")).stat().st_size for n in pictures)
        size += (root / name).stat().st_size
        assert size <= LARGEST or name in LONGEST, f"{name}: {size} bytes"
        assert not [s for s in page.sources if s.startswith(("http:", "https:", "//"))], name


@of_the_site
def test_every_page_loads_and_fits(browser, address):
    with opened(browser) as (page, complaints):
        for name in pages():
            page.set_viewport_size({"width": 1400, "height": 900})
            assert page.goto(address + name, wait_until="load").ok
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 900})
                assert overflow(page) <= 0, f"{name} at {width}"
        assert not complaints


@of_the_site
@pytest.mark.parametrize("scheme", SCHEMES)
def test_nobody_is_kept_out(browser, address, scheme):
    kept = {}
    names = [n for n in pages() if not n.startswith(REPEATED)]
    names += [f"generated/{kind}.html" for kind in KINDS]
    with opened(browser, scheme=scheme) as (page, _):
        for name in names:
            page.goto(address + name)
            if found := violations(page):
                kept[name] = found
    assert not kept


@of_the_site
def test_search_finds_rebar(browser, address):
    with opened(browser) as (page, complaints):
        page.goto(address + "search.html?q=rebar")
        page.wait_for_selector("#search-results li a")
        found = page.locator("#search-results li a").all_inner_texts()
        assert any("rebar" in text.lower() for text in found)
        assert not complaints


@of_the_site
def test_the_slider_of_the_site_moves(browser, address):
    with opened(browser) as (page, complaints):
        page.goto(address + "compare.html")
        check_slider(page)
        assert not complaints


# -- the page of the command ----------------------------------------------------------------------


def check_slider(page):
    """Move the divider, by the keyboard too, and look at how much of the right picture is left."""

    def edge():
        style = "getComputedStyle(document.querySelector('.fg-compare')"
        style += ".querySelectorAll('.fg-shown')[1]).clipPath"
        return float(page.evaluate(style).removeprefix("inset(0px 0px 0px ").removesuffix("px)"))

    whole = page.locator(".fg-compare").first
    divider = whole.locator(".fg-divider")
    divider.fill("250")
    quarter = edge()
    divider.fill("750")
    assert edge() == pytest.approx(3 * quarter, rel=0.01)
    before = edge()
    divider.press("ArrowRight")
    assert edge() > before
    pictures = whole.locator(".fg-shown img")
    assert pictures.count() == 2
    small = pictures.first.bounding_box()["width"]
    whole.locator("select").nth(2).select_option("4")
    assert pictures.first.bounding_box()["width"] == pytest.approx(4 * small)
    whole.locator("select").first.select_option("1")  # the same on both sides
    assert whole.locator(".fg-shown").count() == 1


@pytest.fixture
def report(tmp_path):
    rng = np.random.default_rng(0)
    panels = {
        name: rng.integers(0, 256, (60, 200, 3)).astype(np.uint8)
        for name in ("original", "fastgrad", "Pillow")
    }
    figures = {name: {"SSIM, sRGB values": 0.5, "seconds": 1.0} for name in ("fastgrad", "Pillow")}
    sections = [comparison_page.section(name, panels, figures) for name in ("a.png", "b.png")]
    path = tmp_path / "report.html"
    path.write_text(comparison_page.page("Dithered", sections), encoding="utf-8")
    return path.as_uri()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_a_report(browser, report, width, scheme):
    with opened(browser, width, scheme) as (page, complaints):
        page.goto(report)
        assert overflow(page) <= 0
        assert not violations(page)
        check_slider(page)
        assert overflow(page) <= 0
        assert not complaints


def test_a_report_without_script_shows_all(browser, report):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(report)
    assert page.locator("figure:visible img").count() == 6
    assert not page.locator(".fg-divider").first.is_visible()
    context.close()
