"""The conversations of the public API's tests once more, with both sides in an event loop.

Left out is what is about threads, or about calls that are made while the loop waits for them.
"""

from __future__ import annotations

from api import (
    test_n_services,
    test_n_set_contract,
    test_negotiation,
    test_negotiation_policy,
    test_query_retrieve,
    test_tls,
)

_LEFT_OUT = {
    # An association is dropped and has to end then; requests from a plain handler in the loop's thread.
    "test_an_idle_requestor_serves_events",
    # The request is sent when the first response is asked for, not before.
    "test_forms_of_cancel",
    "test_the_async_operations_window",
    "test_who_stops_early_leaves_nothing",
    "test_without_a_context_or_an_identifier_that_travels",
    # A sink is opened in the loop's thread.
    "test_closed_while_a_sink_is_opened",
    # The server's own socket and its threads.
    "test_shutdown_does_not_wait_for_silent_peers",
    "test_tls_with_more_than_1024_descriptors",
}

for _module in (
    test_n_services,
    test_n_set_contract,
    test_negotiation,
    test_negotiation_policy,
    test_query_retrieve,
    test_tls,
):
    _prefix = _module.__name__.removeprefix("api.")
    for _name, _value in vars(_module).items():
        if _name.startswith("test_") and callable(_value) and _name not in _LEFT_OUT:
            globals()[f"{_prefix}_{_name.removeprefix('test_')}"] = _value
        elif type(_value).__name__ == "FixtureFunctionDefinition":
            globals()[_name] = _value
