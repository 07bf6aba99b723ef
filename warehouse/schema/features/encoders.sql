CREATE TABLE IF NOT EXISTS features.encoders (
    encoder VARCHAR NOT NULL,
    modality VARCHAR NOT NULL,
    dimension INTEGER NOT NULL,
    provenance VARCHAR NOT NULL,
    weights_sha256 VARCHAR NOT NULL,
    library VARCHAR NOT NULL,
    first_used_at TIMESTAMP NOT NULL,
    backend VARCHAR,
    precision VARCHAR,
    batch_size INTEGER,
    items_per_second DOUBLE,
    min_cosine DOUBLE
);
COMMENT ON TABLE features.encoders IS 'Which network and which weights made the embeddings. | key: encoder, modality';
COMMENT ON COLUMN features.encoders.encoder IS 'Name as in the settings, such as open_clip:ViT-B-32/laion2b_s34b_b79k.';
COMMENT ON COLUMN features.encoders.modality IS 'image or caption.';
COMMENT ON COLUMN features.encoders.dimension IS 'Length of its vectors.';
COMMENT ON COLUMN features.encoders.provenance IS 'Where the weights came from: hub, bundled, path or random (untrained, for tests).';
COMMENT ON COLUMN features.encoders.weights_sha256 IS 'SHA-256 over the names and bytes of all tensors.';
COMMENT ON COLUMN features.encoders.library IS 'Library and version that ran it.';
COMMENT ON COLUMN features.encoders.first_used_at IS 'When it first wrote a vector here (UTC).';
COMMENT ON COLUMN features.encoders.backend IS 'Library that ran the network when it last wrote a vector: torch or openvino; NULL where an earlier version did, in torch.';
COMMENT ON COLUMN features.encoders.precision IS 'Numbers it computes with: float32, float16 or bfloat16; vectors are FLOAT in any case. NULL as above, then float32, on CUDA float16.';
COMMENT ON COLUMN features.encoders.batch_size IS 'Items per forward pass; NULL where nothing was measured.';
COMMENT ON COLUMN features.encoders.items_per_second IS 'Measured throughput of the forward pass alone, in items per second. NULL as above.';
COMMENT ON COLUMN features.encoders.min_cosine IS 'Smallest cosine between its vectors of the measured items and those of float32, at least 0.999. NULL as above.';
