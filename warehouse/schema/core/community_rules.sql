CREATE OR REPLACE VIEW core.community_rules AS
WITH latest AS (
    SELECT subreddit, max(read_at) AS read_at, arg_max(json, read_at) AS json
    FROM raw.communities
    WHERE answer = 'rules'
    GROUP BY subreddit
),
rules AS (
    SELECT
        subreddit,
        generate_subscripts(json->'$[*]', 1)::INTEGER AS position,
        unnest(json->'$[*]') AS rule,
        read_at
    FROM latest
)
SELECT
    subreddit,
    position,
    rule->>'short_name' AS short_name,
    rule->>'description' AS description,
    rule->>'kind' AS kind,
    rule->>'violation_reason' AS violation_reason,
    read_at
FROM rules;
COMMENT ON VIEW core.community_rules IS 'The rules of each community, as of their latest reading. | key: subreddit, position';
COMMENT ON COLUMN core.community_rules.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN core.community_rules.position IS 'Place in the order of the moderators, from 1.';
COMMENT ON COLUMN core.community_rules.short_name IS 'The rule in a few words.';
COMMENT ON COLUMN core.community_rules.description IS 'What it means, in Markdown; often empty.';
COMMENT ON COLUMN core.community_rules.kind IS 'What it is for: link (posts), comment, or all.';
COMMENT ON COLUMN core.community_rules.violation_reason IS 'How breaking it is called in a report.';
COMMENT ON COLUMN core.community_rules.read_at IS 'When the rules were read (UTC).';
