"""What the running studio takes, asked over HTTP as a browser or a program asks it.

`redpop studio --demo` is started as a process of its own, on the home that `redpop demo` has made, and
timed from the command to the first page, and to the first answer about a title with a picture. Then each community's
champion is asked: another title, another time, another picture (its upload included), why, the hours of a week, may I;
all communities at once; ten people at once, who change a title each.

Each line says how long half and 95 of 100 questions take, and what share of its budget the latter is: twice the
forward passes that the question needs (of the demo's encoders, in this process and this run), 50 ms beside them, 100 ms
and the decoding for a picture. Why, when, where and May I promise nothing; their share is of the budget of a title.
Last, how the memory of the studio grows over many questions. Progress goes to stderr, Markdown to stdout.

    python benchmarks/studio_server.py [--questions 50] [--memory 10000]
"""

import argparse
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from studio import PEOPLE, SLACK, SLACK_OF_PICTURE, WORDS, encoders_alone, jpeg, milliseconds

from redpop_assets import markdown
from redpop_assets.demo.settings import demo_settings
from redpop_assets.images.decode import open_rgb

_NOW = datetime(2026, 6, 3, 9, tzinfo=UTC)
Ask = Callable[..., None]

_WAIT = 60.0  # seconds for a server to begin


class Visitor:
    """Somebody who asks one running studio; numbers questions, so that none is asked twice."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=f"{url}/api/v1", timeout=_WAIT)
        self._asked = 0

    def title(self) -> str:
        """One that nobody asked about."""
        self._asked += 1
        number = self._asked
        chosen = (WORDS[number // len(WORDS) ** place % len(WORDS)] for place in range(4))
        return f"{' '.join(chosen)} {number}"

    def picture(self, file: bytes) -> str:
        """Bring one; its id."""
        return str(self._post("pictures", content=file)["picture"])

    def ask(self, about: str, **draft: object) -> Any:
        """One question of the API."""
        return self._post(about, json={"posted_at": _NOW.isoformat(), **draft})

    def communities(self) -> list[dict[str, Any]]:
        """Those of the warehouse."""
        found: list[dict[str, Any]] = self._client.get("communities").raise_for_status().json()
        return found

    def _post(self, path: str, **body: Any) -> Any:
        answer = self._client.post(path, **body)
        if answer.is_error:
            sys.exit(f"{path}: {answer.status_code} {answer.text}")
        return answer.json()


def start(port: int) -> tuple[subprocess.Popen[bytes], float]:
    """The studio as a process, and the seconds until it gave its first page.

    Raises:
        SystemExit: it did not begin.
    """
    environment = {**os.environ, "REDPOP_STUDIO_REQUESTS_PER_MINUTE": "10000000"}
    command = [str(Path(sys.executable).with_name("redpop")), "studio", "--demo", "--port", str(port)]
    began = time.perf_counter()
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    while process.poll() is None and time.perf_counter() - began < _WAIT:
        try:
            httpx.get(f"http://127.0.0.1:{port}/", timeout=_WAIT).raise_for_status()
            return process, time.perf_counter() - began
        except httpx.TransportError:
            time.sleep(0.05)
    process.terminate()
    sys.exit("the studio did not begin")


def forward_passes() -> tuple[float, float, float]:
    """Milliseconds that the demo's encoders take in this process for a title, for a picture, and its decoding."""
    settings = demo_settings(8765)
    networks = encoders_alone()
    text, image = networks.text_encoder(settings.caption_encoder), networks.image_encoder(settings.image_encoder)
    files = [jpeg(number) for number in range(10)]
    shown = [open_rgb(file) for file in files]
    text.encode(["a title"])
    image.outputs_of(shown[:1])
    return (
        float(np.median(milliseconds(lambda number: text.encode([f"a title of a picture {number}"]), 30))),
        float(np.median(milliseconds(lambda number: image.outputs_of([shown[number]]), 10))),
        float(np.median(milliseconds(lambda number: open_rgb(files[number]), 10))),
    )


def measured(url: str, questions: int) -> list[list[str]]:
    """Rows of the table, one for each kind of question and community."""
    of_title, of_picture, decoding = forward_passes()
    print(f"forward passes: title {of_title:.0f} ms, picture {of_picture:.0f} ms", file=sys.stderr)
    visitor = Visitor(url)
    spoken = [one for one in visitor.communities() if one["speaker"]]
    picture, files = "", [jpeg(number) for number in range(questions)]
    title_budget, picture_budget = 2 * of_title + SLACK, 2 * of_picture + decoding + SLACK_OF_PICTURE
    rows = []

    def add(who: str, name: str, took: Sequence[float], budget: float) -> None:
        half, most = np.quantile(took, [0.5, 0.95])
        rows.append([who, name, f"{half:.0f}", f"{most:.0f}", f"{budget:.0f}", f"{most / budget:.2f}"])
        print(f"{who}, {name}: {half:.0f} / {most:.0f} ms", file=sys.stderr)

    def ask(where: str, about: str, *titles: str, shown: str = "", minutes: int = 0) -> None:
        draft: dict[str, object] = {"titles": titles or [visitor.title()], "picture": shown or picture}
        visitor.ask(about, subreddit=where, posted_at=(_NOW + timedelta(minutes=minutes)).isoformat(), **draft)

    for one in spoken:
        here = partial(ask, str(one["subreddit"]))
        who = f"r/{one['subreddit']}, {one['speaker']}"

        def another_title(_: int, here: Ask = here) -> None:
            here("answers")

        def another_time(number: int, here: Ask = here) -> None:
            here("answers", "A lake", minutes=number)

        def another_picture(number: int, here: Ask = here) -> None:
            here("answers", "A lake", shown=visitor.picture(files[number]))

        def ten_titles(_: int, here: Ask = here) -> None:
            here("answers", *(visitor.title() for _ in range(10)))

        def of_another_title(about: str, _: int, here: Ask = here) -> None:
            here(about)

        kinds: dict[str, tuple[Callable[[int], None], float]] = {
            "another title": (another_title, title_budget),
            "another time": (another_time, title_budget),
            "another picture": (another_picture, picture_budget),
            "ten titles": (ten_titles, title_budget),
            "why": (partial(of_another_title, "reasons"), title_budget),
            "the hours of a week": (partial(of_another_title, "hours"), title_budget),
            "may I": (partial(of_another_title, "may"), title_budget),
        }
        for name, (question, budget) in kinds.items():
            picture = visitor.picture(jpeg(10**6))  # a visitor's ninth picture drives out the first
            question(0)
            add(who, name, milliseconds(question, questions), budget)
        with ThreadPoolExecutor(PEOPLE) as pool:
            crowd = pool.map(lambda _, question=another_title: milliseconds(question, 1)[0], range(questions))
            add(who, f"another title, {PEOPLE} people at once", list(crowd), PEOPLE * title_budget)

    def everywhere(_: int) -> None:
        visitor.ask("places", titles=[visitor.title()], picture=picture)

    everywhere(0)
    add(f"{len(spoken)} communities", "where", milliseconds(everywhere, questions), len(spoken) * title_budget)
    return rows


def resident_megabytes(process: int) -> float:
    """Memory of a process now (Linux)."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> None:
    """Start the studio, ask, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=50, help="of each kind")
    parser.add_argument("--memory", type=int, default=10_000, help="questions over which memory is watched; 0 for none")
    options = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    began = time.perf_counter()
    process, page = start(port)
    try:
        visitor = Visitor(url)
        where = next(str(one["subreddit"]) for one in visitor.communities() if one["speaker"])
        picture = visitor.picture(jpeg(10**6))
        visitor.ask("answers", subreddit=where, titles=["A lake"], picture=picture)
        said = [f"the first page {page:.1f} s after the command, the first answer {time.perf_counter() - began:.1f} s"]
        headers = ["who answers", "question", "half, ms", "95 of 100, ms", "budget, ms", "share of it"]
        print(markdown.table(headers, measured(url, options.questions)))
        if options.memory:

            def asked(count: int) -> float:
                for _ in range(count):
                    visitor.ask("answers", subreddit=where, titles=[visitor.title()], picture=picture)
                return resident_megabytes(process.pid)

            before = asked(options.memory // 10)
            said.append(f"{options.memory:,} questions: memory from {before:,.0f} to {asked(options.memory):,.0f} MB")
        print("\n" + "\n".join(f"* {sentence}" for sentence in said))
    finally:
        process.terminate()
        process.wait()


if __name__ == "__main__":
    main()
