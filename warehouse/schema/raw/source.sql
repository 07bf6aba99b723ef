CREATE TABLE IF NOT EXISTS raw.source (
    source VARCHAR NOT NULL,
    since TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.source IS 'The one service that fills this warehouse; every other is refused, so that demo and real posts never mix. | key: source';
COMMENT ON COLUMN raw.source.source IS 'Setting REDPOP_SOURCE when the first row was written: reddit, or the name of a sandbox.';
COMMENT ON COLUMN raw.source.since IS 'When the first row was written (UTC).';
