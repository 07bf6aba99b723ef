"""Programs that commands run and wait for."""

import signal
import subprocess
import sys


def test_what_runs_in_the_foreground_ends_with_it_even_if_it_was_started_in_the_background(tmp_path):
    program, outer = tmp_path / "program.py", tmp_path / "outer.py"
    program.write_text(
        "import time\n"
        "try:\n    print('up', flush=True)\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    raise SystemExit(7)\n"
    )
    outer.write_text(
        "import sys\nfrom redpop_assets.cli.programs import foreground\n"
        f"sys.exit(foreground([sys.executable, {str(program)!r}], {{}}))\n"
    )
    with subprocess.Popen(
        [sys.executable, outer],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    ) as process:
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.wait(timeout=30) == 7
