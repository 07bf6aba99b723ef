"""How fast files and captions become rows of vectors in a warehouse, beside what limits it and what one would write.

Pictures are JPEGs of 1,200 x 900 in an image store on the disk, smooth and rough at once as photographs are; captions
have 1 to 40 words. Each encoder first measures which way it runs fastest here, as the platform does. Then in turn, the
best of the rounds counts:

* RedPop: files or captions to rows in a new DuckDB warehouse, a transaction per chunk of 256
  (captions: 4,096)
* forward: the network alone, in the way it chose, on tensors that lie ready
* decode: reading, decoding and resizing alone, on all cores; tokenise: the tokenizer alone
* limit: what the two allow together: on a processor they share the cores, so their times add up; on a GPU the slower
  counts
* clip-retrieval (`--clip-retrieval`, for ViT-B/32): its `clip_inference` on a folder of the same files with the same
  weights, as many workers as there are processors, less what a run on a few of them takes: its start does not count. It
  is installed with uv into an environment of its own and writes one array of float16
* plain: the usual loop: Pillow and the library's own transform, float32, batches of 64 (pictures), and the `encode` of
  sentence-transformers with its batch of 32, then with the batch that is fastest here (captions). It writes no rows

The cosine is the smallest between vectors read from the warehouse and those of the plain loop.

Run: `python benchmarks/encoders.py [--images 400] [--clip-images 128] [--captions 4000] [--rounds 3] [--device cpu]
[--clip-retrieval]`
"""

import argparse

from peers import CLIP_RETRIEVAL


def main() -> None:
    """Read the options, then measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--images", type=int, default=400, help="for EfficientNet-Lite0; 200 or more, or none is tuned")
    parser.add_argument("--clip-images", type=int, default=128, help="of them, for ViT-B/32; 0 to leave it out")
    parser.add_argument("--clip-retrieval", action="store_true", help=f"install {CLIP_RETRIEVAL[0]} and run it, too")
    parser.add_argument("--captions", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    from encoder_rates import compare

    compare(options)


if __name__ == "__main__":
    main()
