-- What dashboards keep here: what is selected in groups of nodes (kind 'selection'), and settings of their own (kind 'storage').

CREATE TABLE dashboard (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (kind, key)
);
