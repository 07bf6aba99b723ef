"""`redpop studio` as people start it."""

import os
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest


def test_a_taken_port_is_one_sentence(redpop, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        answer = redpop("studio", "--port", str(port), REDPOP_HOME=str(tmp_path / "home"))
    assert answer.code == 1
    assert f"cannot listen on 127.0.0.1:{port}" in answer.output
    assert "--port" in answer.output


def test_the_network_needs_a_token(redpop, tmp_path):
    answer = redpop("studio", REDPOP_HOME=str(tmp_path / "home"), REDPOP_STUDIO_HOST="0.0.0.0")
    assert answer.code == 1
    assert "REDPOP_STUDIO_TOKEN" in answer.output


@pytest.mark.end_to_end
def test_it_says_where_it_is_serves_and_ends_by_an_interrupt_without_a_word_more(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "redpop_assets.cli", "studio", "--port", str(port)],
        env={**os.environ, "REDPOP_HOME": str(tmp_path / "home")},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    try:
        assert process.stdout.readline().strip() == f"The studio: http://127.0.0.1:{port}"
        with urlopen(f"http://127.0.0.1:{port}/static/studio.css", timeout=60) as answer:
            assert answer.status == 200
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0
    assert said == ""
    assert not (tmp_path / "home").exists()
