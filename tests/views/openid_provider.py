"""A small OpenID provider over real HTTP: discovery, authorization, token, keys and userinfo, with RS256 id tokens.

It signs in `person` without a question, so that a test follows its redirects; it checks client, code and PKCE.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

CLIENT = ("loopback", "client-secret")


class OpenIdProvider:
    """The provider's state; `person` holds the claims of whoever signs in, `token` what the id token says otherwise."""

    def __init__(self) -> None:
        self.url = ""
        self.person: dict[str, Any] = {}
        self.token: dict[str, Any] = {}
        self.asked: list[dict[str, str]] = []
        self._codes: dict[str, dict[str, str]] = {}
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def application(self) -> web.Application:
        """The addresses."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/.well-known/openid-configuration", self.discovery),
                web.get("/authorize", self.authorize),
                web.post("/token", self.tokens),
                web.get("/keys", self.keys),
                web.get("/userinfo", self.userinfo),
            ]
        )
        return application

    async def discovery(self, request: web.Request) -> web.Response:
        """Where everything is."""
        return web.json_response(
            {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/userinfo",
                "token_endpoint_auth_methods_supported": ["client_secret_post"],
            }
        )

    async def authorize(self, request: web.Request) -> web.Response:
        """Send the person back with a code, or with the error that the test wants."""
        query = dict(request.query)
        self.asked.append(query)
        answer = {"state": query["state"]}
        if error := self.person.get("error"):
            answer["error"] = error
        else:
            code = answer["code"] = secrets.token_urlsafe()
            self._codes[code] = query
        back = "&".join(f"{key}={value}" for key, value in answer.items())
        raise web.HTTPFound(f"{query['redirect_uri']}?{back}")

    async def tokens(self, request: web.Request) -> web.Response:
        """Exchange a code, once, for an access token and a signed id token."""
        form = await request.post()
        asked = self._codes.pop(str(form["code"]), {})
        digest = hashlib.sha256(str(form.get("code_verifier", "")).encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        if (form["client_id"], form["client_secret"]) != CLIENT or challenge != asked.get("code_challenge"):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {"iss": self.url, "aud": CLIENT[0], "iat": now, "exp": now + 60, "sub": self.person["sub"]}
        signed = jwt.encode(claims | self.token, self._key, algorithm="RS256", headers={"kid": "one"})
        return web.json_response({"access_token": "access", "token_type": "Bearer", "id_token": signed})

    async def keys(self, request: web.Request) -> web.Response:
        """The public key."""
        key = jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        return web.json_response({"keys": [key | {"kid": "one", "alg": "RS256", "use": "sig"}]})

    async def userinfo(self, request: web.Request) -> web.Response:
        """The claims."""
        assert request.headers["Authorization"] == "Bearer access"
        return web.json_response(self.person)


@contextmanager
def running() -> Iterator[OpenIdProvider]:
    """The provider on a free port of this machine, in a thread of its own."""
    provider, loop, ready = OpenIdProvider(), asyncio.new_event_loop(), threading.Event()

    async def serve() -> None:
        runner = web.AppRunner(provider.application())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        provider.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        stop.append(asyncio.Event())
        ready.set()
        await stop[0].wait()
        await runner.cleanup()

    stop: list[asyncio.Event] = []
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    try:
        yield provider
    finally:
        loop.call_soon_threadsafe(stop[0].set)
        thread.join()
        loop.close()
