-- What the instance counted over time: a row for every minute of the last day and for every hour of the last 90 days.
-- step: the length of the row's time in seconds, 60 or 3600. at: when it began.
-- samples: how often the nodes were counted; the node columns are sums over these, so that rows can be added up.
-- requests: "code=number" pairs, separated by commas. latency: numbers per bucket, separated by commas.
CREATE TABLE history (
    step        BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    samples     BIGINT NOT NULL,
    new         BIGINT NOT NULL,
    healthy     BIGINT NOT NULL,
    suspect     BIGINT NOT NULL,
    dead        BIGINT NOT NULL,
    unsupported BIGINT NOT NULL,
    quarantined BIGINT NOT NULL,
    disabled    BIGINT NOT NULL,
    up          BIGINT NOT NULL,
    down        BIGINT NOT NULL,
    requests    TEXT   NOT NULL,
    latency     TEXT   NOT NULL,
    PRIMARY KEY (step, at)
);
