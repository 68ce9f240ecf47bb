"""Who is calling: an app by its key, or an operator by the admin token. Each is refused at the other's calls."""

import hashlib
import hmac

from aiohttp import hdrs, web

from gateway.api.http.needs import Api
from gateway.api.http.problems import no_key, wrong_key, wrong_scope
from gateway.api.http.routing import Caller, Scope
from gateway.domain.catalogue_content import key_hash_of
from gateway.settings import SAMPLE_KEYS

__all__ = ["authenticate"]

_SAMPLE_HASHES = frozenset(key_hash_of(key) for key in SAMPLE_KEYS)


def authenticate(api: Api, scope: Scope, request: web.Request) -> Caller | None:
    """The calling app for scope `app`, None for the others. Raises 401 and 403 problems."""
    if scope == "none":
        return None
    token = _bearer(request.headers.get(hdrs.AUTHORIZATION, ""))
    # Keys are found by their hash, so the time of the search says nothing about a key that exists.
    digest = hashlib.sha256(token).digest()
    key = api.catalogue().keys.get(digest)
    if key is not None and api.settings.env == "production" and digest in _SAMPLE_HASHES:
        raise wrong_key()
    is_admin = _is_admin(api, digest)
    if scope == "admin":
        if is_admin:
            return None
        raise wrong_scope("the admin token") if key else wrong_key()
    if key is not None:
        return Caller(key.merchant_id, key.app, key.key_id)
    raise wrong_scope("an app's key") if is_admin else wrong_key()


def _bearer(header: str) -> bytes:
    scheme, _, token = header.strip().partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise no_key()
    return token.encode("utf-8", "surrogateescape")


def _is_admin(api: Api, digest: bytes) -> bool:
    admin_token = api.settings.admin_token
    if admin_token is None or not admin_token.get_secret_value():
        return False
    return hmac.compare_digest(digest, hashlib.sha256(admin_token.get_secret_value().encode()).digest())
