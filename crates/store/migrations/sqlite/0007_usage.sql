-- The bytes that each user has moved, by days of UTC counted from 1970-01-01. Day 0 holds what is too old to be kept by day.
CREATE TABLE usage (
    username TEXT   NOT NULL,
    day      BIGINT NOT NULL,
    up       BIGINT NOT NULL,
    down     BIGINT NOT NULL,
    PRIMARY KEY (username, day)
);
CREATE INDEX usage_by_day ON usage (day, username);
