import pytest

from scumble.service.guard import Guard

TOKEN = "a-secret"
PORT = 8123


def verdict(path="/v1/jobs", allowed=(), is_remote=False, port=PORT, token=TOKEN, **headers):
    guard = Guard(token, allowed, is_remote)
    guard.port = port
    names = {name.replace("_", "-"): value for name, value in headers.items() if value is not None}
    error = guard.check({"host": f"127.0.0.1:{port}", "authorization": f"Bearer {TOKEN}"} | names, path)
    assert TOKEN not in repr(guard)
    if error:
        assert TOKEN not in f"{error.detail} {error.hint}"
    return error.code if error else None


def without_token(path="/v1/jobs", **headers):
    guard = Guard(TOKEN, (), False)
    guard.port = PORT
    error = guard.check({"host": f"127.0.0.1:{PORT}"} | {n.replace("_", "-"): v for n, v in headers.items()}, path)
    return error.code if error else None


@pytest.mark.parametrize("host", ["127.0.0.1:8123", "localhost:8123", "LocalHost:8123", "[::1]:8123"])
def test_its_own_names_are_known(host):
    assert verdict(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "",
        "127.0.0.1",
        "127.0.0.1:8124",
        "127.0.0.1:",
        "127.0.0.1:8123:8123",
        "127.0.0.1:８１２３",
        "127.0.0.1:-8123",
        "::1:8123",
        "[::1]",
        "[::1]x:8123",
        "evil.example:8123",
        "127.0.0.1.evil.example:8123",
        "localhost.:8123",
        "evil@127.0.0.1:8123",
        "127.0.0.1:8123, evil.example",
        "192.168.1.5:8123",
        "0.0.0.0:8123",
        "127.0.0.1:8123/x",
    ],
)
def test_other_names_are_foreign(host):
    assert verdict(host=host) == "foreign-host"


def test_without_a_name_nobody_is_meant():
    guard = Guard(TOKEN, (), False)
    guard.port = PORT
    assert guard.check({"authorization": f"Bearer {TOKEN}"}, "/v1/jobs").code == "foreign-host"


def test_the_port_of_http_needs_not_be_said():
    assert verdict(host="127.0.0.1", port=80) is None
    assert verdict(host="[::1]", port=80) is None
    assert verdict(host="127.0.0.1:", port=80) == "foreign-host"
    assert verdict(host="127.0.0.1:x", port=80) == "foreign-host"


def test_an_allowed_name_may_have_the_port_of_a_proxy():
    for host in ("paint.example", "Paint.Example:8123", "paint.example:8080"):
        assert verdict(host=host, allowed=["PAINT.example"]) is None
        assert verdict(host=host) == "foreign-host"
    assert verdict(host="other.paint.example", allowed=["paint.example"]) == "foreign-host"
    assert verdict(host="paint.example:x", allowed=["paint.example"]) == "foreign-host"
    assert verdict(host="paint.example:", allowed=["paint.example"]) == "foreign-host"


@pytest.mark.parametrize("address", ["192.168.1.5", "[2001:db8::5]"])
def test_addresses_are_its_own_where_others_can_reach_it(address):
    assert verdict(host=f"{address}:8123", is_remote=True) is None
    assert verdict(host=f"{address}:8124", is_remote=True) == "foreign-host"
    assert verdict(host=address, is_remote=True) == "foreign-host"
    assert verdict(host=f"{address}:8123") == "foreign-host"


def test_a_name_is_no_address_where_others_can_reach_it():
    for host in ("evil.example:8123", "2001:db8::5:8123", "[192.168.1.5]:8123", "3232235781:8123"):
        assert verdict(host=host, is_remote=True) == "foreign-host"


def test_pages_of_its_own_may_ask():
    assert verdict(origin="http://127.0.0.1:8123", sec_fetch_site="same-origin") is None
    assert verdict(origin="http://localhost:8123") is None
    assert verdict(sec_fetch_site="none") is None
    assert verdict(origin="http://paint.example", allowed=["paint.example"]) is None


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://evil.example",
        "https://127.0.0.1:8123",
        "http://127.0.0.1",
        "http://127.0.0.1:9999",
        "http://127.0.0.1:8123.evil.example",
        "127.0.0.1:8123",
        "http://127.0.0.1:8123, http://evil.example",
    ],
)
def test_other_pages_may_not(origin):
    assert verdict(origin=origin) == "foreign-origin"
    assert verdict("/", origin=origin) == "foreign-origin"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "Cross-Site", "anything"])
def test_the_browser_says_where_a_request_comes_from(site):
    assert verdict(sec_fetch_site=site) == "foreign-origin"


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer \xe4\udc80",
    ],
)
def test_a_wrong_token_is_refused_everywhere(authorization):
    for path in ("/v1/jobs", "/v1/health", "/"):
        assert verdict(path, authorization=authorization) == "unauthorized"


def test_the_scheme_may_be_in_any_case():
    assert verdict(authorization=f"bearer {TOKEN}") is None


def test_only_two_calls_need_no_token():
    assert without_token("/") is None
    assert without_token("/v1/health") is None
    assert without_token("/", content_length="0") is None
    for path in ("/v1/jobs", "/v1/health/", "/v1/health/x", "//v1/health", "/v1/openapi.json", "", "/nothing"):
        assert without_token(path) == "unauthorized"


def test_nobody_without_a_token_may_send_a_body():
    for headers in ({"content_length": "1"}, {"content_length": "x"}, {"transfer_encoding": "chunked"}):
        assert without_token("/", **headers) == "unauthorized"
        assert without_token("/v1/health", **headers) == "unauthorized"
