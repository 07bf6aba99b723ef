"""Homes that older versions wrote: `homes/<name>.tar.zst`, described in `homes/README.md`."""

import io
import tarfile
from pathlib import Path

import zstandard

FOLDER = Path(__file__).with_name("homes")
NAMES = tuple(sorted(path.name.removesuffix(".tar.zst") for path in FOLDER.glob("*.tar.zst")))


def unpack(name: str, home: Path) -> Path:
    """A home as it was written; the published file, which is not packed, is the live one."""
    data = zstandard.ZstdDecompressor().decompress((FOLDER / f"{name}.tar.zst").read_bytes(), max_output_size=2**28)
    with tarfile.open(fileobj=io.BytesIO(data)) as files:
        files.extractall(home, filter="data")
    (home / "redpop.duckdb").write_bytes((home / "live" / "redpop.duckdb").read_bytes())
    return home
