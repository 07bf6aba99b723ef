CREATE TABLE IF NOT EXISTS marts.predictions (
    post_id VARCHAR NOT NULL,
    predictor VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    split VARCHAR NOT NULL,
    expected_log_score DOUBLE NOT NULL,
    expected_score DOUBLE NOT NULL,
    percentile DOUBLE NOT NULL,
    digest VARCHAR NOT NULL,
    inputs VARCHAR NOT NULL,
    low_50 DOUBLE,
    high_50 DOUBLE,
    low_80 DOUBLE,
    high_80 DOUBLE,
    low_90 DOUBLE,
    high_90 DOUBLE,
    calibration_posts INTEGER,
    missing_blocks VARCHAR[],
    calibration VARCHAR
);
COMMENT ON TABLE marts.predictions IS 'What every trained predictor expects of every post, the young ones included. | key: post_id, predictor';
COMMENT ON COLUMN marts.predictions.post_id IS 'Base36 id of the post.';
COMMENT ON COLUMN marts.predictions.predictor IS 'Short name of the predictor.';
COMMENT ON COLUMN marts.predictions.subreddit IS 'Community in lower case.';
COMMENT ON COLUMN marts.predictions.split IS 'Part of the training set the post is in; unlabelled if it is too young or its scores are on another scale.';
COMMENT ON COLUMN marts.predictions.expected_log_score IS 'Expected sign(score) * ln(1 + |score|) at the label age.';
COMMENT ON COLUMN marts.predictions.expected_score IS 'The score at that log score: the inverse transform, nearer to a median than to a mean.';
COMMENT ON COLUMN marts.predictions.percentile IS 'Share of the labelled posts of the subreddit that scored less, from 0 to 1, ties half.';
COMMENT ON COLUMN marts.predictions.digest IS 'Digest of the model that said so (models.predictors).';
COMMENT ON COLUMN marts.predictions.inputs IS 'Digest of the model, the code, and what the model saw of this post: it is asked again when that changes.';
COMMENT ON COLUMN marts.predictions.low_50 IS 'Lower end of the 50 % interval of the log score, by split conformal prediction on the validation part; NULL where calibration_posts is below 3.';
COMMENT ON COLUMN marts.predictions.high_50 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.predictions.low_80 IS 'Lower end of the 80 % interval of the log score, by split conformal prediction on the validation part; NULL where calibration_posts is below 9.';
COMMENT ON COLUMN marts.predictions.high_80 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.predictions.low_90 IS 'Lower end of the 90 % interval of the log score, by split conformal prediction on the validation part; NULL where calibration_posts is below 19.';
COMMENT ON COLUMN marts.predictions.high_90 IS 'Upper end of that interval.';
COMMENT ON COLUMN marts.predictions.calibration_posts IS 'Posts of the validation part of which the predictor expected about as much: their residuals made the intervals.';
COMMENT ON COLUMN marts.predictions.missing_blocks IS 'Feature blocks of the model that the post lacks, such as those of a picture that is dead or not fetched yet.';
COMMENT ON COLUMN marts.predictions.calibration IS 'Digest of the labels and held-out posts behind split, percentile and intervals, which are renewed when that changes; NULL in rows made before it was kept.';
