"""The documentation's pages: all of them are reached, show the programs, and say what the code says."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dulcimer.ops import answers
from dulcimer.protocol.association import reasons
from dulcimer.services.tables import SERVICES

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "dulcimer"
PAGES = sorted(DOCS.rglob("*.md"))

FACTS = re.compile(r"^<!-- facts: (\w+)((?: \S+)*) -->$", re.MULTILINE)
SNIPPET = re.compile(r'--8<-- "([^"]+)"')
LINK = re.compile(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)")
CODE = re.compile(r"`([^`]+)`")


FACADE = (
    "ae.py",
    "association.py",
    "data/part10.py",
    "events.py",
    "ops/query.py",
    "ops/requests.py",
    "ops/selection.py",
    "presentation.py",
    "service_user.py",
    "sop_class.py",
    "tls.py",
    "transport.py",
    "utils.py",
)
"""Where messages to the programs that use the library come from."""


def text_of(page: Path) -> str:
    return page.read_text("utf-8")


def navigation() -> set[str]:
    """Return the pages that mkdocs.yml lists."""
    listed = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    return set(re.findall(r"(\S+\.md)$", listed, re.MULTILINE))


def test_every_page_is_in_the_navigation_and_there() -> None:
    assert navigation() == {str(page.relative_to(DOCS)) for page in PAGES}


def test_every_program_is_on_a_page() -> None:
    shown = {name for page in PAGES for name in SNIPPET.findall(text_of(page))}
    for path in (ROOT / "examples" / "howto").glob("*.py"):
        assert f"examples/howto/{path.name}" in shown
    assert all((ROOT / name).is_file() for name in shown)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(DOCS)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        assert (page.parent / target).exists(), target


def test_each_service_class_has_a_page_with_all_parts() -> None:
    for service in SERVICES:
        page = DOCS / "howto" / f"{slug(service.key)}.md"
        text = text_of(page)
        clause = r"PS3\.4\s+" + r"\s+".join(service.annex.split()) + r"\b"
        assert re.search(clause, text), page
        assert f"<!-- facts: statuses {service.key} -->" in text, page
        assert "What the PACS administrator has to configure" in text, page
        assert SNIPPET.search(text), page


def slug(key: str) -> str:
    names = {"QR": "query-retrieve"}
    return names.get(key, key.lower().replace("_", "-"))


def test_facts_that_are_asked_for_exist(tools: None) -> None:
    import docs_hooks

    for page in PAGES:
        for function, _ in FACTS.findall(text_of(page)):
            assert hasattr(docs_hooks.facts, function), page
    filled = docs_hooks.on_page_markdown("<!-- facts: classes VERIFICATION -->\n")
    assert "1.2.840.10008.1.1" in filled
    everything = docs_hooks.on_page_markdown("<!-- facts: all_statuses -->\n")
    assert "| `C301` | Failure |" in everything
    assert "C000–CFFF" in everything


# ---- the index of messages --------------------------------------------------------------------------------


def constants(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def messages() -> list[str]:
    """Return the messages of the index."""
    lines = text_of(DOCS / "errors.md").splitlines()
    return [CODE.findall(line)[0] for line in lines if line.startswith("| `")]


def put_together(words: list[str], ours: str, most: int = 3) -> bool:
    """Tell whether words are a text of ours, or a few in a row: messages are put together from parts."""
    if " ".join(words) in ours:
        return True
    return most > 1 and any(
        " ".join(words[:cut]) in ours and put_together(words[cut:], ours, most - 1)
        for cut in range(len(words) - 1, 0, -1)
    )


def test_every_message_of_the_index_is_one_of_ours() -> None:
    ours = "\n".join(
        text for path in SOURCE.rglob("*.py") for text in constants(ast.parse(path.read_text("utf-8")))
    )
    listed = messages()
    assert len(listed) > 60
    for message in listed:
        pieces = [piece.strip(" :.;-()'") for piece in message.split("…")]
        assert any(pieces), message
        for piece in pieces:
            assert put_together(piece.split(), ours), message


@pytest.mark.parametrize(
    "text", [*reasons.REJECT_REASONS.values(), *reasons.ABORT_REASONS.values()], ids=lambda text: text
)
def test_reasons_of_the_standard_are_in_the_index(text: str) -> None:
    assert text in " ".join(text_of(DOCS / "errors.md").split())


def test_every_way_an_association_fails_is_in_the_index() -> None:
    index = " ".join(text_of(DOCS / "errors.md").split())
    checked = 0
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = getattr(
                getattr(node, "func", None), "attr", getattr(getattr(node, "func", None), "id", "")
            )
            if not isinstance(node, ast.Call) or name not in ("Failure", "_timed_out"):
                continue
            for text in constants(node):
                if len(text.split()) > 3 and "{" not in text:
                    checked += 1
                    assert text.strip(" :(").rstrip(" (") in index, text
    assert checked > 5


@pytest.mark.parametrize("module", FACADE)
def test_what_is_raised_is_in_the_index(module: str) -> None:
    """Whoever searches the index for words of a message finds it."""
    index = " ".join(text_of(DOCS / "errors.md").split())
    for node in ast.walk(ast.parse((SOURCE / module).read_text("utf-8"))):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        for text in constants(node.exc):
            words = " ".join(text.split()).strip(" :'")
            assert len(words.split()) < 3 or words in index, f"add to docs/errors.md: {text}"


def test_codes_of_failing_handlers_are_in_the_index() -> None:
    index = text_of(DOCS / "statuses.md")
    for code in (*answers.HANDLER_RAISED.values(), answers.NO_STATUS, answers.INVALID_STATUS):
        assert f"`{code:04X}`" in index


# ---- the conformance statement ----------------------------------------------------------------------------


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tools"))


def test_the_conformance_statement_is_what_the_tables_say(tools: None) -> None:
    import conformance

    stated = (ROOT / "CONFORMANCE.md").read_text("utf-8")
    assert stated == conformance.statement(), "write it anew: python tools/conformance.py CONFORMANCE.md"


def test_the_conformance_statement_has_every_sop_class_and_status(tools: None) -> None:
    import conformance
    import facts

    stated = conformance.statement()
    for service in SERVICES:
        for keyword, uid, _ in facts.class_rows(service):
            assert f"| {keyword} | `{uid}` |" in stated
        for _, statuses in facts.by_operation(service):
            for code, last, category, meaning in facts.own_statuses(statuses):
                assert f"| `{facts.code_text(code, last)}` | {category} | {meaning} |" in stated
