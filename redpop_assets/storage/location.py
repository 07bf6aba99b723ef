"""Where the files of a deployment are: what REDPOP_STORE says, and the form that goes with it."""

import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import unquote, urlsplit

from redpop_assets.errors import SettingsError
from redpop_assets.storage.files import Files, Folder

if TYPE_CHECKING:
    from redpop_assets.storage.bucket import Link

Kind = Literal["images", "models", "figures"]

SCHEMES: Final = {"s3": "S3, and what speaks as it does", "gs": "Google Cloud Storage", "az": "Azure Blob Storage"}
"""Object storage by the scheme of its URL."""

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")
_SEGMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._=+-]*")
_ENDPOINT = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[^\s?#@]*)?")
_EXAMPLE = "write a folder, or a URL such as s3://bucket/redpop"


def parse_location(text: str) -> str:
    """A location as it is kept: empty for the home directory, the path of a folder, or `s3://bucket/prefix`.

    Raises:
        ValueError: it is neither; the message says what to write.
    """
    text = text.strip()
    scheme = _SCHEME.match(text)
    if not text or scheme is None:
        try:
            return str(Path(text).expanduser().absolute()) if text else ""
        except (RuntimeError, FileNotFoundError) as error:  # no such user; a working directory that was removed
            raise ValueError(f"{text!r} leads nowhere ({error}): name a folder from the root on") from error
    name = scheme[1].lower()
    if name == "file":
        parts = urlsplit(text)
        if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
            raise ValueError(f"{text!r} names no folder of this machine: {_EXAMPLE}")
        return str(Path(unquote(parts.path)))
    if name not in SCHEMES:
        known = ", ".join(f"{scheme}:// ({title})" for scheme, title in SCHEMES.items())
        raise ValueError(f"{text!r} is no place for files: {_EXAMPLE}. There are {known}")
    rest = text[scheme.end() :]
    if "@" in rest:
        raise ValueError(
            f"a key has no place in the URL of a {name}:// bucket, which is shown and logged: put it into "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or what your service wants"
        )
    bucket, *prefix = rest.removeprefix("//").rstrip("/").split("/")
    if not rest.startswith("//") or not _BUCKET.fullmatch(bucket) or not all(map(_SEGMENT.fullmatch, prefix)):
        raise ValueError(
            f"{text!r} names no bucket, or a prefix that does not fit everywhere: {_EXAMPLE}, of letters, digits and "
            "_ . + = -"
        )
    return f"{name}://{'/'.join([bucket, *prefix])}"


def is_remote(location: str) -> bool:
    """Whether a location, as `parse_location` gives it, is in object storage."""
    return "://" in location


def open_files(location: str, home: Path, kind: Kind, variables: Mapping[str, str]) -> Files:
    """The files of one kind.

    Args:
        location: as `parse_location` gives it.
        home: home directory, where files are unless a location says otherwise, and where copies of models are kept.
        kind: of the files.
        variables: key, address and region of the service, by its own names (`AWS_…`); obstore reads further ones in the
            environment.

    Raises:
        SettingsError: what is known of the service does not suffice, or is wrong.
    """
    if not is_remote(location):
        return Folder((Path(location) if location else home) / kind)
    from redpop_assets.storage.bucket import Bucket

    return Bucket(open_link(location, home, variables), kind)


def open_link(
    location: str, home: Path, variables: Mapping[str, str], *, patience: timedelta = timedelta(minutes=2)
) -> "Link":
    """The way to a place in object storage; nobody is asked yet.

    Args:
        location: as `parse_location` gives it, with a scheme.
        home: home directory.
        variables: as in `open_files`.
        patience: for how long a failing request is tried again.

    Raises:
        SettingsError: as `open_files`.
    """
    from obstore.exceptions import BaseError
    from obstore.store import from_url

    from redpop_assets.storage.bucket import Link

    own = {"s3": "AWS_", "gs": "GOOGLE_", "az": "AZURE_"}[location.partition(":")[0]]
    config = {name.lower(): value for name, value in variables.items() if name.startswith(own)}
    endpoints = {name: config.get(name.lower(), "") for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
    for name, endpoint in endpoints.items():
        if endpoint and not _ENDPOINT.fullmatch(endpoint):
            raise SettingsError(
                f"{name} is {endpoint!r}: write the address of the service, like https://s3.example.org"
            )
    try:
        client = from_url(  # type: ignore[call-overload]  # one of three services, known at run time only
            location,
            config=config,
            client_options={
                # Who writes http:// means it.
                "allow_http": any(endpoint.startswith("http://") for endpoint in endpoints.values()),
                "connect_timeout": timedelta(seconds=5),
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(minutes=5),  # of a whole request: a large model over a slow line
            },
            retry_config={
                "max_retries": 8,
                "retry_timeout": patience,
                "backoff": {
                    "init_backoff": timedelta(milliseconds=100),
                    "max_backoff": timedelta(seconds=15),
                    "base": 2,
                },
            },
        )
    except (BaseError, ValueError) as error:
        text = " ".join(str(error).partition("\n\nDebug source")[0].split())
        raise SettingsError(
            f"REDPOP_STORE={location} cannot be opened with the variables of its service: {text}. See docs/operate.md."
        ) from error
    return Link(client, location, home)
