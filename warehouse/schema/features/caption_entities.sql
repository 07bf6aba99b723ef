CREATE TABLE IF NOT EXISTS features.caption_entities (
    caption_sha256 VARCHAR NOT NULL,
    model VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    time_entities FLOAT NOT NULL,
    location_entities FLOAT NOT NULL,
    organization_entities FLOAT NOT NULL,
    person_entities FLOAT NOT NULL,
    money_entities FLOAT NOT NULL,
    percent_entities FLOAT NOT NULL,
    date_entities FLOAT NOT NULL
);
COMMENT ON TABLE features.caption_entities IS 'Named entities of each caption by a spaCy model, folded to the seven MUC classes (NER7 of Gelli et al. 2015). | key: caption_sha256, model, code_version | source: Gelli et al. 2015';
COMMENT ON COLUMN features.caption_entities.caption_sha256 IS 'SHA-256 of the caption. | known_at: before_post';
COMMENT ON COLUMN features.caption_entities.model IS 'The model as in REDPOP_ENTITY_MODEL: bundled, a package or a path. | known_at: before_post';
COMMENT ON COLUMN features.caption_entities.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.caption_entities.time_entities IS 'Times of day, TIME. Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.location_entities IS 'Places: countries and cities (GPE), other places (LOC), buildings and the like (FAC). Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.organization_entities IS 'Organisations (ORG), and nationalities, religious or political groups (NORP). Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.person_entities IS 'People, PERSON or PER. Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.money_entities IS 'Amounts of money, MONEY. Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.percent_entities IS 'Percentages, PERCENT. Count. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.caption_entities.date_entities IS 'Dates and periods of a day or longer, DATE. Count. | known_at: before_post | unit: count';
