-- The pool on disk. Points in time are milliseconds since the Unix epoch; only types and clauses that PostgreSQL knows too.

-- healthy: NULL never judged, 1 may carry traffic (healthy or suspect), 0 dead.
CREATE TABLE proxies (
    id           TEXT    NOT NULL PRIMARY KEY,
    uri          TEXT    NOT NULL,
    label        TEXT    NOT NULL,
    healthy      INTEGER,
    state        TEXT    NOT NULL,
    failures     BIGINT  NOT NULL,
    last_ok      BIGINT,
    last_checked BIGINT,
    first_seen   BIGINT  NOT NULL,
    latency_ms   BIGINT,
    exit_ip      TEXT,
    country      TEXT,
    last_error   TEXT,
    unsupported  TEXT
);

CREATE TABLE sources (
    name          TEXT    NOT NULL PRIMARY KEY,
    kind          TEXT    NOT NULL,
    allow_private INTEGER NOT NULL,
    last_fetch    BIGINT,
    last_ok       BIGINT,
    next_fetch    BIGINT,
    validators    TEXT,
    error_code    TEXT,
    error_text    TEXT,
    failures      BIGINT  NOT NULL,
    nodes         BIGINT  NOT NULL,
    rejects       BIGINT  NOT NULL
);

-- Which source lists which node. No foreign keys: rows are written behind, in batches that may be cut anywhere, and one
-- row that arrives early must not make a whole batch fail. Loading leaves out what points nowhere.
CREATE TABLE listings (
    source TEXT NOT NULL,
    proxy  TEXT NOT NULL,
    PRIMARY KEY (source, proxy)
);

CREATE INDEX listings_by_proxy ON listings (proxy);
