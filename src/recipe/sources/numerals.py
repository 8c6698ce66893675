"""Reads numbers as people write them: money, percent, groups of thousands, a decimal comma.

pandas and skrub read a decimal comma and thousands by deleting one sign and replacing the other, so that `1,5` with
`thousands=","` becomes 15; here a group has three digits, and a text that fits neither form is not a number.
"""

import re
from typing import NamedTuple

SIGNS = "$¢£¥฿" + "".join(map(chr, range(0x20A0, 0x20C1)))  # Unicode's currency signs in common use
CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|ZAR|KRW|MXN|SGD|HKD|kr|zł|Fr"
UNIT = rf"(?:US|R|A|C|NZ|HK|S)?\$|[{SIGNS}]|{CODES}"
DIGITS = r"\d[\d.,'’ \u00a0\u202f]*(?<=[\d.])|[.,]\d+"  # GROUPED is stricter
WRITTEN = re.compile(
    rf"(?P<debit>\()?\s*(?P<sign>[+\-−]?)\s*(?P<before>{UNIT})?\s*(?P<minus>[\-−]?)(?P<digits>{DIGITS})"
    rf"(?P<power>[eE][+\-]?\d+)?\s*(?P<after>{UNIT}|%)?\s*(?(debit)\))"
)
# {decimal sign: whole and fraction}; groups by the other sign, by blanks or by apostrophes
GROUPED = {
    point: re.compile(
        rf"(?:\d+|[1-9]\d{{0,2}}(?:(?:{other}\d{{2,3}})*{other}\d{{3}}|(?:['’]\d{{3}})+|(?:[ \u00a0\u202f]\d{{3}})+))?"
        rf"(?:{sign}\d*)?"
    )
    for point, sign, other in ((".", r"\.", ","), (",", ",", r"\."))
}
PERCENT = "%"


class Numeral(NamedTuple):
    """A text read as a number. unit: a currency, %, or empty. formatted: Python's float() would not read the text."""

    value: float
    unit: str
    formatted: bool


def number(text: str, decimal: str = ".") -> Numeral | None:
    """The text as a number with this decimal sign; None where it is not one.

    A percentage is counted in percent: `12 %` is 12. Brackets mean a minus sign, as in accounting.
    """
    if decimal == "." and "_" not in text:  # only Python reads 1_000 as a number
        try:
            return Numeral(float(text), "", False)
        except ValueError:
            pass
    written = WRITTEN.fullmatch(text)
    digits = written["digits"] if written else ""
    if not written or not digits or not GROUPED[decimal].fullmatch(digits):
        return None
    minus = [written[name] for name in ("sign", "minus", "debit") if written[name]]
    if len(minus) > 1 or (written["before"] and written["after"]):
        return None
    kept = "".join(c for c in digits if c.isdecimal() or c == decimal).replace(decimal, ".")
    value = float(kept + (written["power"] or ""))
    unit = written["before"] or written["after"] or ""
    return Numeral(-value if minus and minus != ["+"] else value, unit, True)
