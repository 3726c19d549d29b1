"""What an association needs to know from the start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EngineConfig:
    """Settings of one association.

    Attributes
    ----------
    max_length
        Maximum Length of P-DATA-TF that we announce, in bytes; 0 is unlimited (PS3.8 D.1).
    acse_timeout
        Seconds for the association request, the answer to it and the answer to a release (None: for ever).
    dimse_timeout
        Seconds that a requested operation may make no progress.
    network_timeout
        Seconds without any traffic, in an operation or between two; not counted while the peer awaits our
        response.
    release_when_idle
        Whether silence is ended with A-RELEASE instead of A-ABORT.
    linger
        Seconds that a finished association waits for the peer to close the connection (Sta13).
    max_data_set
        The longest data set kept in memory, in bytes (None: no limit).
    pad_ae_titles
        Whether AE titles in commands are sent with 16 characters.
    strict
        Whether what a peer does against the rules is refused, rather than tolerated and noted.
    """

    max_length: int = 16382
    acse_timeout: float | None = 30
    dimse_timeout: float | None = 30
    network_timeout: float | None = 60
    release_when_idle: bool = False
    linger: float = 2.0
    max_data_set: int | None = None
    pad_ae_titles: bool = False
    strict: bool = False
