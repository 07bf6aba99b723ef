-- How many rows does each table hold, and how fresh are they?

-- The latest time that a table records; NULL where it records none.
SELECT 'raw' AS layer, 'source' AS table_name, count(*) AS row_count, max(since) AS latest FROM raw.source
UNION ALL
SELECT 'raw', 'submissions', count(*), max(discovered_at) FROM raw.submissions
UNION ALL
SELECT 'raw', 'observations', count(*), max(observed_at) FROM raw.observations
UNION ALL
SELECT 'raw', 'sightings', count(*), max(seen_at) FROM raw.sightings
UNION ALL
SELECT 'raw', 'listing_reads', count(*), max(read_at) FROM raw.listing_reads
UNION ALL
SELECT 'raw', 'presence', count(*), max(checked_at) FROM raw.presence
UNION ALL
SELECT 'raw', 'tombstones', count(*), max(forgotten_at) FROM raw.tombstones
UNION ALL
SELECT 'raw', 'imports', count(*), max(updated_at) FROM raw.imports
UNION ALL
SELECT 'raw', 'communities', count(*), max(read_at) FROM raw.communities
UNION ALL
SELECT 'raw', 'community_sizes', count(*), max(day) FROM raw.community_sizes
UNION ALL
SELECT 'core', 'posts', count(*), max(created_at) FROM core.posts
UNION ALL
SELECT 'core', 'rejected_posts', count(*), NULL FROM core.rejected_posts
UNION ALL
SELECT 'core', 'images', count(*), max(stored_at) FROM core.images
UNION ALL
SELECT 'core', 'image_fetches', count(*), max(fetched_at) FROM core.image_fetches
UNION ALL
SELECT 'core', 'placeholder_images', count(*), max(learnt_at) FROM core.placeholder_images
UNION ALL
SELECT 'core', 'duplicates', count(*), NULL FROM core.duplicates
UNION ALL
SELECT 'core', 'labels', count(*), max(observed_at) FROM core.labels
UNION ALL
SELECT 'core', 'anomalies', count(*), max(found_at) FROM core.anomalies
UNION ALL
SELECT 'features', 'encoders', count(*), max(first_used_at) FROM features.encoders
UNION ALL
SELECT 'features', 'known_posts', count(*), NULL FROM features.known_posts
UNION ALL
SELECT 'features', 'made_posts', count(*), NULL FROM features.made_posts
UNION ALL
SELECT 'features', 'image_embeddings', count(*), NULL FROM features.image_embeddings
UNION ALL
SELECT 'features', 'caption_embeddings', count(*), NULL FROM features.caption_embeddings
UNION ALL
SELECT 'features', 'image_features', count(*), NULL FROM features.image_features
UNION ALL
SELECT 'features', 'caption_features', count(*), NULL FROM features.caption_features
UNION ALL
SELECT 'features', 'timestamp_features', count(*), NULL FROM features.timestamp_features
UNION ALL
SELECT 'features', 'author_features', count(*), NULL FROM features.author_features
UNION ALL
SELECT 'features', 'post_flags', count(*), NULL FROM features.post_flags
UNION ALL
SELECT 'features', 'caption_emotions', count(*), NULL FROM features.caption_emotions
UNION ALL
SELECT 'features', 'caption_entities', count(*), NULL FROM features.caption_entities
UNION ALL
SELECT 'features', 'caption_image_agreement', count(*), NULL FROM features.caption_image_agreement
UNION ALL
SELECT 'features', 'caption_novelty', count(*), NULL FROM features.caption_novelty
UNION ALL
SELECT 'features', 'caption_tokens', count(*), NULL FROM features.caption_tokens
UNION ALL
SELECT 'features', 'community_features', count(*), NULL FROM features.community_features
UNION ALL
SELECT 'features', 'environments', count(*), NULL FROM features.environments
UNION ALL
SELECT 'features', 'image_concepts', count(*), NULL FROM features.image_concepts
UNION ALL
SELECT 'features', 'image_classes', count(*), NULL FROM features.image_classes
UNION ALL
SELECT 'features', 'image_faces', count(*), NULL FROM features.image_faces
UNION ALL
SELECT 'features', 'image_grids', count(*), NULL FROM features.image_grids
UNION ALL
SELECT 'features', 'image_objects', count(*), NULL FROM features.image_objects
UNION ALL
SELECT 'features', 'image_scores', count(*), NULL FROM features.image_scores
UNION ALL
SELECT 'features', 'image_text', count(*), NULL FROM features.image_text
UNION ALL
SELECT 'features', 'image_visual', count(*), NULL FROM features.image_visual
UNION ALL
SELECT 'features', 'neighbours', count(*), NULL FROM features.neighbours
UNION ALL
SELECT 'features', 'profiles', count(*), max(accepted_at) FROM features.profiles
UNION ALL
SELECT 'features', 'retrieved', count(*), NULL FROM features.retrieved
UNION ALL
SELECT 'features', 'seen_before', count(*), NULL FROM features.seen_before
UNION ALL
SELECT 'features', 'title_past', count(*), NULL FROM features.title_past
UNION ALL
SELECT 'marts', 'feature_catalogue', count(*), NULL FROM marts.feature_catalogue
UNION ALL
SELECT 'models', 'training_set', count(*), max(created_at) FROM models.training_set
UNION ALL
SELECT 'models', 'training_columns', count(*), NULL FROM models.training_columns
UNION ALL
SELECT 'models', 'predictors', count(*), max(trained_at) FROM models.predictors
UNION ALL
SELECT 'models', 'validation_predictions', count(*), NULL FROM models.validation_predictions
UNION ALL
SELECT 'models', 'champions', count(*), max(judged_at) FROM models.champions
UNION ALL
SELECT 'models', 'removal_predictors', count(*), max(trained_at) FROM models.removal_predictors
UNION ALL
SELECT 'models', 'removal_posts', count(*), NULL FROM models.removal_posts
UNION ALL
SELECT 'marts', 'removal_metrics', count(*), NULL FROM marts.removal_metrics
UNION ALL
SELECT 'marts', 'removal_calibration', count(*), NULL FROM marts.removal_calibration
UNION ALL
SELECT 'marts', 'predictions', count(*), NULL FROM marts.predictions
UNION ALL
SELECT 'marts', 'forecasts', count(*), max(made_at) FROM marts.forecasts
UNION ALL
SELECT 'marts', 'leaderboard', count(*), NULL FROM marts.leaderboard
UNION ALL
SELECT 'features', 'early_readings', count(*), max(observed_at) FROM features.early_readings
UNION ALL
SELECT 'models', 'early_predictors', count(*), max(trained_at) FROM models.early_predictors
UNION ALL
SELECT 'models', 'early_predictions', count(*), NULL FROM models.early_predictions
UNION ALL
SELECT 'models', 'early_coverage', count(*), NULL FROM models.early_coverage
UNION ALL
SELECT 'marts', 'early_leaderboard', count(*), NULL FROM marts.early_leaderboard
UNION ALL
SELECT 'marts', 'early_forecasts', count(*), max(made_at) FROM marts.early_forecasts
UNION ALL
SELECT 'marts', 'metrics', count(*), NULL FROM marts.metrics
UNION ALL
SELECT 'marts', 'comparisons', count(*), NULL FROM marts.comparisons
UNION ALL
SELECT 'marts', 'split_comparison', count(*), NULL FROM marts.split_comparison
UNION ALL
SELECT 'marts', 'error_slices', count(*), NULL FROM marts.error_slices
UNION ALL
SELECT 'marts', 'calibration', count(*), NULL FROM marts.calibration
UNION ALL
SELECT 'marts', 'emap', count(*), NULL FROM marts.emap
UNION ALL
SELECT 'marts', 'shuffled_labels', count(*), NULL FROM marts.shuffled_labels
UNION ALL
SELECT 'marts', 'ablation', count(*), NULL FROM marts.ablation
UNION ALL
SELECT 'marts', 'learning_curves', count(*), NULL FROM marts.learning_curves
UNION ALL
SELECT 'marts', 'shap', count(*), NULL FROM marts.shap
UNION ALL
SELECT 'marts', 'words', count(*), NULL FROM marts.words
UNION ALL
SELECT 'marts', 'image_category_posts', count(*), NULL FROM marts.image_category_posts
UNION ALL
SELECT 'marts', 'object_families', count(*), NULL FROM marts.object_families
UNION ALL
SELECT 'marts', 'word_attention', count(*), NULL FROM marts.word_attention;
