-- The rest of what a tenant configures, who changed what, and the answers kept for retries.

CREATE TABLE policies (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	name text NOT NULL,
	preset text,
	fields json NOT NULL,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id)
);
COMMENT ON TABLE policies IS 'Given to a tenant, site or user by policy_id; their effect is decided per field.';
COMMENT ON COLUMN policies.fields IS
	'Every field of a policy as the tenant set it, null where it inherits; the preset is not folded in.';

ALTER TABLE tenants ADD FOREIGN KEY (id, policy_id) REFERENCES policies;
ALTER TABLE sites ADD FOREIGN KEY (tenant_id, policy_id) REFERENCES policies;
ALTER TABLE users ADD FOREIGN KEY (tenant_id, policy_id) REFERENCES policies;
-- What a delete has to ask of big tables: who refers to this?
CREATE INDEX ON users (tenant_id, policy_id) WHERE policy_id IS NOT NULL;
CREATE INDEX ON users (tenant_id, address_id) WHERE address_id IS NOT NULL;
CREATE INDEX ON phone_numbers (tenant_id, address_id) WHERE address_id IS NOT NULL;

CREATE TABLE dial_rules (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	site_id uuid,
	name text NOT NULL,
	pattern text NOT NULL,
	kind text NOT NULL,
	translation text,
	route text,
	max_hold_seconds integer,
	sip_group json,
	notify boolean NOT NULL DEFAULT true,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id),
	FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
COMMENT ON COLUMN dial_rules.pattern IS 'Digits, * and #, x = any digit; or +E.164.';
COMMENT ON COLUMN dial_rules.site_id IS 'Null: of every site of the tenant; a rule of the site comes before it.';

CREATE TABLE carrier_routes (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	site_id uuid,
	pattern text NOT NULL,
	trunk text NOT NULL,
	emergency_confirmed_at timestamptz,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
COMMENT ON TABLE carrier_routes IS 'Direct routing: which dial strings leave by which trunk of the tenant''s own carrier.';
COMMENT ON COLUMN carrier_routes.emergency_confirmed_at IS 'When the carrier confirmed that emergency calls work on the trunk.';

CREATE TABLE notification_recipients (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	site_id uuid,
	channel text NOT NULL,
	address text NOT NULL,
	mode text NOT NULL DEFAULT 'notify',
	dial_strings text[] NOT NULL DEFAULT '{}',
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
COMMENT ON TABLE notification_recipients IS 'Who is told that an emergency number was dialled (47 CFR 9.16).';
COMMENT ON COLUMN notification_recipients.dial_strings IS 'Only for these dial strings; empty: for all but test numbers.';

CREATE TABLE user_locations (
	tenant_id uuid NOT NULL,
	user_id uuid NOT NULL,
	address_id uuid,
	address json,
	expires_at timestamptz,
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, user_id),
	FOREIGN KEY (tenant_id, user_id) REFERENCES users ON DELETE CASCADE,
	FOREIGN KEY (tenant_id, address_id) REFERENCES addresses,
	CHECK ((address_id IS NULL) <> (address IS NULL))
);
CREATE INDEX ON user_locations (tenant_id, address_id) WHERE address_id IS NOT NULL;
COMMENT ON TABLE user_locations IS
	'Where a user is now, reported at a login or a desk move: before the address of the user until it expires.';

CREATE FUNCTION uuid7_ordered() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
	SELECT encode(set_byte(set_byte(overlay(uuid_send(gen_random_uuid())
			PLACING substring(int8send(t.us / 1000) FROM 3) FROM 1 FOR 6),
		6, 112 + (t.us % 1000 * 4096 / 1000)::int / 256), 7, (t.us % 1000 * 4096 / 1000)::int % 256), 'hex')::uuid
	FROM (SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS us) t
$$;
COMMENT ON FUNCTION uuid7_ordered() IS
	'UUIDv7 whose first random bits are the fraction of the millisecond (RFC 9562 6.2, method 3): in the order of the microseconds of the database''s clock.';

CREATE TABLE audit_entries (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	key_id uuid,
	action text NOT NULL,
	resource_type text NOT NULL,
	resource_id uuid NOT NULL,
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	PRIMARY KEY (tenant_id, id)
);
COMMENT ON COLUMN audit_entries.id IS 'By uuid7_ordered(): the list is in the order of what happened.';
CREATE INDEX ON audit_entries (tenant_id, resource_id, id);
CREATE INDEX ON audit_entries (tenant_id, key_id, id);
COMMENT ON TABLE audit_entries IS
	'Who changed which resource, and when. Append-only: the service may insert and read, no more. Ids only, never a number or an address.';
COMMENT ON COLUMN audit_entries.key_id IS 'Null: the operator.';

CREATE TABLE idempotency_keys (
	tenant_id uuid NOT NULL,
	key_hash bytea NOT NULL,
	body_hash bytea,
	status integer,
	location text,
	etag text,
	answer_sealed bytea,
	claimed_by integer,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, key_hash)
);
CREATE INDEX ON idempotency_keys (created_at);
COMMENT ON TABLE idempotency_keys IS 'Answers of POST requests with an Idempotency-Key, for 24 h. Failures are not kept.';
COMMENT ON COLUMN idempotency_keys.tenant_id IS 'The nil UUID where the request is of no tenant (POST /v1/tenants).';
COMMENT ON COLUMN idempotency_keys.key_hash IS 'SHA-256 over API key, method, path and Idempotency-Key.';
COMMENT ON COLUMN idempotency_keys.answer_sealed IS
	'The body under SWITCHBACK_SECRETS_KEY (AES-256-GCM; key_hash is its associated data): it may show a secret.';
COMMENT ON COLUMN idempotency_keys.claimed_by IS
	'A request of many transactions is running (status is null): the instance that runs it holds the advisory lock (22868, claimed_by). The claim falls when that lock is free.';

DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['policies', 'dial_rules', 'carrier_routes', 'notification_recipients', 'user_locations',
			'audit_entries'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY tenant ON %I TO switchback_app USING (tenant_id = (SELECT current_tenant()))', t);
		EXECUTE format(CASE t WHEN 'audit_entries' THEN 'GRANT SELECT, INSERT ON %I TO switchback_app'
			ELSE 'GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO switchback_app' END, t);
	END LOOP;
END $$;
ALTER TABLE idempotency_keys ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON idempotency_keys TO switchback_app
	USING (tenant_id = coalesce((SELECT current_tenant()), '00000000-0000-0000-0000-000000000000'));
GRANT SELECT, INSERT, UPDATE, DELETE ON idempotency_keys TO switchback_app;

-- The answers that are too old, for the sweeper: their tenants, before it works within each.
GRANT SELECT ON idempotency_keys TO switchback_lookup;
CREATE POLICY lookup ON idempotency_keys FOR SELECT TO switchback_lookup USING (true);
CREATE FUNCTION lookup_old_answers_1(p_limit integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT DISTINCT o.tenant_id FROM (SELECT k.tenant_id FROM idempotency_keys k
		WHERE k.created_at < now() - interval '24 hours' ORDER BY k.created_at LIMIT p_limit) o
$$;
COMMENT ON FUNCTION lookup_old_answers_1(integer) IS 'Tenants that have answers kept for longer than 24 h.';
ALTER FUNCTION lookup_old_answers_1(integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_old_answers_1(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_old_answers_1(integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;
