"""Numbers as people write them: money, percent, groups of thousands, a decimal comma.

pandas and skrub read a decimal comma and thousands by deleting one sign and replacing the other, so that `1,5` with
`thousands=","` is 15; here a group has three digits, and what fits neither reading is not a number.
"""

import re

SIGNS = "$¢£¥฿" + "".join(map(chr, range(0x20A0, 0x20C1)))  # Unicode's currency signs in common use
CODES = "USD|EUR|GBP|CHF|JPY|CNY|INR|BRL|CAD|AUD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RUB|TRY|ZAR|KRW|MXN|SGD|HKD|kr|zł|Fr"
UNIT = rf"(?:US|R|A|C|NZ|HK|S)?\$|[{SIGNS}]|{CODES}"
DIGITS = r"\d[\d.,'’ \u00a0\u202f]*(?<=[\d.])|[.,]\d+"  # refined by GROUPED
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


def number(text: str, decimal: str = ".") -> tuple[float, str, bool] | None:
    """(the number; its unit: a currency, %, or empty; whether Python itself would not read it so).

    None where the text is none with this decimal sign.

    A percentage is counted in percent: `12 %` is 12. Brackets are a minus, as accountants write it.
    """
    if decimal == "." and "_" not in text:  # Python reads 1_000 as a number, and nobody else does
        try:
            return float(text), "", False
        except ValueError:
            pass
    written = WRITTEN.fullmatch(text)
    digits = written and written["digits"]
    if not digits or not GROUPED[decimal].fullmatch(digits):
        return None
    minus = [written[name] for name in ("sign", "minus", "debit") if written[name]]
    if len(minus) > 1 or (written["before"] and written["after"]):
        return None
    kept = "".join(c for c in digits if c.isdecimal() or c == decimal).replace(decimal, ".")
    value = float(kept + (written["power"] or ""))
    return -value if minus and minus != ["+"] else value, written["before"] or written["after"] or "", True
