-- What instances need that follow the changes of others: what was removed, and to be woken.

-- kind: the table of the row that was removed; key: the columns of its key. Kept for a day.
CREATE TABLE tombstones (
    kind    text        NOT NULL,
    key     text[]      NOT NULL,
    at      timestamptz NOT NULL DEFAULT now(),
    version xid8        NOT NULL DEFAULT pg_current_xact_id()
);
CREATE INDEX tombstones_by_version ON tombstones (version);
CREATE INDEX tombstones_by_time ON tombstones (at);

-- The newest version whose tombstones were cleared away: whoever has followed up to an older one must load everything anew.
CREATE TABLE tombstones_cleared (
    version xid8 NOT NULL
);
INSERT INTO tombstones_cleared (version) VALUES ('0');

-- Whether the transaction that wrote a row was not visible in a snapshot. The first condition lets an index be used.
CREATE FUNCTION changed_since(version xid8, seen pg_snapshot) RETURNS boolean LANGUAGE sql IMMUTABLE
    AS 'SELECT version >= pg_snapshot_xmin(seen) AND NOT pg_visible_in_snapshot(version, seen)';

CREATE FUNCTION note_removals() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('INSERT INTO tombstones (kind, key) SELECT %L, ARRAY[%s] FROM removed', TG_TABLE_NAME, TG_ARGV[0]);
    RETURN NULL;
END $$;

-- Nobody can tell what a truncated table held: to those who follow it is another database.
CREATE FUNCTION note_truncation() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE database_identity SET id = gen_random_uuid();
    RETURN NULL;
END $$;

-- One notification a transaction reaches each listener, however many statements ask for it.
CREATE FUNCTION wake_followers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('hezar_changes', '');
    RETURN NULL;
END $$;

CREATE TRIGGER note_removals AFTER DELETE ON proxies REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('id::text');
CREATE TRIGGER note_removals AFTER DELETE ON listings REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('source, proxy::text');
CREATE TRIGGER note_removals AFTER DELETE ON sources REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('name');
CREATE TRIGGER note_removals AFTER DELETE ON sessions REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('listener, username, session');
CREATE TRIGGER note_removals AFTER DELETE ON bans REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('id::text');
CREATE TRIGGER note_removals AFTER DELETE ON site_bans REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('site, exit');
CREATE TRIGGER note_removals AFTER DELETE ON annotations REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('id::text');
CREATE TRIGGER note_removals AFTER DELETE ON dashboard REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('kind, key');
CREATE TRIGGER note_removals AFTER DELETE ON objects REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('kind, name');
CREATE TRIGGER note_removals AFTER DELETE ON api_tokens REFERENCING OLD TABLE AS removed
    FOR EACH STATEMENT EXECUTE FUNCTION note_removals('name');

DO $$
DECLARE
    followed text;
BEGIN
    FOREACH followed IN ARRAY ARRAY['proxies', 'records', 'sources', 'listings', 'sessions', 'bans', 'site_bans', 'annotations',
        'dashboard', 'objects', 'api_tokens', 'usage'] LOOP
        EXECUTE format('CREATE TRIGGER wake_followers AFTER INSERT OR UPDATE OR DELETE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION wake_followers()', followed);
        EXECUTE format('CREATE TRIGGER note_truncation AFTER TRUNCATE ON %I '
            'FOR EACH STATEMENT EXECUTE FUNCTION note_truncation()', followed);
    END LOOP;
END $$;
