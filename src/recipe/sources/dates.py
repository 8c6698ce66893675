"""Dates in a column: recognises their format and parses them.

pandas guesses the format of a text (pandas.tseries.api.guess_datetime_format) and parses by it. This module guesses
from several cells, tries both orders of day and month, and reports two formats that fit equally well (pandas and
skrub's ToDatetime silently assume that the month comes first).
"""

import datetime
import re
import warnings
from collections.abc import Sequence

import numpy as np

ISO = "ISO8601"  # pandas' name for all forms of the standard, with and without a time
GUESSED = 40  # distinct cells whose format is guessed
SHORT_YEAR = re.compile(r"^(\d{1,2}[/.\-]\d{1,2}[/.\-])(\d\d)(?=$|[ T])")
HALF_DAY = re.compile(r"\s*[ap]m$", re.IGNORECASE)
WRITTEN = {  # of pandas' codes, for messages
    "%Y": "year", "%y": "year (two digits)", "%m": "month", "%b": "month", "%B": "month", "%d": "day", "%H": "hour",
    "%I": "hour (of 12)", "%M": "minute", "%S": "second", "%f": "fraction", "%z": "zone", "%p": "am/pm",
}  # fmt: skip


def formats_of(texts: Sequence[str], counts: Sequence[int], share: float) -> list[str]:
    """The formats in which the most rows are dates, if at least `share` of them; several give different dates."""
    if sum(n for text, n in zip(texts, counts, strict=True) if any(c.isdigit() for c in text)) < share * sum(counts):
        return []
    step = max(1, len(texts) // GUESSED)
    guesses = dict.fromkeys(f for text in texts[::step] for first in (False, True) if (f := _guess(text, first)))
    parsed = {form: times(texts, form) for form in guesses}
    rows = {form: int(np.array(counts)[~np.isnat(when)].sum()) for form, when in parsed.items()}
    most = max(rows.values(), default=0)
    if most < share * sum(counts):
        return []
    best = [form for form, n in rows.items() if n == most]
    return [f for i, f in enumerate(best) if not any(_same(parsed[f], parsed[other]) for other in best[:i])]


def _same(a: np.ndarray, b: np.ndarray) -> bool:
    return bool(((a == b) | (np.isnat(a) & np.isnat(b))).all())


def _guess(text: str, day_first: bool) -> str | None:
    """A format with a year and a month, or None."""
    from pandas.tseries.api import guess_datetime_format

    full, short = SHORT_YEAR.subn(r"\g<1>20\g<2>", text)
    full, half = HALF_DAY.subn("", full)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the day must come first in 31/12/2020
        form = guess_datetime_format(full, dayfirst=day_first)
    if not form or "%Y" not in form or not re.search("%[mbB]", form) or re.match("%Y.%d", form):
        return None  # nobody writes the year first and the month last
    if form.startswith("%Y-%m-%d") and not half:
        return ISO
    form = form.replace("%Y", "%y") if short else form
    if not half:
        return form
    ending = HALF_DAY.search(text)
    assert ending is not None  # `half` counts its matches
    return form.replace("%H", "%I") + text[ending.start() : -2] + "%p"


def times(values: Sequence, form: str) -> np.ndarray:
    """(D,) datetime64[us], NaT where the text is not a date of this form. Time zones are converted to UTC."""
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        when = pandas.to_datetime(pandas.Series(list(values), dtype=object), format=form, errors="coerce", utc=True)
    return when.dt.tz_localize(None).to_numpy().astype("datetime64[us]")


def iso(when: np.datetime64) -> str:
    """2020-12-31, or 2020-12-31T13:45:00 where there is a time of day."""
    day = when.astype("datetime64[D]")
    return str(day if day == when else when.astype("datetime64[s]"))


def is_date(value) -> bool:
    return isinstance(value, datetime.date)  # a datetime and pandas' Timestamp, too


def date_parts(when: np.ndarray, since: str, hours: bool) -> np.ndarray:
    """(D, 4 or 5) float64 of datetime64 (D,): year, month 1 to 12, weekday 0 (Monday) to 6, days since, hour 0 to 24.

    NaN where the date is missing.
    """
    import pandas

    known = pandas.Series(when)
    days = (known - pandas.Timestamp(since)) / pandas.Timedelta(days=1)
    columns = [known.dt.year, known.dt.month, known.dt.day_of_week, days]
    if hours:
        columns.append((known - known.dt.normalize()) / pandas.Timedelta(hours=1))
    return np.stack([part.to_numpy(np.float64, na_value=np.nan) for part in columns], axis=1)


def describe_format(form: str) -> str:
    """A format in words and with an example: `day/month/year, as 31/12/2020`."""
    if form == ISO:
        return "ISO 8601, as 2020-12-31"
    example = datetime.datetime(2020, 12, 31, 13, 45).strftime(form)
    words = form
    for code, word in WRITTEN.items():
        words = words.replace(code, word)
    return f"{form} ({words}), as {example}"
