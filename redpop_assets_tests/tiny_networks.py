"""Untrained networks, small enough to be made by a test, saved as users have theirs."""

import json

WORDS = ["my", "cat", "sunset", "over", "the", "old", "harbour", "i", "love", "this", "rain", "oc"]
LABELS = {0: "joy", 1: "sadness", 2: "anger"}


def save_network(folder, *, with_head=True, **options):
    """A tiny untrained BERT with its tokenizer, saved as transformers does."""
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

    from redpop_assets.encoders.weights import seeded

    folder.mkdir(exist_ok=True)
    vocabulary = {token: row for row, token in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS])}
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=64,
        id2label=LABELS,
        label2id={label: number for number, label in LABELS.items()},
        initializer_range=0.5,
        **options,
    )
    with seeded():
        network = BertForSequenceClassification(config) if with_head else BertModel(config)
    network.save_pretrained(folder)
    return str(folder)


def add_clip(folder, name="ViT-tiny-of-the-tests"):
    """Has open_clip know an architecture that looks at little pictures with little towers; its untrained encoder."""
    import open_clip

    towers = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": 64, "layers": 2, "width": 64, "patch_size": 32},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
    }
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(towers), encoding="utf-8")
    open_clip.add_model_config(folder)
    return f"open_clip:{name}/random"
