"""Receiving objects into files, for the tools that do (PS3.10 7.1)."""

from __future__ import annotations

import re
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from dulcimer.cli import output
from dulcimer.cli.exits import Exit, Stop
from dulcimer.cli.tools.talk import LOGGER
from dulcimer.protocol.dimse.sinks import NullSink

if TYPE_CHECKING:
    from collections.abc import Callable

    from dulcimer.events import EventHandlerType
    from dulcimer.protocol.dimse.sinks import Sink

_PREFIXES: Final = {
    "1.2.840.10008.5.1.4.1.1.1": "CR",
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CTE",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MRE",
    "1.2.840.10008.5.1.4.1.1.6.1": "US",
    "1.2.840.10008.5.1.4.1.1.6.2": "USE",
    "1.2.840.10008.5.1.4.1.1.7": "SC",
    "1.2.840.10008.5.1.4.1.1.12.1": "XA",
    "1.2.840.10008.5.1.4.1.1.12.1.1": "XAE",
    "1.2.840.10008.5.1.4.1.1.20": "NM",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PTE",
    "1.2.840.10008.5.1.4.1.1.481.1": "RI",
    "1.2.840.10008.5.1.4.1.1.481.2": "RD",
    "1.2.840.10008.5.1.4.1.1.481.3": "RS",
    "1.2.840.10008.5.1.4.1.1.481.5": "RP",
}
"""How names of files begin, by SOP class; those of other classes with UN."""

_LONGEST_UID: Final = 64


class Receiver:
    """Takes the objects of C-STORE requests.

    Parameters
    ----------
    folder
        Where files go; the current folder by default.
    ignore
        Whether objects are received and not kept.
    json
        Whether a line of JSON is printed for each object.
    progress
        Called after each object with the number of objects.

    Raises
    ------
    Stop
        If the folder cannot be made.

    Attributes
    ----------
    count : int
        How many objects came.
    """

    def __init__(
        self,
        folder: str | None,
        *,
        ignore: bool,
        json: bool,
        progress: Callable[[int], object] = lambda _count: None,
    ) -> None:
        self._folder = Path(folder or ".")
        self._ignore = ignore
        self._json = json
        self._lock = Lock()
        self.progress = progress
        self.count = 0
        if not ignore:
            try:
                self._folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise Stop(
                    Exit.FAILED, f"objects cannot be written to {folder}: {error.strerror or error}"
                ) from None

    @property
    def handlers(self) -> list[EventHandlerType]:
        """What is bound to a server, or to an association on which objects come back."""
        from dulcimer import evt

        return [(evt.EVT_C_STORE_OPEN, self._open), (evt.EVT_C_STORE, self._stored)]

    def path_for(self, sop_class_uid: str, sop_instance_uid: str) -> Path:
        """Return the file of an instance. What a peer calls it cannot lead out of the folder."""
        name = re.sub(r"[^0-9.]", "_", sop_instance_uid)[:_LONGEST_UID]
        return self._folder / f"{_PREFIXES.get(sop_class_uid, 'UN')}.{name}"

    def _open(self, event: Any) -> Path | Sink:
        if self._ignore:
            return NullSink()
        request = event.request
        return self.path_for(str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))

    def _stored(self, event: Any) -> int:
        request = event.request
        with self._lock:
            self.count += 1
            count = self.count
        path = None if self._ignore else str(event.path)
        LOGGER.info("received %s", path or request.AffectedSOPInstanceUID)
        if self._json:
            output.as_json_line(
                {
                    "event": "stored",
                    "file": path,
                    "sop_class_uid": str(request.AffectedSOPClassUID),
                    "sop_instance_uid": str(request.AffectedSOPInstanceUID),
                    "transfer_syntax_uid": str(event.context.transfer_syntax),
                    "peer_aet": event.assoc.remote["ae_title"],
                }
            )
        self.progress(count)
        return 0x0000
