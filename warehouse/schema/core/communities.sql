CREATE OR REPLACE VIEW core.communities AS
WITH latest AS (
    SELECT
        subreddit,
        arg_max(json, read_at) FILTER (answer = 'about') AS about,
        max(read_at) FILTER (answer = 'about') AS read_at,
        arg_max(json, read_at) FILTER (answer = 'post_requirements') AS requirements,
        max(read_at) FILTER (answer = 'post_requirements') AS requirements_read_at
    FROM raw.communities
    GROUP BY subreddit
)
SELECT
    subreddit,
    about->>'title' AS title,
    about->>'public_description' AS description,
    TRY_CAST(about->>'over18' AS BOOLEAN) AS over_18,
    about->>'submission_type' AS submission_type,
    TRY_CAST(about->>'allow_images' AS BOOLEAN) AS allow_images,
    TRY_CAST(about->>'allow_galleries' AS BOOLEAN) AS allow_galleries,
    TRY_CAST(about->>'subscribers' AS BIGINT) AS subscribers,
    read_at,
    TRY_CAST(requirements->>'title_text_min_length' AS INTEGER) AS title_min_length,
    TRY_CAST(requirements->>'title_text_max_length' AS INTEGER) AS title_max_length,
    requirements->>'$.title_required_strings[*]' AS title_required,
    requirements->>'$.title_blacklisted_strings[*]' AS title_forbidden,
    requirements->>'$.title_regexes[*]' AS title_patterns,
    TRY_CAST(requirements->>'is_flair_required' AS BOOLEAN) AS flair_required,
    requirements_read_at
FROM latest;
COMMENT ON VIEW core.communities IS 'What each community is and asks of posts, as of the latest readings. | key: subreddit';
COMMENT ON COLUMN core.communities.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN core.communities.title IS 'How it calls itself.';
COMMENT ON COLUMN core.communities.description IS 'What it says of itself, in Markdown.';
COMMENT ON COLUMN core.communities.over_18 IS 'Whether all of it is for adults.';
COMMENT ON COLUMN core.communities.submission_type IS 'any, link or self: what may be posted.';
COMMENT ON COLUMN core.communities.allow_images IS 'Whether pictures may be uploaded.';
COMMENT ON COLUMN core.communities.allow_galleries IS 'Whether galleries may be posted.';
COMMENT ON COLUMN core.communities.subscribers IS 'Members at that reading; raw.community_sizes has them day by day.';
COMMENT ON COLUMN core.communities.read_at IS 'When the description was read (UTC); NULL if it never was.';
COMMENT ON COLUMN core.communities.title_min_length IS 'Fewest characters of a title (NULL: not asked for, or not known).';
COMMENT ON COLUMN core.communities.title_max_length IS 'Most characters of a title, below the 300 of Reddit itself.';
COMMENT ON COLUMN core.communities.title_required IS 'A title has one of these in it, unless there are none.';
COMMENT ON COLUMN core.communities.title_forbidden IS 'A title has none of these in it.';
COMMENT ON COLUMN core.communities.title_patterns IS 'Regular expressions, one of which a title matches, unless there are none.';
COMMENT ON COLUMN core.communities.flair_required IS 'Whether a post needs a flair.';
COMMENT ON COLUMN core.communities.requirements_read_at IS 'When the requirements were read (UTC); NULL if they never were: no archive has them.';
