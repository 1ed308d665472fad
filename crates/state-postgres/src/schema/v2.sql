-- Format 2. SCHEMA stands for the schema's quoted name.
-- A run's log and its lease have the same name. Who appends locks the head of the log anyway: where that says the token, too, the
-- lease need not be locked besides.

-- The newest token of the lease of the same name, if a commit under it was let through. NULL where nobody knows.
ALTER TABLE SCHEMA.logs ADD token bigint;

-- Whoever makes a token waits here for a commit under the one before, and the next one finds itself fenced.
CREATE FUNCTION SCHEMA.fence() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE SCHEMA.logs SET token = NULL WHERE space = NEW.space AND name = NEW.name;
    RETURN NULL;
END $$;
CREATE TRIGGER fence AFTER INSERT OR UPDATE OF token ON SCHEMA.leases FOR EACH ROW EXECUTE FUNCTION SCHEMA.fence();

CREATE OR REPLACE FUNCTION SCHEMA.append(
    p_relaxed boolean, p_fence_space text, p_fence_name text, p_token bigint,
    p_space text, p_name text, p_at bigint, p_body bytea, p_refs bytea,
    p_blobs bytea[], p_bytes bytea[], p_named bytea[]
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_found bigint;
    v_log   bigint;
    v_own   boolean := p_name = p_fence_name AND p_space = p_fence_space AND p_token > 0;
BEGIN
    IF p_relaxed THEN
        PERFORM set_config('synchronous_commit', 'off', true);
    ELSIF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;

    IF v_own THEN
        UPDATE SCHEMA.logs SET next = p_at + 1
        WHERE space = p_space AND name = p_name AND next = p_at AND token = p_token
        RETURNING id INTO v_log;
    END IF;
    IF v_log IS NULL THEN
        -- Looked at before anything is locked: the head may be locked already, where it had to be waited for and was not what was
        -- expected then, and whoever makes a token locks the lease first.
        SELECT token INTO v_found FROM SCHEMA.leases WHERE space = p_fence_space AND name = p_fence_name;
        IF COALESCE(v_found, 0) <> p_token THEN
            RAISE EXCEPTION 'fenced' USING ERRCODE = 'AT001', DETAIL = COALESCE(v_found, 0);
        END IF;
        SELECT next INTO v_found FROM SCHEMA.logs WHERE space = p_space AND name = p_name;
        IF COALESCE(v_found, 0) <> p_at THEN
            RAISE EXCEPTION 'conflict' USING ERRCODE = 'AT002', DETAIL = '1 ' || COALESCE(v_found, 0);
        END IF;

        IF v_own THEN
            -- Written, not only locked: a transaction that began before and makes a token fails then, also where it sees what was
            -- there when it began and would not find the head.
            UPDATE SCHEMA.leases SET until_ms = until_ms
            WHERE space = p_fence_space AND name = p_fence_name AND token = p_token
            RETURNING token INTO v_found;
        ELSE
            SELECT token INTO v_found FROM SCHEMA.leases
            WHERE space = p_fence_space AND name = p_fence_name AND token = p_token FOR SHARE;
        END IF;
        IF NOT FOUND AND p_token > 0 THEN
            SELECT token INTO v_found FROM SCHEMA.leases WHERE space = p_fence_space AND name = p_fence_name;
            RAISE EXCEPTION 'fenced' USING ERRCODE = 'AT001', DETAIL = COALESCE(v_found, 0);
        END IF;
        UPDATE SCHEMA.logs SET next = p_at + 1, token = CASE WHEN v_own THEN p_token ELSE token END
        WHERE space = p_space AND name = p_name AND next = p_at
        RETURNING id INTO v_log;
    END IF;
    IF v_log IS NULL THEN
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
