import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from redpop_assets.images.decode import ORIGINAL, ImageRejected, StoredForm, inspect
from redpop_assets.images.decoder import DecoderDied, Decoders, DecoderUnavailable

pytestmark = pytest.mark.integration

LIMITS = {"max_pixels": 10_000_000, "min_edge": 128, "max_aspect": 5.0}


def decoders(count=1, timeout=20.0, store=ORIGINAL):
    return Decoders(count, timeout=timeout, max_bytes=1_000_000, store=store, **LIMITS)


def run(work, pool):
    async def running():
        try:
            return await work(pool)
        finally:
            pool.close()

    return asyncio.run(running())


def pids(parent="self"):
    """Decoding processes that this process has started."""
    children = "".join(path.read_text() for path in Path(f"/proc/{parent}/task").glob("*/children")).split()
    commands = {int(child): Path(f"/proc/{child}/cmdline").read_text() for child in children}
    return [child for child, command in commands.items() if "redpop_assets.images.decoder" in command]


@pytest.mark.parametrize("store", [ORIGINAL, StoredForm("webp", 99, 50)])
def test_answers_are_those_of_inspect(photo, encode, store):
    png, tiny = encode(photo, "PNG"), encode(photo.resize((9, 9)), "PNG")

    async def work(pool):
        for _ in range(2):
            sha256, info, kept = await pool.inspect(png)
            assert (info, kept) == inspect(png, **LIMITS, store=store)
            assert len(sha256) == 64
            with pytest.raises(ImageRejected, match="9x9") as rejected:
                await pool.inspect(tiny)
            assert rejected.value.reason == "too_small"
        assert len(pids()) == 1

    run(work, decoders(store=store))
    assert not pids()


def test_processes_start_when_they_are_needed_and_work_side_by_side(photo, encode):
    png = encode(photo, "PNG")

    async def work(pool):
        assert not pids()
        await pool.inspect(png)
        assert len(pids()) == 1
        answers = await asyncio.gather(*(pool.inspect(png) for _ in range(20)))
        assert len({kept for *_, kept in answers}) == 1
        assert len(pids()) == 3

    run(work, decoders(3))


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_dies_or_hangs_is_replaced(photo, encode, blow):
    png = encode(photo, "PNG")

    async def work(pool):
        await pool.inspect(png)
        (first,) = pids()
        os.kill(first, blow)
        with pytest.raises(DecoderDied, match="decoder"):
            await pool.inspect(png)
        assert not pids()
        assert (await pool.inspect(png))[1].format == "PNG"
        assert pids() != [first]

    run(work, decoders(timeout=3.0))


def test_who_gives_up_waiting_leaves_no_half_used_decoder(photo, encode):
    png = encode(photo, "PNG")

    async def work(pool):
        await pool.inspect(png)
        os.kill(pids()[0], signal.SIGSTOP)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await pool.inspect(png)
        assert (await pool.inspect(png))[1].format == "PNG"

    run(work, decoders())


def test_decoders_do_not_know_the_secrets_of_the_environment(photo, encode, monkeypatch):
    monkeypatch.setenv("REDPOP_REDDIT_CLIENT_SECRET", "hush")

    async def work(pool):
        await pool.inspect(encode(photo, "PNG"))
        assert b"hush" not in Path(f"/proc/{pids()[0]}/environ").read_bytes()

    run(work, decoders())


def test_decoders_end_with_the_process_that_started_them(photo, encode, tmp_path):
    (tmp_path / "a.png").write_bytes(encode(photo, "PNG"))
    program = f"""
import asyncio, os, sys
from pathlib import Path
from redpop_assets.images.decode import ORIGINAL
from redpop_assets.images.decoder import Decoders
pool = Decoders(1, timeout=20.0, max_bytes=10**6, store=ORIGINAL, **{LIMITS!r})
async def main():
    await pool.inspect(Path(sys.argv[1]).read_bytes())
    print(pool._started[0].process.pid, flush=True)
    os._exit(9)
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path / "a.png"], capture_output=True, text=True)
    assert done.returncode == 9
    decoder = Path(f"/proc/{int(done.stdout)}")

    async def gone():
        while decoder.exists() and "Z" not in (decoder / "stat").read_text().rpartition(")")[2].split()[0]:
            await asyncio.sleep(0.02)

    asyncio.run(asyncio.wait_for(gone(), 20))


def test_a_machine_on_which_none_starts_is_an_error_of_its_own(photo, encode, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")

    async def work(pool):
        with pytest.raises(DecoderUnavailable, match="at its start"):
            await pool.inspect(encode(photo, "PNG"))

    run(work, decoders())
    monkeypatch.setattr(sys, "executable", "/no/such/python")

    async def work_too(pool):
        with pytest.raises(DecoderUnavailable, match="cannot be started"):
            await pool.inspect(encode(photo, "PNG"))

    run(work_too, decoders())


def test_memory_is_limited():
    program = "from redpop_assets.images.decoder_process import _limit_memory as limit; limit(10**6); bytearray({})"
    for size, fits in ((100_000_000, True), (2_000_000_000, False)):
        done = subprocess.run([sys.executable, "-c", program.format(size)], capture_output=True, text=True)
        assert (done.returncode == 0) == fits
        assert fits or "MemoryError" in done.stderr


def test_the_largest_picture_fits_into_the_memory_allowed(encode):
    """With transparency, and turned: the most that decoding ever needs."""
    exif = Image.Exif()
    exif[0x0112] = 6
    file = encode(Image.new("RGBA", (4_000, 2_500), (9, 8, 7, 99)), "PNG", exif=exif, compress_level=1)

    async def work(pool):
        _, info, _ = await pool.inspect(file)
        assert (info.width, info.height) == (2_500, 4_000)

    run(work, decoders(store=StoredForm("webp")))
