"""The key that hides names: made once, kept to oneself, never replaced silently."""

import stat
from concurrent.futures import ThreadPoolExecutor

import pytest

from redpop_assets.errors import SettingsError
from redpop_assets.privacy.author_key import AuthorKey

KEY = AuthorKey(b"k" * 32)


def test_the_key_is_made_once_and_only_its_owner_may_read_it(tmp_path):
    path = tmp_path / "home" / "author.key"
    key = AuthorKey.load_or_create(path)
    assert len(key.secret) == 32
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert AuthorKey.load_or_create(path) == key
    assert AuthorKey.load_or_create(tmp_path / "other.key") != key
    assert [file.name for file in path.parent.iterdir()] == ["author.key"]
    assert key.secret.hex() not in repr(key)
    assert repr(key.secret) not in repr(key)


def test_a_key_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "author.key"
    AuthorKey.load_or_create(path)
    path.chmod(0o644)
    AuthorKey.load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_those_who_start_together_agree_on_one_key(tmp_path):
    for attempt in range(20):
        with ThreadPoolExecutor(8) as pool:
            keys = list(pool.map(AuthorKey.load_or_create, [tmp_path / f"{attempt}.key"] * 8))
        assert len({key.secret for key in keys}) == 1


@pytest.mark.parametrize("content", [b"", b"short", b"k" * 33])
def test_a_damaged_key_is_not_replaced_silently(tmp_path, content):
    path = tmp_path / "author.key"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match="restore it from a backup"):
        AuthorKey.load_or_create(path)
    assert path.read_bytes() == content


def test_a_key_that_cannot_be_kept_is_an_error_of_ours(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingsError, match="cannot be kept"):
        AuthorKey.load_or_create(tmp_path / "file" / "author.key")


def test_a_digest_depends_on_the_key_and_not_on_case():
    # HMAC-SHA256, test case 2 of RFC 4231, cut to 32 digits
    assert AuthorKey(b"Jefe").digest("what do ya want for nothing?") == "5bdcc146bf60754e6a042426089575c7"
    assert KEY.digest("Some_Name") == KEY.digest("some_name")
    assert KEY.digest("a") != KEY.digest("b")
    assert AuthorKey(b"other" * 8).digest("a") != KEY.digest("a")
