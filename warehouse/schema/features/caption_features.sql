CREATE TABLE IF NOT EXISTS features.caption_features (
    caption_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    characters FLOAT NOT NULL,
    words FLOAT NOT NULL,
    mean_word_length FLOAT NOT NULL,
    upper_case_share FLOAT NOT NULL,
    digits FLOAT NOT NULL,
    punctuation FLOAT NOT NULL,
    question_marks FLOAT NOT NULL,
    exclamation_marks FLOAT NOT NULL,
    emoji FLOAT NOT NULL,
    bracket_tags FLOAT NOT NULL,
    has_oc_tag FLOAT NOT NULL,
    has_resolution_tag FLOAT NOT NULL,
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
    sentences FLOAT NOT NULL,
    has_readability FLOAT NOT NULL,
    coleman_liau FLOAT NOT NULL,
    automated_readability FLOAT NOT NULL,
    title_case_share FLOAT NOT NULL,
    ellipses FLOAT NOT NULL,
    quotations FLOAT NOT NULL,
    round_brackets FLOAT NOT NULL,
    user_mentions FLOAT NOT NULL,
    subreddit_mentions FLOAT NOT NULL,
    numbers FLOAT NOT NULL,
    has_year FLOAT NOT NULL,
    has_age FLOAT NOT NULL
);
COMMENT ON TABLE features.caption_features IS 'What a caption says and how it is written, one row per caption. | key: caption_sha256, code_version';
COMMENT ON COLUMN features.caption_features.caption_sha256 IS 'SHA-256 of the caption. | known_at: before_post';
COMMENT ON COLUMN features.caption_features.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.caption_features.characters IS 'Code points. | known_at: before_post | unit: characters';
COMMENT ON COLUMN features.caption_features.words IS 'Words. | known_at: before_post | unit: words';
COMMENT ON COLUMN features.caption_features.mean_word_length IS 'Characters per word; 0 without words. | known_at: before_post | unit: per word | placeholder: 0 = no words';
COMMENT ON COLUMN features.caption_features.upper_case_share IS 'Upper-case letters per letter that has a case. | known_at: before_post | unit: per letter';
COMMENT ON COLUMN features.caption_features.digits IS 'Digits. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.punctuation IS 'Punctuation characters (Unicode P*). | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.question_marks IS 'Question marks. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.exclamation_marks IS 'Exclamation marks. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.emoji IS 'Emoji as seen. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.bracket_tags IS 'Texts in square brackets. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.has_oc_tag IS '1 if tagged as original content, such as [OC]. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.caption_features.has_resolution_tag IS '1 if tagged with a size, such as [1968x1310]. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.caption_features.first_person_share IS 'Words such as I, my or we, per word. | known_at: before_post | unit: per word';
COMMENT ON COLUMN features.caption_features.vader_negative IS 'Negative share. | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.caption_features.vader_neutral IS 'Neutral share (VADER). | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.caption_features.vader_positive IS 'Positive share (VADER). | known_at: before_post | unit: share | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.caption_features.vader_compound IS 'Sentiment from -1 to 1 (VADER). | known_at: before_post | unit: -1 to 1 | source: VADER, Hutto & Gilbert 2014';
COMMENT ON COLUMN features.caption_features.nrc_anger IS 'Share of the words that the NRC lexicon associates with anger. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_anticipation IS 'Share of the words that the NRC lexicon associates with anticipation. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_disgust IS 'Share of the words that the NRC lexicon associates with disgust. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_fear IS 'Share of the words that the NRC lexicon associates with fear. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_joy IS 'Share of the words that the NRC lexicon associates with joy. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_sadness IS 'Share of the words that the NRC lexicon associates with sadness. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_surprise IS 'Share of the words that the NRC lexicon associates with surprise. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_trust IS 'Share of the words that the NRC lexicon associates with trust. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_positive IS 'Share of the words that the NRC lexicon associates with positive. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.nrc_negative IS 'Share of the words that the NRC lexicon associates with negative. | known_at: before_post | unit: share | source: Mohammad & Turney 2013';
COMMENT ON COLUMN features.caption_features.sentences IS 'Sentences; square brackets apart. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.has_readability IS '1 with three words or more; else both readability indices are 0. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.caption_features.coleman_liau IS 'Readability in US school grades, clipped to -20 to 40; 0 where has_readability is 0. | known_at: before_post | unit: -20 to 40 | source: Coleman & Liau 1975 | missing: has_readability = 0 | placeholder: 0 = too short';
COMMENT ON COLUMN features.caption_features.automated_readability IS 'Automated Readability Index in US school grades, clipped to -20 to 40; 0 where has_readability is 0. | known_at: before_post | unit: -20 to 40 | source: Senter & Smith 1967 | missing: has_readability = 0 | placeholder: 0 = too short';
COMMENT ON COLUMN features.caption_features.title_case_share IS 'Words That Begin With a Capital and are not all capitals, per word of two letters or more that begins with a cased letter. | known_at: before_post | unit: per word';
COMMENT ON COLUMN features.caption_features.ellipses IS 'Ellipses, ... or …. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.quotations IS 'Texts in quotation marks, single ones apart. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.round_brackets IS 'Texts in round brackets. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.user_mentions IS 'Mentions of users, u/name. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.subreddit_mentions IS 'Mentions of communities, r/name. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.numbers IS 'Numbers that stand alone; sizes in pixels apart. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_features.has_year IS '1 if a number from 1800 to 2099 stands alone; decades such as 1960s count. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.caption_features.has_age IS '1 if an age is told, such as 3 year-old, 5yo or (24F). | known_at: before_post | unit: 0 or 1';
