CREATE TABLE IF NOT EXISTS features.caption_emotions (
    caption_sha256 VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    labels VARCHAR[] NOT NULL,
    probabilities FLOAT[] NOT NULL
);
COMMENT ON TABLE features.caption_emotions IS 'Emotions of each caption by a text-classification network; empty where no such model is set. | key: caption_sha256, model, code_version';
COMMENT ON COLUMN features.caption_emotions.caption_sha256 IS 'SHA-256 of the caption. | known_at: before_post';
COMMENT ON COLUMN features.caption_emotions.model IS 'The model as in REDPOP_EMOTION_MODEL: a name on the model hub or a path. | known_at: before_post';
COMMENT ON COLUMN features.caption_emotions.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.caption_emotions.labels IS 'Names of the emotions, in the order of the network. | known_at: before_post';
COMMENT ON COLUMN features.caption_emotions.probabilities IS 'Their probabilities, 0 to 1; of a network with one answer per text they sum to 1. | known_at: before_post | unit: 0 to 1';
