"""A refresh that finds nothing new loads no network and no large library, as most do in a quiet hour."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.integration

NOTHING_DUE = """
import sys
from datetime import timedelta
from pathlib import Path
from redpop_assets.encoders.judges import Judges
from redpop_assets.features.family import Encoders, Networks
from redpop_assets.features.registry import STEPS
from redpop_assets.refresh.embeddings import Encoding, refresh_captions, refresh_images, refresh_scores
from redpop_assets.refresh.features import Scope, refresh_step
from redpop_assets.storage.images import ImageStore
from redpop_assets.testing.warehouses import blank_warehouse

home = Path(sys.argv[1])
image, caption = "timm:tf_efficientnet_lite0/bundled", "sentence_transformers:all-MiniLM-L6-v2/bundled"
judges = Judges("", ("", ""), "", image, "", "cpu", lambda _: None)
scope = Scope("pics", blank_warehouse(home), ImageStore(home / "images"), Encoders(image, caption),
    Networks("cpu", judges), timedelta(days=9), 256, print, print)
encoding = Encoding([image], [caption], True, home / "tuning")
for job in (refresh_images, refresh_captions):
    job(scope, encoding)
refresh_scores(scope)
for step, families in STEPS.items():
    if step not in ("image_networks", "caption", "ratings"):
        refresh_step(families, scope)
print(sorted(sys.modules.keys() & {"torch", "openvino", "transformers", "timm", "sklearn", "scipy"}))
"""


def test_nothing_due_imports_no_large_library(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", NOTHING_DUE, str(tmp_path / "home")], capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.returncode) == ("[]\n", 0), answer.stderr
