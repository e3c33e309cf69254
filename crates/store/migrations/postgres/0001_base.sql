-- The pool in PostgreSQL, for any number of instances. Points in time are milliseconds since the Unix epoch.
-- version: the transaction that wrote the row last; instances ask for the rows that have changed since a version.
-- No foreign keys: rows are written in batches that may be cut anywhere, and one that arrives early must not make a batch fail.

-- Which database this is. A position in the order of changes is worth nothing in another one.
CREATE TABLE database_identity (
    id uuid NOT NULL
);
INSERT INTO database_identity (id) VALUES (gen_random_uuid());

-- The nodes, and what is known of them without measuring. The id is the hash of the node, written as a UUID.
-- kept_from: the source that listed it last; unlisted_since: since when no source does.
-- unreadable_since: since when no build has understood the row.
CREATE TABLE proxies (
    id               uuid   NOT NULL PRIMARY KEY,
    uri              text   NOT NULL,
    label            text   NOT NULL,
    kept_from        text,
    unreadable_since bigint,
    first_seen       bigint NOT NULL,
    unlisted_since   bigint,
    version          xid8   NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX proxies_by_version ON proxies (version);

-- What is measured of a node from one region. A row is replaced only by newer evidence.
-- healthy: NULL never judged, true may carry traffic (healthy or suspect), false dead.
CREATE TABLE records (
    id             uuid     NOT NULL,
    region         text     NOT NULL,
    state          text     NOT NULL,
    healthy        boolean  GENERATED ALWAYS AS (CASE state WHEN 'new' THEN NULL WHEN 'dead' THEN false ELSE true END) STORED,
    failures       bigint   NOT NULL,
    last_ok        bigint,
    last_checked   bigint,
    latency_us     bigint,
    exit_ip        text,
    exit_seen      bigint,
    country        text,
    last_error     text,
    failure_stage  text,
    unsupported    text,
    quarantine     text,
    quarantined_at bigint,
    dead_since     bigint,
    error_rate     real     NOT NULL,
    http_ability   smallint NOT NULL,
    version        xid8     NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (id, region)
);
CREATE INDEX records_by_version ON records (version);
-- Every probe changes a row: without this the dead ones would be a fifth of the table before they are cleared away.
ALTER TABLE records SET (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_cost_delay = 1);

CREATE TABLE sources (
    name          text    NOT NULL PRIMARY KEY,
    kind          text    NOT NULL,
    allow_private boolean NOT NULL,
    last_fetch    bigint,
    last_ok       bigint,
    next_fetch    bigint,
    validators    text,
    error_code    text,
    error_text    text,
    failures      bigint  NOT NULL,
    nodes         bigint  NOT NULL,
    rejects       bigint  NOT NULL,
    lived_ms      bigint  NOT NULL,
    deaths_milli  bigint  NOT NULL,
    barren        bigint  NOT NULL,
    origin        text,
    subscription  text,
    version       xid8    NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX sources_by_version ON sources (version);

-- Which source lists which node.
CREATE TABLE listings (
    source  text NOT NULL,
    proxy   uuid NOT NULL,
    version xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (source, proxy)
);
CREATE INDEX listings_by_proxy ON listings (proxy);
CREATE INDEX listings_by_version ON listings (version);

-- Sessions that keep their exits. exit_ip and proxy: where the session came out last.
CREATE TABLE sessions (
    listener text   NOT NULL,
    username text   NOT NULL,
    session  text   NOT NULL,
    country  text,
    began    bigint NOT NULL,
    ends     bigint NOT NULL,
    lasts_ms bigint NOT NULL,
    exit_ip  text,
    proxy    uuid,
    version  xid8   NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (listener, username, session)
);
CREATE INDEX sessions_by_version ON sessions (version);

-- Nodes that must not come back, whatever lists them.
CREATE TABLE bans (
    id      uuid   NOT NULL PRIMARY KEY,
    uri     text   NOT NULL,
    label   text   NOT NULL,
    since   bigint NOT NULL,
    version xid8   NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX bans_by_version ON bans (version);

-- Exits that are not used for a site for a time.
CREATE TABLE site_bans (
    site    text   NOT NULL,
    exit    text   NOT NULL,
    since   bigint NOT NULL,
    until   bigint NOT NULL,
    reason  text   NOT NULL,
    version xid8   NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (site, exit)
);
CREATE INDEX site_bans_by_version ON site_bans (version);

-- What operators say about nodes. tags: words with a space between them.
CREATE TABLE annotations (
    id       uuid    NOT NULL PRIMARY KEY,
    uri      text    NOT NULL,
    disabled boolean NOT NULL,
    pinned   boolean NOT NULL,
    tags     text    NOT NULL,
    note     text    NOT NULL,
    changed  bigint  NOT NULL,
    version  xid8    NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX annotations_by_version ON annotations (version);

-- What dashboards keep here.
CREATE TABLE dashboard (
    kind    text NOT NULL,
    key     text NOT NULL,
    value   text NOT NULL,
    version xid8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (kind, key)
);
CREATE INDEX dashboard_by_version ON dashboard (version);

-- Objects of the configuration that were made while the program ran. value: JSON, which may hold passwords.
CREATE TABLE objects (
    kind    text   NOT NULL,
    name    text   NOT NULL,
    value   text   NOT NULL,
    changed bigint NOT NULL,
    version xid8   NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (kind, name)
);
CREATE INDEX objects_by_version ON objects (version);

-- hash: BLAKE3 of the token, in hexadecimal digits. The token itself is not kept.
CREATE TABLE api_tokens (
    name      text   NOT NULL PRIMARY KEY,
    hash      text   NOT NULL UNIQUE,
    scope     text   NOT NULL,
    created   bigint NOT NULL,
    last_used bigint,
    version   xid8   NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX api_tokens_by_version ON api_tokens (version);

-- Who changed what. old_value, new_value: JSON without secrets.
CREATE TABLE audit (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        bigint NOT NULL,
    who       text   NOT NULL,
    via       text   NOT NULL,
    action    text   NOT NULL,
    kind      text   NOT NULL,
    name      text   NOT NULL,
    old_value text,
    new_value text
);

-- The bytes that each user has moved, by days of UTC counted from 1970-01-01. Day 0 holds what is too old to be kept by day.
CREATE TABLE usage (
    username text   NOT NULL,
    day      bigint NOT NULL,
    up       bigint NOT NULL,
    down     bigint NOT NULL,
    version  xid8   NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (username, day)
);
CREATE INDEX usage_by_day ON usage (day, username);
CREATE INDEX usage_by_version ON usage (version);

-- What each instance counted over time: a row for every minute of the last day and for every hour of the last 90 days.
-- step: the length of the row's time in seconds, 60 or 3600. at: when it began.
-- samples: how often the nodes were counted; the node columns are sums over these, so that rows can be added up.
-- requests: "code=number" pairs, separated by commas. latency: numbers per bucket, separated by commas.
CREATE TABLE history (
    step        bigint NOT NULL,
    at          bigint NOT NULL,
    instance    text   NOT NULL,
    samples     bigint NOT NULL,
    new         bigint NOT NULL,
    healthy     bigint NOT NULL,
    suspect     bigint NOT NULL,
    dead        bigint NOT NULL,
    unsupported bigint NOT NULL,
    quarantined bigint NOT NULL,
    disabled    bigint NOT NULL,
    up          bigint NOT NULL,
    down        bigint NOT NULL,
    requests    text   NOT NULL,
    latency     text   NOT NULL,
    PRIMARY KEY (step, at, instance)
);
