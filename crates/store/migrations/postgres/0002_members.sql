-- Which instances there are, and what only one of them does at a time. All times are the database's own.

-- incarnation: the process that beats under this name; 0 while one hands over to another.
-- The figures are what the instance last said of itself.
CREATE TABLE members (
    name         text        NOT NULL PRIMARY KEY,
    incarnation  bigint      NOT NULL,
    roles        text        NOT NULL,
    region       text        NOT NULL,
    host         text        NOT NULL,
    pid          bigint      NOT NULL,
    version      text        NOT NULL,
    proxy        text        NOT NULL,
    api          text        NOT NULL,
    started      bigint      NOT NULL,
    joined_at    timestamptz NOT NULL,
    beat_at      timestamptz NOT NULL,
    draining     boolean     NOT NULL,
    tunnels      bigint      NOT NULL,
    routable     bigint      NOT NULL,
    owned        bigint      NOT NULL,
    queue        bigint      NOT NULL,
    claims       bigint      NOT NULL,
    lag_ms       bigint,
    cpu_percent  bigint,
    memory_bytes bigint
);

-- What one instance does until a time; a claim that has run out is anybody's.
CREATE TABLE claims (
    kind   text        NOT NULL,
    name   text        NOT NULL,
    holder text        NOT NULL,
    until  timestamptz NOT NULL,
    PRIMARY KEY (kind, name)
);

-- Sources that somebody wants to be read now.
CREATE TABLE fetch_requests (
    source text        NOT NULL PRIMARY KEY,
    at     timestamptz NOT NULL
);
