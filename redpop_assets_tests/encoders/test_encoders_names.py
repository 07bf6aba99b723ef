import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from redpop_assets.encoders.names import BUNDLED, EncoderName
from redpop_assets.errors import SettingsError


@pytest.mark.parametrize(
    ("text", "library", "model", "weights", "provenance"),
    [
        ("open_clip:ViT-B-32/laion2b_s34b_b79k", "open_clip", "ViT-B-32", "laion2b_s34b_b79k", "hub"),
        ("timm:resnet101/a1h_in1k", "timm", "resnet101", "a1h_in1k", "hub"),
        ("timm:resnet101/hub", "timm", "resnet101", "hub", "hub"),
        ("timm:tf_efficientnet_lite0/bundled", "timm", "tf_efficientnet_lite0", "bundled", "bundled"),
        ("timm:resnet50/random", "timm", "resnet50", "random", "random"),
        ("timm:resnet50//data/r50.safetensors", "timm", "resnet50", "/data/r50.safetensors", "path"),
        ("open_clip:ViT-B-32/./weights/clip.pt", "open_clip", "ViT-B-32", "./weights/clip.pt", "path"),
        ("open_clip:ViT-B-32/../clip b.pt", "open_clip", "ViT-B-32", "../clip b.pt", "path"),
        ("timm:resnet50/~/r50.pth", "timm", "resnet50", "~/r50.pth", "path"),
        (" sentence_transformers:all-MiniLM-L6-v2/hub\n", "sentence_transformers", "all-MiniLM-L6-v2", "hub", "hub"),
        (
            "sentence_transformers:BAAI/bge-small-en-v1.5/hub",
            "sentence_transformers",
            "BAAI/bge-small-en-v1.5",
            "hub",
            "hub",
        ),
        ("sentence_transformers:BAAI/bge//data/a/b", "sentence_transformers", "BAAI/bge", "/data/a/b", "path"),
        ("transformers:bert-base-uncased/hub", "transformers", "bert-base-uncased", "hub", "hub"),
        (
            "transformers:google-bert/bert-base-uncased/hub",
            "transformers",
            "google-bert/bert-base-uncased",
            "hub",
            "hub",
        ),
        ("transformers:mine//data/bert", "transformers", "mine", "/data/bert", "path"),
        ("sentence_transformers:mine/./a/hub", "sentence_transformers", "mine", "./a/hub", "path"),
    ],
)
def test_reads_every_form(text, library, model, weights, provenance):
    name = EncoderName.parse(text)
    assert (name.library, name.model, name.weights, name.provenance) == (library, model, weights, provenance)
    assert str(name) == text.strip()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "resnet50",
        "timm:",
        "timm:resnet50",
        "timm:resnet50/",
        "timm:/hub",
        "timm://data/r50.pth",
        "timm:resnet 50/hub",
        "keras:resnet50/hub",
        "timm:resnet50/weights/r50.pth",
        "timm:resnet50/bundled",
        "timm:resnet50/a b",
        "timm:resnet50/~",
        "timm:resnet50/./",
        "open_clip:ViT-B-32/hub",
        "sentence_transformers:all-MiniLM-L6-v2/v1",
        "sentence_transformers:a/b/c/hub",
        "transformers:bert-base-uncased/v1",
        "transformers:bert-base-uncased/bundled",
    ],
)
def test_refuses_with_the_accepted_forms(text):
    with pytest.raises(SettingsError, match="Accepted forms: open_clip:ViT-B-32/laion2b_s34b_b79k"):
        EncoderName.parse(text)


_words = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.\-]{0,20}", fullmatch=True)
_paths = st.builds(
    lambda start, parts: start + "/".join(parts),
    st.sampled_from(["/", "./", "../", "~/", "~me/"]),
    st.lists(_words, min_size=1),
)
_names = st.one_of(
    st.builds(EncoderName, st.sampled_from(["timm", "open_clip"]), _words, st.one_of(_paths, st.just("random"))),
    st.builds(EncoderName, st.just("timm"), _words, _words.filter(lambda word: word != "bundled")),
    st.builds(
        EncoderName,
        st.sampled_from(["sentence_transformers", "transformers"]),
        st.one_of(_words, st.builds("{}/{}".format, _words, _words)),
        st.one_of(_paths, st.sampled_from(["hub", "random"])),
    ),
    st.sampled_from([EncoderName(library, model, "bundled") for library, model in BUNDLED]),
)


@given(_names)
def test_a_name_reads_back_as_itself(name):
    assert EncoderName.parse(str(name)) == name


@given(st.text())
def test_any_text_is_a_name_or_a_settings_error(text):
    try:
        name = EncoderName.parse(text)
    except SettingsError:
        return
    assert EncoderName.parse(str(name)) == name


def test_a_path_expands_the_home_directory():
    assert EncoderName.parse("timm:resnet50/~/r50.pth").path == Path.home() / "r50.pth"


def test_names_base_and_load_import_no_heavy_library():
    heavy = {"torch", "torchvision", "timm", "open_clip", "sentence_transformers", "transformers", "huggingface_hub"}
    code = (
        "import sys; import redpop_assets.encoders.names, redpop_assets.encoders.base, redpop_assets.encoders.load; "
        f"sys.exit(', '.join({heavy!r} & set(sys.modules)) or 0)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
