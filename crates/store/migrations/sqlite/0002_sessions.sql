-- Sessions that keep their exits over a restart, nodes that were caught tampering, and what each source has been worth.

-- exit_ip and proxy: where the session came out last; the address counts, the node is only the first to try.
CREATE TABLE sessions (
    listener TEXT   NOT NULL,
    username TEXT   NOT NULL,
    session  TEXT   NOT NULL,
    country  TEXT,
    began    BIGINT NOT NULL,
    ends     BIGINT NOT NULL,
    exit_ip  TEXT,
    proxy    TEXT,
    PRIMARY KEY (listener, username, session)
);

-- quarantine: the code of what the node did, quarantined_at when it was last seen to.
ALTER TABLE proxies ADD COLUMN quarantine TEXT;
ALTER TABLE proxies ADD COLUMN quarantined_at BIGINT;

-- lived_ms and deaths: how long the source's nodes have lived and how many have died meanwhile, both fading with time;
-- barren: good fetches in a row after which none of its nodes worked.
ALTER TABLE sources ADD COLUMN lived_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN deaths_milli BIGINT NOT NULL DEFAULT 0;
ALTER TABLE sources ADD COLUMN barren BIGINT NOT NULL DEFAULT 0;
