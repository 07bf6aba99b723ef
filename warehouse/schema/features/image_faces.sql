CREATE TABLE IF NOT EXISTS features.image_faces (
    image_sha256 VARCHAR NOT NULL,
    code_version VARCHAR NOT NULL,
    has_face FLOAT NOT NULL,
    faces FLOAT NOT NULL,
    faces_share FLOAT NOT NULL,
    largest_face_share FLOAT NOT NULL,
    largest_face_height FLOAT NOT NULL,
    largest_face_x FLOAT NOT NULL,
    largest_face_y FLOAT NOT NULL,
    largest_face_off_centre FLOAT NOT NULL,
    face_confidence FLOAT NOT NULL
);
COMMENT ON TABLE features.image_faces IS 'Faces in stored images: how many, how large, where. Whose they are is not asked. Empty unless REDPOP_OPTIONAL_FAMILIES names faces. | key: image_sha256, code_version | source: MTCNN, Zhang et al. 2016';
COMMENT ON COLUMN features.image_faces.image_sha256 IS 'SHA-256 of the image file. | known_at: before_post';
COMMENT ON COLUMN features.image_faces.code_version IS 'Version of the code and of the network that made the row. | known_at: before_post';
COMMENT ON COLUMN features.image_faces.has_face IS '1 if there is a face. | known_at: before_post | unit: 0 or 1';
COMMENT ON COLUMN features.image_faces.faces IS 'Faces, each at least a 26th of the longer edge high. | known_at: before_post | unit: count';
COMMENT ON COLUMN features.image_faces.faces_share IS 'Area of the boxes around all faces, as a share of the image. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_faces.largest_face_share IS 'Area of the box around the largest face, as a share of the image. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_faces.largest_face_height IS 'Height of the largest face, as a share of that of the image. | known_at: before_post | unit: 0 to 1';
COMMENT ON COLUMN features.image_faces.largest_face_x IS 'Centre of the largest face, 0 at the left to 1 at the right edge. | known_at: before_post | unit: 0 to 1 | missing: has_face = 0 | placeholder: 0.5 = no face';
COMMENT ON COLUMN features.image_faces.largest_face_y IS 'Centre of the largest face, 0 at the top to 1 at the bottom edge. | known_at: before_post | unit: 0 to 1 | missing: has_face = 0 | placeholder: 0.5 = no face';
COMMENT ON COLUMN features.image_faces.largest_face_off_centre IS 'Distance of the centre of the largest face from that of the image; 1 in a corner. | known_at: before_post | unit: 0 to 1 | missing: has_face = 0 | placeholder: 0 = no face';
COMMENT ON COLUMN features.image_faces.face_confidence IS 'Mean probability of the faces, 0.9 to 1. | known_at: before_post | unit: 0 to 1 | missing: has_face = 0 | placeholder: 0 = no face';
