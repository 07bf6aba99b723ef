"""Object storage: where it is, and what is said when it does not do what is asked."""

import json
import re
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.cli.diagnosis import place_of_files
from redpop_assets.errors import RedPopError, SettingsError, StoreError
from redpop_assets.settings import load_settings
from redpop_assets.storage.bucket import KEEPS_VERSIONS, Bucket, probe
from redpop_assets.storage.images import ImageStore
from redpop_assets.storage.location import is_remote, open_link, parse_location
from redpop_assets_tests.local_server import LocalServer

KEYS = {
    "AWS_ACCESS_KEY_ID": "somebody",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_REGION": "us-east-1",
    "AWS_METADATA_ENDPOINT": "http://127.0.0.1:9",
}
SHORT = timedelta(seconds=1)
PICTURE = f"aa/{'a' * 64}.jpg"


# Locations


@pytest.mark.parametrize(
    ("text", "location"),
    [
        ("", ""),
        ("  ", ""),
        ("/data/redpop", "/data/redpop"),
        ("/data/redpop/", "/data/redpop"),
        ("file:///data/red%20pop", "/data/red pop"),
        ("s3://bucket", "s3://bucket"),
        (" S3://bucket/a/b/ ", "s3://bucket/a/b"),
        ("s3://my.bucket-1/x=1", "s3://my.bucket-1/x=1"),
        ("gs://bucket/redpop", "gs://bucket/redpop"),
        ("az://container/redpop", "az://container/redpop"),
    ],
)
def test_a_location_is_a_folder_or_a_bucket(text, location):
    assert parse_location(text) == location
    assert parse_location(location) == location


def test_folders_are_found_from_the_root_on(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert parse_location("files") == str(tmp_path / "files")
    assert parse_location("~/files") == "/home/somebody/files"


@pytest.mark.parametrize(
    "text",
    [
        *("s3:", "s3://", "s3:/bucket", "s3:bucket", "s3:///x", "s3://b", "s3://buck et", "s3://bucket/../x"),
        *("s3://bucket//x", "s3://bucket/.x", "s3://bucket/a?b", "s3://bucket/ä", "s3://bücket", "s3://bucket/a b"),
        *("ftp://host/x", "http://host/bucket", "https://bucket.s3.amazonaws.com", "memory://", "file://host/x"),
        "s3://bucket/a\nb",
    ],
)
def test_what_is_neither_says_what_to_write(text):
    with pytest.raises(ValueError, match="write a folder, or a URL such as s3://bucket/redpop"):
        parse_location(text)


def test_a_key_in_a_url_is_refused_and_not_repeated():
    with pytest.raises(ValueError, match="a key has no place") as refused:
        parse_location("s3://AKIA:hush@bucket/x")
    assert "hush" not in str(refused.value)


@given(st.text(max_size=30))
def test_every_text_is_a_location_or_refused(text):
    try:
        location = parse_location(text)
    except ValueError:
        return
    assert parse_location(location) == location


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:9", "s3.example.org", "ftp://x", "http://", "http://a b", "http://u:p@x"]
)
def test_an_endpoint_is_an_address(tmp_path, endpoint):
    with pytest.raises(SettingsError, match=r"AWS_ENDPOINT_URL is .*write the address of the service"):
        open_link("s3://bucket", tmp_path, {**KEYS, "AWS_ENDPOINT_URL": endpoint})


def test_google_and_azure_are_opened_with_their_own_variables(tmp_path):
    own = {"AZURE_STORAGE_ACCOUNT_NAME": "somebody", "AZURE_STORAGE_ACCOUNT_KEY": "c2VjcmV0"}
    for location in ("gs://bucket/a", "az://container/a"):
        assert is_remote(location)
        assert open_link(location, tmp_path, {**KEYS, **own}).where == location
    with pytest.raises(SettingsError, match=r"REDPOP_STORE=az://container cannot be opened .*Account must be"):
        open_link("az://container", tmp_path, {})


# Services that fail


@pytest.fixture
def answering():
    """A function that starts a service which answers every request alike, and gives its address."""
    servers = []

    def start(status, code="", *, after=0.0):
        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                time.sleep(after)
                self.send_response(status)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(f"<Error><Code>{code}</Code><Message>m</Message></Error>".encode())

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = answer  # noqa: N815

            def log_message(self, *_):
                pass

        servers.append(LocalServer(Handler))
        return servers[-1].url

    yield start
    for server in servers:
        server.stop()


def images_at(endpoint, tmp_path, **variables):
    link = open_link("s3://bucket/home", tmp_path, {**KEYS, **variables, "AWS_ENDPOINT_URL": endpoint}, patience=SHORT)
    return ImageStore(Bucket(link, "images"))


ASKED = {
    "read": lambda images: images.read(PICTURE),
    "put": lambda images: images.put(b"pixels", "jpg"),
    "exists": lambda images: images.exists(PICTURE),
    "remove": lambda images: images.remove(PICTURE),
    "files": lambda images: list(images.files()),
}


@pytest.mark.parametrize("asked", ASKED)
@pytest.mark.parametrize(
    ("status", "code", "remedy"),
    [
        (500, "InternalError", "Try later"),
        (503, "SlowDown", "Try later"),
        (403, "AccessDenied", "Allow it to list, read, write and delete"),
        (403, "SignatureDoesNotMatch", "Check AWS_ACCESS_KEY_ID|Allow it"),  # an answer to HEAD has no reason
        (301, "PermanentRedirect", "Set AWS_REGION"),
    ],
)
def test_what_a_service_answers_becomes_one_sentence(answering, tmp_path, asked, status, code, remedy):
    with pytest.raises(StoreError, match=rf"^s3://bucket/home cannot be asked to .*({remedy})") as said:
        ASKED[asked](images_at(answering(status, code), tmp_path))
    assert "\n" not in str(said.value)
    assert "secret" not in str(said.value)


@pytest.mark.parametrize("asked", ["read", "put", "remove", "files"])
def test_a_bucket_that_is_not_there_is_no_missing_picture(answering, tmp_path, asked):
    with pytest.raises(StoreError, match=r"there is no such bucket. Make it, or correct REDPOP_STORE"):
        ASKED[asked](images_at(answering(404, "NoSuchBucket"), tmp_path))


@pytest.mark.parametrize("asked", ASKED)
def test_who_is_not_there_is_said_to_give_no_answer(tmp_path, asked):
    with pytest.raises(StoreError, match=r"there is no answer\. See that it runs"):
        ASKED[asked](images_at("http://127.0.0.1:9", tmp_path))


def test_without_a_key_it_says_which_variables_to_set(answering, tmp_path):
    machine = answering(404, "none")
    variables = {name: value for name, value in KEYS.items() if "KEY" not in name}
    link = open_link(
        "s3://bucket",
        tmp_path,
        {**variables, "AWS_METADATA_ENDPOINT": machine, "AWS_ENDPOINT_URL": machine},
        patience=SHORT,
    )
    with pytest.raises(StoreError, match=r"no key was given.*Set AWS_ACCESS_KEY_ID"):
        probe(link)


# A real server


@pytest.mark.integration
def test_a_real_server_is_found_sound_and_nothing_is_left(seaweed, tmp_path):
    link = open_link(f"s3://{seaweed.bucket()}/a", tmp_path, seaweed.variables())
    probe(link)
    assert not link.keeps_versions
    assert list(link.client.list()) == []


@pytest.mark.integration
@pytest.mark.parametrize(
    ("change", "remedy"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, r"does not accept the key \(SignatureDoesNotMatch\)"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, r"does not accept the key \(InvalidAccessKeyId\)"),
        (
            {"AWS_ACCESS_KEY_ID": "reader", "AWS_SECRET_ACCESS_KEY": "reader-secret"},
            "store files: the key is not allowed",
        ),
    ],
)
def test_a_real_server_that_refuses(seaweed, tmp_path, change, remedy):
    link = open_link(f"s3://{seaweed.bucket()}", tmp_path, {**seaweed.variables(), **change}, patience=SHORT)
    with pytest.raises(StoreError, match=remedy):
        probe(link)


@pytest.mark.integration
def test_a_key_that_may_not_delete_is_told_apart(seaweed, tmp_path):
    bucket = seaweed.bucket()
    ours = ImageStore(Bucket(open_link(f"s3://{bucket}", tmp_path, seaweed.variables()), "images"))
    image = ours.put(b"pixels", "jpg")
    theirs = ImageStore(Bucket(open_link(f"s3://{bucket}", tmp_path, seaweed.variables("reader")), "images"))
    assert theirs.read(image.path) == b"pixels"
    with pytest.raises(StoreError, match="delete files: the key is not allowed to"):
        theirs.remove(image.path)
    assert ours.exists(image.path)


@pytest.mark.integration
def test_a_bucket_that_is_missing(seaweed, tmp_path):
    images = ImageStore(Bucket(open_link("s3://nobody-made-it", tmp_path, seaweed.variables()), "images"))
    for asked in ("read", "remove", "files"):
        with pytest.raises(StoreError, match="there is no such bucket"):
            ASKED[asked](images)
    with pytest.raises(StoreError, match="the key is not allowed"):  # this server would make it for an administrator
        images.put(b"pixels", "jpg")


@pytest.mark.integration
def test_versions_of_what_is_deleted_are_noticed(seaweed, tmp_path):
    bucket = seaweed.bucket()
    seaweed.shell(f"s3.bucket.versioning -name {bucket} -enable")
    images = ImageStore(Bucket(open_link(f"s3://{bucket}", tmp_path, seaweed.variables()), "images"))
    image = images.put(b"pixels", "jpg")
    assert images.remove(image.path) == 1
    assert not images.exists(image.path)
    assert images.place.caveat == KEEPS_VERSIONS
    link = open_link(f"s3://{bucket}", tmp_path, seaweed.variables())
    probe(link)
    assert link.keeps_versions


@pytest.mark.integration
def test_the_doctor_looks_at_it(seaweed, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def told(location, **more):
        (tmp_path / ".env").write_text("".join(f"{k}={v}\n" for k, v in {**seaweed.variables(), **more}.items()))
        settings = load_settings(home=str(tmp_path / "home"), store=location)
        assert "secret" not in json.dumps(settings.handed_over())
        try:
            return place_of_files(settings)
        except RedPopError as error:
            return f"missing: {error}"

    bucket = seaweed.bucket()
    assert told(f"s3://{bucket}/a") == f"s3://{bucket}/a lists, writes, reads and deletes"
    assert "Check AWS_ACCESS_KEY_ID" in told(f"s3://{bucket}/a", AWS_SECRET_ACCESS_KEY="wrong")
    seaweed.shell(f"s3.bucket.versioning -name {bucket} -enable")
    assert re.match("missing: .*lifecycle rule", told(f"s3://{bucket}/a"))
    assert told("") == str(tmp_path / "home")
    assert told(str(tmp_path / "files")) == str(tmp_path / "files")
    (tmp_path / "no-folder").write_text("")
    assert "missing: " in told(str(tmp_path / "no-folder"))
