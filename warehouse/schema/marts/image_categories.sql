CREATE OR REPLACE VIEW marts.image_categories AS
WITH counted AS (
    SELECT
        subreddit,
        category,
        count(*) AS posts,
        avg(unpopular::INTEGER) AS unpopular_share,
        1.959964 ** 2 / count(*) AS square,
        bool_or(picked_out) AS picked_out,
        any_value(turn) AS turn,
        arg_min(post_id, (distance, post_id)) AS typical_post
    FROM marts.image_category_posts
    GROUP BY ALL
)
SELECT
    subreddit,
    category,
    posts,
    unpopular_share,
    -- Wilson 1927
    (unpopular_share + square / 2 - sqrt(square * unpopular_share * (1 - unpopular_share) + square ** 2 / 4))
        / (1 + square) AS unpopular_share_low,
    (unpopular_share + square / 2 + sqrt(square * unpopular_share * (1 - unpopular_share) + square ** 2 / 4))
        / (1 + square) AS unpopular_share_high,
    picked_out,
    turn,
    typical_post
FROM counted;
COMMENT ON VIEW marts.image_categories IS 'Kinds of pictures, the least popular first: K-means categories of the pictures of top and bottom quarters (after Zhang et al., dual attention). As of the last `redpop analyse`. | key: subreddit, category';
COMMENT ON COLUMN marts.image_categories.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.image_categories.category IS 'Number of the category; the figure image_category_posts shows its pictures.';
COMMENT ON COLUMN marts.image_categories.posts IS 'Pictures in it, one per post.';
COMMENT ON COLUMN marts.image_categories.unpopular_share IS 'Share of posts in the bottom rather than the top quarter, from 0 to 1.';
COMMENT ON COLUMN marts.image_categories.unpopular_share_low IS 'Lower end of its 95 % interval (Wilson).';
COMMENT ON COLUMN marts.image_categories.unpopular_share_high IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.image_categories.picked_out IS 'Whether the share is away from one half beyond chance, so that the category was picked out.';
COMMENT ON COLUMN marts.image_categories.turn IS 'The clustering after which it was picked out, from 1; NULL if it was not.';
COMMENT ON COLUMN marts.image_categories.typical_post IS 'The post whose picture is nearest to the centre.';
