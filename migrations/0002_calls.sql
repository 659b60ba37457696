-- What calls change, apart from configuration: presence, calls, leases, callbacks and the outbox.
-- Hot tables have no foreign keys: their checks would take locks that a batch cannot skip.

CREATE TABLE user_states (
	tenant_id uuid NOT NULL,
	holder_id uuid NOT NULL,
	availability text NOT NULL DEFAULT 'unknown',
	activity text,
	in_progress integer NOT NULL DEFAULT 0,
	sequence bigint NOT NULL DEFAULT 0,
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, holder_id)
) WITH (fillfactor = 70);
COMMENT ON TABLE user_states IS
	'One row per user (and per guest who has placed a call): its lock orders everything that happens to the person.';
COMMENT ON COLUMN user_states.holder_id IS 'The user''s id; for a guest a UUIDv8 derived from tenant and reference.';
COMMENT ON COLUMN user_states.availability IS
	'The base availability: what presence returns to. While in_progress > 0 the effective one is do_not_disturb.';
COMMENT ON COLUMN user_states.in_progress IS 'Calls and callbacks in progress that lock the presence.';
COMMENT ON COLUMN user_states.sequence IS 'Rises by one with each presence event, and only then.';

CREATE SEQUENCE event_numbers AS bigint;
COMMENT ON SEQUENCE event_numbers IS
	'Orders the events of a person. Taken under the lock of what the event is about, so that a cause has the lower number; not one counter per user, because who takes over a number closes the previous holder''s lease without that person''s lock.';

CREATE TABLE emergency_calls (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	external_call_id text,
	holder_id uuid NOT NULL,
	user_id uuid,
	guest text,
	site_id uuid,
	state text NOT NULL DEFAULT 'placed',
	origin text NOT NULL,
	dial_string text NOT NULL,
	dialed_as text NOT NULL,
	service_urn text,
	caller_number text,
	caller_source text NOT NULL,
	number_type text,
	number_id uuid,
	lease_id uuid,
	presented_number text,
	locks_presence boolean NOT NULL,
	endpoint json,
	decision json NOT NULL,
	warnings jsonb NOT NULL DEFAULT '[]',
	metadata json,
	sip_status integer,
	end_reason text,
	max_call_seconds integer NOT NULL,
	placed_at timestamptz NOT NULL,
	connected_at timestamptz,
	ended_at timestamptz,
	times_out_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN emergency_calls.number_id IS 'The pool number that the call presents; null when it presents another.';
COMMENT ON COLUMN emergency_calls.decision IS '{route, location, restrictions, notifications}: as decided when the call was placed.';
COMMENT ON COLUMN emergency_calls.times_out_at IS 'max_call_seconds after placing (or after a late report): a call that nobody ended is ended by the sweeper.';
CREATE INDEX ON emergency_calls (tenant_id, external_call_id, placed_at) WHERE external_call_id IS NOT NULL;
CREATE INDEX ON emergency_calls (tenant_id, holder_id) WHERE state IN ('placed', 'connected');
CREATE INDEX ON emergency_calls (times_out_at) WHERE state IN ('placed', 'connected');
CREATE INDEX ON emergency_calls (tenant_id, (coalesce(presented_number, caller_number)), placed_at)
	WHERE lease_id IS NULL OR presented_number IS NOT NULL;

CREATE TABLE call_keys (
	tenant_id uuid NOT NULL,
	key_hash bytea NOT NULL,
	holder_id uuid NOT NULL,
	dial_string text NOT NULL,
	call_id uuid NOT NULL,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, key_hash, holder_id, dial_string)
);
COMMENT ON TABLE call_keys IS
	'Repeats of a call: SHA-256 of an Idempotency-Key with user and dial string, or of an external_call_id with user and an empty dial string, to the newest call under it.';

CREATE TABLE leases (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	number_id uuid NOT NULL,
	number text NOT NULL,
	pool_id uuid NOT NULL,
	holder_id uuid NOT NULL,
	user_id uuid,
	guest text,
	emergency_call_id uuid NOT NULL,
	endpoint json,
	state text NOT NULL DEFAULT 'active',
	leased_at timestamptz NOT NULL,
	expires_at timestamptz NOT NULL,
	ended_at timestamptz,
	in_call integer NOT NULL DEFAULT 1,
	shared boolean NOT NULL DEFAULT false,
	test boolean NOT NULL DEFAULT false,
	taken_xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	freed_xid xid8,
	reuse_snapshot pg_snapshot,
	PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN leases.endpoint IS 'The placing endpoint of the newest call on the lease: it decides where a callback rings.';
COMMENT ON COLUMN leases.state IS 'May lag: an active lease past expires_at with in_call = 0 is expired, and read so.';
COMMENT ON COLUMN leases.in_call IS 'Calls in progress under this very lease.';
COMMENT ON COLUMN leases.reuse_snapshot IS
	'Set where a number was taken that was not free: the snapshot in which no number of the site was. With taken_xid and freed_xid it proves rule 1 without clocks.';
COMMENT ON COLUMN leases.freed_xid IS 'The transaction in which the last call on the lease was over.';
CREATE UNIQUE INDEX leases_one_active ON leases (tenant_id, number_id) WHERE state = 'active';
CREATE INDEX ON leases (tenant_id, holder_id) WHERE state = 'active';
CREATE INDEX ON leases (expires_at) WHERE state = 'active';
CREATE INDEX ON leases (tenant_id, number, leased_at);

CREATE TABLE callback_resolutions (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL UNIQUE,
	external_call_id text,
	state text NOT NULL DEFAULT 'resolved',
	outcome text NOT NULL,
	reason text NOT NULL,
	holder_id uuid,
	user_id uuid,
	called_number text NOT NULL,
	caller_number text,
	sip_priority text,
	emergency_call_id uuid,
	lease_id uuid,
	decision json NOT NULL,
	warnings jsonb NOT NULL DEFAULT '[]',
	resolved_at timestamptz NOT NULL,
	connected_at timestamptz,
	ended_at timestamptz,
	times_out_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
CREATE UNIQUE INDEX ON callback_resolutions (tenant_id, external_call_id) WHERE external_call_id IS NOT NULL;
CREATE INDEX ON callback_resolutions (times_out_at) WHERE state = 'resolved';

CREATE TABLE webhook_endpoints (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	url text NOT NULL,
	description text,
	event_types text[] NOT NULL DEFAULT '{}',
	payload_format text NOT NULL DEFAULT 'standard',
	detail text NOT NULL DEFAULT 'minimal',
	enabled boolean NOT NULL DEFAULT true,
	disabled_reason text,
	failing_since timestamptz,
	secret_sealed bytea NOT NULL,
	version bigint NOT NULL DEFAULT 1,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id)
);
COMMENT ON COLUMN webhook_endpoints.secret_sealed IS
	'The signing secret under SWITCHBACK_SECRETS_KEY (AES-256-GCM; tenant and endpoint id are its associated data).';

CREATE TABLE events (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	type text NOT NULL,
	holder_id uuid,
	event_no bigint NOT NULL,
	emergency_call_id uuid,
	lease_id uuid,
	callback_id uuid,
	data json NOT NULL,
	request_id text,
	traceparent text,
	xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
	occurred_at timestamptz NOT NULL,
	PRIMARY KEY (tenant_id, id)
);
COMMENT ON TABLE events IS 'The outbox: written in the transaction of what it tells. data holds no personal data.';
COMMENT ON COLUMN events.xid IS 'Feeds read by (xid, id) below pg_snapshot_xmin, or they would skip late commits.';

CREATE TABLE webhook_deliveries (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	endpoint_id uuid NOT NULL,
	event_id uuid NOT NULL,
	holder_id uuid,
	stream text NOT NULL,
	event_no bigint NOT NULL,
	state text NOT NULL DEFAULT 'pending',
	attempts integer NOT NULL DEFAULT 0,
	next_attempt_at timestamptz NOT NULL,
	claimed_by integer,
	last_status integer,
	last_error text,
	finished_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 80);
COMMENT ON COLUMN webhook_deliveries.stream IS
	'presence or other: within one endpoint, person and stream the lowest pending event_no goes first.';
COMMENT ON COLUMN webhook_deliveries.claimed_by IS
	'The instance that delivers it: it holds the advisory lock (22868, claimed_by). The claim falls when that lock is free.';

DO $$
DECLARE t text;
BEGIN
	FOREACH t IN ARRAY ARRAY['user_states', 'emergency_calls', 'call_keys', 'leases', 'callback_resolutions',
			'webhook_endpoints', 'events', 'webhook_deliveries'] LOOP
		EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', t);
		EXECUTE format('CREATE POLICY tenant ON %I TO switchback_app USING (tenant_id = (SELECT current_tenant()))', t);
		EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO switchback_app', t);
	END LOOP;
END $$;
GRANT USAGE ON SEQUENCE event_numbers TO switchback_app;
