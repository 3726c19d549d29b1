"""The page over a View that is made up: every route, who may look, and what nobody gets."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("starlette", reason="the extra 'web' is not installed")
pytest.importorskip("httpx2", reason="httpx2 is not installed")

from starlette.testclient import TestClient

from dulcimer.web import words
from dulcimer.web.api import DESCRIBED, document
from dulcimer.web.app import make_app
from dulcimer.web.credentials import Access, Password, hash_password, networks
from node.page_view import HOSTILE, MadeUp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Make = "Callable[..., TestClient]"

PAGES = ("/", "/steps", "/studies", "/films", "/commitments", "/log", "/about")
DEEPER = ("/studies/1.2", "/studies/1.2/series/1.2", "/instances/1.2.3", "/nowhere", "/studies/none")
PARTS = tuple(f"/parts/{name}" for name in ("overview", "steps", "studies", "films", "commitments", "log"))
JSON = tuple(
    each.path.replace("{study}", "1.2").replace("{series}", "1.2").replace("{instance}", "1.2.3")
    for each in DESCRIBED
    if not isinstance(each.answer, dict)
)
OTHERS = ("/api/openapi.json", "/metrics", "/static/page.css", "/api/nowhere", "/static/nowhere")
ALL = (*PAGES, *DEEPER, *PARTS, *JSON, *OTHERS)


@pytest.fixture
def source() -> MadeUp:
    return MadeUp()


@pytest.fixture
def make(source: MadeUp, tmp_path: Path) -> Iterator[Any]:
    opened: list[TestClient] = []

    def client(
        access: Access | None = None, peer: str = "127.0.0.1", host: str = "127.0.0.1:8042"
    ) -> TestClient:
        app = make_app(source, tmp_path / "thumbnails", access)
        opened.append(
            TestClient(
                app, base_url=f"http://{host}", client=(peer, 50000), raise_server_exceptions=False
            ).__enter__()
        )
        return opened[-1]

    yield client
    for each in opened:
        each.__exit__(None, None, None)


@pytest.fixture
def client(make: Any) -> TestClient:
    return make()


def basic(password: str, user: str = "anybody") -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


# ---- what is shown


class Reader(HTMLParser):
    """Collects what could run, what has no name, and where links lead."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str | None] = []
        self.handlers: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.unlabelled: list[str] = []
        self.opened: list[str] = []
        self.mains = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.handlers += [name for name in given if name.startswith("on") or name == "style"]
        self.mains += tag == "main"
        if tag == "script":
            self.scripts.append(given.get("src"))
        if tag == "style":
            self.handlers.append("style")
        for name in ("href", "src", "action"):
            if given.get(name):
                self.links.append(str(given[name]))
        if "id" in given:
            self.ids.append(str(given["id"]))
        if tag == "img" and "alt" not in given:
            self.unlabelled.append(tag)
        self.opened.append(tag)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    return reader


@pytest.mark.parametrize("path", [*PAGES, *DEEPER[:3]])
def test_a_page_has_no_script_of_its_own_and_nothing_from_elsewhere(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    reader = read(answer.text)
    assert reader.scripts == [
        "/static/page.js",
        "/static/vendor/htmx.min.js",
        "/static/vendor/hx-sse.min.js",
    ]
    assert not reader.handlers
    assert not reader.unlabelled
    assert reader.mains == 1
    assert "h1" in reader.opened
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in reader.links)
    assert '<a class="skip" href="#main">' in answer.text
    assert 'lang="en"' in answer.text


@pytest.mark.parametrize("path", [*PAGES, *DEEPER, *PARTS])
def test_what_others_have_written_is_text(client, path):
    """Patient names, descriptions, AE titles and log lines come from peers."""
    text = client.get(path).text
    assert "<script>alert" not in text
    assert "<img src=x" not in text
    assert "49" not in text.replace("{{7*7}}", "")
    reader = read(text)
    assert "onerror" not in reader.handlers
    if path == "/studies":
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


@pytest.mark.parametrize("path", JSON)
def test_json_is_never_taken_for_a_page(client, path):
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_part_is_the_page_without_its_frame(client):
    for page, part in (("/steps", "/parts/steps"), ("/studies", "/parts/studies"), ("/log", "/parts/log")):
        assert client.get(part).text.strip() in client.get(page).text


def test_the_address_line_follows_the_search(client, source):
    answer = client.get("/parts/studies", params={"q": "mor gan&x"})
    assert answer.headers["hx-replace-url"] == "/studies?q=mor+gan%26x"
    assert source.asked[-1][0] == "mor gan&x"


def test_every_key_is_written_on_the_page(client):
    text = client.get("/").text
    for key in ("o", "b", "s", "f", "c", "e", "a"):
        assert f"<kbd>g</kbd> <kbd>{key}</kbd>" in text
        assert f'data-key="{key}"' in text


def test_what_is_not_there_is_said_in_the_form_that_was_asked_for(client):
    page = client.get("/studies/none")
    assert page.status_code == 404
    assert "There is no such study" in page.text and page.headers["content-type"].startswith("text/html")
    data = client.get("/api/studies/none")
    assert data.status_code == 404
    assert data.json() == {"error": "There is no such study"}
    assert client.get("/api/instances/1.2/picture").status_code == 404
    assert client.get("/api/films/1.2-1/picture").status_code == 404


def test_a_file_that_is_no_picture_has_a_placeholder_that_says_why(client, source, tmp_path):
    source.picture = tmp_path / "broken.dcm"
    source.picture.write_bytes(b"\0" * 128 + b"DICM" + b"rubbish<script>")
    for path in ("/api/instances/1.2/picture", "/api/films/1.2-1/picture?size=1024"):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("image/svg+xml")
        assert "<title>" in answer.text and "<script" not in answer.text


# ---- the OpenAPI document


def test_the_document_is_valid():
    validator = pytest.importorskip("openapi_spec_validator")
    validator.validate(document("1"))


def test_the_document_has_every_route_and_no_other(make, source, tmp_path):
    app = make_app(source, tmp_path)
    served = {route.path for route in app.routes if getattr(route, "methods", None)}
    programs = {path for path in served if path.startswith(("/api/", "/metrics", "/healthz"))}
    assert programs == set(document("1")["paths"])


@pytest.mark.parametrize("path", JSON)
def test_answers_are_what_the_document_says(client, path):
    jsonschema = pytest.importorskip("jsonschema")
    described = next(each for each in DESCRIBED if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", each.path), path))
    made = document("1")
    schema = made["paths"][described.path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    strict = {**schema, "components": made["components"]}
    jsonschema.validate(client.get(path).json(), strict)


# ---- counters and health


def test_metrics_are_in_the_format_of_prometheus(client):
    answer = client.get("/metrics")
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert answer.text.endswith("\n")
    label = r'[a-z]+="(?:[^"\\\n]|\\["\\n])*"'
    sample = re.compile(
        rf"dulcimer_[a-z_]+(?:\{{{label}(?:,{label})*\}})? -?[0-9.e+]+|# (?:HELP|TYPE) dulcimer_.+"
    )
    for line in answer.text.splitlines():
        assert sample.fullmatch(line), line
    typed = re.findall(r"# TYPE (\S+) ", answer.text)
    assert len(typed) == len(set(typed))
    assert 'le="+Inf"' in answer.text


def test_health_is_503_when_something_is_not_well(client, source):
    assert client.get("/healthz").status_code == 200
    source.well = False
    answer = client.get("/healthz")
    assert answer.status_code == 503
    assert answer.json()["ok"] is False


# ---- input that cannot be

NUMBERS = ("0", "-1", "201", "abc", "1e3", "9" * 5000, "٣", "1.5", "0x10", " 7")


@pytest.mark.parametrize("number", NUMBERS)
def test_a_limit_that_cannot_be_is_refused(client, number):
    answer = client.get("/api/studies", params={"limit": number})
    assert answer.status_code == 400
    assert answer.json() == {"error": "limit has to be from 1 to 200"}


@pytest.mark.parametrize("number", NUMBERS[3:])
def test_a_page_that_cannot_be_is_refused(client, number):
    assert client.get("/studies", params={"before": number}).status_code == 400
    assert client.get("/api/studies", params={"before": number}).status_code == 400
    assert client.get("/studies/1/series/1.2", params={"after": number}).status_code == 400


def test_the_largest_number_is_a_number(client, source):
    assert client.get("/api/studies", params={"before": 2**63 - 1}).status_code == 200
    assert source.asked[-1][1] == 2**63 - 1
    assert client.get("/api/studies", params={"before": 2**63}).status_code == 400


def test_a_search_is_cut_and_not_believed(client, source):
    client.get("/api/studies", params={"q": "x" * 10_000 + "'; DROP TABLE studies"})
    assert source.asked[-1][0] == "x" * 200


@pytest.mark.parametrize("size", ["0", "1025", "-5", "huge"])
def test_a_picture_of_another_size_is_refused(client, size):
    assert client.get("/api/instances/1.2/picture", params={"size": size}).status_code == 400


TRAVERSALS = (
    "/static/../app.py",
    "/static/%2e%2e/app.py",
    "/static/..%2fapp.py",
    "/static/vendor/../../app.py",
    "/static//etc/passwd",
    "/static/%00",
    "/static/vendor",
    "/api/films/..%2f..%2fetc%2fpasswd/picture",
    "/api/instances/%2e%2e/%2e%2e/picture",
)


@pytest.mark.parametrize("path", TRAVERSALS)
def test_nothing_outside_the_folder_is_given(client, path):
    answer = client.get(path)
    assert answer.status_code in {400, 404}
    assert "make_app" not in answer.text and "root:" not in answer.text


# ---- nothing can be changed


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
@pytest.mark.parametrize(
    "path", ["/", "/parts/steps", "/api/studies", "/api/changes", "/metrics", "/healthz", "/static/page.css"]
)
def test_there_is_no_method_but_get(client, method, path):
    assert client.request(method, path).status_code == 405


@pytest.mark.parametrize("path", [*PAGES, "/api/changes", "/api/studies", "/static/page.css"])
def test_head_is_get_without_body(client, path):
    answer = client.head(path)
    assert answer.status_code == 200
    assert not answer.content


# ---- who may look


@pytest.mark.parametrize("path", ALL)
def test_every_answer_is_protected(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy and "script-src 'self'" in policy
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    expected = "no-cache" if path == "/static/page.css" else "no-store"
    assert headers["cache-control"] == expected
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8042", "127.0.0.1", "[::1]:8042", "LOCALHOST.:1", "127.0.0.1:80"]
)
def test_loopback_names_are_answered(client, host):
    assert client.get("/", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "127.0.0.1@evil", "0.0.0.0", "x:8042", ""],
)
@pytest.mark.parametrize("path", ["/", "/api/studies", "/healthz", "/static/page.js"])
def test_a_foreign_name_that_resolves_to_this_machine_is_not_answered(client, host, path):
    answer = client.get(path, headers={"Host": host})
    assert answer.status_code == 421
    assert "script" not in answer.text


SECRET = "correct hörse"


@pytest.fixture(scope="module")
def password() -> Password:
    return Password.parse(hash_password(SECRET))


@pytest.mark.parametrize("path", [path for path in ALL if path != "/healthz"])
def test_with_a_password_nothing_is_shown_without_it(make, password, path):
    client = make(Access(password), host="pacs.example")
    answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert HOSTILE[:8] not in answer.text
    assert "content-security-policy" in answer.headers


def test_the_password_opens_every_door(make, password):
    client = make(Access(password), host="pacs.example")
    for path in PAGES:
        assert client.get(path, headers=basic(SECRET)).status_code == 200
    assert client.get("/", headers=basic(SECRET, "somebody:else"[:8])).status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic ",
        "Basic !!!",
        "Basic " + base64.b64encode(b"no colon").decode(),
        "Basic " + base64.b64encode(b"a:\xff\xfe").decode(),
        "Bearer " + SECRET[:7],
        basic("wrong")["Authorization"],
        basic(SECRET + " ")["Authorization"],
        basic("")["Authorization"],
    ],
)
def test_another_password_does_not(make, password, authorization):
    client = make(Access(password))
    client.get("/", headers=basic(SECRET))
    assert client.get("/", headers={"Authorization": authorization}).status_code == 401


def test_only_health_is_told_to_everybody(make, password):
    client = make(Access(password))
    assert client.get("/healthz").status_code == 200
    assert client.get("/metrics").status_code == 401
    assert client.get("/healthz/").status_code != 200


PROXY = Access(proxy_header="X-Remote-User", proxies=(ip_network("10.1.2.3"), ip_network("fd00::/64")))


@pytest.mark.parametrize(
    ("peer", "headers", "status"),
    [
        ("10.1.2.3", {"X-Remote-User": "ines"}, 200),
        ("::ffff:10.1.2.3", {"X-Remote-User": "ines"}, 200),
        ("fd00::7", {"x-remote-user": "ines"}, 200),
        ("10.1.2.3", {}, 403),
        ("10.1.2.3", {"X-Remote-User": " "}, 403),
        ("10.1.2.4", {"X-Remote-User": "ines"}, 403),
        ("127.0.0.1", {"X-Remote-User": "ines"}, 403),
        ("127.0.0.1", {"X-Remote-User": "ines", "X-Forwarded-For": "10.1.2.3"}, 403),
        ("nonsense", {"X-Remote-User": "ines"}, 403),
    ],
)
def test_a_proxy_is_believed_by_its_address(make, peer, headers, status):
    assert make(PROXY, peer=peer, host="pacs.example").get("/", headers=headers).status_code == status


def test_proxy_or_password(make, password):
    access = Access(password, PROXY.proxy_header, PROXY.proxies)
    assert make(access, peer="10.1.2.3").get("/", headers={"X-Remote-User": "i"}).status_code == 200
    assert make(access, peer="10.9.9.9").get("/", headers={"X-Remote-User": "i"}).status_code == 401
    assert make(access, peer="10.9.9.9").get("/", headers=basic(SECRET)).status_code == 200


# ---- words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田 太郎; やまだ たろう)"),
        ("Doe^Jane^Mary^Dr.^PhD", "Doe, Jane Mary Dr. PhD"),
        ("=山田^太郎", "山田 太郎"),
        ("^Jane", "Jane"),
        ("^^^^", ""),
        ("", ""),
    ],
)
def test_names_are_written_for_people(value, text):
    assert words.name(value) == text


def test_dates_and_sizes_are_written_for_people():
    assert words.span("20261124 091000", "20261124 101000.123") == "2026-11-24 09:10 – 10:10"
    assert words.span("20261124 231000", "20261125 001000") == "2026-11-24 23:10 – 2026-11-25 00:10"
    assert words.span("20261124113000+0100", "") == "2026-11-24 11:30"
    assert words.span("", "") == ""
    assert words.date("yesterday") == "yesterday" and words.clock("soon") == "soon"
    assert [words.size(count) for count in (0, 999, 1000, 123_456, 999_600, 10**12)] == [
        "0 B",
        "999 B",
        "1.0 kB",
        "123 kB",
        "1.0 MB",
        "1.0 TB",
    ]
    assert words.label("FilmSizeID") == "Film Size ID"
    assert words.number(1234567) == "1\N{NARROW NO-BREAK SPACE}234\N{NARROW NO-BREAK SPACE}567"


# ---- credentials


def test_a_hash_is_not_the_password_and_never_the_same():
    one, other = hash_password("secret words"), hash_password("secret words")
    assert one != other
    assert "secret" not in one
    assert Password.parse(one).fits("secret words")
    assert not Password.parse(one).fits("secret word")


@pytest.mark.parametrize(
    "text",
    [
        "hunter2",
        "scrypt:16384:8:1:AAAA",
        "md5:16384:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:16383:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:1073741824:8:1:AAAAAAAAAAAAAAAAAAAAAA==:" + "A" * 43 + "=",
        "scrypt:16384:8:1:AA==:" + "A" * 43 + "=",
        "scrypt:16384:8:1:AAAAAAAAAAAAAAAAAAAAAA==:AAAA",
        "scrypt:16384:8:1:!!!:" + "A" * 43 + "=",
    ],
)
def test_what_is_no_hash_is_refused(text):
    with pytest.raises(ValueError, match="web-password"):
        Password.parse(text)


def test_networks_are_read():
    assert networks("10.0.0.1, fd00::/8,") == (ip_network("10.0.0.1"), ip_network("fd00::/8"))
    with pytest.raises(ValueError, match="addresses or networks"):
        networks("proxy.example")
