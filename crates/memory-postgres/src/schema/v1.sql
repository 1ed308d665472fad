-- Format 1. SCHEMA stands for the schema's quoted name, PGVECTOR for that of the extension.
-- Names are ordered by their bytes, whatever the database's own order is.

-- What made vectors: only those of one row are compared.
CREATE TABLE SCHEMA.models (
    id   int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text COLLATE "C" NOT NULL,
    dim  int NOT NULL,
    UNIQUE (name, dim)
);

-- place: the namespace and the key. value: JSON as it was given. fields: the same as filters compare it; NULL for what is no
-- object. length and terms: its text, as words are searched. stamp: which write it was. vec: of length 1, or zeros.
CREATE TABLE SCHEMA.items (
    place      text COLLATE "C" NOT NULL,
    value      text NOT NULL,
    fields     jsonb,
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    expires_ms bigint,
    length     int NOT NULL,
    terms      text[] COLLATE "C" NOT NULL,
    stamp      uuid NOT NULL,
    model      int REFERENCES SCHEMA.models,
    dim        int,
    vec        PGVECTOR.vector,
    PRIMARY KEY (place) INCLUDE (length, expires_ms)
) WITH (toast_tuple_target = 8160);
CREATE INDEX items_model ON SCHEMA.items (model, place) INCLUDE (expires_ms) WHERE model IS NOT NULL;
CREATE INDEX items_expires ON SCHEMA.items (expires_ms) WHERE expires_ms IS NOT NULL;

-- Which words stand where, and how often.
CREATE TABLE SCHEMA.words (
    term  text COLLATE "C" NOT NULL,
    place text COLLATE "C" NOT NULL,
    count int NOT NULL,
    PRIMARY KEY (term, place) INCLUDE (count)
);

CREATE FUNCTION SCHEMA.now_ms() RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint
$$;

-- The row of a model, made where there is none.
CREATE FUNCTION SCHEMA.model(p_name text, p_dim int) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
    v_id int;
BEGIN
    SELECT id INTO v_id FROM SCHEMA.models WHERE name = p_name AND dim = p_dim;
    IF NOT FOUND THEN
        INSERT INTO SCHEMA.models (name, dim) VALUES (p_name, p_dim) ON CONFLICT DO NOTHING;
        SELECT id INTO v_id FROM SCHEMA.models WHERE name = p_name AND dim = p_dim;
    END IF;
    RETURN v_id;
END $$;

-- Whoever writes an item holds its place until the end of the transaction.
CREATE FUNCTION SCHEMA.hold(p_place text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- A write survives the server's crash whatever a role is set to.
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('SCHEMA ' || p_place, 0));
END $$;

-- Writes an item; with p_must only if one is there. Answers with the one it replaced, if that was there. A write that is made
-- again with its stamp changes nothing.
CREATE FUNCTION SCHEMA.put(
    p_place text, p_must boolean, p_stamp uuid, p_value text, p_fields jsonb, p_ttl_ms bigint,
    p_length int, p_terms text[], p_counts int[], p_model text, p_vec real[]
) RETURNS TABLE (old_value text, old_created_ms bigint, old_updated_ms bigint, old_expires_ms bigint)
LANGUAGE plpgsql AS $$
DECLARE
    v_now   bigint;
    v_old   record;
    v_was   boolean;
    v_there boolean;
    v_model int;
BEGIN
    PERFORM SCHEMA.hold(p_place);
    v_now := SCHEMA.now_ms();
    SELECT i.value, i.created_ms, i.updated_ms, i.expires_ms, i.terms, i.stamp INTO v_old
    FROM SCHEMA.items i WHERE i.place = p_place FOR UPDATE;
    v_was := FOUND;
    IF v_was AND v_old.stamp = p_stamp THEN
        RETURN;
    END IF;
    v_there := v_was AND (v_old.expires_ms IS NULL OR v_old.expires_ms > v_now);
    IF p_must AND NOT v_there THEN
        RETURN;
    END IF;
    IF p_vec IS NOT NULL THEN
        v_model := SCHEMA.model(p_model, cardinality(p_vec));
    END IF;
    INSERT INTO SCHEMA.items AS i
    VALUES (p_place, p_value, p_fields, v_now, v_now, v_now + p_ttl_ms, p_length, p_terms, p_stamp, v_model,
            cardinality(p_vec), p_vec::PGVECTOR.vector)
    ON CONFLICT (place) DO UPDATE SET
        value = EXCLUDED.value, fields = EXCLUDED.fields,
        created_ms = CASE WHEN v_there THEN i.created_ms ELSE v_now END,
        updated_ms = v_now, expires_ms = EXCLUDED.expires_ms, length = EXCLUDED.length, terms = EXCLUDED.terms,
        stamp = EXCLUDED.stamp, model = EXCLUDED.model, dim = EXCLUDED.dim, vec = EXCLUDED.vec;
    IF v_was THEN
        DELETE FROM SCHEMA.words w WHERE w.term = ANY (v_old.terms) AND w.place = p_place;
    END IF;
    INSERT INTO SCHEMA.words (term, place, count) SELECT u.term, p_place, u.count FROM unnest(p_terms, p_counts) u (term, count);
    IF v_there THEN
        RETURN QUERY SELECT v_old.value, v_old.created_ms, v_old.updated_ms, v_old.expires_ms;
    END IF;
END $$;

-- Forgets an item; whether it was there.
CREATE FUNCTION SCHEMA.forget(p_place text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_old record;
BEGIN
    PERFORM SCHEMA.hold(p_place);
    DELETE FROM SCHEMA.items i WHERE i.place = p_place RETURNING i.terms, i.expires_ms INTO v_old;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    DELETE FROM SCHEMA.words w WHERE w.term = ANY (v_old.terms) AND w.place = p_place;
    RETURN v_old.expires_ms IS NULL OR v_old.expires_ms > SCHEMA.now_ms();
END $$;

-- Forgets up to p_limit items whose time is over; how many. One that is being written is left.
CREATE FUNCTION SCHEMA.purge(p_from text, p_to text, p_limit bigint) RETURNS bigint LANGUAGE sql AS $$
    WITH over AS (
        SELECT i.place FROM SCHEMA.items i
        WHERE i.expires_ms <= (SELECT SCHEMA.now_ms()) AND i.place >= p_from AND (p_to IS NULL OR i.place < p_to)
        ORDER BY i.place LIMIT p_limit FOR UPDATE SKIP LOCKED
    ), gone AS (
        DELETE FROM SCHEMA.items i USING over o WHERE i.place = o.place RETURNING i.place, i.terms
    ), worded AS (
        DELETE FROM SCHEMA.words w USING (SELECT g.place, t.term FROM gone g, unnest(g.terms) t (term)) d
        WHERE w.term = d.term AND w.place = d.place
    )
    SELECT count(*) FROM gone
$$;

-- Gives items other vectors, which stand one behind the other; those that were not written since. How many.
CREATE FUNCTION SCHEMA.embed(p_places text[], p_stamps uuid[], p_model text, p_dim int, p_values real[]) RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE
    v_model int := SCHEMA.model(p_model, p_dim);
    v_done  bigint;
BEGIN
    UPDATE SCHEMA.items i
    SET model = v_model, dim = p_dim, vec = (p_values[(u.n - 1) * p_dim + 1 : u.n * p_dim])::PGVECTOR.vector
    FROM unnest(p_places, p_stamps) WITH ORDINALITY u (place, stamp, n)
    WHERE i.place = u.place AND i.stamp = u.stamp;
    GET DIAGNOSTICS v_done = ROW_COUNT;
    RETURN v_done;
END $$;
