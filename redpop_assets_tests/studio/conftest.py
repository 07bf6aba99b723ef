import shutil

import pytest
from starlette.testclient import TestClient

from redpop_assets.kept import Recent
from redpop_assets.settings import load_settings
from redpop_assets.storage.images import ImageStore
from redpop_assets.studio.app import create_app
from redpop_assets.studio.editions import Editions
from redpop_assets.studio.guard import Door
from redpop_assets.studio.pictures import Pictures
from redpop_assets.studio.pool import Workers
from redpop_assets.studio.rendering import Templates
from redpop_assets.studio.site import Site
from redpop_assets.testing.warehouses import blank_warehouse
from redpop_assets_tests.studio.samples import SampleDesk

ADDRESS = "http://127.0.0.1:8800"


@pytest.fixture(scope="session")
def blank_home(tmp_path_factory):
    home = tmp_path_factory.mktemp("studio") / "home"
    blank_warehouse(home).publish()
    return home


@pytest.fixture
def home(tmp_path, blank_home):
    """A home with a published file that has all tables, and no row in them."""
    return shutil.copytree(blank_home, tmp_path / "home")


@pytest.fixture
def make_site(home):
    """Makes a studio on the home, or on another folder; keywords are settings, `desk` makes the desk of an edition."""

    def make(desk=SampleDesk, every=0.0, waiting=None, folder=home, **chosen):
        settings = load_settings(home=folder, **chosen)
        return Site(
            settings=settings,
            editions=Editions(folder, desk, every=every),
            workers=Workers(settings.studio_threads, waiting),
            pictures=Pictures(max_bytes=settings.image_max_bytes, max_pixels=settings.image_max_pixels, min_edge=128),
            images=ImageStore(folder / "images"),
            thumbnails=Recent(4),
            templates=Templates(),
            door=Door(settings.studio_token.get_secret_value()),
            digest=lambda name: f"digest of {name}",
        )

    return make


@pytest.fixture
def visit(make_site):
    """Makes a client of a studio, in the manner of a program; closed when the test ends."""
    opened = []

    def make(**how):
        client = TestClient(create_app(make_site(**how)), ADDRESS, raise_server_exceptions=False)
        opened.append(client.__enter__())
        return client

    yield make
    for client in opened:
        client.__exit__(None, None, None)
