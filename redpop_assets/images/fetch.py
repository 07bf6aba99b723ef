"""Downloading images from URLs that strangers wrote: many at once, within limits of time, size, place and manners.

`fetch` looks like a plain generator. Behind it one thread runs an event loop for the network, and a few processes
decode (`redpop_assets.images.decoder`), so that neither keeps the other waiting and a hostile picture meets limits of
memory and time.

Memory has one bound: at most `FetchPolicy.concurrency` URLs are between "asked" and "taken by the consumer", each
holding at most `max_bytes`, plus `decoders` images of at most `max_pixels` being decoded. URLs themselves are drawn
from the iterable as results are taken.
"""

import asyncio
import contextlib
import hashlib
import logging
import queue
import re
import threading
from collections import OrderedDict, deque
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver

from redpop_assets.errors import SettingsError
from redpop_assets.images.addresses import BlockedAddress, GuardedResolver
from redpop_assets.images.decode import ORIGINAL, SNIFF_BYTES, ImageInfo, ImageRejected, StoredForm, format_of, has_end
from redpop_assets.images.decoder import DecoderDied, Decoders, DecoderUnavailable
from redpop_assets.images.encodings import TooBig, Undecodable, packings, unpacked
from redpop_assets.images.urls import Target, UrlRefused, redirect_of, target_of

_LOG = logging.getLogger(__name__)

# What imgur shows instead of a removed image: a PNG of 161x81 pixels, by its address and by its bytes.
_PLACEHOLDER_URL = ("i.imgur.com", "/removed.png")
_PLACEHOLDER_BYTES = (503, "d835884373f4d6c8f24742ceabe74946")  # size, MD5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429})
_WITHOUT_CONTENT = frozenset({204, 205})
_ETAG = re.compile(r'(W/)?"[\x21\x23-\x7e]{0,250}"')  # RFC 9110, section 8.8.3, ASCII only
_HTTP_DATE = re.compile(r"[A-Za-z0-9,: +-]{1,64}")
_MAX_RETRY_AFTER = 7 * 86_400.0
_MAX_DETAIL = 300
_MAX_HEADER = 131_072  # bytes of a name and its value; browsers take 256 kB of all of them
_MAX_HEADERS = 512
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
        per_host_delay: Least time between two requests to one host and port (seconds).
        max_pause: A host that asks for a pause of at most this length is waited for; its URLs are given back unasked if
            it asks for more (seconds).
        decoders: Processes that decode.
        decode_timeout: For decoding one image (seconds).
        allowed_hosts: Endpoints that may be private or have another port than 80 and 443, each `host` or `host:port`.
        user_agent: Sent with every request.
        opt_outs: Directives of X-Robots-Tag, in lower case, that count as "not for this use": by default those against
            machine learning. `noindex` and `noimageindex` speak to search engines, and no picture is republished or
            made findable here; add them to be stricter.
        store: In which form pictures are kept.
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
    per_host_delay: float = 0.0
    max_pause: float = 60.0
    decoders: int = 3
    decode_timeout: float = 60.0
    allowed_hosts: frozenset[str] = frozenset()
    user_agent: str = "redpop/0.1 (image fetcher)"
    opt_outs: frozenset[str] = frozenset({"noai", "noimageai"})
    store: StoredForm = ORIGINAL

    def __post_init__(self) -> None:
        """Refuse limits under which nothing would ever be fetched."""
        for name in ("concurrency", "per_host", "decoders"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} is {getattr(self, name)}; set it to at least 1.")


@dataclass(frozen=True)
class Request:
    """A URL to fetch, and what an earlier answer said of its version, so that the server may answer "unchanged".

    Attributes:
        url: Anything that a stranger wrote.
        etag: ETag of the earlier answer, sent as If-None-Match.
        last_modified: Last-Modified of the earlier answer, sent as If-Modified-Since.
    """

    url: str
    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True)
class FetchResult:
    """What became of one URL.

    Attributes:
        url: As it was given.
        status: ok (image, data and sha256 are set), unchanged (the version that the request named is still current),
            retry (a later run may succeed) or failed (final).
        reason: Reason code; None when ok.
        detail: The reason in words; empty when ok.
        http_status: Status of the last answer; None when there was none.
        data: The file to store, in the form that `FetchPolicy.store` asks for.
        image: What decoding found.
        retry_after: Pause the server asked for (seconds).
        asked: False if no request was made, because the URL is refused or its host asked for a long pause: no attempt
            to count.
        sha256: Of the file as downloaded, hexadecimal: the identity of the picture.
        etag: Of the answer that brought the picture, for the next `Request`.
        last_modified: Likewise.
    """

    url: str
    status: Literal["ok", "unchanged", "retry", "failed"]
    reason: str | None = None
    detail: str = ""
    http_status: int | None = None
    data: bytes | None = field(default=None, repr=False)
    image: ImageInfo | None = None
    retry_after: float | None = None
    asked: bool = True
    sha256: str | None = None
    etag: str | None = None
    last_modified: str | None = None


def fetch(
    urls: Iterable[str | Request], policy: FetchPolicy, *, resolver: AbstractResolver | None = None
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
                    item = next(source)
                except StopIteration:
                    exhausted = True
                else:
                    downloader.submit(item if isinstance(item, Request) else Request(item))
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
        # Servers send any bytes, and some of them become characters that no database takes.
        detail = " ".join(self.detail.split())[:_MAX_DETAIL].encode("utf-8", "backslashreplace").decode()
        return FetchResult(
            url, self.status, self.reason, detail, self.http_status, retry_after=self.retry_after, asked=asked
        )


@dataclass
class _Site:
    """One host and port: what waits for it and what is in flight.

    Attributes:
        ready_at: When the delay since its last request is over (loop time).
        resume_at: Until when it wants to be left alone (loop time).
        strikes: Refusals in a row.
    """

    waiting: deque[tuple[Request, Target]] = field(default_factory=deque)
    running: int = 0
    ready_at: float = 0.0
    resume_at: float = 0.0
    strikes: int = 0


@dataclass(frozen=True)
class _Answer:
    """An answer at the end of all redirects.

    `body` is None where the server says "unchanged"; `cut` says how the connection ended before the body did.
    """

    status: int
    body: bytes | None
    etag: str | None
    last_modified: str | None
    cut: str | None = None


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
        self._decoders: Decoders

    # The caller's side

    def start(self) -> None:
        self._thread.start()
        self._ready.wait()
        if not self._thread.is_alive() or not self._results.empty():
            self.take()  # raises what kept the loop from starting

    def submit(self, request: Request) -> None:
        self._loop.call_soon_threadsafe(self._accept, request)

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
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            max_headers=_MAX_HEADERS,
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
        self._decoders = Decoders(
            policy.decoders,
            timeout=policy.decode_timeout,
            max_bytes=policy.max_bytes,
            max_pixels=policy.max_pixels,
            min_edge=policy.min_edge,
            max_aspect=policy.max_aspect,
            store=policy.store,
        )
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
            self._decoders.close()
            await self._session.close()
            await guard.close()

    def _accept(self, request: Request) -> None:
        try:
            target = target_of(request.url, self._policy.allowed_hosts)
        except UrlRefused as error:
            self._results.put(_GivenUp("failed", error.reason, str(error)).result(request.url, asked=False))
            return
        self._site(target).waiting.append((request, target))
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
                    request, target = site.waiting.popleft()
                    detail = f"{target.host} asked for a pause of {pause:.0f} s."
                    self._results.put(
                        _GivenUp("retry", "rate_limited", detail, retry_after=pause).result(request.url, asked=False)
                    )
                continue
            ready_at = max(site.resume_at, site.ready_at)
            while site.waiting and ready_at <= now and self._free > 0 and site.running < self._policy.per_host:
                self._begin(site, *site.waiting.popleft())
                self._sites.move_to_end(key)
                ready_at = site.ready_at = now + self._policy.per_host_delay
            if ready_at > now:
                if site.waiting:
                    wake_at = ready_at if wake_at is None else min(wake_at, ready_at)
            elif not site.waiting and site.running == 0 and site.strikes == 0:
                del self._sites[key]
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if wake_at is None else self._loop.call_at(wake_at, self._pump)

    def _begin(self, site: _Site, request: Request, target: Target) -> None:
        self._free -= 1
        site.running += 1
        task = self._loop.create_task(self._one(site, request, target))
        self._tasks.add(task)
        task.add_done_callback(self._end)

    def _end(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._results.put(error)

    async def _one(self, site: _Site, request: Request, target: Target) -> None:
        """Lead one URL to its result. A result with data keeps its place until the consumer has taken it."""
        try:
            try:
                answer = await self._download(request, target)
            finally:
                site.running -= 1
                self._pump()
            result = await self._decode(request.url, answer)
        except _GivenUp as outcome:
            result = outcome.result(request.url)
        except (MemoryError, DecoderUnavailable):
            raise
        except Exception as error:  # noqa: BLE001 - one odd server must not end a run of thousands
            _LOG.exception("Unforeseen error while fetching %s", request.url)
            result = _GivenUp("retry", "internal_error", repr(error)).result(request.url)
        self._results.put(result)
        if result.data is None:
            self._release()

    async def _decode(self, url: str, answer: _Answer) -> FetchResult:
        unchanged = FetchResult(
            url, "unchanged", http_status=answer.status, etag=answer.etag, last_modified=answer.last_modified
        )
        if answer.body is None:
            return unchanged
        size, md5 = _PLACEHOLDER_BYTES
        if len(answer.body) == size and hashlib.md5(answer.body, usedforsecurity=False).hexdigest() == md5:
            detail = "The bytes are imgur's picture for removed images."
            raise _GivenUp("failed", "placeholder_image", detail, answer.status)
        try:
            sha256, image, kept = await self._decoders.inspect(answer.body)
        except DecoderDied as error:
            raise _GivenUp("retry", "decoder_died", str(error), answer.status) from error
        except ImageRejected as error:
            if answer.cut is not None:
                raise _GivenUp("retry", "connection_failed", answer.cut, answer.status) from error
            raise _GivenUp("failed", error.reason, str(error), answer.status) from error
        return replace(unchanged, status="ok", data=kept, image=image, sha256=sha256)

    async def _download(self, request: Request, target: Target) -> _Answer:
        """Return the answer behind a URL, redirects followed, within the deadline."""
        conditions = _conditions(request)
        try:
            async with asyncio.timeout(self._policy.deadline):
                for _ in range(self._policy.max_redirects + 1):
                    answer = await self._ask(target, conditions)
                    if isinstance(answer, _Answer):
                        return answer
                    target = answer
                    pause = self._site(target).resume_at - self._loop.time()
                    if pause > 0:
                        detail = f"Redirected to {target.host}, which asked for a pause of {pause:.0f} s."
                        raise _GivenUp("retry", "rate_limited", detail, retry_after=pause)
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
            raise _GivenUp("retry", "connection_failed", _told(target, error)) from error
        raise _GivenUp("failed", "too_many_redirects", f"More than {self._policy.max_redirects} redirects.")

    async def _ask(self, target: Target, conditions: dict[str, str]) -> Target | _Answer:
        """Make one request: the next target of a redirect, or the answer."""
        if (target.host, target.url.path) == _PLACEHOLDER_URL:
            raise _GivenUp("failed", "placeholder_image", "The URL leads to imgur's picture for removed images.")
        response = await self._session.get(target.url, allow_redirects=False, headers=conditions)
        try:
            self._keep_manners(target, response)
            if response.status in _REDIRECTS and "Location" in response.headers:
                try:
                    return redirect_of(target, response.headers["Location"], self._policy.allowed_hosts)
                except UrlRefused as error:
                    raise _GivenUp("failed", error.reason, f"Redirected: {error}", response.status) from error
            etag = _validator(_ETAG, response.headers.get("ETag"))
            last_modified = _validator(_HTTP_DATE, response.headers.get("Last-Modified"))
            if response.status == 304 and conditions:
                return _Answer(304, None, etag, last_modified)
            _require_image(response, self._policy)
            names = packings(",".join(response.headers.getall("Content-Encoding", [])))
            body, cut = await self._body(target, response, names)
            return _Answer(response.status, body, etag, last_modified, cut)
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

    async def _body(
        self, target: Target, response: aiohttp.ClientResponse, names: list[str]
    ) -> tuple[bytes, str | None]:
        """The body, unpacked, and how it was cut off, if it was but has its end: some servers announce too much."""
        chunks: list[bytes] = []
        size = 0
        cut = None
        is_image = False
        try:
            async for chunk in response.content.iter_any():
                chunks.append(chunk)
                size += len(chunk)
                if size > self._policy.max_bytes:
                    detail = f"The body exceeds {self._policy.max_bytes} bytes."
                    raise _GivenUp("failed", "too_big", detail, response.status)
                if not is_image and size >= SNIFF_BYTES and not names:
                    _require_format(response, b"".join(chunks))
                    is_image = True
        except aiohttp.ClientPayloadError as error:
            cut = _told(target, error)
        body = b"".join(chunks)
        if names and format_of(body) is None:  # else the header lies
            try:
                body = unpacked(body, names, max_bytes=self._policy.max_bytes)
            except Undecodable as error:
                raise _GivenUp("failed", "not_image_bytes", str(error), response.status) from error
            except TooBig as error:
                raise _GivenUp("failed", "too_big", str(error), response.status) from error
        if cut is not None and not has_end(body):
            raise _GivenUp("retry", "connection_failed", cut, response.status)
        _require_format(response, body)
        return body, cut


def _told(target: Target, error: Exception) -> str:
    """What went wrong with a connection, the cause first: messages of the library are long and hold the request."""
    if isinstance(error, aiohttp.ClientResponseError):
        return (
            f"{target.host} sent an answer that cannot be read: {error.message.removeprefix('400, message:').strip()}"
        )
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return f"{target.host} hung up before it had answered."
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"{target.host} cannot be connected to: {error.os_error}"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"{target.host} hung up within the body: {error.__cause__ or error}"
    return f"The connection to {target.host} broke: {error or repr(error)}"


def _require_format(response: aiohttp.ClientResponse, body: bytes) -> None:
    """Judge a body by its first bytes, whatever its head calls it; raises `_GivenUp` unless it may be an image."""
    if format_of(body[:SNIFF_BYTES]) is not None:
        return
    detail = f"The body begins with {body[:SNIFF_BYTES]!r}." if body else "The body is empty."
    if response.content_type in ("text/html", "application/xhtml+xml"):
        detail = f"The answer is {response.content_type}."
    if response.status == 202:  # what was asked for is being made
        raise _GivenUp("retry", "server_error", f"The server answered 202. {detail}", response.status)
    raise _GivenUp("failed", "not_image_bytes", detail, response.status)


def _validator(form: re.Pattern[str], value: str | None) -> str | None:
    """Return a version that a server gave if it has the form of one: it is stored, and sent back one day."""
    value = (value or "").strip()
    return value if form.fullmatch(value) else None


def _conditions(request: Request) -> dict[str, str]:
    """Headers that let a server answer "unchanged" (RFC 9110, section 13.1)."""
    headers = {
        "If-None-Match": _validator(_ETAG, request.etag),
        "If-Modified-Since": _validator(_HTTP_DATE, request.last_modified),
    }
    return {name: value for name, value in headers.items() if value is not None}


def _require_image(response: aiohttp.ClientResponse, policy: FetchPolicy) -> None:
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
    if not 200 <= status < 300 or status in _WITHOUT_CONTENT:
        raise _GivenUp("failed", "unexpected_status", f"The server answered {status}.", status)
    # Whichever robot the header names: a site cannot name one that it has never heard of.
    robots = ",".join(response.headers.getall("X-Robots-Tag", [])).lower()
    directives = {word for part in robots.split(",") for word in part.replace(":", " ").split()}
    if not directives.isdisjoint(policy.opt_outs):
        raise _GivenUp("failed", "opted_out", f"X-Robots-Tag: {robots}", status)
    if response.content_length is not None and response.content_length > policy.max_bytes:
        detail = f"{response.content_length} bytes announced, more than {policy.max_bytes}."
        raise _GivenUp("failed", "too_big", detail, status)
