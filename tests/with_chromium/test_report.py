"""The page of a report in a real browser: drawn, filtered, and readable on a phone, on paper, in the dark and by keyboard."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from unlimcall_async import CallRecord
from unlimcall_async.operations import CallSummary
from unlimcall_async.report import CallReport
from unlimcall_async.sandbox import generate_traffic

START = datetime(2026, 5, 1, tzinfo=UTC)
END = START + timedelta(days=31)
CHARTS = (
    *("calls_by_day", "spend_by_day", "failures_by_day", "calls_by_hour", "calls_by_disposition"),
    *("calls_by_country", "answer_rate_by_country", "calls_by_agent"),
)
HOSTILE = "</script><img src=x onerror=alert(1)>"
# A property that each object of JavaScript has.
INHERITED = "__proto__"


def records() -> list[CallRecord]:
    calls = generate_traffic(4000, start=START, end=END, seed=5)
    return [
        CallRecord(
            id=call.id,
            start_time=call.start_time,
            duration=call.duration,
            billsec=call.billsec,
            disposition=INHERITED if number % 70 == 0 else call.disposition,
            country=INHERITED if number % 60 == 0 else call.country,
            sip_username=HOSTILE if number % 50 == 0 else call.sip_username,
            sell_price_cents=call.sell_price_cents,
            currency="EUR" if call.country == "Germany" else call.currency,
        )
        for number, call in enumerate(calls)
    ]


RECORDS = records()


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    report = CallReport("Calls of Acme")
    for record in RECORDS:
        report.add(record)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.html(start=START, end=END), encoding="utf-8")
    return path


@contextmanager
def opened(browser: Browser, path: Path, **options: Any) -> Iterator[Page]:
    """Open the page; at the end, fail if the browser has complained, or has asked for anything."""
    said: list[str] = []
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
    page = context.new_page()
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: said.append(request.url) if not request.url.startswith("file:") else None)
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(path.as_uri())
    drawn(page, 1)
    try:
        yield page
    finally:
        context.close()
    assert said == []


def drawn(page: Page, times: int) -> None:
    """Wait until the charts were drawn so many times."""
    # A function that is asked again and again would be `eval`, which the page's policy forbids.
    page.locator(f"body[data-drawn='{times}']").wait_for()


def shown_calls(page: Page) -> int:
    return int(page.inner_text("#calls").replace(",", ""))


def counted(belongs: Callable[[CallRecord], bool]) -> Any:
    summary = CallSummary(())
    for record in RECORDS:
        if belongs(record):
            summary.add(record)
    return summary.total


def test_every_chart_is_drawn(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        for name in CHARTS:
            marks = page.locator(
                f"#{name} svg .mark-rect path, #{name} svg .mark-symbol path, #{name} svg .mark-line path"
            )
            assert marks.count() > 0, name
            box = page.locator(f"#{name} svg").bounding_box()
            assert box is not None
            assert box["width"] > 300
        assert shown_calls(page) == len(RECORDS)


@pytest.mark.parametrize(("days", "step"), [(800, "week"), (4000, "month")])
def test_a_bar_is_as_wide_as_its_time_and_says_when_it_begins(
    browser: Browser, tmp_path: Path, days: int, step: str
) -> None:
    report, last = CallReport(), START + timedelta(days=days)
    for day in range(days):
        report.add(CallRecord(id="1", start_time=START + timedelta(days=day), duration=1, billsec=1, country="Germany"))
    path = tmp_path / "report.html"
    path.write_text(report.html(start=START, end=last), encoding="utf-8")
    with opened(browser, path) as page:
        assert page.inner_text("h2 >> nth=0") == f"Calls by {step}"
        bars = page.locator("#calls_by_day svg .mark-rect path")
        boxes = bars.evaluate_all(
            "(bars) => bars.map((bar) => bar.getBoundingClientRect()).filter((box) => box.height)"
        )
        picture = page.locator("#calls_by_day svg").bounding_box()
        assert picture is not None
        assert sum(box["width"] for box in boxes) > 0.8 * picture["width"]
        # What a tooltip shows, too: a date, and no number of milliseconds.
        first = START.date() - timedelta(days=START.weekday() if step == "week" else 0)
        assert f"day: {first}" in (bars.first.get_attribute("aria-label") or "")
        # A label has the year, since a range may have several.
        assert any(str(START.year) in text for text in page.locator("#calls_by_day svg text").all_text_contents())


def test_the_filters_work_together(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        page.select_option("#country", label=page.locator("#country option", has_text="Germany").inner_text())
        drawn(page, 2)
        total = counted(lambda record: record.country == "Germany")
        assert shown_calls(page) == total.attempts
        assert page.inner_text("#spend") == f"{total.spend['EUR']:,.2f} EUR"
        # The lines are offered with their calls to this country.
        option = page.locator("#line option:not([disabled])").nth(1)
        line, calls = option.inner_text().rsplit(" (", 1)
        page.select_option("#line", label=option.inner_text())
        drawn(page, 3)
        both = counted(lambda record: record.country == "Germany" and (record.sip_username or "(no line)") == line)
        assert shown_calls(page) == both.attempts == int(calls.rstrip(")").replace(",", ""))
        assert f"{(both.answer_rate or 0) * 100:.1f}\u00a0%" in page.inner_text("#answered")
        page.click("button[type=reset]")
        drawn(page, 4)
        assert shown_calls(page) == len(RECORDS)


def test_the_numbers_of_a_chart_are_those_of_the_records(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        for name in CHARTS:
            page.click(f"details[data-numbers={name}] summary")
        days = CallSummary(("day",))
        for record in RECORDS:
            days.add(record)
        rows = page.locator("details[data-numbers=calls_by_day] tr").all_inner_texts()
        assert [row.split("\t") for row in rows[1:]] == [
            [*row.labels, *(f"{count:,}" for count in (row.attempts, row.answered, row.failed))] for row in days.rows()
        ]
        assert page.locator("details[data-numbers=calls_by_hour] tr").count() == 7 * 24 + 1
        # The numbers follow the filter.
        page.select_option("#country", "0")
        drawn(page, 2)
        total = sum(
            int(cell.replace(",", ""))
            for cell in page.locator("details[data-numbers=calls_by_day] td:nth-child(2)").all_inner_texts()
        )
        assert total == shown_calls(page) < len(RECORDS)


def test_a_currency_can_be_chosen_and_none_is_added_to_another(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        page.click("details[data-numbers=spend_by_day] summary")
        sums = []
        for place, name in enumerate(("USD", "EUR")):
            page.select_option("#currency", name)
            drawn(page, 2 + place)
            cells = page.locator("details[data-numbers=spend_by_day] td:nth-child(2)").all_inner_texts()
            sums.append(round(sum(float(cell.replace(",", "")) for cell in cells), 2))
        total = counted(lambda _: True)
        assert sums == [float(total.spend["USD"]), float(total.spend["EUR"])]


def test_a_text_of_the_server_is_a_text(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        assert page.locator("#line option", has_text=HOSTILE).count() == 1
        assert page.locator("img").count() == 0
        for name in ("calls_by_disposition", "answer_rate_by_country"):
            assert INHERITED in page.locator(f"#{name} svg text").all_text_contents()


@pytest.mark.parametrize("width", [320, 400, 720, 1920])
def test_nothing_is_wider_than_the_screen(browser: Browser, page_file: Path, width: int) -> None:
    with opened(browser, page_file, viewport={"width": width, "height": 800}) as page:
        for name in CHARTS:
            page.click(f"details[data-numbers={name}] summary")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for name in CHARTS:
            inside = page.locator(f"#{name}").bounding_box()
            picture = page.locator(f"#{name} svg").bounding_box()
            assert inside is not None
            assert picture is not None
            assert picture["width"] <= inside["width"] + 1, name


def test_a_turned_phone_has_charts_of_its_new_width(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file, viewport={"width": 400, "height": 800}) as page:
        page.set_viewport_size({"width": 800, "height": 400})
        page.wait_for_function("document.querySelector('#calls_by_day svg').getBoundingClientRect().width > 600")


# The lowest contrast of text that people with low vision can read (WCAG 2.2, 1.4.3).
CONTRAST = """
(element) => {
  const light = (text) => {
    const [red, green, blue] = text.match(/[\\d.]+/g).map((each) => {
      const part = Number(each) / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const [one, other] = [getComputedStyle(element), getComputedStyle(document.body)];
  const tone = element instanceof SVGElement ? one.fill : one.color;
  const [high, low] = [light(tone), light(other.backgroundColor)].sort((a, b) => b - a);
  return (high + 0.05) / (low + 0.05);
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read(browser: Browser, page_file: Path, scheme: str) -> None:
    with opened(browser, page_file, color_scheme=scheme) as page:
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 31)")
        for place in (
            "h1",
            ".quiet",
            "dt",
            "dd",
            "dd small",
            ".high dd",
            "summary",
            "#calls_by_day svg text",
            "option",
        ):
            assert page.locator(place).first.evaluate(CONTRAST) >= 4.5, place


ACTIVE = "(({ id, className, tagName }) => id || className || tagName)(document.activeElement)"


def test_everything_can_be_reached_by_keyboard(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file) as page:
        reached = []
        for _ in range(5 + len(CHARTS)):
            page.keyboard.press("Tab")
            reached.append(
                page.evaluate(
                    "document.activeElement.id || document.activeElement.className || document.activeElement.tagName"
                )
            )
        assert reached == ["skip", "country", "line", "currency", "BUTTON", *["SUMMARY"] * len(CHARTS)]
        page.locator("#country").focus()
        page.keyboard.press("ArrowDown")
        drawn(page, 2)
        assert shown_calls(page) < len(RECORDS)
        page.locator("summary").first.focus()
        page.keyboard.press("Enter")
        page.locator("details[data-numbers=calls_by_day] td").first.wait_for()


def test_paper_has_the_choice_and_charts_of_its_width(browser: Browser, page_file: Path) -> None:
    with opened(browser, page_file, color_scheme="dark") as page:
        page.select_option("#country", "0")
        drawn(page, 2)
        before = page.locator("#calls_by_day svg").get_attribute("width")
        page.emulate_media(media="print")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        assert float(page.locator("#calls_by_day svg").get_attribute("width") or 0) < 700
        assert page.locator("#country").is_visible()
        assert not page.locator("button[type=reset]").is_visible()
        assert len(page.pdf(format="A4")) > 10_000
        page.emulate_media(media="screen")
        page.evaluate("dispatchEvent(new Event('afterprint'))")
        assert page.locator("#calls_by_day svg").get_attribute("width") == before


def test_without_javascript_the_totals_are_there(browser: Browser, page_file: Path) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_file.as_uri())
    assert shown_calls(page) == len(RECORDS)
    assert page.locator("noscript p").is_visible()
    context.close()


def test_the_totals_of_all_calls_are_the_same_with_javascript(browser: Browser, tmp_path: Path) -> None:
    report = CallReport()
    # Halves, which are rounded one way: 2.5 seconds, and 6.25 % and 1.875 % of 160 calls. Too few calls for an alarm.
    for number in range(160):
        disposition = "ANSWERED" if number < 10 else "FAILED" if number < 13 else "BUSY"
        report.add(
            CallRecord(
                id="1",
                start_time=START,
                duration=3,
                billsec=2 + number % 2 if number < 10 else 0,
                disposition=disposition,
                sell_price_cents=number,
                currency=("USD", "EUR", "GBP")[number % 3],
            )
        )
    path = tmp_path / "report.html"
    path.write_text(report.html(), encoding="utf-8")
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    before = page.locator("dl > div").evaluate_all(
        "(all) => all.map((each) => each.outerHTML.replace(' class=\"\"', ''))"
    )
    context.close()
    with opened(browser, path) as page:
        after = page.locator("dl > div").evaluate_all(
            "(all) => all.map((each) => each.outerHTML.replace(' class=\"\"', ''))"
        )
    assert after == before


def test_a_report_without_calls_has_empty_charts_and_no_error(browser: Browser, tmp_path: Path) -> None:
    path = tmp_path / "empty.html"
    path.write_text(CallReport().html(), encoding="utf-8")
    with opened(browser, path) as page:
        assert shown_calls(page) == 0
        assert page.inner_text("#answered") == "-"
