"""Passwords of servers and databases are in nothing that is printed, logged or stored."""

import base64
import json
import logging
import socket
import sys
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from recipe.addresses import MASK, masked, masking, require_encoded, rewrite_masked, without_login
from recipe.errors import RecipeError
from recipe.tracking import mlflow_store

VARIABLES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD",
             "MLFLOW_TRACKING_TOKEN", "RECIPE_STORAGE")  # fmt: skip


@pytest.fixture(autouse=True)
def no_login(monkeypatch):
    for name in VARIABLES:
        monkeypatch.setenv(name, "")  # so that what a test writes there is undone
        monkeypatch.delenv(name)
    monkeypatch.setattr("recipe.addresses._used", set())


# {address: what a person sees of it}
ADDRESSES = {
    "postgresql://me:S3CRET@host/name": f"postgresql://me:{MASK}@host/name",
    "postgresql+pg8000://me:S3@CRET@host:5432/name": f"postgresql+pg8000://me:{MASK}@host:5432/name",
    "postgresql://me:S3/CRET@host/name": f"postgresql://me:{MASK}@host/name",
    "postgresql://me:S3?CR#ET@host/name": f"postgresql://me:{MASK}@host/name",
    "postgresql://host/name?user=me&password=S3CRET": f"postgresql://host/name?user=me&password={MASK}",
    "postgresql://host:1/name?password=S3@CRET&a=1": f"postgresql://host:1/name?password={MASK}&a=1",
    "postgresql://host/name?sslmode=on&sslpassword=S3CRET": f"postgresql://host/name?sslmode=on&sslpassword={MASK}",
    "mysql+pymysql://me:S3CRET@host/name?charset=utf8": f"mysql+pymysql://me:{MASK}@host/name?charset=utf8",
    "mssql+pyodbc:///?odbc_connect=DRIVER%3Dx%3BPWD%3DS3CRET": f"mssql+pyodbc:///?odbc_connect={MASK}",
    "redis://:S3CRET@host:6379/0": f"redis://:{MASK}@host:6379/0",
    "http://user:S3CRET@host:5000": f"http://{MASK}@host:5000",
    "https://S3CRET@host/path": f"https://{MASK}@host/path",
    "https://S3CRET:x-oauth-basic@host/path": f"https://{MASK}@host/path",
    "https://host/path?access_token=S3CRET#top": f"https://host/path?access_token={MASK}",
    "https://host/path?api_key=S3CRET&x=1": f"https://host/path?api_key={MASK}&x=1",
    "https://host/cb#access_token=S3CRET": f"https://host/cb#access_token={MASK}",
    "s3://S3CRETKEY:S3CRET@bucket/key": f"s3://S3CRETKEY:{MASK}@bucket/key",
    "host=h user=me password=S3CRET": f"host=h user=me password={MASK}",
    "PGPASSWORD=S3CRET": f"PGPASSWORD={MASK}",
}


@pytest.mark.parametrize("address", list(ADDRESSES))
@pytest.mark.parametrize("text", ["{}", "error at {} now", '{{"uri": "{}", "mail": "a@b"}}', "'{}'", "two {} and {}"])
def test_an_address_is_masked_in_any_text(address, text):
    expected = text.format(*[ADDRESSES[address]] * 2)
    assert masked(text.format(address, address)) == expected
    assert masked(expected) == expected


HARMLESS = [
    "http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning&viewStateShareKey=scores",
    "http://127.0.0.1:5000/#/experiments/1/runs?searchFilter=tags.a+%3D+%27b%27&orderByKey=metrics.%60val_loss%60",
    "sqlite:////home/me@work/a:b@c/mlflow.db",
    "mail a@b.c, or user:password@host without a scheme",
    "https://example.org/@name/post",
    "train_loss 0.1  val_loss: 0.2",
]


@pytest.mark.parametrize("text", HARMLESS)
def test_what_has_no_password_is_left_as_it_is(text):
    assert masked(text) == text


words = st.text("abcXYZ0189 %@:/?#&=+'\"<>`.-_~*[](){}\\^!é", min_size=6, max_size=16).map(lambda t: f"Q{t}Z9")
FORMS = {
    "userinfo": "postgresql+pg8000://someone:{}@host:5432/name",
    "no user": "redis://:{}@host/0",
    "web": "http://someone:{}@host:5000/",
    "token": "https://{}@host/",
    "query": "postgresql://host/name?user=someone&password={}&sslmode=on",
    "ssl": "postgresql://host:5432/name?sslpassword={}",
}


@given(words, st.sampled_from(list(FORMS)), st.sampled_from(["{}", "see '{}' now", "a\n{}\nb", "x={},y"]))
@example("S3@CRET/1?2#3", "query", "{}")
def test_no_form_of_a_password_in_use_is_shown(word, form, text):
    """Also as it stands, unencoded, with blanks and quotes; and where a library prints only the password."""
    for password in (word, urllib.parse.quote(word, safe="")):
        if form in ("query", "ssl") and "&" in password:
            continue  # it ends there for everyone
        address = FORMS[form].format(password)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RECIPE_STORAGE", address)
            for said in (text.format(address), text.format(word), text.format(urllib.parse.quote(word, safe=""))):
                assert word not in masked(said)
                assert masked(masked(said)) == masked(said)


WRITTEN = {
    "Python": lambda word: repr({"password": word}),
    "Python, of a message": lambda word: repr(f'it\'s "{word}"'),
    "bytes": lambda word: repr(b"login " + word.encode()),
    "JSON": lambda word: json.dumps({"password": word}),
    "an address, with a path": lambda word: f"at {urllib.parse.quote(word)} now",
    "a form": lambda word: f"at {urllib.parse.quote_plus(word)} now",
    "lower case": lambda word: "at " + urllib.parse.quote(word, safe="").replace("%2F", "%2f").replace("%3A", "%3a"),
}
ESCAPED = ["back\\slash12", "tab\tbed12", "p\u00e4sswort9", "p'a\"ss12", "p w ss12", "p@ss/w:rd"]


@pytest.mark.parametrize("variable", ["RECIPE_STORAGE", "MLFLOW_TRACKING_PASSWORD"])
@pytest.mark.parametrize("word", ESCAPED)
@pytest.mark.parametrize("written", list(WRITTEN))
def test_a_password_in_use_is_masked_as_programs_escape_it(written, word, variable, monkeypatch):
    address = f"postgresql://someone:{urllib.parse.quote(word, safe='')}@host/name"
    monkeypatch.setenv(variable, address if variable == "RECIPE_STORAGE" else word)
    text = WRITTEN[written](word)
    inner = {"Python, of a message": word, "bytes": repr(word.encode())[2:-1]}.get(written, text[5:-5])
    shown = masked(text)
    assert MASK in shown
    assert inner[1:-1] not in shown
    assert word not in shown


def test_an_address_that_is_no_text_in_utf8_is_masked(monkeypatch):
    monkeypatch.setenv("RECIPE_STORAGE", "postgresql://me:S3CRET\udcff@host/name")
    assert "S3CRET" not in masked("S3CRET\udcff")


@given(words, st.sampled_from(list(FORMS)))
def test_an_encoded_password_is_masked_in_an_address_that_is_not_in_use(word, form):
    encoded = urllib.parse.quote(word, safe="")
    assert encoded not in masked(f"failed: {FORMS[form].format(encoded)} (1)")


@given(st.text())
def test_a_text_is_masked_once_for_all(text):
    assert masked(masked(text)) == masked(text)
    if "://" not in text and "=" not in text:
        assert masked(text) == text


def test_a_password_that_is_a_word_of_the_address_itself_is_not_masked_everywhere(monkeypatch):
    monkeypatch.setenv("RECIPE_STORAGE", "postgresql://postgres:postgres@host/postgres")
    assert masked("pip install '.[postgres]'") == "pip install '.[postgres]'"
    assert masked("at postgresql://postgres:postgres@host/postgres") == f"at postgresql://postgres:{MASK}@host/postgres"


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:pa@ss@host/name", "postgresql://host:1/name?password=pa@ss", "http://me:pa/ss@host",
     "http://me:pa#ss@host", "http://me:pa?ss@host", "http://me:p@ss@host", "postgresql://me:pw@host/name?x=a@b"],
)  # fmt: skip
def test_an_address_of_which_libraries_would_cut_the_password_is_refused(address):
    with pytest.raises(RecipeError, match="@ as %40") as failed:
        require_encoded(address, "RECIPE_STORAGE")
    assert "ss@" not in str(failed.value)
    assert str(failed.value).startswith("RECIPE_STORAGE: ")


@pytest.mark.parametrize(
    "address",
    ["postgresql://me:pa%40ss@host/name", "postgresql://me:pa/ss@host/name", "http://me:p:w@host", "http://host:1/a",
     "sqlite:////home/me@work/a@b.db", "journal", "postgresql://host/name?password=x", "redis://:pw@host"],
)  # fmt: skip
def test_a_clear_address_is_accepted(address):
    require_encoded(address, "RECIPE_STORAGE")


def test_a_login_is_taken_apart_and_decoded():
    assert without_login("http://m%40e:p%3A%40w@host:5000/x") == ("http://host:5000/x", "m@e", "p:@w")
    assert without_login("https://host/x") == ("https://host/x", "", "")
    assert without_login("http://u:p@[::1]:5000") == ("http://[::1]:5000", "u", "p")
    with pytest.raises(RecipeError, match="is not an address"):
        without_login("http://u:S3CRET@[bad")


def log_failure(log, address: str) -> None:
    try:
        raise ValueError(address)
    except ValueError:
        log.exception("failed: %s", address)


def test_all_output_of_a_block_is_masked(capsys, tmp_path):
    address = "postgresql://me:S3CRET@host/name"
    log = logging.getLogger("a.library")
    log.addHandler(handler := logging.FileHandler(tmp_path / "log"))
    with pytest.raises(SystemExit) as end, masking():  # noqa: PT012
        print("one", address)
        print(address, file=sys.stderr)
        sys.stdout.writelines([address, "\n"])
        log_failure(log, address)
        sys.exit(f"last: {address}")
    log.removeHandler(handler)
    handler.close()
    said = "".join([*capsys.readouterr(), str(end.value), (tmp_path / "log").read_text()])
    assert "S3CRET" not in said
    assert said.count(f"me:{MASK}@host") >= 5
    assert "Traceback" in said
    assert sys.stdout.__class__.__name__ != "_Masking"
    assert logging.getLogRecordFactory() is logging.LogRecord


def test_the_end_of_a_block_keeps_its_exit_code():
    for code in (0, 3, None):
        with pytest.raises(SystemExit) as end, masking():
            sys.exit(code)
        assert end.value.code == code


def test_files_of_other_programs_are_rewritten(tmp_path):
    (tmp_path / "config.yaml").write_text("storage: redis://:S3CRET@host\n")
    (tmp_path / "other.yaml").write_text("a: 1\n")
    before = (tmp_path / "other.yaml").stat().st_mtime_ns
    rewrite_masked([tmp_path / "config.yaml", tmp_path / "other.yaml", tmp_path / "absent.yaml"])
    assert (tmp_path / "config.yaml").read_text() == f"storage: redis://:{MASK}@host\n"
    assert (tmp_path / "other.yaml").stat().st_mtime_ns == before


# ---- a server behind a login -------------------------------------------------------------------------------------

LOGIN = "Basic " + base64.b64encode(b"me@work:S3CRET/1").decode()


class Guarded(BaseHTTPRequestHandler):
    """The first calls of a client, answered with the right login alone."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.headers.get("Authorization") != LOGIN:
            return self._say(401, {"error_code": "UNAUTHENTICATED"})
        if "get-by-name" in self.path:
            experiment = {"experiment_id": "7", "name": "recipe", "artifact_location": "x", "lifecycle_stage": "active"}
            return self._say(200, {"experiment": experiment})
        return self._say(200, {})

    def _say(self, code: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


@pytest.fixture
def guarded():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Guarded)
    server.asked = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def cfg(uri: str | None = None):
    return OmegaConf.create({"runtime": {"mlflow": {"uri": uri, "experiment": "recipe"}}})


@pytest.mark.slow
@pytest.mark.parametrize("place", ["environment", "conf", "variables"])
def test_a_server_that_demands_a_login_gets_it(guarded, place, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    bare = f"http://127.0.0.1:{guarded.server_port}"
    address = bare.replace("//", "//me%40work:S3CRET%2F1@")
    given = None
    if place == "environment":
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    elif place == "conf":
        given = address
    else:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", bare)
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "me@work")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "S3CRET/1")
    client, experiment = mlflow_store.connect(cfg(given))
    assert experiment == "7"
    assert client.tracking_uri == bare  # so that no message of MLflow's has the password
    assert mlflow_store.uri_of(cfg(given)) == bare
    assert mlflow_store.page(cfg(given), "7").startswith(f"{bare}/#/experiments/7")
    assert {path.partition("?")[0] for path in guarded.asked} >= {"/health"}


@pytest.mark.parametrize("login", ["me%40work:WR0NG99@", "other:S3CRET%2F1@"])
def test_a_wrong_login_is_said_at_once_without_it(guarded, login, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{login}127.0.0.1:{guarded.server_port}")
    with pytest.raises(RecipeError, match=r"refuses the login \(401 .*Check the user and the password") as failed:
        mlflow_store.connect(cfg())
    assert "WR0NG99" not in str(failed.value)
    assert "S3CRET" not in str(failed.value)


def test_a_missing_login_and_half_a_login(guarded, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RecipeError, match=r"cannot be used \(UNAUTHENTICATED"):
        mlflow_store.connect(cfg(f"http://127.0.0.1:{guarded.server_port}"))
    with pytest.raises(RecipeError, match="MLFLOW_TRACKING_TOKEN") as failed:
        mlflow_store.connect(cfg(f"http://T0KEN99@127.0.0.1:{guarded.server_port}"))
    assert "T0KEN99" not in str(failed.value)


@pytest.mark.parametrize(
    "address",
    ["http://me:S3CRET@127.0.0.1:{}", "https://me:S3CRET@127.0.0.1:{}", "http://me:S3CRET@127.0.0.1:99999",
     "http://me:S3@CRET@127.0.0.1:{}", "http://me:S3CRET@127.0.0.1:x", "http://me:S3CRET@[bad", "http://me:S3CRET@",
     "postgresql+pg8000://me:S3CRET@127.0.0.1:{}/name", "postgresql+pg8000://127.0.0.1:{}/name?password=S3CRET&user=me",
     "postgresql+pg8000://me:S3@CRET@127.0.0.1:{}/name", "postgresql+pg8000://me:S3CRET@127.0.0.1:x/name",
     "postgresql://me:S3CRET@127.0.0.1:{}/name", "mysql+nosuchdriver://me:S3CRET@127.0.0.1:{}/name",
     "nosuch://me:S3CRET@127.0.0.1:{}/name", "host=127.0.0.1 password=S3CRET"],
)  # fmt: skip
def test_a_store_that_cannot_be_used_is_named_without_its_password(address, monkeypatch, tmp_path, capfd):
    pytest.importorskip("pg8000", reason="pip install .[postgres]")
    monkeypatch.chdir(tmp_path)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address.format(port))
    with pytest.raises(RecipeError) as failed:
        mlflow_store.connect(cfg())
    said = "".join([*capfd.readouterr(), str(failed.value)])
    assert "S3" not in said
    assert "CRET" not in said
    assert len(said) > 50
