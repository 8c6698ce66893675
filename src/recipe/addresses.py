"""Addresses of servers and databases: the passwords in them are masked wherever a text is printed, logged or stored.

An address is `scheme://user:password@host/...?name=value`. Masked are the password, a user without one (a token), the
whole user part of http(s), and query values whose names say that they are secret. What a library prints of an address
is often only a part of it, so the passwords of the addresses in use are also masked as words.
"""

import contextlib
import functools
import json
import logging
import os
import re
import sys
import traceback
import urllib.parse
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from recipe.errors import RecipeError
from recipe.files import write_text

MASK = "***"
ADDRESSES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "RECIPE_STORAGE")  # environment variables
SECRETS = ("MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
SHORTEST = 4  # letters of a password that is masked as a word: a shorter one would mask unrelated text
_IN_TEXT = re.compile(r"([A-Za-z][\w+.-]*://)([^\s\"'`<>]+)")
_QUERY = re.compile(
    r"([?&;#](?:[\w.-]*(?:passw|pwd|passphrase|secret|token|credential|api[_-]?key|access[_-]?key|private[_-]?key|"
    r"signature|odbc_connect)[\w.-]*|pass|auth|key|sig)=)([^&]*)",
    re.IGNORECASE,
)
# in the form of a database driver, without scheme
_ALONE = re.compile(r"\b(\w*(?:passw(?:or)?d|pwd)=['\"]?)[^\s&;,\"'`<>]+", re.IGNORECASE)
_used: set[str] = set()  # addresses from conf/, which the environment does not have


def remember(address: str) -> None:
    """From now on the password of this address is masked as a word too."""
    _used.add(address)


def masked(text: str) -> str:
    """The text with `***` in place of every password, as often as it is applied."""
    known = {os.environ[name] for name in ADDRESSES if os.environ.get(name)} | _used
    words = tuple(os.environ.get(name, "") for name in SECRETS)
    replacements, secrets = _known(frozenset(known), words)
    for address, shown in replacements:
        text = text.replace(address, shown)
    text = _ALONE.sub(rf"\1{MASK}", _IN_TEXT.sub(lambda m: _masked(m[1], m[2]), text))
    return secrets.sub(MASK, text) if secrets else text


def _masked(scheme: str, rest: str, in_use: bool = False) -> str:
    """in_use: as it is configured, where a / before the @ belongs to the password; in a text it may begin a path."""
    rest = _QUERY.sub(rf"\1{MASK}", rest)
    start, at, end = rest.rpartition("@")
    user, colon, _ = start.partition(":")
    if not at or rest.startswith("/") or (not in_use and re.search(r"[/?#]", user)):
        return scheme + rest
    hidden = f"{user}:{MASK}" if colon and not scheme.lower().startswith("http") else MASK
    return f"{scheme}{hidden}@{end}"


@functools.lru_cache(8)
def _known(addresses: frozenset[str], words: tuple[str, ...]) -> tuple[list[tuple[str, str]], re.Pattern | None]:
    """([(address, masked)], the pattern of their passwords as words): an address in use may hold blanks or quotes."""
    replacements, secrets = [], set(words)
    for address in addresses:
        scheme, colon, rest = address.partition("://")
        shown = _masked(scheme + colon, rest, in_use=True) if colon else address
        if shown != address:
            replacements.append((address, shown))
            secrets |= {word for word in _secrets(rest) if word not in re.split(r"\W+", shown)}
    secrets |= {form for word in secrets for form in _forms(word)}
    longest_first = sorted((s for s in secrets if len(s) >= SHORTEST), key=lambda s: (-len(s), s))
    patterns = [rf"(?<!\w){s}(?!\w)" if s.isalpha() else re.escape(s) for s in longest_first]
    return sorted(replacements, reverse=True), re.compile("|".join(patterns)) if patterns else None


def _secrets(rest: str) -> set[str]:
    """The passwords in an address, as written and decoded, in every way in which a library may split it."""
    passwords = {value for _, value in _QUERY.findall(rest)}
    for end in (rest.find("@"), rest.rfind("@")):
        login = rest[: max(end, 0)]
        if not rest.startswith("/"):
            passwords |= {login, login.partition(":")[2]}
    decoded = {decode(word) for word in passwords for decode in (urllib.parse.unquote_plus, urllib.parse.unquote)}
    return passwords | decoded


def _forms(word: str) -> Iterator[str]:
    """The same password as Python, JSON and addresses write it."""
    raw = word.encode(errors="backslashreplace")
    yield from (repr(word)[1:-1], repr(raw)[2:-1], json.dumps(word)[1:-1])
    yield repr(f"{word}'\"")[1:-4]  # in a longer text, of which the quotes are escaped
    for encoded in (urllib.parse.quote(raw), urllib.parse.quote(raw, safe=""), urllib.parse.quote_plus(raw)):
        yield encoded
        yield re.sub("%..", lambda digits: digits[0].lower(), encoded)


# ---- output --------------------------------------------------------------------------------------------------------


class _Masking:
    """A stream in which every text is masked."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._stream.write(masked(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def masking() -> Iterator[None]:
    """Inside the block everything printed is masked, with what libraries log, stack traces and the last message."""
    before, factory = (sys.stdout, sys.stderr), logging.getLogRecordFactory()

    def record(*args: Any, **kwargs: Any) -> logging.LogRecord:  # for handlers that write to files
        made = factory(*args, **kwargs)
        made.msg, made.args = masked(made.getMessage()), None
        if made.exc_info:
            made.exc_text = masked("".join(traceback.format_exception(*made.exc_info))).rstrip()
        return made

    sys.stdout, sys.stderr = map(_Masking, before)
    logging.setLogRecordFactory(record)
    try:
        yield
    except SystemExit as end:
        raise SystemExit(masked(end.code) if isinstance(end.code, str) else end.code) from None
    finally:
        sys.stdout, sys.stderr = before
        logging.setLogRecordFactory(factory)


def rewrite_masked(files: Iterable[Path]) -> None:
    """Files that another program has written, without passwords."""
    for file in files:
        if file.is_file() and (text := file.read_text(encoding="utf-8")) != (without := masked(text)):
            write_text(file, without)


# ---- splitting ------------------------------------------------------------------------------------------------


def require_encoded(address: str, place: str) -> None:
    """Raises RecipeError where a character of the password can be taken for the end of it: libraries would differ in
    where the host begins, and would print the rest as its name.
    """
    scheme, _, rest = address.partition("://")
    odd = rest.count("@") > 1 or re.search(r"/[^@]*\?[^@]*@", rest)
    if scheme.lower().startswith("http"):
        odd = odd or re.match(r"[^@]*[/?#][^@]*@", rest)
    if odd and not rest.startswith("/"):
        raise RecipeError(
            f"{place}: in {masked(address)} it is unclear where the password ends. Write each of these characters in "
            "a user, a password or a query encoded: @ as %40, : as %3A, / as %2F, ? as %3F, # as %23."
        )


def without_login(address: str) -> tuple[str, str, str]:
    """(the address of a web server without its user part, user, password), decoded; empty where there is none."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError as error:
        raise RecipeError(f"{masked(address)} is not an address: {error}") from None
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return bare, urllib.parse.unquote(parts.username or ""), urllib.parse.unquote(parts.password or "")
