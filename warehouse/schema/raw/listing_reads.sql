CREATE TABLE IF NOT EXISTS raw.listing_reads (
    subreddit VARCHAR NOT NULL,
    listing VARCHAR NOT NULL,
    time_filter VARCHAR NOT NULL,
    read_at TIMESTAMP NOT NULL,
    posts INTEGER NOT NULL,
    new_posts INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    ended VARCHAR NOT NULL,
    oldest_created_at TIMESTAMP,
    newest_created_at TIMESTAMP,
    overlapped BOOLEAN,
    gap_from TIMESTAMP,
    gap_to TIMESTAMP
);
COMMENT ON TABLE raw.listing_reads IS 'One row per reading of a listing, failed ones too: how far it reached, and whether it joined on to the reading before. Append-only. | key: subreddit, listing, time_filter, read_at';
COMMENT ON COLUMN raw.listing_reads.subreddit IS 'Community in lower case; the partition.';
COMMENT ON COLUMN raw.listing_reads.listing IS 'new, hot, rising, top or controversial; second: the posts of new once more, oldest first, after Arctic Shift has read their scores a second time.';
COMMENT ON COLUMN raw.listing_reads.time_filter IS 'hour, day, week, month, year or all for top and controversial; empty for the others.';
COMMENT ON COLUMN raw.listing_reads.read_at IS 'Date of the first answer (UTC); without one, when it was asked for.';
COMMENT ON COLUMN raw.listing_reads.posts IS 'Different posts in the answers, forgotten ones left out.';
COMMENT ON COLUMN raw.listing_reads.new_posts IS 'Of these, posts that were not known before.';
COMMENT ON COLUMN raw.listing_reads.requests IS 'Requests that the reading took, repeated ones included.';
COMMENT ON COLUMN raw.listing_reads.ended IS 'Why it ended: end (of the listing), depth (as planned), overlap (reached the reading before), upwards (read from the oldest on, and broken off: all up to the newest one is there, the next reading goes on from it); or why it was broken off: budget or error. What was read until then is kept.';
COMMENT ON COLUMN raw.listing_reads.oldest_created_at IS 'When the oldest of the posts was made, pinned and promoted ones left out (UTC).';
COMMENT ON COLUMN raw.listing_reads.newest_created_at IS 'When the newest one was made (UTC); of readings from the oldest on, up to when all posts were read.';
COMMENT ON COLUMN raw.listing_reads.overlapped IS 'For new: whether the reading joined on to the last complete one; NULL for the first reading, for one that was broken off before, and for other listings.';
COMMENT ON COLUMN raw.listing_reads.gap_from IS 'For new: posts made from here (UTC) …';
COMMENT ON COLUMN raw.listing_reads.gap_to IS '… to here may have been missed; NULL without a gap.';
