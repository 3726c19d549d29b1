"""Who may look: this machine only, or who knows a password, or whom a proxy has let in.

The page changes nothing (there is no method but GET and HEAD), so that a foreign site has a browser send a
request gains it nothing; what it must not do is read the answer. The browser sees to that, except where a
name of the foreign site resolves to this machine: without authentication only requests to a loopback name
are answered.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
from base64 import b64decode
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from dulcimer.web.credentials import Access

_log: Final = logging.getLogger("dulcimer.web")

OPEN_TO_ALL: Final = frozenset({"/healthz"})
"""What needs no authentication: it says whether the node is well and nothing else."""

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "[::1]"})

_SECURITY: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Guard:
    """ASGI middleware: lets in who may look, and puts what protects them on every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access
        self._key = os.urandom(32)
        self._known = b""
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURITY.items():
                    headers.setdefault(name, value)
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        refusal = await self._refusal(scope)
        await (refusal or self._app)(scope, receive, guarded)

    async def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._access.asked_for:
            if _loopback_name(headers.get("host", "")):
                return None
            return PlainTextResponse("This page answers to localhost only.\n", 421)
        if scope["path"] in OPEN_TO_ALL or self._from_proxy(scope, headers):
            return None
        if self._access.password is None:
            return PlainTextResponse("This page is reached through its proxy.\n", 403)
        authorization = headers.get("authorization", "")
        if await self._password_fits(authorization):
            return None
        if authorization:
            client = scope.get("client")
            _log.warning("the page: a wrong password from %s", client[0] if client else "somewhere")
        challenge = {"WWW-Authenticate": 'Basic realm="Dulcimer", charset="UTF-8"'}
        return PlainTextResponse("This page needs a password.\n", 401, challenge)

    def _from_proxy(self, scope: Scope, headers: Headers) -> bool:
        client = scope.get("client")
        if client is None or not headers.get(self._access.proxy_header, "").strip():
            return False
        try:
            address = ip_address(client[0])
        except ValueError:
            return False
        mapped = getattr(address, "ipv4_mapped", None) or address
        return any(mapped in network for network in self._access.proxies)

    async def _password_fits(self, authorization: str) -> bool:
        scheme, _, credentials = authorization.partition(" ")
        if scheme.lower() != "basic" or self._access.password is None:
            return False
        # Deriving is slow on purpose: who was let in is known by a keyed digest, and one at a time derives.
        digest = hmac.digest(self._key, credentials.encode(), "sha256")
        if hmac.compare_digest(digest, self._known):
            return True
        try:
            password = b64decode(credentials, validate=True).decode().partition(":")[2]
        except ValueError:
            return False
        async with self._turn:
            fits = await asyncio.to_thread(self._access.password.fits, password)
        if fits:
            self._known = digest
        return fits


def _loopback_name(host: str) -> bool:
    name = host.lower()
    if name.rpartition(":")[2].isdecimal():
        name = name.rpartition(":")[0]
    return name.rstrip(".") in _LOOPBACK_NAMES
