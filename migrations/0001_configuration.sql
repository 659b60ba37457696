-- What a tenant configures. Tables belong to switchback_owner, the service works as switchback_app
-- under forced row-level security, and what is asked before a tenant is known goes through the
-- SECURITY DEFINER functions of switchback_lookup (last part of this file).

CREATE FUNCTION current_tenant() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT nullif(current_setting('switchback.tenant', true), '')::uuid $$;
COMMENT ON FUNCTION current_tenant() IS
	'The tenant of this transaction: set_config(''switchback.tenant'', id, true).';

-- STABLE, as to_char is: an IMMUTABLE one would not be inlined.
CREATE FUNCTION rfc3339(t timestamptz) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT to_char(t AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') $$;
COMMENT ON FUNCTION rfc3339(timestamptz) IS 'RFC 3339 UTC with Z, microseconds: the form of every *_at.';

CREATE FUNCTION uuid7() RETURNS uuid LANGUAGE sql VOLATILE PARALLEL SAFE AS $$
	SELECT encode(set_byte(
		overlay(uuid_send(gen_random_uuid())
			PLACING substring(int8send((extract(epoch FROM clock_timestamp()) * 1000)::bigint) FROM 3)
			FROM 1 FOR 6),
		6, 112 + (get_byte(uuid_send(gen_random_uuid()), 0) & 15)), 'hex')::uuid
$$;
COMMENT ON FUNCTION uuid7() IS 'UUIDv7 (RFC 9562): 48 bits of Unix milliseconds, then random bits.';

CREATE FUNCTION region_group(region text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN region IN ('PR', 'VI', 'GU', 'AS', 'MP') THEN 'US' ELSE region END $$;
COMMENT ON FUNCTION region_group(text) IS
	'US stands for US, PR, VI, GU, AS and MP in the rules of numbers, pools and sites.';

CREATE FUNCTION ref_id(ref text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN ref ~ '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$' THEN ref::uuid END $$;
CREATE FUNCTION ref_external(ref text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN ref LIKE 'ext:%' THEN substr(ref, 5) END $$;
COMMENT ON FUNCTION ref_id(text) IS
	'A reference is an id or ext:<external_id>: WHERE id = ref_id(r) OR external_id = ref_external(r) uses both indexes.';

CREATE TABLE tenants (
	id uuid PRIMARY KEY,
	external_id text UNIQUE,
	name text NOT NULL,
	region text NOT NULL,
	language text NOT NULL DEFAULT 'en',
	policy_id uuid,
	policy_order text NOT NULL DEFAULT 'user_first',
	safety_team json,
	fallback json,
	config_version bigint NOT NULL DEFAULT 1,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
) WITH (fillfactor = 70);
COMMENT ON COLUMN tenants.config_version IS
	'Rises in the last statement of every configuration write; place_call compares it at commit.';
COMMENT ON COLUMN tenants.version IS 'The ETag: rises when this resource itself changes.';

CREATE TABLE api_keys (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL UNIQUE,
	name text NOT NULL,
	scopes text[] NOT NULL,
	secret_hash bytea NOT NULL,
	expires_at timestamptz,
	last_used_at timestamptz,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id)
);
COMMENT ON COLUMN api_keys.secret_hash IS 'SHA-256 of the secret part; the secret itself is never stored.';

CREATE TABLE addresses (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	kind text NOT NULL DEFAULT 'company',
	region text NOT NULL,
	admin_area text,
	city text NOT NULL,
	postal_code text,
	street text NOT NULL,
	house_number text,
	floor text,
	room text,
	name text,
	latitude double precision,
	longitude double precision,
	uncertainty_m double precision,
	validated_at timestamptz,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id)
);
COMMENT ON TABLE addresses IS 'Street addresses: of sites, users and numbers (address of record).';

CREATE TABLE sites (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	name text NOT NULL,
	region text NOT NULL,
	address_id uuid NOT NULL,
	policy_id uuid,
	safety_team json,
	fallback json,
	resource_account json,
	receptionist json,
	call_queue json,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id),
	FOREIGN KEY (tenant_id, address_id) REFERENCES addresses
);
COMMENT ON COLUMN sites.address_id IS 'The default emergency address; same region group as the site.';

CREATE TABLE phone_numbers (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	number text NOT NULL CONSTRAINT phone_numbers_number_key UNIQUE,
	number_type text NOT NULL,
	region text NOT NULL,
	usage text NOT NULL,
	address_id uuid,
	state text NOT NULL DEFAULT 'active',
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	FOREIGN KEY (tenant_id, address_id) REFERENCES addresses
);
CREATE INDEX ON phone_numbers (tenant_id, number_type);
COMMENT ON CONSTRAINT phone_numbers_number_key ON phone_numbers IS
	'Across all tenants: nobody claims the callbacks of another''s number.';

CREATE TABLE pools (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	site_id uuid NOT NULL,
	name text NOT NULL,
	region text NOT NULL,
	number_type text NOT NULL,
	low_water integer NOT NULL DEFAULT 1,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id),
	FOREIGN KEY (tenant_id, site_id) REFERENCES sites
);
CREATE INDEX ON pools (tenant_id, site_id, id);
COMMENT ON TABLE pools IS
	'Emergency number pools: the callback numbers set aside for a site. Calls take in order of creation (id).';

CREATE TABLE users (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_id text,
	display_name text NOT NULL,
	site_id uuid NOT NULL,
	kind text NOT NULL DEFAULT 'person',
	extension text,
	number_id uuid,
	address_id uuid,
	policy_id uuid,
	active boolean NOT NULL DEFAULT true,
	remote boolean NOT NULL DEFAULT false,
	outbound_enabled boolean NOT NULL DEFAULT true,
	provisioning json,
	endpoints json NOT NULL DEFAULT '[]',
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id),
	UNIQUE (tenant_id, external_id),
	CONSTRAINT users_extension_key UNIQUE (tenant_id, extension),
	CONSTRAINT users_number_key UNIQUE (tenant_id, number_id),
	FOREIGN KEY (tenant_id, site_id) REFERENCES sites,
	FOREIGN KEY (tenant_id, number_id) REFERENCES phone_numbers,
	FOREIGN KEY (tenant_id, address_id) REFERENCES addresses
);
CREATE INDEX ON users (tenant_id, site_id, id);
COMMENT ON COLUMN users.version IS
	'The ETag; place_call compares it at commit, so that a changed user is never served from a stale cache.';
COMMENT ON COLUMN users.endpoints IS
	'[{type, address, cellular, expires_at}]: where the user can be rung now, in order of preference.';

CREATE TABLE pool_numbers (
	tenant_id uuid NOT NULL,
	number_id uuid NOT NULL,
	pool_id uuid NOT NULL,
	number text NOT NULL,
	leasable boolean NOT NULL DEFAULT true,
	in_call integer NOT NULL DEFAULT 0,
	leased_at timestamptz,
	free_at timestamptz,
	call_id uuid,
	lease_id uuid,
	added_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, number_id)
) WITH (fillfactor = 70);
CREATE INDEX ON pool_numbers (tenant_id, pool_id, number);
COMMENT ON TABLE pool_numbers IS
	'Membership of a number in a pool and its lease head. The head columns are in no index, so that every update of a call is HOT.';
COMMENT ON COLUMN pool_numbers.leasable IS 'The number''s state is active; kept here so that a take reads one table.';
COMMENT ON COLUMN pool_numbers.in_call IS
	'Calls in progress that present the number (superseded ones too) and connected callbacks on it.';
COMMENT ON COLUMN pool_numbers.free_at IS
	'The number is free when in_call = 0 and this is null (never leased) or not in the future.';

-- The walls. Every table of a tenant: its rows are seen only in a transaction of that tenant.
DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['api_keys', 'addresses', 'sites', 'phone_numbers', 'pools', 'users', 'pool_numbers'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY tenant ON %I TO switchback_app USING (tenant_id = (SELECT current_tenant()))', t);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO switchback_app', t);
	END LOOP;
END $$;
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tenants TO switchback_app USING (id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON tenants TO switchback_app;

CREATE POLICY lookup ON tenants FOR SELECT TO switchback_lookup USING (true);
CREATE POLICY lookup ON api_keys FOR SELECT TO switchback_lookup USING (true);
CREATE POLICY lookup ON phone_numbers FOR SELECT TO switchback_lookup USING (true);
GRANT SELECT ON tenants, api_keys, phone_numbers TO switchback_lookup;

CREATE FUNCTION lookup_key_1(p_key_id uuid)
RETURNS TABLE (tenant_id uuid, tenant_external_id text, secret_hash text, scopes text, expires_epoch bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT k.tenant_id, t.external_id, encode(k.secret_hash, 'hex'), array_to_string(k.scopes, ' '),
		extract(epoch FROM k.expires_at)::bigint
	FROM api_keys k JOIN tenants t ON t.id = k.tenant_id
	WHERE k.id = p_key_id AND (k.expires_at IS NULL OR k.expires_at > now())
$$;
COMMENT ON FUNCTION lookup_key_1(uuid) IS 'The key of a request, before its tenant is known. No row: no such live key.';

CREATE FUNCTION lookup_tenant_1(p_ref text) RETURNS TABLE (tenant_id uuid, external_id text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT t.id, t.external_id FROM tenants t
	WHERE t.id = ref_id(p_ref) OR t.external_id = ref_external(p_ref)
$$;
COMMENT ON FUNCTION lookup_tenant_1(text) IS 'The tenant of a path, by id or ext:<external_id>, for the operator.';

CREATE FUNCTION lookup_tenants_1(p_after uuid, p_external_id text, p_limit integer)
RETURNS SETOF tenants
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT t.* FROM tenants t
	WHERE (p_after IS NULL OR t.id > p_after) AND (p_external_id IS NULL OR t.external_id = p_external_id)
	ORDER BY t.id LIMIT p_limit
$$;
COMMENT ON FUNCTION lookup_tenants_1(uuid, text, integer) IS 'The operator''s list of tenants, in keyset order.';

CREATE FUNCTION lookup_number_1(p_number text) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT n.tenant_id FROM phone_numbers n WHERE n.number = p_number
$$;
COMMENT ON FUNCTION lookup_number_1(text) IS 'Whose number is called back, before its tenant is known.';

DO $$
DECLARE f text;
BEGIN
	FOREACH f IN ARRAY ARRAY['lookup_key_1(uuid)', 'lookup_tenant_1(text)',
			'lookup_tenants_1(uuid, text, integer)', 'lookup_number_1(text)'] LOOP
		EXECUTE format('ALTER FUNCTION %s OWNER TO switchback_lookup', f);
	END LOOP;
END $$;
-- Only the service may ask them. (By switchback_lookup itself: it owns them now.)
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_key_1(uuid), lookup_tenant_1(text), lookup_tenants_1(uuid, text, integer),
	lookup_number_1(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_key_1(uuid), lookup_tenant_1(text), lookup_tenants_1(uuid, text, integer),
	lookup_number_1(text) TO switchback_app;
SET LOCAL ROLE switchback_owner;
