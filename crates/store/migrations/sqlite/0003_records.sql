-- What decides about a node over a restart, all of it; what a source is; how long a session lasts; bans.

-- Microseconds: a latency that is rounded at every start is another latency.
ALTER TABLE proxies RENAME COLUMN latency_ms TO latency_us;
UPDATE proxies SET latency_us = latency_us * 1000;

-- dead_since: the last check is the latest moment of death that the older schema knew.
ALTER TABLE proxies ADD COLUMN dead_since BIGINT;
UPDATE proxies SET dead_since = coalesce(last_checked, first_seen) WHERE state = 'dead';
-- unlisted_since: since when no source lists it; kept_from: the source that listed it last.
ALTER TABLE proxies ADD COLUMN unlisted_since BIGINT;
ALTER TABLE proxies ADD COLUMN kept_from TEXT;
-- error_rate: the smoothed share of failures, 0 to 1. exit_seen: when the exit was last looked up.
ALTER TABLE proxies ADD COLUMN error_rate DOUBLE PRECISION NOT NULL DEFAULT 0;
ALTER TABLE proxies ADD COLUMN exit_seen BIGINT;
-- failure_stage: where last_error happened. Most codes of the older schema belong to one stage.
ALTER TABLE proxies ADD COLUMN failure_stage TEXT;
UPDATE proxies SET failure_stage = CASE
    WHEN last_error = 'dns' THEN 'resolve'
    WHEN last_error IN ('certificate', 'tls') THEN 'security'
    WHEN last_error = 'transport-status' THEN 'transport'
    WHEN last_error IN ('protocol', 'authentication', 'forbidden', 'target-unreachable', 'server-failure') THEN 'handshake'
    WHEN last_error = 'unexpected-answer' THEN 'exchange'
    ELSE 'connect' END
WHERE last_error IS NOT NULL;
-- unreadable_since: since when no build has understood the row; it is deleted in the end, never kept for ever.
ALTER TABLE proxies ADD COLUMN unreadable_since BIGINT;

-- lasts_ms: how long a session lasts from its first request or its last rotation.
ALTER TABLE sessions ADD COLUMN lasts_ms BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET lasts_ms = ends - began;

-- origin: a fingerprint of what the source is (its URL, file, repository or channel). One that changed is read at once.
ALTER TABLE sources ADD COLUMN origin TEXT;

-- Nodes that must not come back, whatever lists them. uri: so that a ban survives a change of how ids are made.
CREATE TABLE bans (
    id    TEXT   NOT NULL PRIMARY KEY,
    uri   TEXT   NOT NULL,
    label TEXT   NOT NULL,
    since BIGINT NOT NULL
);
