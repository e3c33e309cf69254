-- What was made while the program runs: objects of the configuration, API tokens, and who changed what.
-- value: the object as it would stand in the configuration, as JSON. It may hold passwords.
CREATE TABLE objects (
    kind    TEXT   NOT NULL,
    name    TEXT   NOT NULL,
    value   TEXT   NOT NULL,
    changed BIGINT NOT NULL,
    PRIMARY KEY (kind, name)
);
-- hash: BLAKE3 of the token, in hexadecimal digits. The token itself is not kept.
CREATE TABLE api_tokens (
    name      TEXT   NOT NULL PRIMARY KEY,
    hash      TEXT   NOT NULL UNIQUE,
    scope     TEXT   NOT NULL,
    created   BIGINT NOT NULL,
    last_used BIGINT
);
-- old_value, new_value: JSON without secrets.
CREATE TABLE audit (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        BIGINT NOT NULL,
    who       TEXT   NOT NULL,
    via       TEXT   NOT NULL,
    action    TEXT   NOT NULL,
    kind      TEXT   NOT NULL,
    name      TEXT   NOT NULL,
    old_value TEXT,
    new_value TEXT
);
