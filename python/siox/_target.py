"""Where a client's URLs point: the server, the namespace, the proxy."""

from __future__ import annotations

import base64
import urllib.request
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit

from siox.exceptions import UsageError

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
SECURE = {"https", "wss"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server.

    Attributes:
        host: a name or an address, without brackets.
        port: its port.
        secure: whether it speaks TLS.
        authorization: value of the header, where the URL has a name and a password.
    """

    host: str
    port: int
    secure: bool
    authorization: str | None = None

    @property
    def authority(self) -> str:
        """The host as the header `Host` has it: with the port, unless that goes without saying."""
        usual = self.port == (443 if self.secure else 80)
        return _bracketed(self.host) if usual else self.host_and_port

    @property
    def host_and_port(self) -> str:
        """Host and port."""
        return f"{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """An HTTP proxy."""

    host: str
    port: int
    user: str | None = None
    password: str | None = None

    def __str__(self) -> str:
        """Return host and port: the password is for nobody's eyes."""
        return f"{_bracketed(self.host)}:{self.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def parse_url(url: str) -> tuple[Target, str, dict[str, str]]:
    """Return the server of a URL, the namespace that is its path, and its query.

    Raises:
        UsageError: it is none, or not of http, https, ws or wss.
    """
    if not isinstance(url, str) or not url.strip():
        raise UsageError(f"a URL such as 'http://localhost:3000' is needed, not {url!r}")
    text = url.strip()
    parts = urlsplit(text if "://" in text else f"http://{text.removeprefix('//')}")
    scheme = parts.scheme.lower()
    if scheme not in PORTS:
        raise UsageError(f"{url!r}: http, https, ws or wss is needed, not {parts.scheme!r}")
    host, port = parts.hostname, _port(parts.port if _has_port(parts.netloc, url) else None, scheme)
    if not host:
        raise UsageError(f"{url!r} names no host")
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(pair.encode()).decode()}"
    target = Target(host=_ascii(host, url), port=port, secure=scheme in SECURE, authorization=authorization)
    return target, parts.path or "/", dict(parse_qsl(parts.query, keep_blank_values=True))


def _has_port(netloc: str, url: str) -> bool:
    try:
        return urlsplit(f"//{netloc}").port is not None
    except ValueError:
        raise UsageError(f"{url!r}: a port is a number up to 65535") from None


def _port(port: int | None, scheme: str) -> int:
    return PORTS[scheme] if port is None else port


def _ascii(host: str, url: str) -> str:
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        raise UsageError(f"{url!r}: {host!r} is no host's name") from None


def parse_proxy(url: str) -> Proxy:
    """Return the proxy of a URL.

    Raises:
        UsageError: it is none of HTTP.
    """
    text = url if "://" in url else f"http://{url}"
    parts = urlsplit(text)
    if parts.scheme.lower() != "http" or not parts.hostname:
        raise UsageError(f"proxy={url!r}: a URL such as 'http://name:password@host:3128' is needed")
    port = _port(parts.port if _has_port(parts.netloc, url) else None, "http")
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else unquote(parts.password)
    return Proxy(host=_ascii(parts.hostname, url), port=port, user=user, password=password)


def proxy_of_environment(target: Target) -> Proxy | None:
    """Return the proxy that `HTTP_PROXY`, `HTTPS_PROXY` and `NO_PROXY` name for a server.

    Raises:
        UsageError: what they name is no HTTP proxy.
    """
    proxies = urllib.request.getproxies_environment()
    url = proxies.get("https" if target.secure else "http") or proxies.get("all")
    # Of the environment alone: `proxy_bypass` itself asks the settings of some systems instead.
    bypass = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if url is None or bypass(target.host_and_port, proxies):
        return None
    return parse_proxy(url)
