-- Where files lay when they were read, and what was seen of them: a file that lies there as it did is not read again. What is
-- forgotten here is only read once more.
BEGIN;
CREATE TABLE known_place (
    path           bytea NOT NULL,   -- absolute, and in whatever bytes the file system has it
    part           integer NOT NULL, -- of an archive, the place of a document in it, and 0 for a file that is none
    size_bytes     bigint NOT NULL,  -- of the file, not of a document in it
    modified_ns    bigint NOT NULL,  -- since 1970, when its bytes were last written
    changed_ns     bigint NOT NULL,  -- when anything about it changed, which no program can set
    inode          bigint NOT NULL,
    read_by        text COLLATE "C" NOT NULL, -- the edition of all that recognises files
    document       text COLLATE "C" NOT NULL, -- its name in an archive, '' for a file that is none
    document_bytes bigint NOT NULL,
    sha256         text COLLATE "C" NOT NULL,
    format         text COLLATE "C" NOT NULL,
    format_version text COLLATE "C" NOT NULL,
    kind           text COLLATE "C" NOT NULL,
    acquirer       text COLLATE "C" NOT NULL,
    sends_totals   boolean NOT NULL,
    CONSTRAINT known_place_once PRIMARY KEY (path, part),
    CONSTRAINT known_place_sha256_is_hex CHECK (sha256 ~ '^[0-9a-f]{64}$')
);
COMMIT;
