CREATE TABLE IF NOT EXISTS core.placeholder_images (
    image_sha256 VARCHAR NOT NULL,
    rule VARCHAR NOT NULL,
    urls INTEGER NOT NULL,
    authors INTEGER NOT NULL,
    first_seen_at TIMESTAMP NOT NULL,
    learnt_at TIMESTAMP NOT NULL
);
COMMENT ON TABLE core.placeholder_images IS 'Files that hosts show instead of removed pictures, learnt from core.shared_images; they are no longer stored. | key: image_sha256';
COMMENT ON COLUMN core.placeholder_images.image_sha256 IS 'SHA-256 of the bytes as downloaded, hexadecimal.';
COMMENT ON COLUMN core.placeholder_images.rule IS 'What gave it away besides its many addresses and authors: small_file or low_contrast.';
COMMENT ON COLUMN core.placeholder_images.urls IS 'Addresses that led to it when it was learnt.';
COMMENT ON COLUMN core.placeholder_images.authors IS 'Authors of the posts behind these addresses; an unknown author counts once per post.';
COMMENT ON COLUMN core.placeholder_images.first_seen_at IS 'When it was first stored, by this machine''s clock (UTC).';
COMMENT ON COLUMN core.placeholder_images.learnt_at IS 'When it was recognised and removed, by this machine''s clock (UTC).';
