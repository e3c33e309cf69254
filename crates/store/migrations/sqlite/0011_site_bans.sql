-- Exits that are not used for a site for a time.

CREATE TABLE site_bans (
    site   TEXT   NOT NULL,
    exit   TEXT   NOT NULL,
    since  BIGINT NOT NULL,
    until  BIGINT NOT NULL,
    reason TEXT   NOT NULL,
    PRIMARY KEY (site, exit)
);
