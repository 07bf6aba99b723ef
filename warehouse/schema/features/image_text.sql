CREATE TABLE IF NOT EXISTS features.image_text (
    image_sha256 VARCHAR NOT NULL,
    encoder VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    has_text FLOAT NOT NULL,
    lines FLOAT NOT NULL,
    lines_share FLOAT NOT NULL,
    text_x FLOAT NOT NULL,
    text_y FLOAT NOT NULL,
    line_height FLOAT NOT NULL,
    tallest_line_height FLOAT NOT NULL,
    reading_confidence FLOAT NOT NULL,
    characters FLOAT NOT NULL,
    words FLOAT NOT NULL,
    mean_word_length FLOAT NOT NULL,
    upper_case_share FLOAT NOT NULL,
    title_case_share FLOAT NOT NULL,
    digits FLOAT NOT NULL,
    numbers FLOAT NOT NULL,
    punctuation FLOAT NOT NULL,
    question_marks FLOAT NOT NULL,
    exclamation_marks FLOAT NOT NULL,
    first_person_share FLOAT NOT NULL,
    vader_negative FLOAT NOT NULL,
    vader_neutral FLOAT NOT NULL,
    vader_positive FLOAT NOT NULL,
    vader_compound FLOAT NOT NULL,
    nrc_anger FLOAT NOT NULL,
    nrc_anticipation FLOAT NOT NULL,
    nrc_disgust FLOAT NOT NULL,
    nrc_fear FLOAT NOT NULL,
    nrc_joy FLOAT NOT NULL,
    nrc_sadness FLOAT NOT NULL,
    nrc_surprise FLOAT NOT NULL,
    nrc_trust FLOAT NOT NULL,
    nrc_positive FLOAT NOT NULL,
    nrc_negative FLOAT NOT NULL,
    embedding FLOAT[] NOT NULL USING COMPRESSION uncompressed
);
COMMENT ON TABLE features.image_text IS 'What is written in stored images, read by PP-OCRv6: how much, where, and how it is worded. The words themselves are not kept. Empty unless REDPOP_OPTIONAL_FAMILIES names image_text. | key: image_sha256, encoder, code_version | source: PP-OCR, Du et al. 2020';
COMMENT ON COLUMN features.image_text.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_text.encoder IS 'Network behind the vector, key into features.encoders. | known_at: before_post';
COMMENT ON COLUMN features.image_text.code_version IS 'Version of the code and of the networks that made the row. | known_at: before_post';
COMMENT ON COLUMN features.image_text.has_text IS '1 if at least one line could be read; Latin, Chinese and Japanese writing can. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.image_text.lines IS 'Lines that were read. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.lines_share IS 'Area of the boxes around the lines, as a share of the image. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_text.text_x IS 'Centre of gravity of the lines, 0 at the left to 1 at the right edge. | known_at: before_post | unit: 0 to 1 | missing: has_text = 0 | placeholder: 0.5 = no text';
COMMENT ON COLUMN features.image_text.text_y IS 'Centre of gravity of the lines, 0 at the top to 1 at the bottom edge. | known_at: before_post | unit: 0 to 1 | missing: has_text = 0 | placeholder: 0.5 = no text';
COMMENT ON COLUMN features.image_text.line_height IS 'Mean height of the lines, as a share of that of the image. | known_at: before_post | unit: 0 to 1 | missing: has_text = 0 | placeholder: 0 = no text';
COMMENT ON COLUMN features.image_text.tallest_line_height IS 'Greatest height of a line, as a share of that of the image. | known_at: before_post | unit: 0 to 1 | missing: has_text = 0 | placeholder: 0 = no text';
COMMENT ON COLUMN features.image_text.reading_confidence IS 'Mean confidence of the lines, 0.85 to 1. | known_at: before_post | unit: 0 to 1 | missing: has_text = 0 | placeholder: 0 = no text';
COMMENT ON COLUMN features.image_text.characters IS 'Code points. | known_at: before_post | unit: characters';
COMMENT ON COLUMN features.image_text.words IS 'Words; too few where blanks between capitals are missed. | known_at: before_post | unit: words';
COMMENT ON COLUMN features.image_text.mean_word_length IS 'Characters per word; 0 without words. | known_at: before_post | unit: per word | placeholder: 0 = no words';
COMMENT ON COLUMN features.image_text.upper_case_share IS 'Upper-case letters per letter that has a case. | known_at: before_post | unit: per letter';
COMMENT ON COLUMN features.image_text.title_case_share IS 'Words That Begin With a Capital and are not all capitals, per word of two letters or more that begins with a cased letter. | known_at: before_post | unit: per word';
COMMENT ON COLUMN features.image_text.digits IS 'Digits. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.numbers IS 'Numbers that stand alone; sizes in pixels apart. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.punctuation IS 'Punctuation characters (Unicode P*). | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.question_marks IS 'Question marks. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.exclamation_marks IS 'Exclamation marks. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_text.first_person_share IS 'Words such as I, my or we, per word. | known_at: before_post | unit: per word';
COMMENT ON COLUMN features.image_text.vader_negative IS 'Negative share. | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.image_text.vader_neutral IS 'Neutral share (VADER). | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.image_text.vader_positive IS 'Positive share (VADER). | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.image_text.vader_compound IS 'Sentiment from -1 to 1 (VADER). | known_at: before_post | unit: -1 to 1 | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.image_text.nrc_anger IS 'Share of the words that the NRC lexicon associates with anger. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_anticipation IS 'Share of the words that the NRC lexicon associates with anticipation. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_disgust IS 'Share of the words that the NRC lexicon associates with disgust. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_fear IS 'Share of the words that the NRC lexicon associates with fear. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_joy IS 'Share of the words that the NRC lexicon associates with joy. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_sadness IS 'Share of the words that the NRC lexicon associates with sadness. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_surprise IS 'Share of the words that the NRC lexicon associates with surprise. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_trust IS 'Share of the words that the NRC lexicon associates with trust. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_positive IS 'Share of the words that the NRC lexicon associates with positive. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.nrc_negative IS 'Share of the words that the NRC lexicon associates with negative. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.image_text.embedding IS 'L2-normalised vector of what is written, by the encoder, features.encoders.dimension long; zeros where has_text is 0. | known_at: before_post';
