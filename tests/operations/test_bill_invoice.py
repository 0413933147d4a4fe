"""How an invoice is read: columns, amounts, times, and rows that are not lines."""

from __future__ import annotations

import codecs
from datetime import UTC, date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unlimcall_async.operations import Invoice, InvoiceLine, bill_range, columns_named, read_invoice

pytestmark = pytest.mark.own_rules

BERLIN = ZoneInfo("Europe/Berlin")


def with_amounts(*cells: str, header: str = "Amount", **options: str) -> Invoice:
    rows = "".join(f'17.{number};"{cell}"\n' for number, cell in enumerate(cells))
    return read_invoice(f"id;{header}\n{rows}", **options)  # type: ignore[arg-type] # options of several types


def with_starts(*cells: str, **options: str) -> Invoice:
    rows = "".join(f'"{cell}",1\n' for cell in cells)
    return read_invoice(f"Date,Amount\n{rows}", **options)  # type: ignore[arg-type] # as above


def only(invoice: Invoice) -> InvoiceLine:
    assert invoice.unreadable == ()
    (line,) = invoice.lines
    return line


# --- amounts ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "value", "currency"),
    [
        ("$1,234.50", "1234.50", "USD"),
        ("1.234,50 €", "1234.50", "EUR"),
        ("(12.00)", "-12.00", None),
        ("-3.2", "-3.2", None),
        ("3.2-", "-3.2", None),
        ("\u22123.2", "-3.2", None),
        ("-$3.20", "-3.20", "USD"),
        ("€-3,20", "-3.20", "EUR"),
        ("12.00 CR", "-12.00", None),
        ("12.00 DR", "12.00", None),
        ("USD 0.0034", "0.0034", "USD"),
        ("0,034", "0.034", None),
        ("3.4E-05", "0.000034", None),
        ("1\u202f234,50", "1234.50", None),
        ("1'234.50", "1234.50", None),
        ("1,23,456.00", "123456.00", None),
        (".5", "0.5", None),
        ("C$2.00", "2.00", "CAD"),
        ("\u2013", "0", None),
        ("1.234,- €", "1234.00", "EUR"),
        ("CHF 5.--", "5.00", "CHF"),
        ("-5,\u2013", "-5.00", None),
    ],
)
def test_an_amount_is_exact(cell: str, value: str, currency: str | None) -> None:
    line = only(with_amounts(cell))
    assert (str(line.amount), line.currency) == (str(Decimal(value)), currency)


@pytest.mark.parametrize(
    "cell",
    [
        "abc",
        "1.2.3,4",
        "--3",
        "1..2",
        "$",
        "1,2345.00",
        "\u0663",
        "1e999",
        "$3€",
        "(3",
        "9" * 41,
        "-,50",
        "\u20ac-,50",
        "5,---",
    ],
)
def test_a_cell_that_is_not_an_amount_costs_its_line_alone(cell: str) -> None:
    invoice = with_amounts("1.50", cell, "2.50", decimal=".")
    assert [line.amount for line in invoice.lines] == [Decimal("1.50"), Decimal("2.50")]
    (bad,) = invoice.unreadable
    assert (bad.number, bad.column, str(bad).startswith("line 3, column 'Amount': "), invoice.complete) == (
        *(3, "Amount", True),
        False,
    )


@pytest.mark.parametrize("cell", ["-,50", "\u20ac-,50", "- ,50"])
def test_a_dash_before_a_comma_is_not_guessed(cell: str) -> None:
    # Half a unit in Germany, and below zero elsewhere.
    invoice = with_amounts(cell, "1,50")
    assert ([line.amount for line in invoice.lines], len(invoice.unreadable)) == ([Decimal("1.50")], 1)


def test_a_cell_like_a_phone_number_is_not_quoted() -> None:
    (bad,) = with_amounts("+1 (415) 555-0100 x").unreadable
    assert str(bad) == "line 2, column 'Amount': the cell is not a valid amount"


@pytest.mark.parametrize("cells", [("1,234",), ("1.234", "5"), ("1,234", "100,000")])
def test_thousands_are_not_guessed(cells: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"line 2: the amount '1.234' has a fraction or thousands.*pass decimal="):
        with_amounts(*cells)
    assert only(with_amounts(cells[0], decimal=",")).amount in {Decimal(1234), Decimal("1.234")}


def test_one_plain_amount_decides_for_its_column() -> None:
    assert [line.amount for line in with_amounts("1,234", "0.5").lines] == [Decimal(1234), Decimal("0.5")]
    assert [line.amount for line in with_amounts("1,234", "0,5").lines] == [Decimal("1.234"), Decimal("0.5")]
    with pytest.raises(ValueError, match=r"line 3 has the amount '1.5' and line 2 the amount '1,5'"):
        with_amounts("1,5", "1.5")


STYLES = {
    ".": ["{:,f}", "${:,f}", "{:f} USD", "({:,f})", "{:,f}-", "-{:f}"],
    ",": ["{:,f}", "{:,f} €", "EUR {:f}", "({:,f})", "\u2212{:f}"],
}


@given(
    st.decimals(0, 10**9, places=2), st.sampled_from([(mark, style) for mark, all_ in STYLES.items() for style in all_])
)
def test_what_was_written_is_read(amount: Decimal, how: tuple[str, str]) -> None:
    mark, style = how
    cell = style.format(amount)
    if mark == ",":
        cell = cell.translate({ord("."): ",", ord(","): "."})
    line = only(with_amounts(cell))
    assert line.amount == (-amount if {*"(-\u2212"} & {*cell} else amount)


# --- currencies -------------------------------------------------------------------------------------------------------


def test_a_line_in_another_currency_than_its_header_is_not_read() -> None:
    invoice = read_invoice("id,Amount (USD),Currency\n1,2.00,EUR\n2,3.00,usd\n3,4.00,\n")
    assert [(line.amount, line.currency) for line in invoice.lines] == [(Decimal(3), "USD"), (Decimal(4), "USD")]
    (bad,) = invoice.unreadable
    assert str(bad) == "line 2, column 'Currency': the line says EUR, and the header of its amount USD"


def test_the_currency_is_that_of_the_column_the_header_the_cell_or_the_argument() -> None:
    headers = {
        "Amount (EUR)": "EUR",
        "Amount (€)": "EUR",
        "Price [US$]": "USD",
        "Charge, GBP": "GBP",
        "cost_CHF": "CHF",
    }
    assert {header: only(with_amounts("1.50", header=header)).currency for header in headers} == headers
    assert only(with_amounts("$1.50", header="Cost in CAD")).currency == "CAD"
    assert only(with_amounts("$1.50", currency="CAD")).currency == "CAD"
    assert only(with_amounts("1.50", currency="CHF")).currency == "CHF"
    assert only(read_invoice("id,amount,currency\n1,1.50,gbp\n", currency="USD")).currency == "GBP"
    (bad,) = read_invoice("id,amount,currency\n1,$1.50,EUR\n").unreadable
    assert str(bad) == "line 2, column 'amount': the amount is in USD, and its line or header says EUR"
    (bad,) = read_invoice("id,amount,currency\n1,1.50,Euros\n").unreadable
    assert bad.column == "currency"
    # An amount that names its currency is not made one of another.
    assert only(with_amounts("€1.50", currency="USD")).currency == "EUR"


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cell", "start"),
    [
        ("2026-05-13T12:00:00Z", datetime(2026, 5, 13, 12, tzinfo=UTC)),
        ("2026-05-13 12:00:00.250", datetime(2026, 5, 13, 10, 0, 0, 250_000, tzinfo=UTC)),
        ("2026-05-13T12:00+0530", datetime(2026, 5, 13, 6, 30, tzinfo=UTC)),
        ("2026/5/13 12:00", datetime(2026, 5, 13, 10, tzinfo=UTC)),
        ("01.05.2026 12:00", datetime(2026, 5, 1, 10, tzinfo=UTC)),
        ("13/05/2026 12:00", datetime(2026, 5, 13, 10, tzinfo=UTC)),
        ("5/13/26 1:02:03 pm", datetime(2026, 5, 13, 11, 2, 3, tzinfo=UTC)),
        ("05/13/2026 12:30 AM", datetime(2026, 5, 12, 22, 30, tzinfo=UTC)),
        ("13 May 2026 09:00", datetime(2026, 5, 13, 7, tzinfo=UTC)),
        ("May 13, 2026, 09:00:00", datetime(2026, 5, 13, 7, tzinfo=UTC)),
        ("13. M\u00e4rz 2026 09:00", datetime(2026, 3, 13, 8, tzinfo=UTC)),
    ],
)
def test_a_start_is_read_in_the_zone_of_the_invoice(cell: str, start: datetime) -> None:
    assert only(with_starts(cell, zone=BERLIN)).start == start  # type: ignore[arg-type] # one option of another type


def test_a_day_is_not_a_start() -> None:
    line = only(with_starts("13-May-26"))
    assert (line.day, line.start) == (date(2026, 5, 13), None)


def test_day_and_time_may_have_a_column_each() -> None:
    invoice = read_invoice("Date,Time,Amount\n13/05/2026,9:00 PM,1\n13/05/2026,noon,1\n13/05/2026,,1\n")
    assert [line.start for line in invoice.lines] == [datetime(2026, 5, 13, 21, tzinfo=UTC), None]
    assert str(invoice.unreadable[0]) == "line 3, column 'Time': 'noon' is not a valid time of the day"


@pytest.mark.parametrize(
    "cell", ["soon", "2026-02-30", "12:00", "32.05.2026", "2026-05-01 25:00", "1 Foo 2026", "13/13/2026"]
)
def test_a_cell_that_is_not_a_time_costs_its_line_alone(cell: str) -> None:
    invoice = with_starts("13/05/2026", cell)
    assert (len(invoice.lines), [bad.column for bad in invoice.unreadable]) == (1, ["Date"])


@pytest.mark.parametrize("rows", ["9999-12-31 23:59:59,,1", "9999-12-31,23:59:59,1"])
def test_a_time_at_the_end_of_the_calendar_costs_its_line_at_most(rows: str) -> None:
    content = f"Date,Time,Amount\n2026-05-01 12:00:00,,1\n{rows}\n"
    ahead = read_invoice(content, zone=ZoneInfo("America/New_York"))
    assert (len(ahead.lines), [bad.number for bad in ahead.unreadable]) == (1, [3])
    ends = bill_range(read_invoice(content).lines, BERLIN)
    assert ends == (datetime(2026, 4, 30, 22, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


def test_day_and_month_are_not_guessed() -> None:
    with pytest.raises(ValueError, match=r"line 2: the date '05/06/2026' may begin with its day.*pass dates="):
        with_starts("05/06/2026")
    with pytest.raises(ValueError, match="line 2 has the date '13/05/2026' and line 3 the date '05/13/2026'"):
        with_starts("13/05/2026", "05/13/2026")
    assert only(with_starts("05/06/2026", dates="mdy")).day == date(2026, 5, 6)
    assert [line.day for line in with_starts("05/06/2026", "13/06/2026").lines] == [date(2026, 6, 5), date(2026, 6, 13)]
    assert only(with_starts("05/05/2026")).day == date(2026, 5, 5)


@pytest.mark.parametrize(
    ("header", "cell", "seconds"),
    [
        *[("Duration", cell, 81) for cell in ("81", "81.0", "1:21", "00:01:21", "1m 21s", "1 min 21 sec")],
        ("Minutes", "1.35", 81),
        ("Minutes", "1,35", 81),
        ("Duration (min)", "1:21", 81),
        ("Minutes", "1.234,5", 74_070),
        ("Duration", "33.5", Decimal("33.5")),
        ("Duration", "", None),
    ],
)
def test_lengths_are_in_seconds(header: str, cell: str, seconds: Decimal | int | None) -> None:
    assert only(read_invoice(f'id;Amount;{header}\n1;1;"{cell}"\n')).duration == seconds


@pytest.mark.parametrize("cell", ["-5", "$5", "long", "1:99", "5 CR"])
def test_a_cell_that_is_not_a_length_costs_its_line_alone(cell: str) -> None:
    invoice = read_invoice(f"id,Duration,Amount\n1,81,1\n2,{cell},1\n")
    assert [str(bad) for bad in invoice.unreadable] == [
        f"line 3, column 'Duration': {cell!r} is not a valid length of a call"
    ]


# --- columns ----------------------------------------------------------------------------------------------------------


def test_headers_are_found_below_a_preamble_whatever_their_case() -> None:
    invoice = read_invoice(
        'Acme Ltd\nInvoice 12,May\n\nCALL  ID,Date,Charge\n17.1,2026-05-01 12:00,"1,000.50"\n',
        columns=columns_named("id=Call ID,start=Date,amount=charge"),
    )
    line = only(invoice)
    assert (line.number, line.id, line.amount, dict(invoice.headers)) == (
        *(5, "17.1", Decimal("1000.50")),
        {"id": "CALL  ID", "start": "Date", "amount": "Charge"},
    )
    assert invoice.guessed == frozenset()


def test_a_file_of_call_records_needs_no_names() -> None:
    head = "id,start_time,duration,billsec,src,dst,disposition,sip_username,sell_price_cents,currency,country,did,extra"
    line = only(read_invoice(f"{head}\n17.1,2026-05-01T00:00:00.000Z,81,80,+1,+442,ANSWERED,u1,34,USD,UK,,\n"))
    assert line == InvoiceLine(
        number=2,
        amount=Decimal("0.34"),
        currency="USD",
        id="17.1",
        start=datetime(2026, 5, 1, tzinfo=UTC),
        destination="+442",
        duration=81,
        country="UK",
        line="u1",
    )


def test_a_column_can_be_named_left_out_or_guessed() -> None:
    text = "Call ID,Country,Charge,Total\n17.1,UK,1.00,2.00\n"
    assert only(read_invoice(text)).amount == 1
    line = only(read_invoice(text, columns={"amount": "Total", "country": ""}))
    assert (line.amount, line.country, line.id) == (Decimal(2), None, "17.1")


def test_a_destination_without_a_number_is_a_country() -> None:
    text = "Date,Destination,Charge\n2026-05-01,UK Mobile,1.00\n2026-05-01,{},2.00\n"
    assert [line.country for line in read_invoice(text.format("France")).lines] == ["UK Mobile", "France"]
    assert [line.destination for line in read_invoice(text.format("+33 1")).lines] == ["UK Mobile", "+33 1"]
    named = read_invoice(text.format("France"), columns={"destination": "Destination"})
    assert {line.country for line in named.lines} == {None}
    both = read_invoice("Date,Destination,Country,Charge\n2026-05-01,UK Mobile,UK,1.00\n")
    assert (only(both).country, only(both).destination) == ("UK", None)


@pytest.mark.parametrize("name", ["UK Mobile", "UK Mobile 3", "Germany O2"])
def test_the_cells_decide_between_headers(name: str) -> None:
    text = f"Date,Start time,Number,Destination,Fee,Price\n2026-05-01,10:00:05,+44 20 718 00001,{name},none,0.34\n"
    invoice = read_invoice(text)
    assert only(invoice) == InvoiceLine(
        number=2,
        amount=Decimal("0.34"),
        start=datetime(2026, 5, 1, 10, 0, 5, tzinfo=UTC),
        destination="+44 20 718 00001",
        country=name,
    )
    # If no cell fits, the column is named all the same.
    broken = read_invoice("Date,Number,Price\nyesterday,+44,0.34\n")
    assert [bad.column for bad in broken.unreadable] == ["Date"]
    assert only(read_invoice("Destination,Calls,Price\nUK,3,0.34\n")).country == "UK"


def test_a_number_that_a_spreadsheet_has_rounded_is_not_compared() -> None:
    text = "ID,Date,Number,Price\n17.1,2026-05-01,4.42072E+11,1\n1.74785E+09,2026-05-01,,2\n17.2,2026-05-01,+44,3\n"
    invoice = read_invoice(text)
    assert [(bad.number, bad.column) for bad in invoice.unreadable] == [(2, "Number"), (3, "ID")]
    assert "leave the column out" in str(invoice.unreadable[0])
    assert len(read_invoice(text, columns={"id": "", "destination": ""}).lines) == 3


def test_a_long_cell_of_blanks_costs_no_time() -> None:
    # The pattern of a header needed minutes for this cell.
    assert only(read_invoice(f'ID,Note,Amount ( USD )\n1,"a{" " * 4000}b",2\n')).currency == "USD"


def test_of_two_amounts_none_is_guessed() -> None:
    text = "Date,Amount (EUR),Amount (USD)\n2026-05-01,1,2\n"
    with pytest.raises(ValueError, match=r"'Amount \(EUR\)' and 'Amount \(USD\)' are amounts: name one"):
        read_invoice(text)
    line = only(read_invoice(text, columns={"amount": "Amount (USD)"}))
    assert (line.amount, line.currency) == (Decimal(2), "USD")


def test_headers_that_come_again_are_no_line() -> None:
    invoice = read_invoice("Date,Number,Price\n2026-05-01,+1,1\nDate,Number,Price\n2026-05-02,+2,2\n")
    assert ([line.number for line in invoice.lines], invoice.remarks, invoice.complete) == ([2, 4], (3,), True)


def test_the_table_is_that_with_the_most_columns() -> None:
    text = "Date,Total\n2026-05-31,3.00\n\nCall ID,Date,Called,Amount\n1,2026-05-01,+1,3.00\n"
    invoice = read_invoice(text)
    assert (only(invoice).id, invoice.passed_over) == ("1", (1,))
    with pytest.raises(ValueError, match="the header 'Amount' is that of several columns"):
        read_invoice("Call ID,Amount,Amount\n1,2,3\n")


def test_a_total_of_a_group_is_no_line() -> None:
    invoice = read_invoice(
        "Day,Country,Amount\n2026-05-01,UK,1.00\n2026-05-01,France,2.00\n2026-05-01,Total,3.00\n"
        "2026-05-02,UK,4.00\n2026-05-02,Total,4.00\nGrand total,,7.00\n"
    )
    assert ([line.number for line in invoice.lines], invoice.complete) == ([2, 3, 5], True)
    wrong = read_invoice("Day,Country,Amount\n2026-05-01,UK,1.00\nSubtotal,,1.00\n2026-05-02,UK,4.00\nSubtotal,,3.00\n")
    assert [total.added for total in wrong.totals] == [Decimal(1), Decimal(4)]


def test_headers_that_are_calls_are_not_quoted() -> None:
    with pytest.raises(ValueError, match=r"its headers are the cell, the cell, '0.34'") as raised:
        read_invoice("1747852442.42,+14155550100,0.34\n")
    assert "4155550100" not in str(raised.value)


def test_days_of_no_calls_cost_their_line_alone() -> None:
    invoice = with_starts("0001-01-01", "1900-01-00", "1899-12-30 00:00", "13/05/2026", "9999-12-31", zone=BERLIN)  # type: ignore[arg-type] # as above
    assert [bad.number for bad in invoice.unreadable] == [2, 3, 4]


def test_arguments_of_another_kind_are_refused() -> None:
    with pytest.raises(TypeError, match="content must be bytes or a str, not int"):
        read_invoice(7)  # type: ignore[arg-type] # what is tested
    with pytest.raises(ValueError, match=r"decimal must be '.' or ',', not ';'"):
        read_invoice("id,amount\n", decimal=";")  # type: ignore[arg-type] # as above
    with pytest.raises(ValueError, match="dates must be 'dmy' or 'mdy', not 'ydm'"):
        read_invoice("id,amount\n", dates="ydm")  # type: ignore[arg-type] # as above


def test_what_is_wrong_with_columns_is_said() -> None:
    with pytest.raises(ValueError, match="does not have the header 'Price'; its headers are 'Call', 'Amt'"):
        read_invoice("Call,Amt\n1,2\n", columns={"id": "Call", "amount": "Price"})
    with pytest.raises(ValueError, match="the header 'CALL' is that of 2 columns"):
        read_invoice("Call,call,Amt\n1,2,3\n", columns={"id": "CALL", "amount": "Amt"})
    with pytest.raises(ValueError, match="the columns of the invoice are unknown: its headers are 'a', 'b'"):
        read_invoice("a;b\n1;2\n")
    with pytest.raises(ValueError, match=r"^the file is empty$"):
        read_invoice("")
    with pytest.raises(ValueError, match="'calls_made' is not a column of an invoice; the columns are id, start"):
        columns_named("calls_made=Calls")
    with pytest.raises(ValueError, match="the column start is named twice"):
        columns_named("date=A,start=B")
    with pytest.raises(ValueError, match='columns are named like "id=Call ID'):
        columns_named("Call ID")


def test_a_header_may_hold_a_comma() -> None:
    named = columns_named("amount=Amount, net,id=Call ID")
    assert named == {"amount": "Amount, net", "id": "Call ID"}
    assert only(read_invoice('Call ID,"Amount, net"\n1,2\n', columns=named)).amount == 2


# --- files ------------------------------------------------------------------------------------------------------------

TEXT = "Call ID;Betrag\n17.1;1,50 €\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        TEXT.encode(),
        codecs.BOM_UTF8 + TEXT.encode(),
        TEXT.encode("utf-16"),
        TEXT.replace(";", "\t").encode("utf-16-le"),
        TEXT.encode("cp1252"),
        TEXT.replace("\n", "\r\n").encode(),
        f"sep=;\n{TEXT}",
        TEXT.replace(";", "|"),
        TEXT.replace("17.1", '="17.1"'),
    ],
)
def test_encodings_and_separators_are_those_of_the_file(content: bytes | str) -> None:
    line = only(read_invoice(content))
    assert (line.id, line.amount, line.currency) == ("17.1", Decimal("1.50"), "EUR")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04rest", "the file is a workbook; save the invoice as CSV"),
        (b"id,amount\n1,\x81\n", "the file is not text in UTF-8, UTF-16 or Windows-1252: byte 13"),
        ('id,amount\n1,2\n3,"4\n', "line 3 is not valid CSV"),
    ],
)
def test_a_file_that_is_not_csv_is_refused(content: bytes | str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_invoice(content)


def test_a_row_that_is_too_long_is_not_read() -> None:
    invoice = read_invoice('id,amount\n1,1,234.50\n2,"note\nof two lines",,\n3,4,,\n')
    assert [(bad.number, bad.column) for bad in invoice.unreadable] == [(2, ""), (3, "amount")]
    assert [(line.number, line.id) for line in invoice.lines] == [(5, "3")]


def test_totals_are_compared_with_the_lines() -> None:
    invoice = read_invoice(
        "Call ID,Called,Amount\n1,+1,1.50\n2,+2,2.50\nSubtotal,,4.00\n3,+3,1.00\nSubtotal,,1.00\nTotal,,5.00\n"
        "VAT 19 %,,0.95\nTotal due,,5.95\nThank you,,\n"
    )
    assert [line.id for line in invoice.lines] == ["1", "2", "3"]
    assert [(total.number, total.added) for total in invoice.totals] == [(4, 4), (6, 1), (7, 5), (8, None), (9, None)]
    assert (invoice.remarks, invoice.complete) == ((10,), True)
    wrong = read_invoice("Call ID,Called,Amount\n1,+1,1.50\nTotal,,1.60\n")
    assert (wrong.totals[0].ok, wrong.complete, wrong.totals[0].added) == (False, False, Decimal("1.50"))


@pytest.mark.parametrize(
    ("rows", "added"),
    [
        ("Net total;10,00|VAT 20 %;2,00|Total;12,00", "12.00"),
        ("Netto;10,00|19% MwSt;1,90|Gesamtbetrag;11,90", "11.90"),
        ("Zwischensumme;10,00|zzgl. 19 % USt;1,90|Umsatzsteuer 7%;0,10|Rechnungsbetrag;12,00", "12.00"),
        ("VAT;2,00|Total without VAT;10,00|Total;10,00", "10.00"),
        ("VAT;2,00|Total;12,01", "12.00"),
        # Nobody knows whether a sum of taxes holds the taxes above.
        ("VAT;2,00|Total VAT;2,00|Total;12,00", None),
    ],
)
def test_a_total_below_a_tax_may_hold_the_tax(rows: str, added: str | None) -> None:
    invoice = read_invoice("Call ID;Amount\n1;4,00\n2;6,00\n" + rows.replace("|", "\n"))
    assert (len(invoice.lines), invoice.unreadable) == (2, ())
    last = invoice.totals[-1]
    assert last.added == (None if added is None else Decimal(added))
    assert invoice.complete == (last.added in {None, last.stated})


@pytest.mark.parametrize("word", ["Carried forward", "Brought forward", "\u00dcbertrag", "Running total"])
def test_a_sum_that_is_carried_to_the_next_page_is_no_line(word: str) -> None:
    invoice = read_invoice(f"Call ID,Amount\n1,1.00\n{word},1.00\n{word},1.00\n2,2.00\nTotal,3.00\n")
    assert (len(invoice.lines), len(invoice.totals), invoice.complete) == (2, 3, True)


def test_the_label_of_a_total_has_no_phone_number() -> None:
    invoice = read_invoice("Line,Amount\nu1,1\nTotal of +44 (20) 7183-8750 in 2026,1\n")
    assert [total.label for total in invoice.totals] == ["Total of ... in 2026"]


def test_an_empty_amount_is_nothing_and_is_counted() -> None:
    invoice = read_invoice("id,amount,country\n1,,UK\n,2,\n")
    assert ([line.amount for line in invoice.lines], invoice.without_amount) == ([Decimal(0)], 1)
    assert [str(bad) for bad in invoice.unreadable] == ["line 3, column 'id': the cell is empty"]
