CREATE TABLE IF NOT EXISTS raw.source (
    source VARCHAR NOT NULL,
    since TIMESTAMP NOT NULL
);
COMMENT ON TABLE raw.source IS 'The one Reddit whose posts this warehouse holds; services that have those of another one are refused, so that demo and real posts never mix. | key: source';
COMMENT ON COLUMN raw.source.source IS 'reddit, whose posts come from its own API or from Arctic Shift (core.labels.source tells which), or the name of another Reddit, such as a sandbox: what REDPOP_SOURCE names, less arctic_shift.';
COMMENT ON COLUMN raw.source.since IS 'When the first row was written (UTC).';
