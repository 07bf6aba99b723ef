"""Downloading images from URLs that strangers wrote: many at once, within limits of time, size, place and manners.

`fetch` looks like a plain generator. Behind it one thread runs an event loop for the network, and a few more threads
decode. Threads suffice for decoding: Pillow releases the GIL inside its decoders, so the loop keeps answering, and a
header that announces too many pixels is refused before anything is decoded; processes would add start-up time and a
second copy of each image for no gain.

Memory has one bound: at most `FetchPolicy.concurrency` URLs are between "asked" and "taken by the consumer", each
holding at most `max_bytes`, plus `decoders` images of at most `max_pixels` being decoded. URLs themselves are drawn
from the iterable as results are taken.
"""

import asyncio
import contextlib
import hashlib
import logging
import queue
import threading
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver

from redpop_assets.errors import SettingsError
from redpop_assets.images.addresses import BlockedAddress, GuardedResolver
from redpop_assets.images.decode import SNIFF_BYTES, ImageInfo, ImageRejected, format_of, inspect
from redpop_assets.images.urls import Target, UrlRefused, redirect_of, target_of

_LOG = logging.getLogger(__name__)

# What imgur shows instead of a removed image: a PNG of 161x81 pixels, by its address and by its bytes.
_PLACEHOLDER_URL = ("i.imgur.com", "/removed.png")
_PLACEHOLDER_MD5 = frozenset({"d835884373f4d6c8f24742ceabe74946"})

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429})
_OPT_OUTS = ("noai", "noimageai")
_MAX_RETRY_AFTER = 7 * 86_400.0
_MAX_DETAIL = 300
_LOOKAHEAD = 4  # URLs known per URL in flight, so that one slow host does not keep the others waiting
_STRIKES = 3  # refusals in a row after which a host is left alone
_LONG_PAUSE = 3_600.0


@dataclass(frozen=True)
class FetchPolicy:
    """The limits of a download.

    Attributes:
        max_bytes: Largest body, whatever Content-Length says.
        max_pixels: Largest width x height, compared before decoding.
        min_edge: Smallest length of the shorter edge (pixels).
        max_aspect: Largest ratio of the longer to the shorter edge.
        connect_timeout: For one TCP connection (seconds).
        read_timeout: Longest silence of a server (seconds).
        deadline: For one URL with all its redirects, up to the last byte (seconds).
        max_redirects: Redirects followed per URL.
        concurrency: URLs between asked and taken by the consumer.
        per_host: URLs in flight per host and port.
        max_pause: A host that asks for a pause of at most this length is waited for; its URLs are given back unasked if
            it asks for more (seconds).
        decoders: Threads that decode.
        allowed_hosts: Endpoints that may be private or have another port than 80 and 443, each `host` or `host:port`.
        user_agent: Sent with every request.
    """

    max_bytes: int = 20_000_000
    max_pixels: int = 50_000_000
    min_edge: int = 128
    max_aspect: float = 5.0
    connect_timeout: float = 10.0
    read_timeout: float = 15.0
    deadline: float = 60.0
    max_redirects: int = 5
    concurrency: int = 16
    per_host: int = 4
    max_pause: float = 60.0
    decoders: int = 2
    allowed_hosts: frozenset[str] = frozenset()
    user_agent: str = "redpop/0.1 (image fetcher)"

    def __post_init__(self) -> None:
        """Refuse limits under which nothing would ever be fetched."""
        for name in ("concurrency", "per_host", "decoders"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; set it to at least 1.")


@dataclass(frozen=True)
class FetchResult:
    """What became of one URL.

    Attributes:
        url: As it was given.
        status: ok (image and data are set), retry (a later run may succeed) or failed (final).
        reason: Reason code; None when ok.
        detail: The reason in words; empty when ok.
        http_status: Status of the last answer; None when there was none.
        data: The file as downloaded.
        image: What decoding found.
        retry_after: Pause the server asked for (seconds).
        asked: False if no request was made, because the URL is refused or its host asked for a long pause: no attempt
            to count.
    """

    url: str
    status: Literal["ok", "retry", "failed"]
    reason: str | None = None
    detail: str = ""
    http_status: int | None = None
    data: bytes | None = field(default=None, repr=False)
    image: ImageInfo | None = None
    retry_after: float | None = None
    asked: bool = True


def fetch(
    urls: Iterable[str], policy: FetchPolicy, *, resolver: AbstractResolver | None = None
) -> Generator[FetchResult, None, None]:
    """Download and decode images; yields one result per URL given, in the order in which they finish.

    Work starts with the first result asked for and stops when the generator is closed: leave it early through
    `with contextlib.closing(fetch(...)) as results`. The iterable is drawn from in the caller's thread. What a single
    URL does wrong is a result; only errors of the iterable, or of this machine, are raised.

    Args:
        urls: Any number of URLs; a repeated URL is fetched again.
        policy: The limits.
        resolver: Who answers for host names, the system by default. Its answers are checked in any case.
    """
    source = iter(urls)
    window = _LOOKAHEAD * policy.concurrency
    outstanding = 0
    exhausted = False
    downloader = _Downloader(policy, resolver)
    downloader.start()
    try:
        while True:
            while not exhausted and outstanding < window:
                try:
                    url = next(source)
                except StopIteration:
                    exhausted = True
                else:
                    downloader.submit(url)
                    outstanding += 1
            if outstanding == 0:
                return
            result = downloader.take()
            outstanding -= 1
            yield result
    finally:
        downloader.stop()


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Read a Retry-After header (RFC 9110, section 10.2.3), number or date, as seconds from now, at most a week.

    Args:
        value: The header, or None.
        now: Aware.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return min(float(value), _MAX_RETRY_AFTER)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    if until.tzinfo is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - now).total_seconds(), 0.0), _MAX_RETRY_AFTER)


class _GivenUp(Exception):  # an outcome on its way to becoming a result
    """A URL does not lead to an image."""

    def __init__(
        self,
        status: Literal["retry", "failed"],
        reason: str,
        detail: str,
        http_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.http_status = http_status
        self.retry_after = retry_after

    def result(self, url: str, *, asked: bool = True) -> FetchResult:
        detail = self.detail[:_MAX_DETAIL]
        return FetchResult(
            url, self.status, self.reason, detail, self.http_status, retry_after=self.retry_after, asked=asked
        )


@dataclass
class _Site:
    """One host and port: what waits for it, what is in flight, and until when it wants to be left alone (loop time)."""

    waiting: deque[tuple[str, Target]] = field(default_factory=deque)
    running: int = 0
    resume_at: float = 0.0
    strikes: int = 0


class _Downloader:
    """The event loop behind `fetch`. The caller's thread runs `start`, `submit`, `take`, `stop`, its own the rest."""

    def __init__(self, policy: FetchPolicy, resolver: AbstractResolver | None) -> None:
        self._policy = policy
        self._inner_resolver = resolver
        self._results: queue.SimpleQueue[FetchResult | BaseException] = queue.SimpleQueue()
        self._ready = threading.Event()
        # A daemon, so that a generator which nobody closed cannot keep the interpreter from ending.
        self._thread = threading.Thread(target=self._run_loop, name="redpop-fetch", daemon=True)
        self._sites: OrderedDict[str, _Site] = OrderedDict()
        self._free = policy.concurrency
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event
        self._session: aiohttp.ClientSession
        self._decoders: ThreadPoolExecutor

    # The caller's side

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if not self._thread.is_alive() or not self._results.empty():
            self.take()  # raises what kept the loop from starting

    def submit(self, url: str) -> None:
        self._loop.call_soon_threadsafe(self._accept, url)

    def take(self) -> FetchResult:
        result = self._results.get()
        if isinstance(result, BaseException):
            raise result
        if result.data is not None:
            self._loop.call_soon_threadsafe(self._release)
        return result

    def stop(self) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended already, by an error that take has raised
            self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(timeout=10.0)
        if self._thread.is_alive():
            _LOG.warning(
                "A host name is still being looked up; the download thread ends when the system's resolver gives up."
            )

    # The loop's side

    def _run_loop(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread by take
            self._results.put(error)
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        policy = self._policy
        self._loop = asyncio.get_running_loop()
        self._stopped = asyncio.Event()
        guard = GuardedResolver(policy.allowed_hosts, self._inner_resolver)
        self._session = aiohttp.ClientSession(
            connector=guard.connector(connections=policy.concurrency, per_host=policy.per_host),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Bytes as sent: a compressed answer must not grow in memory. Servers are asked for none.
            auto_decompress=False,
            # A proxy from the environment would connect for us, past the address checks.
            trust_env=False,
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=policy.connect_timeout, sock_read=policy.read_timeout
            ),
            headers={
                "User-Agent": policy.user_agent,
                # i.redd.it answers with an HTML viewer as soon as text/html is acceptable.
                "Accept": "image/*,*/*;q=0.8",
                "Accept-Encoding": "identity",
            },
        )
        self._decoders = ThreadPoolExecutor(policy.decoders, thread_name_prefix="redpop-decode")
        self._ready.set()
        try:
            await self._stopped.wait()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._decoders.shutdown(cancel_futures=True)
            await self._session.close()
            await guard.close()

    def _accept(self, url: str) -> None:
        try:
            target = target_of(url, self._policy.allowed_hosts)
        except UrlRefused as error:
            self._results.put(_GivenUp("failed", error.reason, str(error)).result(url, asked=False))
            return
        self._site(target).waiting.append((url, target))
        self._pump()

    def _site(self, target: Target) -> _Site:
        return self._sites.setdefault(target.site, _Site())

    def _release(self) -> None:
        self._free += 1
        self._pump()

    def _pump(self) -> None:
        """Start what may start now: host by host in turn, no host above its share or during its pause."""
        if self._stopped.is_set():
            return
        now = self._loop.time()
        wake_at: float | None = None
        for key, site in list(self._sites.items()):
            pause = site.resume_at - now
            if pause > self._policy.max_pause:
                while site.waiting:
                    url, target = site.waiting.popleft()
                    detail = f"{target.host} asked for a pause of {pause:.0f} s."
                    self._results.put(
                        _GivenUp("retry", "rate_limited", detail, retry_after=pause).result(url, asked=False)
                    )
            elif pause > 0:
                if site.waiting:
                    wake_at = site.resume_at if wake_at is None else min(wake_at, site.resume_at)
            else:
                while site.waiting and self._free > 0 and site.running < self._policy.per_host:
                    self._begin(site, *site.waiting.popleft())
                    self._sites.move_to_end(key)
                if not site.waiting and site.running == 0 and site.strikes == 0:
                    del self._sites[key]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wake_at is None else self._loop.call_at(wake_at, self._pump)

    def _begin(self, site: _Site, url: str, target: Target) -> None:
        self._free -= 1
        site.running += 1
        task = self._loop.create_task(self._one(site, url, target))
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._results.put(error)

    async def _one(self, site: _Site, url: str, target: Target) -> None:
        """Lead one URL to its result. A result with data keeps its place until the consumer has taken it."""
        try:
            try:
                status, data = await self._download(target)
            finally:
                site.running -= 1
                self._pump()
            result = await self._decode(url, status, data)
        except _GivenUp as outcome:
            result = outcome.result(url)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - one odd server must not end a run of thousands
            _LOG.exception("Unforeseen error while fetching %s", url)
            result = _GivenUp("retry", "internal_error", repr(error)).result(url)
        self._results.put(result)
        if result.data is None:
            self._release()

    async def _decode(self, url: str, status: int, data: bytes) -> FetchResult:
        policy = self._policy

        def look() -> ImageInfo:
            if hashlib.md5(data, usedforsecurity=False).hexdigest() in _PLACEHOLDER_MD5:
                raise ImageRejected("placeholder_image", "The bytes are imgur's picture for removed images.")
            return inspect(data, max_pixels=policy.max_pixels, min_edge=policy.min_edge, max_aspect=policy.max_aspect)

        try:
            image = await self._loop.run_in_executor(self._decoders, look)
        except ImageRejected as error:
            raise _GivenUp("failed", error.reason, str(error), status) from error
        return FetchResult(url, "ok", http_status=status, data=data, image=image)

    async def _download(self, target: Target) -> tuple[int, bytes]:
        """Return status and body behind a URL, redirects followed, within the deadline."""
        try:
            async with asyncio.timeout(self._policy.deadline):
                for _ in range(self._policy.max_redirects + 1):
                    answer = await self._ask(target)
                    if not isinstance(answer, Target):
                        return answer
                    target = answer
        except BlockedAddress as error:
            raise _GivenUp("failed", "blocked_address", str(error)) from error
        except TimeoutError as error:
            detail = f"{target.host} did not deliver in time: {error or f'deadline of {self._policy.deadline:g} s'}."
            raise _GivenUp("retry", "timeout", detail) from error
        except aiohttp.InvalidURL as error:
            raise _GivenUp("failed", "bad_url", f"{error}") from error
        except aiohttp.ClientConnectorDNSError as error:
            raise _GivenUp("retry", "dns_failed", f"{target.host} does not resolve: {error.os_error}.") from error
        except aiohttp.ClientSSLError as error:
            raise _GivenUp("retry", "tls_failed", f"{error}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise _GivenUp("retry", "connection_failed", f"{error!r}") from error
        raise _GivenUp("failed", "too_many_redirects", f"More than {self._policy.max_redirects} redirects.")

    async def _ask(self, target: Target) -> Target | tuple[int, bytes]:
        """Make one request: the next target of a redirect, or status and body."""
        if (target.host, target.url.path) == _PLACEHOLDER_URL:
            raise _GivenUp("failed", "placeholder_image", "The URL leads to imgur's picture for removed images.")
        response = await self._session.get(target.url, allow_redirects=False)
        try:
            self._keep_manners(target, response)
            if response.status in _REDIRECTS and "Location" in response.headers:
                try:
                    return redirect_of(target, response.headers["Location"], self._policy.allowed_hosts)
                except UrlRefused as error:
                    raise _GivenUp("failed", error.reason, f"Redirected: {error}", response.status) from error
            _require_image(response, self._policy.max_bytes)
            return response.status, await self._body(response)
        finally:
            # Not released: an unread body would have to be read to its end before the connection could serve again. A
            # body that was read completely has given its connection back already.
            response.close()

    def _keep_manners(self, target: Target, response: aiohttp.ClientResponse) -> None:
        """Note whether a host wants a pause."""
        site = self._site(target)
        pause = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
        if response.status == 429 or (response.status == 503 and pause is not None):
            now = self._loop.time()
            if now >= site.resume_at:  # else an answer to the same burst of requests
                site.strikes += 1
            pause = 5.0 * 2.0**site.strikes if pause is None else pause
            pause = max(pause, _LONG_PAUSE) if site.strikes > _STRIKES else pause
            site.resume_at = max(site.resume_at, now + pause)
        else:
            site.strikes = 0

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        sniffed = False
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._policy.max_bytes:
                raise _GivenUp(
                    "failed", "too_big", f"The body exceeds {self._policy.max_bytes} bytes.", response.status
                )
            if not sniffed and len(body) >= SNIFF_BYTES:
                sniffed = True
                if format_of(bytes(body[:SNIFF_BYTES])) is None:
                    raise _GivenUp(
                        "failed", "not_image_bytes", f"The body begins with {bytes(body[:12])!r}.", response.status
                    )
        return bytes(body)


def _require_image(response: aiohttp.ClientResponse, max_bytes: int) -> None:
    """Judge an answer by its head; raises `_GivenUp` unless the body may be an image."""
    status = response.status
    retry_after = retry_after_seconds(response.headers.get("Retry-After"), datetime.now(UTC))
    if status in _BUSY or status >= 500:
        reason = "rate_limited" if status == 429 else "server_error"
        raise _GivenUp("retry", reason, f"The server answered {status}.", status, retry_after)
    if status == 403:
        raise _GivenUp("retry", "forbidden", "The server answered 403.", status, retry_after)
    if status >= 400:
        raise _GivenUp("failed", "url_dead", f"The server answered {status}.", status)
    if status != 200:
        raise _GivenUp("failed", "unexpected_status", f"The server answered {status}.", status)
    # Whichever robot the header names: a site cannot name one that it has never heard of.
    robots = ",".join(response.headers.getall("X-Robots-Tag", [])).lower()
    directives = {word for part in robots.split(",") for word in part.replace(":", " ").split()}
    if not directives.isdisjoint(_OPT_OUTS):
        raise _GivenUp("failed", "opted_out", f"X-Robots-Tag: {robots}", status)
    if response.content_type in ("text/html", "application/xhtml+xml"):
        raise _GivenUp("failed", "not_image_bytes", f"The answer is {response.content_type}.", status)
    encoding = response.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise _GivenUp("failed", "not_image_bytes", f"Encoded as {encoding} although identity was asked for.", status)
    if response.content_length is not None and response.content_length > max_bytes:
        detail = f"{response.content_length} bytes announced, more than {max_bytes}."
        raise _GivenUp("failed", "too_big", detail, status)
