-- Format 1. SCHEMA stands for the schema's quoted name.
-- Names are ordered by their bytes, whatever the database's own order is.

CREATE TABLE SCHEMA.records (
    space   text COLLATE "C" NOT NULL,
    name    text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    value   bytea NOT NULL,
    refs    bytea NOT NULL,
    due_ms  bigint,
    PRIMARY KEY (space, name)
) WITH (fillfactor = 80);
CREATE INDEX records_due ON SCHEMA.records (space, due_ms, name) WHERE due_ms IS NOT NULL;

-- The head of each log: who appends locks its row, and so positions have no holes.
CREATE TABLE SCHEMA.logs (
    space text COLLATE "C" NOT NULL,
    name  text COLLATE "C" NOT NULL,
    id    bigint GENERATED ALWAYS AS IDENTITY,
    next  bigint NOT NULL,
    PRIMARY KEY (space, name)
) WITH (fillfactor = 50);

CREATE TABLE SCHEMA.entries (
    log  bigint NOT NULL,
    at   bigint NOT NULL,
    body bytea NOT NULL,
    refs bytea NOT NULL,
    PRIMARY KEY (log, at)
);

CREATE TABLE SCHEMA.blobs (
    id    bytea NOT NULL PRIMARY KEY,
    bytes bytea NOT NULL,
    used  timestamptz NOT NULL
);

-- Never deleted: a token must be higher than every earlier one.
CREATE TABLE SCHEMA.leases (
    space    text COLLATE "C" NOT NULL,
    name     text COLLATE "C" NOT NULL,
    owner    text NOT NULL,
    token    bigint NOT NULL,
    until_ms bigint NOT NULL,
    PRIMARY KEY (space, name)
) WITH (fillfactor = 50);

-- One row for each connection that commits: the number of its last commit. A client whose answer was lost learns here
-- whether the commit happened, and makes sure that it will not happen any more if it did not.
CREATE TABLE SCHEMA.writers (
    id     uuid NOT NULL PRIMARY KEY,
    number bigint NOT NULL,
    used   timestamptz NOT NULL,
    void   boolean NOT NULL
) WITH (fillfactor = 20);

CREATE FUNCTION SCHEMA.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- The ids in a concatenation of ids of 32 bytes.
CREATE FUNCTION SCHEMA.ids(refs bytea) RETURNS SETOF bytea LANGUAGE sql IMMUTABLE AS $$
    SELECT substring(refs FROM at FOR 32) FROM generate_series(1, length(refs), 32) AS at
$$;

-- What a commit survives. A server or role that is set to lose commits is overruled for this transaction.
CREATE FUNCTION SCHEMA.durability(relaxed boolean) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF relaxed THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
END $$;

-- One batch. Every failure is raised, so that the transaction undoes what was done before it: AT001 with the newest
-- token, AT002 with the number of the change and what there is, AT003 when the client gave this commit up.
-- Changes: 1 put, 2 delete, 3 append, 4 cut, 5 drop. wants: the version or position that must be there (0: no record), or
-- the first position that stays; NULL for anything. counts: entries of an append, due_ms of a put.
CREATE FUNCTION SCHEMA.commit(
    p_writer uuid, p_number bigint, p_relaxed boolean,
    p_fence_space text, p_fence_name text, p_token bigint,
    p_kinds smallint[], p_keys text[], p_wants bigint[], p_counts bigint[], p_bodies bytea[], p_refs bytea[],
    p_blobs bytea[], p_bytes bytea[], p_named bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_space text;
    v_name  text;
    v_kind  smallint;
    v_want  bigint;
    v_count bigint;
    v_found bigint;
    v_log   bigint;
    v_body  int := 0;
BEGIN
    IF p_relaxed THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    UPDATE SCHEMA.writers SET number = p_number, used = now()
    WHERE id = p_writer AND number < p_number AND NOT void;
    IF NOT FOUND THEN
        INSERT INTO SCHEMA.writers VALUES (p_writer, p_number, now(), false) ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'this commit was given up' USING ERRCODE = 'AT003';
        END IF;
    END IF;

    IF p_fence_space IS NOT NULL THEN
        SELECT token INTO v_found FROM SCHEMA.leases WHERE space = p_fence_space AND name = p_fence_name FOR SHARE;
        IF COALESCE(v_found, 0) <> p_token THEN
            RAISE EXCEPTION 'fenced' USING ERRCODE = 'AT001', DETAIL = COALESCE(v_found, 0);
        END IF;
    END IF;

    FOR i IN 1 .. cardinality(p_kinds) LOOP
        v_kind := p_kinds[i];
        v_space := p_keys[2 * i - 1];
        v_name := p_keys[2 * i];
        v_want := p_wants[i];
        IF v_kind = 3 THEN
            v_count := p_counts[i];
            UPDATE SCHEMA.logs SET next = next + v_count WHERE space = v_space AND name = v_name
            RETURNING id, next - v_count INTO v_log, v_found;
            IF NOT FOUND THEN
                INSERT INTO SCHEMA.logs AS l (space, name, next) VALUES (v_space, v_name, v_count)
                ON CONFLICT (space, name) DO UPDATE SET next = l.next + v_count
                RETURNING id, next - v_count INTO v_log, v_found;
            END IF;
            IF v_want <> v_found THEN
                RAISE EXCEPTION 'conflict' USING ERRCODE = 'AT002', DETAIL = i || ' ' || v_found;
            END IF;
            IF v_count = 1 THEN
                v_body := v_body + 1;
                INSERT INTO SCHEMA.entries VALUES (v_log, v_found, p_bodies[v_body], p_refs[v_body]);
            ELSE
                INSERT INTO SCHEMA.entries
                SELECT v_log, v_found + e.at - 1, e.body, e.refs
                FROM unnest(
                    p_bodies[v_body + 1 : v_body + v_count::int], p_refs[v_body + 1 : v_body + v_count::int]
                ) WITH ORDINALITY AS e(body, refs, at);
                v_body := v_body + v_count::int;
            END IF;
        ELSIF v_kind = 1 THEN
            v_body := v_body + 1;
            IF v_want IS NULL THEN
                INSERT INTO SCHEMA.records AS r VALUES
                    (v_space, v_name, 1, p_bodies[v_body], p_refs[v_body], p_counts[i])
                ON CONFLICT (space, name) DO UPDATE SET
                    version = r.version + 1, value = EXCLUDED.value, refs = EXCLUDED.refs, due_ms = EXCLUDED.due_ms;
            ELSIF v_want = 0 THEN
                INSERT INTO SCHEMA.records VALUES
                    (v_space, v_name, 1, p_bodies[v_body], p_refs[v_body], p_counts[i])
                ON CONFLICT DO NOTHING;
            ELSE
                UPDATE SCHEMA.records SET
                    version = version + 1, value = p_bodies[v_body], refs = p_refs[v_body], due_ms = p_counts[i]
                WHERE space = v_space AND name = v_name AND version = v_want;
            END IF;
            IF NOT FOUND THEN
                SELECT version INTO v_found FROM SCHEMA.records WHERE space = v_space AND name = v_name;
                RAISE EXCEPTION 'conflict' USING ERRCODE = 'AT002', DETAIL = i || ' ' || COALESCE(v_found, 0);
            END IF;
        ELSIF v_kind = 2 THEN
            DELETE FROM SCHEMA.records
            WHERE space = v_space AND name = v_name AND (v_want IS NULL OR version = v_want);
            IF NOT FOUND AND v_want IS NOT NULL THEN
                SELECT version INTO v_found FROM SCHEMA.records WHERE space = v_space AND name = v_name;
                IF COALESCE(v_found, 0) <> v_want OR v_want <> 0 THEN
                    RAISE EXCEPTION 'conflict' USING ERRCODE = 'AT002', DETAIL = i || ' ' || COALESCE(v_found, 0);
                END IF;
            END IF;
        ELSIF v_kind = 4 THEN
            DELETE FROM SCHEMA.entries
            WHERE log = (SELECT id FROM SCHEMA.logs WHERE space = v_space AND name = v_name) AND at < v_want;
        ELSE
            DELETE FROM SCHEMA.logs WHERE space = v_space AND name = v_name RETURNING id INTO v_log;
            IF FOUND THEN
                DELETE FROM SCHEMA.entries WHERE log = v_log;
            END IF;
        END IF;
    END LOOP;

    -- A blob that is there already is locked, so that a sweep waits, and its use is noted to the minute: the same
    -- message stored with every step is not written with every step. The client sends them in the order of their ids,
    -- so that two commits never wait for each other.
    IF cardinality(p_blobs) > 0 THEN
        INSERT INTO SCHEMA.blobs AS b SELECT n.id, n.bytes, clock_timestamp() FROM unnest(p_blobs, p_bytes) AS n(id, bytes)
        ON CONFLICT (id) DO UPDATE SET used = EXCLUDED.used WHERE b.used < EXCLUDED.used - interval '1 minute';
    END IF;
    IF cardinality(p_named) > 0 THEN
        PERFORM FROM SCHEMA.blobs WHERE id = ANY (p_named) ORDER BY id FOR KEY SHARE;
    END IF;
END $$;

-- The batch that a run writes again and again: one entry at a known position of a log, and blobs. It is what `commit` would do,
-- without a row for the writer: a client whose answer was lost sends it again, and finds its own entry at the position.
CREATE FUNCTION SCHEMA.append(
    p_relaxed boolean, p_fence_space text, p_fence_name text, p_token bigint,
    p_space text, p_name text, p_at bigint, p_body bytea, p_refs bytea,
    p_blobs bytea[], p_bytes bytea[], p_named bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_found bigint;
    v_log   bigint;
BEGIN
    IF p_relaxed THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    SELECT token INTO v_found FROM SCHEMA.leases WHERE space = p_fence_space AND name = p_fence_name FOR SHARE;
    IF COALESCE(v_found, 0) <> p_token THEN
        RAISE EXCEPTION 'fenced' USING ERRCODE = 'AT001', DETAIL = COALESCE(v_found, 0);
    END IF;

    UPDATE SCHEMA.logs SET next = p_at + 1 WHERE space = p_space AND name = p_name AND next = p_at
    RETURNING id INTO v_log;
    IF NOT FOUND THEN
        IF p_at = 0 THEN
            INSERT INTO SCHEMA.logs (space, name, next) VALUES (p_space, p_name, 1) ON CONFLICT DO NOTHING
            RETURNING id INTO v_log;
        END IF;
        IF v_log IS NULL THEN
            SELECT next INTO v_found FROM SCHEMA.logs WHERE space = p_space AND name = p_name;
            RAISE EXCEPTION 'conflict' USING ERRCODE = 'AT002', DETAIL = '1 ' || COALESCE(v_found, 0);
        END IF;
    END IF;
    INSERT INTO SCHEMA.entries VALUES (v_log, p_at, p_body, p_refs);

    IF cardinality(p_blobs) > 0 THEN
        INSERT INTO SCHEMA.blobs AS b SELECT n.id, n.bytes, clock_timestamp() FROM unnest(p_blobs, p_bytes) AS n(id, bytes)
        ON CONFLICT (id) DO UPDATE SET used = EXCLUDED.used WHERE b.used < EXCLUDED.used - interval '1 minute';
    END IF;
    IF cardinality(p_named) > 0 THEN
        PERFORM FROM SCHEMA.blobs WHERE id = ANY (p_named) ORDER BY id FOR KEY SHARE;
    END IF;
END $$;

-- Whether this commit happened. After it the writer is void: a commit that is still on its way does not happen any more.
-- The row's lock waits for one that is under way.
CREATE FUNCTION SCHEMA.settle(p_writer uuid, p_number bigint) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_number bigint;
BEGIN
    PERFORM SCHEMA.durability(false);
    INSERT INTO SCHEMA.writers VALUES (p_writer, -1, now(), true)
    ON CONFLICT (id) DO UPDATE SET void = true, used = now()
    RETURNING number INTO v_number;
    RETURN v_number >= p_number;
END $$;

CREATE FUNCTION SCHEMA.acquire(
    p_space text, p_name text, p_owner text, p_ttl bigint,
    OUT got boolean, OUT o_token bigint, OUT o_until bigint, OUT o_owner text
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM SCHEMA.durability(false);
    INSERT INTO SCHEMA.leases AS l VALUES (p_space, p_name, p_owner, 1, SCHEMA.now_ms() + p_ttl)
    ON CONFLICT (space, name) DO UPDATE SET
        owner = EXCLUDED.owner, token = l.token + 1, until_ms = SCHEMA.now_ms() + p_ttl
    WHERE l.owner = EXCLUDED.owner OR l.until_ms <= SCHEMA.now_ms()
    RETURNING token, until_ms, owner INTO o_token, o_until, o_owner;
    got := FOUND;
    IF NOT got THEN
        SELECT token, until_ms - SCHEMA.now_ms(), owner INTO o_token, o_until, o_owner
        FROM SCHEMA.leases WHERE space = p_space AND name = p_name;
    END IF;
END $$;

-- A heartbeat need not survive a power failure: what is lost is only time, and who takes the lease then has a higher
-- token.
CREATE FUNCTION SCHEMA.renew(
    p_space text, p_name text, p_token bigint, p_ttl bigint, OUT got boolean, OUT o_token bigint, OUT o_until bigint
) LANGUAGE plpgsql AS $$
BEGIN
    PERFORM SCHEMA.durability(true);
    UPDATE SCHEMA.leases SET until_ms = SCHEMA.now_ms() + p_ttl
    WHERE space = p_space AND name = p_name AND token = p_token
    RETURNING token, until_ms INTO o_token, o_until;
    got := FOUND;
    IF NOT got THEN
        SELECT token INTO o_token FROM SCHEMA.leases WHERE space = p_space AND name = p_name;
    END IF;
END $$;

CREATE FUNCTION SCHEMA.release(p_space text, p_name text, p_token bigint) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM SCHEMA.durability(false);
    UPDATE SCHEMA.leases SET token = token + 1, until_ms = 0
    WHERE space = p_space AND name = p_name AND token = p_token;
END $$;

CREATE FUNCTION SCHEMA.claim(p_space text, p_owner text, p_ttl bigint, p_limit bigint)
RETURNS TABLE (o_name text, o_version bigint, o_value bytea, o_refs bytea, o_due bigint, o_token bigint, o_until bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_row    record;
    v_now    bigint;
    v_round  int := 0;
    v_seen   boolean;
    v_taken  boolean := false;
BEGIN
    PERFORM SCHEMA.durability(false);
    -- A lease that was taken since the round began is passed over; another round finds what else there is.
    LOOP
        v_seen := false;
        v_now := SCHEMA.now_ms();
        FOR v_row IN
            SELECT r.name, r.version, r.value, r.refs, r.due_ms
            FROM SCHEMA.records r LEFT JOIN SCHEMA.leases l ON l.space = r.space AND l.name = r.name
            WHERE r.space = p_space AND r.due_ms <= v_now AND (l.until_ms IS NULL OR l.until_ms <= v_now)
            ORDER BY r.due_ms, r.name LIMIT p_limit
            FOR UPDATE OF r SKIP LOCKED
        LOOP
            v_seen := true;
            INSERT INTO SCHEMA.leases AS l VALUES (p_space, v_row.name, p_owner, 1, SCHEMA.now_ms() + p_ttl)
            ON CONFLICT (space, name) DO UPDATE SET
                owner = EXCLUDED.owner, token = l.token + 1, until_ms = SCHEMA.now_ms() + p_ttl
            WHERE l.until_ms <= SCHEMA.now_ms()
            RETURNING token, until_ms INTO o_token, o_until;
            IF FOUND THEN
                v_taken := true;
                o_name := v_row.name;
                o_version := v_row.version;
                o_value := v_row.value;
                o_refs := v_row.refs;
                o_due := v_row.due_ms;
                RETURN NEXT;
            END IF;
        END LOOP;
        v_round := v_round + 1;
        EXIT WHEN v_taken OR NOT v_seen OR v_round = 8;
    END LOOP;
END $$;

-- Candidates first, then their locks, then what names them as it is under the locks: a commit that stores or names one
-- of them has either been seen or waits until it is gone and stores it anew.
CREATE FUNCTION SCHEMA.sweep(p_grace_ms bigint, OUT o_blobs bigint, OUT o_bytes bigint) LANGUAGE plpgsql AS $$
DECLARE
    v_before timestamptz := clock_timestamp();
    v_ids    bytea[];
BEGIN
    IF p_grace_ms > 0 THEN
        -- Uses are noted to the minute.
        v_before := v_before - p_grace_ms * interval '1 millisecond' - interval '1 minute';
    END IF;
    PERFORM SCHEMA.durability(false);
    DELETE FROM SCHEMA.writers WHERE used < now() - interval '1 day';
    SELECT array_agg(b.id) INTO v_ids FROM SCHEMA.blobs b WHERE b.used <= v_before AND NOT EXISTS (
        SELECT FROM (
            SELECT SCHEMA.ids(refs) AS id FROM SCHEMA.records UNION ALL SELECT SCHEMA.ids(refs) FROM SCHEMA.entries
        ) AS n WHERE n.id = b.id
    );
    SELECT array_agg(id) INTO v_ids FROM (
        SELECT id FROM SCHEMA.blobs WHERE id = ANY (v_ids) AND used <= v_before ORDER BY id FOR UPDATE SKIP LOCKED
    ) AS locked;
    WITH gone AS (
        DELETE FROM SCHEMA.blobs b WHERE b.id = ANY (v_ids) AND NOT EXISTS (
            SELECT FROM (
                SELECT SCHEMA.ids(refs) AS id FROM SCHEMA.records
                UNION ALL SELECT SCHEMA.ids(refs) FROM SCHEMA.entries
            ) AS n WHERE n.id = b.id
        ) RETURNING length(b.bytes) AS size
    ) SELECT count(*), COALESCE(sum(size), 0) INTO o_blobs, o_bytes FROM gone;
END $$;
