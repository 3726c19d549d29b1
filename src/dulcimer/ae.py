"""The application entity: what a program is on a DICOM network."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping, Sequence
from copy import deepcopy
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from pydicom.uid import UID

from dulcimer import _config
from dulcimer._globals import DEFAULT_MAX_LENGTH, DEFAULT_TRANSFER_SYNTAXES, MODE_ACCEPTOR, MODE_REQUESTOR
from dulcimer.addresses import AddressInformation, SocketAddress
from dulcimer.association import Association
from dulcimer.events import Handlers
from dulcimer.identity import IMPLEMENTATION_UID, IMPLEMENTATION_VERSION
from dulcimer.presentation import PresentationContext, build_context
from dulcimer.transport import AssociationServer, ThreadedAssociationServer
from dulcimer.utils import check_ae, set_ae, set_uid, text_of

if TYPE_CHECKING:
    from dulcimer.association_base import AssociationBase
    from dulcimer.events import EventHandlerType
    from dulcimer.pdu_primitives import NegotiationItem

_LOGGER = logging.getLogger("dulcimer.ae")

_S = TypeVar("_S", bound=AssociationServer)

TransferSyntaxes = str | UID | Sequence[str] | Sequence[UID] | None

MAX_CONTEXTS = 128


def _seconds(value: Any, name: str, default: float | None) -> float | None:
    if value is None or (isinstance(value, (int, float)) and value >= 0):
        checked: float | None = value
        return checked
    _LOGGER.warning("%s set to %s", name, "None" if default is None else f"{default} s")
    return default


class Counted(Protocol):
    """A server whose associations count for :attr:`ApplicationEntity.maximum_associations`."""

    @property
    def association_count(self) -> int: ...


class ApplicationEntity:
    """An application entity.

    Parameters
    ----------
    ae_title
        Its AE title, at most 16 characters (PS3.5 6.2).

    Attributes
    ----------
    config : Config
        Settings of :mod:`dulcimer._config` that differ for this entity, its servers and associations.
    """

    def __init__(self, ae_title: str = "DULCIMER") -> None:
        self.config = _config.Config()
        self.ae_title = ae_title
        self._implementation_class_uid = UID(IMPLEMENTATION_UID)
        self._implementation_version_name: str | None = IMPLEMENTATION_VERSION
        self._acse_timeout: float | None = 30
        self._connection_timeout: float | None = None
        self._dimse_timeout: float | None = 30
        self._network_timeout: float | None = 60
        self._maximum_associations = 10
        self._maximum_pdu_size = DEFAULT_MAX_LENGTH
        self._maximum_data_set: int | None = None
        self._strict = False
        self._require_called_aet = False
        self._require_calling_aet: list[str] = []
        self._requested_contexts: list[PresentationContext] = []
        self._supported_contexts: dict[UID, PresentationContext] = {}
        self._lock = Lock()
        self._requested: dict[Association, None] = {}
        self._servers: list[AssociationServer] = []
        self._counted: list[Counted] = []

    # ---- identity ------------------------------------------------------------------------------------

    @property
    def ae_title(self) -> str:
        """The AE title."""
        return self._ae_title

    @ae_title.setter
    def ae_title(self, value: str) -> None:
        self._ae_title = self._title(value, "ae_title")

    def _title(self, value: Any, name: str) -> str:
        validator = _config.settings(self.config).VALIDATORS["AE"]
        return check_ae(text_of(value, name), name, validator, False, False) or ""

    @property
    def implementation_class_uid(self) -> UID:
        """The Implementation Class UID (PS3.7 D.3.3.2)."""
        return self._implementation_class_uid

    @implementation_class_uid.setter
    def implementation_class_uid(self, uid: str | UID) -> None:
        checked = set_uid(uid, "implementation_class_uid", False, False)
        if checked is None or not checked.is_valid:
            raise ValueError(f"Invalid 'implementation_class_uid' value '{uid}'")
        self._implementation_class_uid = checked

    @property
    def implementation_version_name(self) -> str | None:
        """The Implementation Version Name (PS3.7 D.3.3.2); None sends none."""
        return self._implementation_version_name

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | None) -> None:
        if isinstance(value, str) and not value:
            raise ValueError("Invalid 'implementation_version_name' value - must not be an empty str")
        self._implementation_version_name = set_ae(value, "implementation_version_name")

    # ---- limits --------------------------------------------------------------------------------------

    @property
    def acse_timeout(self) -> float | None:
        """Seconds to wait for association and release messages (default 30); None for ever."""
        return self._acse_timeout

    @acse_timeout.setter
    def acse_timeout(self, value: float | None) -> None:
        self._acse_timeout = _seconds(value, "acse_timeout", 30)
        for association in self.active_associations:
            association.acse_timeout = self._acse_timeout

    @property
    def connection_timeout(self) -> float | None:
        """Seconds for the transport connection; None (default) leaves it to the system."""
        return self._connection_timeout

    @connection_timeout.setter
    def connection_timeout(self, value: float | None) -> None:
        if value is not None and not (isinstance(value, (int, float)) and value > 0):
            _LOGGER.warning("connection_timeout set to None")
            value = None
        self._connection_timeout = value
        for association in self.active_associations:
            association.connection_timeout = value

    @property
    def dimse_timeout(self) -> float | None:
        """Seconds to wait for a response (default 30); None for ever."""
        return self._dimse_timeout

    @dimse_timeout.setter
    def dimse_timeout(self, value: float | None) -> None:
        self._dimse_timeout = _seconds(value, "dimse_timeout", 30)
        for association in self.active_associations:
            association.dimse_timeout = self._dimse_timeout

    @property
    def network_timeout(self) -> float | None:
        """Seconds that the network may be silent (default 60); None for ever."""
        return self._network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._network_timeout = _seconds(value, "network_timeout", 60)
        for association in self.active_associations:
            association.network_timeout = self._network_timeout

    @property
    def maximum_associations(self) -> int:
        """How many associations peers may have with this AE at a time (default 10)."""
        return self._maximum_associations

    @maximum_associations.setter
    def maximum_associations(self, value: int) -> None:
        if not isinstance(value, int) or value < 1:
            _LOGGER.warning("maximum_associations set to 1")
            value = 1
        self._maximum_associations = value

    @property
    def maximum_pdu_size(self) -> int:
        """The longest P-DATA-TF that is taken as acceptor, in bytes (default 16382); 0 is unlimited."""
        return self._maximum_pdu_size

    @maximum_pdu_size.setter
    def maximum_pdu_size(self, value: int) -> None:
        if value >= 0:
            self._maximum_pdu_size = value
        else:
            _LOGGER.warning("maximum_pdu_size set to %d", DEFAULT_MAX_LENGTH)
            self._maximum_pdu_size = DEFAULT_MAX_LENGTH

    @property
    def maximum_data_set(self) -> int | None:
        """The longest data set that is kept in memory, in bytes; None (default) for any.

        A request with a longer one is answered A700H. Data sets that a handler for ``evt.EVT_C_STORE_OPEN``
        sends elsewhere are not limited.
        """
        return self._maximum_data_set

    @maximum_data_set.setter
    def maximum_data_set(self, value: int | None) -> None:
        if value is not None and value < 1:
            raise ValueError("'maximum_data_set' must be a positive number of bytes, or None")
        self._maximum_data_set = value

    @property
    def strict(self) -> bool:
        """Whether peers that break a rule are refused (default False: it is tolerated and noted).

        What that concerns is listed in :class:`dulcimer.quirks.QuirkKind`. A request with an AE title that is
        none is answered with A-ASSOCIATE-RJ, everything else with A-ABORT. Counts for associations that begin
        after it was set.
        """
        return self._strict

    @strict.setter
    def strict(self, value: bool) -> None:
        self._strict = bool(value)

    @property
    def require_called_aet(self) -> bool:
        """Whether peers are rejected that call another AE title than the server's."""
        return self._require_called_aet

    @require_called_aet.setter
    def require_called_aet(self, require_match: bool) -> None:
        self._require_called_aet = require_match

    @property
    def require_calling_aet(self) -> list[str]:
        """The AE titles that may call; an empty list for all."""
        return self._require_calling_aet

    @require_calling_aet.setter
    def require_calling_aet(self, ae_titles: list[str]) -> None:
        self._require_calling_aet = [self._title(title, "require_calling_aet") for title in ae_titles]

    # ---- presentation contexts -----------------------------------------------------------------------

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """What is proposed by :meth:`associate` unless it is given other contexts."""
        return self._requested_contexts

    @requested_contexts.setter
    def requested_contexts(self, contexts: list[PresentationContext]) -> None:
        _check_contexts(contexts)
        self._requested_contexts = []
        for context in contexts or ():
            self.add_requested_context(context.abstract_syntax or "", context.transfer_syntax)

    def add_requested_context(
        self, abstract_syntax: str | UID, transfer_syntax: TransferSyntaxes = None
    ) -> None:
        """Propose another presentation context.

        Parameters
        ----------
        abstract_syntax
            The SOP class.
        transfer_syntax
            One transfer syntax or several; :data:`~dulcimer.DEFAULT_TRANSFER_SYNTAXES` by default.

        Raises
        ------
        ValueError
            If there are 128 already (PS3.8 9.3.2.2).
        """
        if len(self._requested_contexts) >= MAX_CONTEXTS:
            raise ValueError(
                "Failed to add the requested presentation context as there are already the maximum allowed "
                "number of requested contexts"
            )
        self._requested_contexts.append(self._context(UID(abstract_syntax), transfer_syntax))

    def _context(self, abstract_syntax: UID, transfer_syntax: TransferSyntaxes) -> PresentationContext:
        syntaxes = _syntaxes(transfer_syntax)
        validator = _config.settings(self.config).VALIDATORS["UI"]
        for uid in (abstract_syntax, *syntaxes):
            valid, reason = validator(uid) if uid else (True, "")
            if not valid:
                raise ValueError(f"Invalid UID '{uid}' - {reason}")
        return build_context(abstract_syntax, [*syntaxes])

    def remove_requested_context(
        self, abstract_syntax: str | UID, transfer_syntax: TransferSyntaxes = None
    ) -> None:
        """Propose an abstract syntax no longer, or not in these transfer syntaxes."""
        for context in [c for c in self._requested_contexts if c.abstract_syntax == abstract_syntax]:
            if _without(context, transfer_syntax):
                self._requested_contexts = [c for c in self._requested_contexts if c is not context]

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """What servers accept unless they are given other contexts, by abstract syntax."""
        return sorted(self._supported_contexts.values(), key=lambda context: context.abstract_syntax or "")

    @supported_contexts.setter
    def supported_contexts(self, contexts: list[PresentationContext]) -> None:
        if not all(isinstance(context, PresentationContext) for context in contexts or ()):
            raise ValueError("'contexts' must be a list of PresentationContext items")
        self._supported_contexts = {}
        for context in contexts or ():
            self.add_supported_context(
                context.abstract_syntax or "", context.transfer_syntax, context.scu_role, context.scp_role
            )

    def add_supported_context(
        self,
        abstract_syntax: str | UID,
        transfer_syntax: TransferSyntaxes = None,
        scu_role: bool | None = None,
        scp_role: bool | None = None,
    ) -> None:
        """Accept another presentation context; transfer syntaxes of a known one are added to it.

        Parameters
        ----------
        abstract_syntax
            The SOP class.
        transfer_syntax
            One transfer syntax or several; :data:`~dulcimer.DEFAULT_TRANSFER_SYNTAXES` by default.
        scu_role, scp_role
            Whether requestors may be SCU and SCP in it; None for both ignores their role selection.
        """
        uid = UID(abstract_syntax)
        context = self._context(uid, transfer_syntax)
        context.scu_role, context.scp_role = scu_role, scp_role
        known = self._supported_contexts.setdefault(uid, context)
        if known is not context:
            for syntax in context.transfer_syntax:
                known.add_transfer_syntax(syntax)
            known.scu_role, known.scp_role = scu_role, scp_role

    def remove_supported_context(
        self, abstract_syntax: str | UID, transfer_syntax: TransferSyntaxes = None
    ) -> None:
        """Accept an abstract syntax no longer, or not in these transfer syntaxes."""
        context = self._supported_contexts.get(UID(abstract_syntax))
        if context is not None and _without(context, transfer_syntax):
            del self._supported_contexts[UID(abstract_syntax)]

    # ---- requesting ----------------------------------------------------------------------------------

    def associate(
        self,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: list[PresentationContext] | None = None,
        ae_title: str = "ANY-SCP",
        max_pdu: int = DEFAULT_MAX_LENGTH,
        ext_neg: list[NegotiationItem] | None = None,
        bind_address: SocketAddress | None = None,
        tls_args: tuple[ssl.SSLContext, str | None] | None = None,
        evt_handlers: Sequence[EventHandlerType] | None = None,
        *,
        config: Mapping[str, Any] | _config.Config | None = None,
    ) -> Association:
        """Request an association and return it; its flags, and ``failure``, say how it went.

        Parameters
        ----------
        addr
            The peer's address or name; for IPv6 also (address, flow info, scope ID).
        port
            The peer's port.
        contexts
            The presentation contexts to propose; :attr:`requested_contexts` by default.
        ae_title
            The peer's AE title.
        max_pdu
            The longest P-DATA-TF that we take, in bytes; 0 is unlimited (PS3.8 D.1).
        ext_neg
            Extended negotiation items (PS3.7 D.3.3).
        bind_address
            The local address.
        tls_args
            For TLS: the SSL context, and the name that the peer's certificate has to have.
        evt_handlers
            Handlers for the association's events.
        config
            Settings of :mod:`dulcimer._config` that differ for this association.

        Raises
        ------
        RuntimeError
            If there are no contexts to propose.
        """
        association = Association(self, MODE_REQUESTOR, _config.settings(self.config, config))
        self.set_up_requestor(
            association,
            addr,
            port,
            contexts,
            ae_title,
            max_pdu,
            ext_neg,
            bind_address,
            tls_args,
            evt_handlers,
        )
        association.request()
        return association

    def set_up_requestor(
        self,
        association: AssociationBase,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: list[PresentationContext] | None,
        ae_title: str,
        max_pdu: int,
        ext_neg: list[NegotiationItem] | None,
        bind_address: SocketAddress | None,
        tls_args: tuple[ssl.SSLContext, str | None] | None,
        evt_handlers: Sequence[EventHandlerType] | None,
    ) -> None:
        """Give an association what it needs to be requested; see :meth:`associate`."""
        _check_address(addr, port, bind_address)
        association.use_handlers(Handlers(evt_handlers or ()))
        association.tls_args = tls_args
        association.bind_address = bind_address
        association.acceptor.called_itself(self._title(ae_title, "ae_title"))
        association.acceptor.address_info = AddressInformation.from_addr_port(addr, port)
        requestor = association.requestor
        requestor.set_up(self.ae_title, DEFAULT_MAX_LENGTH, self.implementation_version_name)
        requestor.maximum_length = max_pdu
        for item in ext_neg or ():
            requestor.add_negotiation_item(item)
        contexts = contexts or self.requested_contexts
        _check_contexts(contexts)
        if not contexts:
            raise RuntimeError(
                "No requested Presentation Contexts specified: add one with 'AE.add_requested_context()'"
            )
        requestor.requested_contexts = deepcopy(contexts)

    # ---- serving -------------------------------------------------------------------------------------

    def start_server(
        self,
        address: SocketAddress,
        block: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Sequence[EventHandlerType] | None = None,
        ae_title: str | None = None,
        contexts: list[PresentationContext] | None = None,
        **options: Any,
    ) -> ThreadedAssociationServer | None:
        """Listen and serve.

        Parameters
        ----------
        address
            Host and port; see :class:`~dulcimer.transport.AssociationServer`.
        block
            Whether to serve until Ctrl-C; else a server is returned that serves in threads of its own.
        ssl_context
            For TLS.
        evt_handlers
            Handlers for the events of its associations.
        ae_title
            The AE title it answers to; the AE's by default.
        contexts
            The supported contexts; :attr:`supported_contexts` by default.
        **options
            Further options of :class:`~dulcimer.transport.AssociationServer`.

        Raises
        ------
        ValueError
            If there are no supported contexts.
        OSError
            If the address cannot be listened on.
        """
        server = self.make_server(
            address, ae_title, contexts, ssl_context, evt_handlers, ThreadedAssociationServer, **options
        )
        with self._lock:
            self._servers.append(server)
        if not block:
            server.start()
            return server
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            server.shutdown()
        return None

    def make_server(
        self,
        address: SocketAddress,
        ae_title: str | None = None,
        contexts: list[PresentationContext] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Sequence[EventHandlerType] | None = None,
        server_class: type[_S] | None = None,
        **kwargs: Any,
    ) -> _S | ThreadedAssociationServer:
        """Return a server that listens and does not accept yet; ``serve_forever()`` makes it.

        Raises
        ------
        ValueError
            If there are no supported contexts, or one has a single role.
        OSError
            If the address cannot be listened on.
        """
        title, contexts = self.what_to_serve(ae_title, contexts, kwargs.get("storage"), kwargs.get("config"))
        chosen: Any = server_class or ThreadedAssociationServer
        server: _S | ThreadedAssociationServer = chosen(
            self, address, title, contexts, ssl_context, evt_handlers=evt_handlers or [], **kwargs
        )
        return server

    def what_to_serve(
        self,
        ae_title: str | None,
        contexts: list[PresentationContext] | None,
        storage: str | None,
        config: Mapping[str, Any] | _config.Config | None,
    ) -> tuple[str, list[PresentationContext]]:
        """Return the AE title and the contexts of a new server; see :meth:`make_server`."""
        settings = _config.settings(self.config, config)
        contexts = contexts or self.supported_contexts
        if not contexts and storage != "any" and not settings.UNRESTRICTED_STORAGE_SERVICE:
            raise ValueError("No supported Presentation Contexts have been defined")
        title = self._title(ae_title or self.ae_title, "ae_title")
        odd = [context for context in contexts if (context.scu_role is None) != (context.scp_role is None)]
        if odd:
            raise ValueError(
                "The following presentation contexts have inconsistent scu_role/scp_role values (if one is "
                "None, both must be):\n  " + "\n  ".join(str(context) for context in odd)
            )
        return title, contexts

    def shutdown(self) -> None:
        """Abort every association and stop every server."""
        for association in self.active_associations:
            association.abort()
        with self._lock:
            servers = list(self._servers)
        for server in servers:
            server.shutdown()

    @property
    def active_associations(self) -> list[Association]:
        """The associations that are there, requested ones and those of the servers."""
        with self._lock:
            requested, servers = list(self._requested), list(self._servers)
        return requested + [association for server in servers for association in server.active_associations]

    # ---- for associations and servers ----------------------------------------------------------------

    def make_acceptor(self, ae_title: str, settings: _config.Settings | None = None) -> Association:
        """Return a new association of a server."""
        association = Association(self, MODE_ACCEPTOR, settings)
        self.set_up_acceptor(association, ae_title)
        return association

    def set_up_acceptor(self, association: AssociationBase, ae_title: str) -> None:
        """Give an association of a server what it needs."""
        association.acceptor.set_up(ae_title, self.maximum_pdu_size, self.implementation_version_name)

    def limit_exceeded(self, association: AssociationBase) -> bool:
        """Tell whether this acceptor's association is one too many."""
        with self._lock:
            servers: list[Counted] = [*self._servers, *self._counted]
        return sum(server.association_count for server in servers) > self.maximum_associations

    def count_in(self, server: Counted) -> None:
        """Count the associations of a server that is not one of :meth:`start_server`."""
        with self._lock:
            self._counted.append(server)

    def count_out(self, server: Counted) -> None:
        """Count them no longer."""
        with self._lock:
            self._counted.remove(server)

    def opened(self, association: Association) -> None:
        """Take note of the transport connection of an association that we requested."""
        with self._lock:
            self._requested[association] = None

    def closed(self, association: Association) -> None:
        """Take note that a transport connection is closed."""
        with self._lock:
            self._requested.pop(association, None)

    def forget(self, server: AssociationServer) -> None:
        """Take note that a server has been shut down."""
        with self._lock:
            if server in self._servers:
                self._servers.remove(server)

    def __str__(self) -> str:
        def listed(contexts: list[PresentationContext]) -> list[str]:
            lines = []
            for context in contexts:
                lines.append(f"\t{context.abstract_syntax.name if context.abstract_syntax else ''}")
                lines += [f"\t\t{syntax.name}" for syntax in context.transfer_syntax]
            return lines or ["\tNone"]

        lines = ["", f"Application Entity {self.ae_title}", "", "  Requested Presentation Contexts:"]
        lines += [*listed(self.requested_contexts), "", "  Supported Presentation Contexts:"]
        lines += [*listed(self.supported_contexts), ""]
        for name in ("ACSE", "DIMSE", "Network", "Connection"):
            lines.append(f"  {name} timeout: {getattr(self, f'{name.lower()}_timeout')} s")
        lines.append("")
        if self.require_calling_aet:
            lines.append(f"  Required calling AE title(s): {', '.join(self.require_calling_aet)}")
        lines += [f"  Require called AE title: {self.require_called_aet}", ""]
        active = self.active_associations
        lines.append(f"  Association(s): {len(active)}/{self.maximum_associations}")
        for association in active:
            peer = association.remote
            lines.append(f"\tPeer: {peer['ae_title']} on {peer['address']}:{peer['port']}")
        return "\n".join(lines)


def _syntaxes(value: TransferSyntaxes) -> list[UID]:
    if value is None:
        return list(DEFAULT_TRANSFER_SYNTAXES)
    return [UID(syntax) for syntax in ([value] if isinstance(value, str) else value)]


def _without(context: PresentationContext, transfer_syntax: TransferSyntaxes) -> bool:
    """Remove transfer syntaxes from a context; tell whether none is left."""
    if transfer_syntax is None:
        return True
    for syntax in _syntaxes(transfer_syntax):
        if syntax in context.transfer_syntax:
            context.transfer_syntax.remove(UID(syntax))
    return not context.transfer_syntax


def _check_contexts(contexts: list[PresentationContext] | None) -> None:
    if len(contexts or ()) > MAX_CONTEXTS:
        raise ValueError("The maximum allowed number of requested presentation contexts is 128")
    if not all(isinstance(context, PresentationContext) for context in contexts or ()):
        raise ValueError("'contexts' must be a list of PresentationContext items")


def _check_address(addr: Any, port: Any, bind_address: Any) -> None:
    def numbers(values: Any) -> bool:
        return all(isinstance(value, int) for value in values)

    scoped = isinstance(addr, tuple) and len(addr) == 3 and isinstance(addr[0], str) and numbers(addr[1:])
    if not isinstance(addr, str) and not scoped:
        raise TypeError("'addr' must be str or tuple[str, int, int]")
    if not isinstance(port, int):
        raise TypeError("'port' must be int")
    if bind_address is not None and not (
        isinstance(bind_address, (tuple, list))
        and len(bind_address) in (2, 4)
        and isinstance(bind_address[0], str)
        and numbers(bind_address[1:])
    ):
        raise TypeError("'bind_address' must be tuple[str, int] or tuple[str, int, int, int]")
