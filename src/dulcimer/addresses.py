"""Where an application entity is (PS3.8 7.1.1.7)."""

from __future__ import annotations

import socket

SocketAddress = tuple[str, int] | tuple[str, int, int, int]


class AddressInformation:
    """An IP address or host name with a port; for IPv6 with flow info and scope ID.

    Parameters
    ----------
    addr
        The address or name.
    port
        The port.
    flowinfo, scope_id
        Of an IPv6 address.
    """

    def __init__(self, addr: str, port: int, flowinfo: int = 0, scope_id: int = 0) -> None:
        self.port = port
        self.flowinfo = flowinfo
        self.scope_id = scope_id
        self.address = addr

    @classmethod
    def from_tuple(cls, address_info: SocketAddress) -> AddressInformation:
        """Return the address of a socket's address tuple."""
        return cls(*address_info)

    @classmethod
    def from_addr_port(cls, addr: str | tuple[str, int, int], port: int) -> AddressInformation:
        """Return the address of what :meth:`AE.associate <dulcimer.AE.associate>` takes."""
        if isinstance(addr, str):
            return cls(addr, port)
        return cls(addr[0], port, *addr[1:])

    @property
    def address(self) -> str:
        """The address or name; an empty one stands for all addresses of the machine."""
        return self._address

    @address.setter
    def address(self, value: str) -> None:
        self._address = value

    @property
    def address_family(self) -> socket.AddressFamily:
        """``AF_INET6`` for an IPv6 address, else ``AF_INET``."""
        return socket.AF_INET6 if self.is_ipv6 else socket.AF_INET

    @property
    def is_ipv4(self) -> bool:
        """Whether this is not an IPv6 address."""
        return not self.is_ipv6

    @property
    def is_ipv6(self) -> bool:
        """Whether this is an IPv6 address."""
        return ":" in self._address

    @property
    def as_tuple(self) -> SocketAddress:
        """The address as sockets have it."""
        if self.is_ipv6:
            return self.address, self.port, self.flowinfo, self.scope_id
        return self.address, self.port

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AddressInformation) and self.as_tuple == other.as_tuple

    __hash__ = None  # type: ignore[assignment]
