-- What operators say about nodes. A row outlives its node: the node has it again when it comes back.

-- tags: words with a space between them.
CREATE TABLE annotations (
    id       TEXT    NOT NULL PRIMARY KEY,
    uri      TEXT    NOT NULL,
    disabled INTEGER NOT NULL,
    pinned   INTEGER NOT NULL,
    tags     TEXT    NOT NULL,
    note     TEXT    NOT NULL,
    changed  BIGINT  NOT NULL
);
