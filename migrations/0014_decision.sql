-- The decision in force: what it needs to know, calls of every kind placed by it, and what would be
-- placed. The comments of api/emergency/plan.h say what a ladder is.

ALTER TABLE emergency_calls ADD COLUMN test boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN emergency_calls.decision IS
	'{route, location, restrictions, notifications, notice, announcement}: as decided when the call was placed.';

-- --- what a decision needs to know ------------------------------------------------------------------

CREATE FUNCTION policy_json_1(p_tenant uuid, p_policy uuid, p_at timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('id', o.id, 'name', o.name, 'preset', o.preset, 'fields',
		CASE WHEN (o.fields->>'psap_disabled_until')::timestamptz <= p_at
			THEN (o.fields::jsonb || '{"psap_enabled": null, "psap_disabled_until": null}')::json ELSE o.fields END)
	FROM policies o WHERE o.tenant_id = p_tenant AND o.id = p_policy
$$;
COMMENT ON FUNCTION policy_json_1(uuid, uuid, timestamptz) IS
	'A policy as the decision reads it; null: none. A psap_enabled that is false until a time that has come is not there any more.';

CREATE FUNCTION answering_point_json_1(p_tenant uuid, p_point json) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN p_point IS NOT NULL THEN (p_point::jsonb || jsonb_build_object('address', (
		SELECT address_json_1(a) FROM phone_numbers n JOIN addresses a ON a.tenant_id = p_tenant AND a.id = n.address_id
		WHERE n.tenant_id = p_tenant AND n.number = p_point->>'number')))::json END
$$;
COMMENT ON FUNCTION answering_point_json_1(uuid, json) IS
	'A resource account, receptionist or call queue with its number''s address of record.';

CREATE FUNCTION call_context_3(p_tenant uuid, p_user text, p_site text, p_address text, p_extension text)
RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_location user_locations;
	u users;
	s sites;
	v_named boolean;
BEGIN
	SELECT * INTO u FROM users x WHERE x.tenant_id = p_tenant
		AND (x.id = ref_id(p_user) OR x.external_id = ref_external(p_user));
	SELECT * INTO s FROM sites x WHERE x.tenant_id = p_tenant
		AND (x.id = ref_id(p_site) OR x.external_id = ref_external(p_site));
	v_named := FOUND;
	IF NOT v_named THEN
		SELECT * INTO s FROM sites x WHERE x.tenant_id = p_tenant AND x.id = u.site_id;
	END IF;
	SELECT * INTO v_location FROM user_locations l WHERE l.tenant_id = p_tenant AND l.user_id = u.id
		AND (l.expires_at IS NULL OR l.expires_at > v_now);
	RETURN (SELECT json_build_object(
		'tenant', json_build_object('id', t.id, 'config_version', t.config_version, 'region', t.region,
			'language', t.language, 'policy_order', t.policy_order, 'safety_team', t.safety_team, 'fallback', t.fallback,
			'policy', policy_json_1(p_tenant, t.policy_id, v_now)),
		'user', CASE WHEN u.id IS NOT NULL THEN json_build_object('id', u.id, 'version', u.version,
			'external_id', u.external_id, 'display_name', u.display_name, 'active', u.active, 'remote', u.remote,
			'outbound_enabled', u.outbound_enabled, 'endpoints', u.endpoints,
			'number', (SELECT json_build_object('id', n.id, 'number', n.number, 'number_type', n.number_type, 'region', n.region,
				'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = n.address_id))
				FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.id = u.number_id),
			'address', CASE WHEN v_location.user_id IS NOT NULL THEN location_address_1(v_location) ELSE
				(SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = u.address_id) END,
			'location_expires_at', v_location.expires_at, 'policy', policy_json_1(p_tenant, u.policy_id, v_now)) END,
		'site', CASE WHEN s.id IS NOT NULL THEN json_build_object('id', s.id, 'region', s.region, 'named', v_named,
			'policy', policy_json_1(p_tenant, s.policy_id, v_now), 'safety_team', s.safety_team, 'fallback', s.fallback,
			'resource_account', answering_point_json_1(p_tenant, s.resource_account),
			'receptionist', answering_point_json_1(p_tenant, s.receptionist),
			'call_queue', answering_point_json_1(p_tenant, s.call_queue),
			'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = s.address_id),
			'pools', (SELECT coalesce(json_agg(json_build_object('id', p.id, 'number_type', p.number_type, 'region', p.region,
				'numbers', (SELECT count(*) FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.pool_id = p.id AND n.leasable),
				'low_water', p.low_water) ORDER BY p.id), '[]')
				FROM pools p WHERE p.tenant_id = p_tenant AND p.site_id = s.id)) END,
		'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant
			AND (a.id = ref_id(p_address) OR a.external_id = ref_external(p_address))),
		'extension', EXISTS (SELECT FROM users x WHERE x.tenant_id = p_tenant AND x.extension = p_extension),
		'carriers', (SELECT coalesce(json_agg(k.type), '[]') FROM (VALUES ('native'), ('operator_connect')) k(type)
			WHERE EXISTS (SELECT FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.number_type = k.type)),
		'carrier_routes', (SELECT coalesce(json_agg(json_build_object('id', r.id, 'site_level', r.site_id IS NOT NULL,
			'pattern', r.pattern, 'trunk', r.trunk, 'confirmed', r.emergency_confirmed_at IS NOT NULL) ORDER BY r.id), '[]')
			FROM carrier_routes r WHERE r.tenant_id = p_tenant AND (r.site_id IS NULL OR r.site_id = s.id)),
		'rules', (SELECT coalesce(json_agg(json_build_object('id', d.id, 'site_level', d.site_id IS NOT NULL,
			'name', d.name, 'pattern', d.pattern, 'kind', d.kind, 'translation', d.translation, 'route', d.route,
			'max_hold_seconds', d.max_hold_seconds, 'sip_group', d.sip_group, 'notify', d.notify) ORDER BY d.id), '[]')
			FROM dial_rules d WHERE d.tenant_id = p_tenant AND (d.site_id IS NULL OR d.site_id = s.id)),
		'recipients', (SELECT coalesce(json_agg(json_build_object('id', r.id, 'site_level', r.site_id IS NOT NULL,
			'channel', r.channel, 'address', r.address, 'mode', r.mode, 'dial_strings', r.dial_strings) ORDER BY r.id), '[]')
			FROM notification_recipients r WHERE r.tenant_id = p_tenant AND (r.site_id IS NULL OR r.site_id = s.id)),
		'valid_until', least(v_location.expires_at, (SELECT min((o.fields->>'psap_disabled_until')::timestamptz)
			FROM policies o WHERE o.tenant_id = p_tenant AND o.id IN (t.policy_id, s.policy_id, u.policy_id)
			AND (o.fields->>'psap_disabled_until')::timestamptz > v_now)))
	FROM tenants t WHERE t.id = p_tenant);
END $$;
COMMENT ON FUNCTION call_context_3(uuid, text, text, text, text) IS
	'The context of a call: tenant with config_version, user with version (null: a guest), site of the request else of the user, the policies of the three, the address that the request names, whether the dialled digits are an extension, and the rules, carrier routes and recipients of tenant and site, the oldest first. address of the user: of its location while that has not expired, else its own. valid_until: when time alone makes it stale.';

-- --- the document of a call -------------------------------------------------------------------------

CREATE FUNCTION notice_json_2(p_notice json, p_number text, p_expires timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('text', replace(replace(CASE WHEN p_number IS NULL THEN p_notice->>'without_number'
			WHEN p_expires IS NULL THEN p_notice->>'without_expiry' ELSE p_notice->>'with_expiry' END,
			'{number}', coalesce(p_number, '')), '{time}', coalesce(to_char(p_expires AT TIME ZONE 'UTC', 'HH24:MI'), '')),
		'language', p_notice->'language', 'callback_number', p_number, 'expires_at', rfc3339(p_expires))
$$;
COMMENT ON FUNCTION notice_json_2(json, text, timestamptz) IS 'agent_notice: the decision''s texts with what is known now.';

CREATE FUNCTION announcement_json_1(p_announcement json, p_number text) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN json_typeof(p_announcement) = 'object' THEN json_build_object(
		'text', replace(p_announcement->>'text', '{number}', coalesce(p_number, '')),
		'ssml', replace(p_announcement->>'ssml', '{number}', coalesce(p_number, '')),
		'language', p_announcement->'language', 'play_to', p_announcement->'play_to') END
$$;

CREATE FUNCTION call_json_2(c emergency_calls, l leases, s user_states) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_number text := coalesce(c.presented_number, c.caller_number);
BEGIN
	RETURN json_build_object('id', c.id, 'external_call_id', c.external_call_id, 'state', c.state, 'origin', c.origin,
		'test', c.test, 'degraded', false, 'user_id', c.user_id,
		'guest', CASE WHEN c.guest IS NOT NULL THEN json_build_object('reference', c.guest) END,
		'site_id', c.site_id, 'dial_string', c.dial_string, 'dialed_as', c.dialed_as, 'service_urn', c.service_urn,
		'caller_id', json_build_object('number', c.caller_number, 'source', c.caller_source, 'number_type', c.number_type),
		'presented_number', c.presented_number,
		'lease', CASE WHEN l.number IS NOT NULL THEN json_build_object('id', l.id, 'number', l.number,
			'expires_at', rfc3339(l.expires_at), 'shared', l.shared, 'test', l.test) END,
		'route', c.decision->'route', 'location', c.decision->'location',
		'restrictions', CASE WHEN c.state IN ('placed', 'connected') THEN c.decision->'restrictions'
			ELSE json_build_object('blocked_operations', '[]'::json, 'visible_controls', '[]'::json, 'incoming_calls', 'allowed',
				'record', c.decision->'restrictions'->'record', 'history', c.decision->'restrictions'->'history') END,
		'presence', CASE WHEN s.holder_id IS NOT NULL THEN json_build_object(
			'availability', CASE WHEN s.in_progress > 0 THEN 'do_not_disturb' ELSE s.availability END,
			'base_availability', s.availability, 'sequence', s.sequence) END,
		'notifications', c.decision->'notifications',
		-- Calls that an earlier release placed have no texts.
		'agent_notice', CASE WHEN c.decision->'notice' IS NULL THEN notice_json_1(v_number, l.expires_at)
			ELSE notice_json_2(c.decision->'notice', v_number, l.expires_at) END,
		'announcement', announcement_json_1(c.decision->'announcement', v_number),
		'warnings', c.warnings, 'metadata', c.metadata, 'end_reason', c.end_reason,
		'placed_at', rfc3339(c.placed_at), 'connected_at', rfc3339(c.connected_at), 'ended_at', rfc3339(c.ended_at));
END $$;
COMMENT ON FUNCTION call_json_2(emergency_calls, leases, user_states) IS
	'The emergency call of api.md 3, from its row, its lease and the state of its user, any of which may be one that a call would have.';

CREATE OR REPLACE FUNCTION call_json_1(c emergency_calls) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	l leases;
	s user_states;
BEGIN
	IF c.lease_id IS NOT NULL THEN
		SELECT x.* INTO l FROM leases x WHERE x.tenant_id = c.tenant_id AND x.id = c.lease_id;
	END IF;
	IF c.user_id IS NOT NULL THEN
		SELECT x.* INTO s FROM user_states x WHERE x.tenant_id = c.tenant_id AND x.holder_id = c.holder_id;
	END IF;
	RETURN call_json_2(c, l, s);
END $$;

CREATE OR REPLACE FUNCTION call_event_1(c emergency_calls, p_type text, p_external_id text, p_at timestamptz)
RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('type', p_type, 'call', c.id, 'data', json_build_object(
		'emergency_call_id', c.id, 'external_call_id', c.external_call_id, 'user_id', c.user_id,
		'external_id', p_external_id, 'guest', CASE WHEN c.guest IS NOT NULL THEN json_build_object('reference', c.guest) END,
		'site_id', c.site_id, 'state', c.state, 'test', c.test, 'occurred_at', rfc3339(p_at)))
$$;

-- --- which number -----------------------------------------------------------------------------------

-- Few at any time: a pool that is used up looks here first.
CREATE INDEX leases_of_tests ON leases (tenant_id, pool_id) WHERE state = 'active' AND test;

CREATE FUNCTION take_number_2(p_tenant uuid, p_pools uuid[], p_alone boolean,
	OUT outcome text, OUT head pool_numbers, OUT reuse_snapshot pg_snapshot)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_locked uuid; -- a number that others hold: what would have to be waited for
	v_now timestamptz; -- once a round: the clock is not asked for every row
BEGIN
	LOOP
		outcome := 'taken';
		reuse_snapshot := NULL;
		v_now := clock_timestamp();
		-- The free number that has been unused longest, pools in their order.
		SELECT n.* INTO head FROM pool_numbers n
		WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.leasable AND number_is_free_1(n, v_now)
		ORDER BY array_position(p_pools, n.pool_id), n.free_at NULLS FIRST, n.number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
		IF FOUND THEN RETURN; END IF;
		-- A new snapshot: is none free, or is each free one locked by somebody who takes it?
		SELECT pg_current_snapshot(), (SELECT n.number_id FROM pool_numbers n
			WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.leasable AND number_is_free_1(n, v_now) LIMIT 1)
		INTO reuse_snapshot, v_locked;
		IF v_locked IS NULL THEN
			-- Used up. A test's number before one that emergency services may call back: better one that is
			-- in no call. Joined to itself: of a row that changed since the snapshot only conditions are
			-- looked at again, not its place in the order; so its leased_at must still be the one that it
			-- was ordered by.
			SELECT n.* INTO head FROM leases l
			JOIN pool_numbers c ON c.tenant_id = p_tenant AND c.number_id = l.number_id AND c.lease_id = l.id
			JOIN pool_numbers n ON n.tenant_id = p_tenant AND n.number_id = c.number_id
			WHERE l.tenant_id = p_tenant AND l.pool_id = ANY (p_pools) AND l.state = 'active' AND l.test
				AND c.pool_id = ANY (p_pools) AND c.leasable AND n.leased_at IS NOT DISTINCT FROM c.leased_at
			ORDER BY c.in_call > 0, c.leased_at, c.number LIMIT 1 FOR NO KEY UPDATE OF n SKIP LOCKED;
			IF FOUND THEN RETURN; END IF;
			SELECT n.number_id INTO v_locked FROM leases l
			JOIN pool_numbers n ON n.tenant_id = p_tenant AND n.number_id = l.number_id AND n.lease_id = l.id
			WHERE l.tenant_id = p_tenant AND l.pool_id = ANY (p_pools) AND l.state = 'active' AND l.test
				AND n.pool_id = ANY (p_pools) AND n.leasable LIMIT 1;
		END IF;
		IF v_locked IS NULL THEN
			-- The least recently leased number outside calls, else of all.
			SELECT n.* INTO head FROM pool_numbers c JOIN pool_numbers n ON n.tenant_id = p_tenant AND n.number_id = c.number_id
			WHERE c.tenant_id = p_tenant AND c.pool_id = ANY (p_pools) AND c.leasable AND c.in_call = 0
				AND n.in_call = 0 AND n.leased_at IS NOT DISTINCT FROM c.leased_at
			ORDER BY c.leased_at, c.number LIMIT 1 FOR NO KEY UPDATE OF n SKIP LOCKED;
			IF FOUND THEN RETURN; END IF;
			-- One outside calls that is only locked must not make this call share another's.
			SELECT n.number_id INTO v_locked FROM pool_numbers n
			WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.leasable AND n.in_call = 0
			ORDER BY n.leased_at, n.number LIMIT 1;
			IF NOT FOUND THEN
				SELECT n.* INTO head FROM pool_numbers c JOIN pool_numbers n ON n.tenant_id = p_tenant AND n.number_id = c.number_id
				WHERE c.tenant_id = p_tenant AND c.pool_id = ANY (p_pools) AND c.leasable
					AND n.leased_at IS NOT DISTINCT FROM c.leased_at
				ORDER BY c.leased_at, c.number LIMIT 1 FOR NO KEY UPDATE OF n SKIP LOCKED;
				IF FOUND THEN RETURN; END IF;
				SELECT n.number_id INTO v_locked FROM pool_numbers n
				WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.leasable
				ORDER BY n.leased_at, n.number LIMIT 1;
				IF NOT FOUND THEN outcome := 'none'; RETURN; END IF;
			END IF;
		END IF;
		IF NOT p_alone THEN outcome := 'alone'; RETURN; END IF;
		-- Wait for whoever has it, then choose again: after a wait neither order nor freedom is what it was.
		PERFORM FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = v_locked FOR NO KEY UPDATE;
	END LOOP;
END $$;
COMMENT ON FUNCTION take_number_2(uuid, uuid[], boolean) IS
	'Locks the number that an emergency call gets: taken, alone (not without waiting) or none (the pools have no usable number). reuse_snapshot is set where it was not free: never two people on one number while one is free in the snapshot of the check.';

CREATE FUNCTION spare_pools_1(p_tenant uuid, p_pools uuid[], p_at timestamptz) RETURNS uuid[] LANGUAGE sql STABLE AS $$
	SELECT array_agg(p.id ORDER BY p.id) FROM pools p
	WHERE p.tenant_id = p_tenant AND p.id = ANY (p_pools) AND p.low_water < (SELECT count(*) FROM pool_numbers n
		WHERE n.tenant_id = p_tenant AND n.pool_id = p.id AND n.leasable AND number_is_free_1(n, p_at))
$$;
COMMENT ON FUNCTION spare_pools_1(uuid, uuid[], timestamptz) IS
	'The pools that have more than low_water numbers free: only these give one to a test call.';

CREATE FUNCTION take_spare_1(p_tenant uuid, p_pools uuid[], p_alone boolean, OUT outcome text, OUT head pool_numbers)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz;
BEGIN
	-- Tests of a site one by one, or two of them would take the last one to spare.
	IF p_alone THEN PERFORM pg_advisory_xact_lock(hashtextextended(p_pools[1]::text, 4));
	ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(p_pools[1]::text, 4)) THEN
		outcome := 'alone';
		RETURN;
	END IF;
	v_now := clock_timestamp();
	SELECT n.* INTO head FROM pool_numbers n
	WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (spare_pools_1(p_tenant, p_pools, v_now)) AND n.leasable
		AND number_is_free_1(n, v_now)
	ORDER BY array_position(p_pools, n.pool_id), n.free_at NULLS FIRST, n.number LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED;
	outcome := CASE WHEN FOUND THEN 'taken' ELSE 'none' END;
END $$;
COMMENT ON FUNCTION take_spare_1(uuid, uuid[], boolean) IS
	'Locks the number that a test call gets: taken, alone, or none (the pools have none to spare). It waits for no number: one that somebody takes is not spare.';

CREATE FUNCTION take_presented_1(p_tenant uuid, p_pools uuid[], p_number text, p_test boolean, p_alone boolean,
	OUT outcome text, OUT head pool_numbers)
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	IF p_alone THEN
		SELECT n.* INTO head FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools)
			AND n.number = p_number AND n.leasable FOR NO KEY UPDATE;
	ELSE
		SELECT n.* INTO head FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools)
			AND n.number = p_number AND n.leasable FOR NO KEY UPDATE SKIP LOCKED;
	END IF;
	outcome := CASE WHEN NOT FOUND THEN CASE WHEN NOT p_alone AND EXISTS (SELECT FROM pool_numbers n
			WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.number = p_number AND n.leasable)
			THEN 'alone' ELSE 'none' END
		WHEN p_test AND NOT number_is_free_1(head, clock_timestamp()) THEN 'none' ELSE 'taken' END;
END $$;
COMMENT ON FUNCTION take_presented_1(uuid, uuid[], text, boolean, boolean) IS
	'Locks the number that a platform presents, whoever has it; none: it is no number of the pools, or a test presents one that is another''s.';

CREATE FUNCTION own_lease_1(p_tenant uuid, p_holder uuid, p_pools uuid[], p_number text, p_test boolean, p_at timestamptz)
RETURNS leases LANGUAGE plpgsql STABLE AS $$
DECLARE
	l leases;
BEGIN
	SELECT x.* INTO l FROM leases x
	WHERE x.tenant_id = p_tenant AND x.holder_id = p_holder AND x.state = 'active' AND x.pool_id = ANY (p_pools)
		AND (x.expires_at > p_at OR x.in_call > 0) AND (x.test OR NOT p_test) AND (p_number IS NULL OR x.number = p_number)
		AND EXISTS (SELECT FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = x.number_id
			AND n.lease_id = x.id AND n.pool_id = ANY (p_pools) AND n.leasable)
	ORDER BY x.test, x.leased_at DESC LIMIT 1;
	RETURN l;
END $$;
COMMENT ON FUNCTION own_lease_1(uuid, uuid, uuid[], text, boolean, timestamptz) IS
	'The lease that the same person''s next call renews: of the pools, and of p_number where it is not null. A test renews a test''s only.';

CREATE FUNCTION lease_number_2(p_tenant uuid, p_call uuid, p_holder uuid, p jsonb, p_alone boolean, p_pools uuid[],
	p_number text, OUT outcome text, OUT lease leases, OUT event json, OUT closing json)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_ttl interval := make_interval(secs => (p->>'ttl_seconds')::int);
	v_test boolean := (p->>'test')::boolean;
	v_own leases := own_lease_1(p_tenant, p_holder, p_pools, p_number, v_test, v_now);
	v_take record;
	v_head pool_numbers;
BEGIN
	-- The same person again keeps the number, while it is in a pool of the site.
	IF v_own.id IS NOT NULL THEN
		IF p_alone THEN
			SELECT n.* INTO v_head FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = v_own.number_id
				AND n.lease_id = v_own.id AND n.pool_id = ANY (p_pools) AND n.leasable FOR NO KEY UPDATE;
		ELSE
			SELECT n.* INTO v_head FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = v_own.number_id
				AND n.lease_id = v_own.id AND n.pool_id = ANY (p_pools) AND n.leasable FOR NO KEY UPDATE SKIP LOCKED;
			IF NOT FOUND AND EXISTS (SELECT FROM pool_numbers n WHERE n.tenant_id = p_tenant
					AND n.number_id = v_own.number_id AND n.lease_id = v_own.id
					AND n.pool_id = ANY (p_pools) AND n.leasable) THEN
				outcome := 'alone';
				RETURN;
			END IF;
		END IF;
		IF v_head.number_id IS NOT NULL THEN
			-- An emergency call makes the lease of its caller's test a real one.
			UPDATE leases l SET emergency_call_id = p_call, endpoint = p->'endpoint', in_call = l.in_call + 1,
				shared = v_head.in_call > l.in_call, freed_xid = NULL, expires_at = greatest(l.expires_at, v_now + v_ttl),
				test = v_test
			WHERE l.tenant_id = p_tenant AND l.id = v_own.id AND l.state = 'active' RETURNING l.* INTO lease;
			IF FOUND THEN
				UPDATE pool_numbers n SET in_call = n.in_call + 1, call_id = p_call, leased_at = v_now, free_at = lease.expires_at
				WHERE n.tenant_id = p_tenant AND n.number_id = v_own.number_id;
				outcome := 'taken';
				event := lease_event_1(lease, 'lease.renewed', p->>'external_id', v_now);
				RETURN;
			END IF;
		END IF;
	END IF;

	IF p_number IS NOT NULL THEN
		SELECT t.*, NULL::pg_snapshot AS reuse_snapshot INTO v_take FROM take_presented_1(p_tenant, p_pools, p_number, v_test, p_alone) t;
	ELSIF v_test THEN
		SELECT t.*, NULL::pg_snapshot AS reuse_snapshot INTO v_take FROM take_spare_1(p_tenant, p_pools, p_alone) t;
	ELSE
		SELECT * INTO v_take FROM take_number_2(p_tenant, p_pools, p_alone);
	END IF;
	outcome := v_take.outcome;
	IF outcome <> 'taken' THEN RETURN; END IF;
	v_head := v_take.head;
	v_now := clock_timestamp();
	IF v_head.lease_id IS NOT NULL THEN
		closing := close_lease_1(p_tenant, v_head.lease_id, v_now);
	END IF;
	INSERT INTO leases (tenant_id, id, number_id, number, pool_id, holder_id, user_id, guest, emergency_call_id, endpoint,
		leased_at, expires_at, shared, test, reuse_snapshot)
	VALUES (p_tenant, uuid7(), v_head.number_id, v_head.number, v_head.pool_id, p_holder, (p->>'user_id')::uuid, p->>'guest',
		p_call, p->'endpoint', v_now, v_now + v_ttl, v_head.in_call > 0, v_test, v_take.reuse_snapshot)
	RETURNING * INTO lease;
	UPDATE pool_numbers n SET in_call = n.in_call + 1, call_id = p_call, lease_id = lease.id, leased_at = v_now,
		free_at = lease.expires_at
	WHERE n.tenant_id = p_tenant AND n.number_id = v_head.number_id;
	event := lease_event_1(lease, 'lease.created', p->>'external_id', v_now);
END $$;
COMMENT ON FUNCTION lease_number_2(uuid, uuid, uuid, jsonb, boolean, uuid[], text) IS
	'Renews the holder''s lease or leases a number of the pools to them, p_number where it is not null: taken (with its event, and that of the lease that ended thereby), alone or none. p->''test'': for a test call.';

CREATE FUNCTION lease_warnings_1(p_used_up boolean, p_shared boolean) RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN p_used_up THEN jsonb_build_array(jsonb_build_object('code', 'pool_exhausted', 'detail',
			'Every number of the site''s pools is leased: the least recently leased one is used again.')) ELSE '[]' END
		|| CASE WHEN p_shared THEN jsonb_build_array(jsonb_build_object('code', 'number_shared', 'detail',
			'Another call in progress presents the same number; the latest caller gets the callbacks.')) ELSE '[]' END
$$;
COMMENT ON FUNCTION lease_warnings_1(boolean, boolean) IS 'What only the database knows of a call''s number.';

CREATE FUNCTION key_warning_1() RETURNS jsonb LANGUAGE sql STABLE AS $$
	SELECT jsonb_build_array(jsonb_build_object('code', 'idempotency_key_reused',
		'detail', 'The key or external_call_id was used by another call before; this is a new call.'))
$$;

-- --- placing ----------------------------------------------------------------------------------------

CREATE FUNCTION place_call_3(p_tenant uuid, p jsonb, p_ladder json, p_instance integer, p_alone boolean,
	OUT outcome text, OUT replay boolean, OUT body text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz;
	v_holder uuid := (p->>'holder_id')::uuid;
	v_user uuid := (p->>'user_id')::uuid;
	v_key bytea := decode(p->>'key_hash', 'hex');
	v_ext bytea := decode(p->>'external_hash', 'hex');
	v_call uuid := (p->>'call_id')::uuid;
	v_trace json := json_build_object('request_id', p->>'request_id', 'traceparent', p->>'traceparent');
	v_locks boolean := (p->>'locks_presence')::boolean;
	v_reported text := p->>'presence';
	v_warnings jsonb := p->'warnings';
	v_before user_states;
	v_after user_states;
	v_lease leases;
	v_got record;
	v_rung json;
	v_chosen json;
	v_source text;
	v_type text;
	v_lease_event json;
	v_closing json;
	v_events json[];
	c emergency_calls;
BEGIN
	replay := false;
	IF p_alone THEN PERFORM pg_advisory_xact_lock_shared(placing_lock_1(p_tenant));
	ELSIF NOT pg_try_advisory_xact_lock_shared(placing_lock_1(p_tenant)) THEN outcome := 'alone'; RETURN; END IF;
	-- Time has made the context stale, and no version tells.
	IF (p->>'valid_until')::timestamptz <= clock_timestamp() THEN outcome := 'stale'; RETURN; END IF;
	-- Keys of a repeat first. A batch never waits for another process's uncommitted key.
	IF v_key IS NOT NULL THEN
		IF p_alone THEN PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'key_hash'), 1));
		ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'key_hash'), 1)) THEN
			outcome := 'alone';
			RETURN;
		END IF;
	END IF;
	IF v_ext IS NOT NULL THEN
		IF p_alone THEN PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'external_hash'), 2));
		ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'external_hash'), 2)) THEN
			outcome := 'alone';
			RETURN;
		END IF;
	END IF;

	IF p_alone THEN
		SELECT * INTO v_before FROM user_states WHERE tenant_id = p_tenant AND holder_id = v_holder FOR NO KEY UPDATE;
		IF NOT FOUND THEN
			INSERT INTO user_states (tenant_id, holder_id) VALUES (p_tenant, v_holder) ON CONFLICT DO NOTHING;
			SELECT * INTO v_before FROM user_states WHERE tenant_id = p_tenant AND holder_id = v_holder FOR NO KEY UPDATE;
		END IF;
	ELSE
		SELECT * INTO v_before FROM user_states WHERE tenant_id = p_tenant AND holder_id = v_holder
			FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND THEN outcome := 'alone'; RETURN; END IF;
	END IF;

	-- Is it a repeat, or the rerun of an attempt whose answer was lost?
	SELECT e.* INTO c FROM emergency_calls e WHERE e.tenant_id = p_tenant AND e.holder_id = v_holder
		AND e.state IN ('placed', 'connected') AND (
			e.id IN (SELECT k.call_id FROM call_keys k WHERE k.tenant_id = p_tenant AND k.holder_id = v_holder
				AND (k.key_hash = v_key AND k.dial_string = p->>'dial_string' OR k.key_hash = v_ext AND k.dial_string = ''))
			OR (p->>'rerun')::boolean AND e.id IN (v_call, (p->>'new_call_id')::uuid))
		ORDER BY e.placed_at DESC LIMIT 1;
	IF FOUND THEN
		-- Found by one of two keys: the other leads to it from now on, too.
		INSERT INTO call_keys (tenant_id, key_hash, holder_id, dial_string, call_id)
		SELECT p_tenant, k.hash, v_holder, k.dial, c.id
		FROM (VALUES (v_key, p->>'dial_string'), (v_ext, '')) k(hash, dial) WHERE k.hash IS NOT NULL
		ON CONFLICT (tenant_id, key_hash, holder_id, dial_string) DO UPDATE SET call_id = excluded.call_id
			WHERE call_keys.call_id <> excluded.call_id;
		outcome := 'placed';
		replay := NOT (p->>'rerun')::boolean;
		body := call_json_1(c)::text;
		RETURN;
	END IF;
	IF EXISTS (SELECT FROM call_keys k WHERE k.tenant_id = p_tenant AND k.key_hash IN (v_key, v_ext)) THEN
		v_warnings := v_warnings || key_warning_1();
		v_call := (p->>'new_call_id')::uuid;
	END IF;

	IF (SELECT t.config_version FROM tenants t WHERE t.id = p_tenant) IS DISTINCT FROM (p->>'tenant_version')::bigint
		OR v_user IS NOT NULL AND (SELECT u.version FROM users u WHERE u.tenant_id = p_tenant AND u.id = v_user)
			IS DISTINCT FROM (p->>'user_version')::bigint THEN
		outcome := 'stale';
		RETURN;
	END IF;

	-- The first rung of the ladder that can be had.
	FOR v_rung IN SELECT value FROM json_array_elements(p_ladder) LOOP
		v_chosen := v_rung;
		v_source := v_rung->>'source';
		v_type := v_rung->>'number_type';
		EXIT WHEN v_rung->'pools' IS NULL;
		SELECT * INTO v_got FROM lease_number_2(p_tenant, v_call, v_holder, p, p_alone,
			ARRAY(SELECT json_array_elements_text(v_rung->'pools')::uuid), v_rung->>'number');
		IF v_got.outcome = 'alone' THEN outcome := 'alone'; RETURN; END IF;
		IF v_got.outcome = 'taken' THEN
			v_lease := v_got.lease;
			v_lease_event := v_got.event;
			v_closing := v_got.closing;
			v_type := (SELECT number_type FROM pools WHERE tenant_id = p_tenant AND id = v_lease.pool_id);
			IF v_source = 'pool_lease' THEN v_chosen := v_rung->'types'->v_type; END IF;
			EXIT;
		END IF;
		EXIT WHEN v_source <> 'pool_lease'; -- the platform presents its number, leased or not
	END LOOP;

	v_now := clock_timestamp();
	v_warnings := v_warnings || (v_chosen->'warnings')::jsonb || lease_warnings_1(
		v_lease.reuse_snapshot IS NOT NULL AND v_lease_event->>'type' = 'lease.created', v_lease.shared);
	INSERT INTO emergency_calls (tenant_id, id, external_call_id, holder_id, user_id, guest, site_id, origin, dial_string,
		dialed_as, service_urn, caller_number, caller_source, number_type, number_id, lease_id, presented_number,
		locks_presence, endpoint, decision, warnings, metadata, max_call_seconds, placed_at, times_out_at, test)
	VALUES (p_tenant, v_call, p->>'external_call_id', v_holder, v_user, p->>'guest', (p->>'site_id')::uuid, p->>'origin',
		p->>'dial_string', p->>'dialed_as', p->>'service_urn', coalesce(v_lease.number, v_chosen->>'number'),
		v_source, v_type, v_lease.number_id, v_lease.id, p->>'presented_number', v_locks,
		nullif(p->'endpoint', 'null'), v_chosen->'decision', v_warnings, nullif(p->'metadata', 'null'), (p->>'max_call_seconds')::int, v_now,
		v_now + make_interval(secs => (p->>'max_call_seconds')::int), (p->>'test')::boolean)
	RETURNING * INTO c;
	INSERT INTO call_keys (tenant_id, key_hash, holder_id, dial_string, call_id)
	SELECT p_tenant, k.hash, v_holder, k.dial, v_call
	FROM (VALUES (v_key, p->>'dial_string'), (v_ext, '')) k(hash, dial) WHERE k.hash IS NOT NULL
	ON CONFLICT (tenant_id, key_hash, holder_id, dial_string) DO UPDATE SET call_id = excluded.call_id, created_at = now();

	-- A reported do_not_disturb while locked is the echo of our own change.
	UPDATE user_states SET updated_at = v_now,
		availability = CASE WHEN v_reported IS NOT NULL AND (v_before.in_progress = 0 OR v_reported <> 'do_not_disturb')
			THEN v_reported ELSE availability END,
		in_progress = in_progress + v_locks::int,
		sequence = sequence + (v_locks AND v_before.in_progress = 0 AND v_user IS NOT NULL)::int
	WHERE tenant_id = p_tenant AND holder_id = v_holder RETURNING * INTO v_after;
	IF v_before.in_progress = 0 THEN v_before.availability := v_after.availability; END IF;
	IF v_after.sequence > v_before.sequence THEN
		v_events := v_events || presence_event_1('presence.do_not_disturb', v_user, p->>'external_id', v_before, v_after,
			'emergency_call', v_call, NULL, v_now);
	END IF;
	IF v_closing IS NOT NULL THEN v_events := v_events || v_closing; END IF;
	IF v_lease_event IS NOT NULL THEN v_events := v_events || v_lease_event; END IF;
	v_events := v_events || call_event_1(c, 'emergency_call.placed', p->>'external_id', v_now);
	PERFORM emit_1(p_tenant, v_holder, v_now, p_instance, v_trace, array_to_json(v_events));
	outcome := 'placed';
	body := call_json_1(c)::text;
END $$;
COMMENT ON FUNCTION place_call_3(uuid, jsonb, json, integer, boolean) IS
	'Stores a decided call: placed (body is the call; replay: it was there), stale (a version moved, or valid_until has passed: load and decide again) or alone (it would have to wait: run it by itself). p: the scalars of the decision; p_ladder: its rungs (api/emergency/plan.h).';

-- --- what would be placed ---------------------------------------------------------------------------

CREATE FUNCTION find_number_1(p_tenant uuid, p_pools uuid[], p_test boolean, p_number text, p_at timestamptz,
	OUT head pool_numbers, OUT how text)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_pools uuid[] := CASE WHEN p_test AND p_number IS NULL THEN spare_pools_1(p_tenant, p_pools, p_at) ELSE p_pools END;
BEGIN
	how := 'free';
	SELECT n.* INTO head FROM pool_numbers n
	WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (v_pools) AND n.leasable AND number_is_free_1(n, p_at)
		AND (p_number IS NULL OR n.number = p_number)
	ORDER BY array_position(p_pools, n.pool_id), n.free_at NULLS FIRST, n.number LIMIT 1;
	IF FOUND THEN RETURN; END IF;
	how := CASE WHEN p_test THEN 'none' WHEN p_number IS NOT NULL THEN 'presented' ELSE 'used_again' END;
	IF p_test THEN RETURN; END IF;
	SELECT n.* INTO head FROM pool_numbers n
	LEFT JOIN leases l ON l.tenant_id = p_tenant AND l.id = n.lease_id AND l.state = 'active' AND l.test
	WHERE n.tenant_id = p_tenant AND n.pool_id = ANY (p_pools) AND n.leasable AND (p_number IS NULL OR n.number = p_number)
	ORDER BY l.id IS NULL, n.in_call > 0, n.leased_at, n.number LIMIT 1;
	IF NOT FOUND THEN how := 'none'; END IF;
END $$;
COMMENT ON FUNCTION find_number_1(uuid, uuid[], boolean, text, timestamptz) IS
	'The number that take_number_2, take_spare_1 or take_presented_1 would take now, without locking it. how: free, presented (another''s, that a platform presents), used_again, or none.';

CREATE FUNCTION preview_steps_1(p_how text, p_source text, p_number text, p_warnings jsonb) RETURNS SETOF json
LANGUAGE sql STABLE AS $$
	SELECT CASE p_how WHEN 'repeat' THEN json_build_object('step', 'repeat', 'outcome', 'same_call',
			'because', 'The external_call_id is that of a call of this user in progress: that call is the answer.')
		ELSE json_build_object('step', 'rung', 'outcome', p_source, 'because', CASE p_how
			WHEN 'renewed' THEN 'The caller has ' || p_number || ' leased already: the lease is renewed.'
			WHEN 'free' THEN p_number || CASE p_source WHEN 'platform' THEN ' is of the site''s pools, and free.'
				ELSE ' is free, and of those it has been unused the longest.' END
			WHEN 'presented' THEN p_number || ' is of the site''s pools: whoever has it leased loses it to this call.'
			WHEN 'used_again' THEN 'No number is free: ' || p_number || ' is used again.'
			ELSE 'It is the first of the ladder that can be had.' END) END
	UNION ALL
	SELECT json_build_object('step', 'caller_id', 'outcome', w->'code', 'because', w->'detail')
	FROM jsonb_array_elements(p_warnings) w
$$;
COMMENT ON FUNCTION preview_steps_1(text, text, text, jsonb) IS 'The steps of a trace that only the database knows.';

CREATE FUNCTION preview_call_1(p_tenant uuid, p jsonb, p_ladder json, p_trace json) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_expires timestamptz := v_now + make_interval(secs => (p->>'ttl_seconds')::int);
	v_holder uuid := (p->>'holder_id')::uuid;
	v_ext bytea := decode(p->>'external_hash', 'hex');
	v_locks boolean := (p->>'locks_presence')::boolean;
	v_test boolean := (p->>'test')::boolean;
	v_reported text := p->>'presence';
	v_pools uuid[];
	v_rung json;
	v_chosen json;
	v_how text := 'had';
	v_added jsonb;
	v_call json;
	v_found record;
	v_head pool_numbers;
	l leases;
	s user_states;
	c emergency_calls;
BEGIN
	SELECT * INTO s FROM user_states x WHERE x.tenant_id = p_tenant AND x.holder_id = v_holder;
	SELECT e.* INTO c FROM emergency_calls e WHERE e.tenant_id = p_tenant AND e.holder_id = v_holder
		AND e.state IN ('placed', 'connected') AND e.id IN (SELECT k.call_id FROM call_keys k WHERE k.tenant_id = p_tenant
			AND k.holder_id = v_holder AND k.key_hash = v_ext AND k.dial_string = '')
		ORDER BY e.placed_at DESC LIMIT 1;
	IF FOUND THEN
		SELECT x.* INTO l FROM leases x WHERE x.tenant_id = p_tenant AND x.id = c.lease_id;
		v_how := 'repeat';
		p_trace := '[]';
		v_added := '[]';
	ELSE
		c.tenant_id := p_tenant;
		c.external_call_id := p->>'external_call_id';
		c.state := 'placed';
		c.test := v_test;
		c.origin := p->>'origin';
		c.user_id := (p->>'user_id')::uuid;
		c.guest := p->>'guest';
		c.site_id := (p->>'site_id')::uuid;
		c.dial_string := p->>'dial_string';
		c.dialed_as := p->>'dialed_as';
		c.service_urn := p->>'service_urn';
		c.presented_number := p->>'presented_number';
		c.metadata := nullif(p->'metadata', 'null');
		FOR v_rung IN SELECT value FROM json_array_elements(p_ladder) LOOP
			v_chosen := v_rung;
			c.caller_source := v_rung->>'source';
			c.number_type := v_rung->>'number_type';
			c.caller_number := v_rung->>'number';
			EXIT WHEN v_rung->'pools' IS NULL;
			v_pools := ARRAY(SELECT json_array_elements_text(v_rung->'pools')::uuid);
			l := own_lease_1(p_tenant, v_holder, v_pools, c.caller_number, v_test, v_now);
			IF l.id IS NOT NULL THEN
				v_how := 'renewed';
				SELECT n.* INTO v_head FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = l.number_id;
				l.shared := v_head.in_call > l.in_call;
				l.expires_at := greatest(l.expires_at, v_expires);
			ELSE
				SELECT * INTO v_found FROM find_number_1(p_tenant, v_pools, v_test, c.caller_number, v_now);
				v_how := v_found.how;
				v_head := v_found.head;
				l.shared := v_head.in_call > 0;
				l.expires_at := v_expires;
			END IF;
			IF v_how <> 'none' THEN
				l.number := v_head.number;
				l.test := v_test;
				c.caller_number := v_head.number;
				c.number_type := (SELECT number_type FROM pools WHERE tenant_id = p_tenant AND id = v_head.pool_id);
				IF c.caller_source = 'pool_lease' THEN v_chosen := v_rung->'types'->c.number_type; END IF;
				EXIT;
			END IF;
			l := NULL;
			EXIT WHEN c.caller_source <> 'pool_lease';
		END LOOP;
		c.decision := v_chosen->'decision';
		v_added := lease_warnings_1(v_how = 'used_again', l.shared);
		IF EXISTS (SELECT FROM call_keys k WHERE k.tenant_id = p_tenant AND k.key_hash = v_ext) THEN
			c.warnings := (p->'warnings') || key_warning_1();
			v_added := v_added || key_warning_1();
		ELSE
			c.warnings := p->'warnings';
		END IF;
		c.warnings := c.warnings || (v_chosen->'warnings')::jsonb || lease_warnings_1(v_how = 'used_again', l.shared);
		IF v_reported IS NOT NULL AND (s.in_progress = 0 OR v_reported <> 'do_not_disturb') THEN
			s.availability := v_reported;
		END IF;
		s.in_progress := s.in_progress + v_locks::int;
	END IF;
	IF c.user_id IS NULL THEN s := NULL; END IF; -- a guest has a state, and no presence to show
	v_call := call_json_2(c, l, s);
	-- Ids, times and sequence are those of a call that is not placed.
	RETURN (SELECT json_object_agg(e.key, CASE e.key
			WHEN 'id' THEN 'null' WHEN 'placed_at' THEN 'null' WHEN 'connected_at' THEN 'null' WHEN 'ended_at' THEN 'null'
			WHEN 'lease' THEN CASE WHEN l.number IS NOT NULL THEN json_build_object('id', NULL, 'number', l.number,
				'expires_at', NULL, 'shared', l.shared, 'test', l.test) ELSE 'null' END
			WHEN 'presence' THEN CASE WHEN json_typeof(e.value) = 'object' THEN json_build_object(
				'availability', e.value->'availability', 'base_availability', e.value->'base_availability', 'sequence', NULL)
				ELSE e.value END
			WHEN 'agent_notice' THEN json_build_object('text', e.value->'text', 'language', e.value->'language',
				'callback_number', e.value->'callback_number', 'expires_at', NULL)
			WHEN 'trace' THEN (SELECT json_agg(json_build_object('step', x.step->'step', 'outcome', x.step->'outcome',
				'because', x.step->'because', 'level', x.step->'level')) FROM (SELECT json_array_elements(p_trace)
				UNION ALL SELECT preview_steps_1(v_how, c.caller_source, l.number, v_added)) x(step))
			ELSE e.value END)
		FROM (SELECT * FROM json_each(v_call) UNION ALL VALUES ('trace', 'null'::json)) e);
END $$;
COMMENT ON FUNCTION preview_call_1(uuid, jsonb, json, json) IS
	'The call that place_call_3 would answer now, with its trace; writes nothing, locks nothing.';
