-- People could be named where nobody had thought of it: in fields and nested objects that were new, in addresses and in
-- texts that mention them. From now on only known fields are kept, in known shapes, and whoever they name is a hash; this
-- does the same to what homes have. Details of rejections, which quote such values, are written anew by the next refresh.
UPDATE raw.submissions SET json = pseudonymised(json::VARCHAR) WHERE json::VARCHAR <> pseudonymised(json::VARCHAR);
ALTER TABLE raw.submissions ADD COLUMN IF NOT EXISTS origin VARCHAR;
UPDATE raw.submissions SET origin = text_without_names(origin) WHERE origin <> text_without_names(origin);
CREATE TABLE IF NOT EXISTS raw.imports (file VARCHAR NOT NULL);
UPDATE raw.imports SET file = text_without_names(file) WHERE file <> text_without_names(file);
UPDATE core.rejected_posts SET detail = '' WHERE detail <> '';
UPDATE core.posts SET caption = text_without_names(caption), caption_sha256 = sha256(text_without_names(caption))
WHERE caption <> text_without_names(caption);
UPDATE core.posts SET flair = text_without_names(flair) WHERE flair <> text_without_names(flair);
UPDATE core.posts SET image_captions = texts_without_names(image_captions)
WHERE image_captions <> texts_without_names(image_captions);
UPDATE core.posts SET image_urls = links_without_names(image_urls) WHERE image_urls <> links_without_names(image_urls);
UPDATE core.posts SET preview_url = link_without_names(preview_url) WHERE preview_url <> link_without_names(preview_url);
UPDATE core.image_fetches SET url = link_without_names(url) WHERE url <> link_without_names(url);
UPDATE core.image_fetches SET canonical_url = link_without_names(canonical_url)
WHERE canonical_url <> link_without_names(canonical_url);
UPDATE main.warehouse_state SET erasures_pending = TRUE;
