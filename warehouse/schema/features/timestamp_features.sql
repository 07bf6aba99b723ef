CREATE TABLE IF NOT EXISTS features.timestamp_features (
    post_id VARCHAR NOT NULL,
    subreddit VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    hour FLOAT NOT NULL,
    weekday FLOAT NOT NULL,
    day_of_year FLOAT NOT NULL,
    hour_sin FLOAT NOT NULL,
    hour_cos FLOAT NOT NULL,
    weekday_sin FLOAT NOT NULL,
    weekday_cos FLOAT NOT NULL,
    day_of_year_sin FLOAT NOT NULL,
    day_of_year_cos FLOAT NOT NULL,
    hour_onehot FLOAT[24] NOT NULL,
    weekday_onehot FLOAT[7] NOT NULL,
    month_onehot FLOAT[12] NOT NULL,
    hour_rbf FLOAT[12] NOT NULL,
    weekday_rbf FLOAT[7] NOT NULL,
    day_of_year_rbf FLOAT[12] NOT NULL
);
COMMENT ON TABLE features.timestamp_features IS 'When a post was made, as calendar fields, dummies, sine and cosine, and radial basis functions (UTC). | key: post_id';
COMMENT ON COLUMN features.timestamp_features.post_id IS 'Base36 id of the post. | known_at: before_post';
COMMENT ON COLUMN features.timestamp_features.subreddit IS 'Community in lower case; the partition. | known_at: before_post';
COMMENT ON COLUMN features.timestamp_features.code_version IS 'Version of the code that made the row. | known_at: before_post';
COMMENT ON COLUMN features.timestamp_features.hour IS 'Hour of the day, 0 to 23. | known_at: before_post | unit: 0 to 23';
COMMENT ON COLUMN features.timestamp_features.weekday IS 'Day of the week, 0 = Monday to 6. | known_at: before_post | unit: 0 to 6';
COMMENT ON COLUMN features.timestamp_features.day_of_year IS 'Day of the calendar year, 1 to 366. | known_at: before_post | unit: 1 to 366';
COMMENT ON COLUMN features.timestamp_features.hour_sin IS 'Sine of the time of day, period 24 h. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.hour_cos IS 'Cosine of the time of day, period 24 h. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.weekday_sin IS 'Sine of the time of the week, period 7 d. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.weekday_cos IS 'Cosine of the time of the week, period 7 d. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.day_of_year_sin IS 'Sine of the time of the year, period 365.25 d. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.day_of_year_cos IS 'Cosine of the time of the year, period 365.25 d. | known_at: before_post | unit: -1 to 1';
COMMENT ON COLUMN features.timestamp_features.hour_onehot IS 'Dummies of the hour. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.timestamp_features.weekday_onehot IS 'Dummies of the weekday, Monday first. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.timestamp_features.month_onehot IS 'Dummies of the day of the year in twelve bins, the calendar months. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.timestamp_features.hour_rbf IS 'Bumps of 2 h width, centred at 0, 2, … 22 h. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.timestamp_features.weekday_rbf IS 'Bumps of one day width, centred at the midnight that begins each day. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.timestamp_features.day_of_year_rbf IS 'Bumps of a twelfth of a year. | known_at: before_post | unit: 0 to 1';
