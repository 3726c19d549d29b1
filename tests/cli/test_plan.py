from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dulcimer.cli.plan import MOST_CONTEXTS, contexts_for, plan
from dulcimer.cli.scan import Sendable

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG = "1.2.840.10008.1.2.4.70"


def file(number: int, sop_class: str, syntax: str) -> Sendable:
    return Sendable(Path(f"{number}.dcm"), sop_class, f"2.25.{number}", syntax, 100, 0)


def test_a_compressed_file_is_proposed_as_it_is_and_nothing_else() -> None:
    assert contexts_for(file(1, "1.2.3", JPEG)) == [("1.2.3", (JPEG,))]


def test_an_uncompressed_file_has_a_context_of_its_own_and_a_fallback() -> None:
    for syntax in (IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN):
        own, fallback = contexts_for(file(1, "1.2.3", syntax))
        assert own == ("1.2.3", (syntax,))
        # The default transfer syntax has to be among what is offered (PS3.5 10.1).
        assert fallback == ("1.2.3", (EXPLICIT, IMPLICIT))


def test_what_is_alike_shares_contexts() -> None:
    (batch,) = plan([file(number, "1.2.3", EXPLICIT) for number in range(1000)])
    assert len(batch.files) == 1000
    assert len(batch.contexts) == 2


def test_two_syntaxes_of_a_class_share_the_fallback() -> None:
    (batch,) = plan([file(1, "1.2.3", EXPLICIT), file(2, "1.2.3", IMPLICIT)])
    assert list(batch.contexts) == [
        ("1.2.3", (IMPLICIT,)),
        ("1.2.3", (EXPLICIT, IMPLICIT)),
        ("1.2.3", (EXPLICIT,)),
    ]


def test_128_contexts_are_one_association() -> None:
    files = [file(number, f"1.2.{number}", JPEG) for number in range(128)]
    (batch,) = plan(files)
    assert len(batch.contexts) == 128
    assert [len(batch.files) for batch in plan([*files, file(128, "1.2.128", JPEG)])] == [128, 1]


def test_a_file_and_its_fallback_are_not_parted() -> None:
    files = [file(number, f"1.2.{number:03}", JPEG) for number in range(127)]
    first, second = plan([*files, file(999, "1.2.999", EXPLICIT)])
    assert (len(first.contexts), len(second.contexts)) == (127, 2)


def test_nothing_is_no_association() -> None:
    assert plan([]) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 150), st.sampled_from([IMPLICIT, EXPLICIT, DEFLATED, BIG_ENDIAN, JPEG])),
        max_size=600,
    )
)
def test_every_file_has_its_contexts_and_is_sent_once(kinds: list[tuple[int, str]]) -> None:
    files = [file(number, f"1.2.{kind}", syntax) for number, (kind, syntax) in enumerate(kinds)]
    batches = plan(files)
    assert sorted(str(one.path) for batch in batches for one in batch.files) == sorted(
        str(one.path) for one in files
    )
    for batch in batches:
        assert batch.files
        assert len(batch.contexts) <= MOST_CONTEXTS
        assert all(context in batch.contexts for one in batch.files for context in contexts_for(one))
