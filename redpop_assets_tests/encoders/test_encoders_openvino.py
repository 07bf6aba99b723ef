"""Networks that OpenVINO reads from a file, called from several threads."""

import subprocess
import sys

import pytest
import torch

from redpop_assets.encoders.openvino_network import OpenVinoNetwork, converted, read_network

pytestmark = pytest.mark.integration

FIRST_CALLS = """
import sys, threading
from pathlib import Path
import torch
from redpop_assets.encoders.openvino_network import OpenVinoNetwork, read_network

sys.setswitchinterval(1e-6)
network = OpenVinoNetwork(read_network(Path(sys.argv[1])), "float32", streams=2, threads=2)
together = threading.Barrier(8)

def call():
    together.wait()
    network(torch.zeros(1, 3))

threads = [threading.Thread(target=call) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("all are back")
"""


def saved(folder):
    """A small network in torch, and the file that OpenVINO reads it from."""
    import openvino

    network = torch.nn.Linear(3, 2).eval()
    openvino.save_model(converted(network, [torch.zeros(1, 3)]), folder / "network.xml", compress_to_fp16=False)
    return network, folder / "network.xml"


def test_a_network_from_a_file_computes_what_it_did(tmp_path):
    network, path = saved(tmp_path)
    inputs = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    (outputs,) = OpenVinoNetwork(read_network(path), "float32", streams=1, threads=1)(inputs)
    torch.testing.assert_close(torch.from_numpy(outputs), network(inputs).detach())


def test_first_calls_at_the_same_time_do_not_wait_for_each_other_for_ever(tmp_path):
    _, path = saved(tmp_path)
    command = [sys.executable, "-c", FIRST_CALLS, str(path)]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=240, check=True)
    assert finished.stdout.strip() == "all are back"
