-- Who is rung when a number is called back: what the decision needs to know, and its storing.

CREATE FUNCTION live_endpoints_1(p_endpoints json) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT coalesce(json_agg(json_build_object('type', e->>'type', 'address', e->>'address')), '[]')
	FROM json_array_elements(coalesce(p_endpoints, '[]'::json)) e
	WHERE e->>'expires_at' IS NULL OR (e->>'expires_at')::timestamptz > now()
$$;

CREATE FUNCTION callee_json_1(p_tenant uuid, p_user uuid, p_guest text, p_holder uuid, p_endpoint json, p_call uuid, p_lease uuid,
	p_at timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('user_id', u.id, 'external_id', u.external_id, 'guest', p_guest, 'holder_id', p_holder,
		'endpoints', live_endpoints_1(u.endpoints), 'endpoint', p_endpoint, 'emergency_call_id', p_call,
		'lease_id', p_lease, 'leased_at', rfc3339(p_at))
	FROM (SELECT) one LEFT JOIN users u ON u.tenant_id = p_tenant AND u.id = p_user
$$;
COMMENT ON FUNCTION callee_json_1(uuid, uuid, text, uuid, json, uuid, uuid, timestamptz) IS
	'A person whom a callback may ring: the endpoints of now, the placing endpoint of then.';

CREATE FUNCTION resolution_json_1(r callback_resolutions) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('id', r.id, 'external_call_id', r.external_call_id, 'state', r.state, 'outcome', r.outcome,
		'reason', r.reason, 'degraded', false, 'tenant_id', r.tenant_id, 'user', r.decision->'user',
		'targets', r.decision->'targets', 'ring', r.decision->>'ring', 'then', r.decision->'then',
		'never', r.decision->'never', 'priority', r.decision->>'priority', 'bypass', r.decision->'bypass',
		'on_busy', r.decision->>'on_busy', 'emergency_call_id', r.emergency_call_id, 'lease_id', r.lease_id,
		'candidates', r.decision->'candidates', 'restrictions', r.decision->'restrictions', 'called_number', r.called_number,
		'caller_number', r.caller_number, 'sip_priority', r.sip_priority, 'warnings', r.warnings,
		'resolved_at', rfc3339(r.resolved_at), 'connected_at', rfc3339(r.connected_at), 'ended_at', rfc3339(r.ended_at))
$$;

CREATE FUNCTION callback_context_1(p_tenant uuid, p_number text, p_external_call_id text, p_caller_user text, p_ttl interval)
RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (WITH n AS (SELECT * FROM phone_numbers WHERE tenant_id = p_tenant AND number = p_number),
	held AS (
		SELECT l.* FROM leases l WHERE l.tenant_id = p_tenant AND l.number = p_number
			AND l.state IN ('active', 'superseded') AND (l.expires_at > now() OR l.in_call > 0)),
	presented AS (
		SELECT c.* FROM emergency_calls c WHERE c.tenant_id = p_tenant
			AND coalesce(c.presented_number, c.caller_number) = p_number
			AND (c.lease_id IS NULL OR c.presented_number IS NOT NULL)
			AND (c.placed_at > now() - p_ttl OR c.state IN ('placed', 'connected'))),
	s AS (
		SELECT x.* FROM sites x WHERE x.tenant_id = p_tenant AND x.id = coalesce(
			(SELECT p.site_id FROM pool_numbers m JOIN pools p ON p.tenant_id = p_tenant AND p.id = m.pool_id
				WHERE m.tenant_id = p_tenant AND m.number_id = (SELECT id FROM n)),
			(SELECT u.site_id FROM users u WHERE u.tenant_id = p_tenant AND u.number_id = (SELECT id FROM n)),
			(SELECT y.id FROM sites y WHERE y.tenant_id = p_tenant AND p_number IN (y.resource_account->>'number',
				y.receptionist->>'number', y.call_queue->>'number') ORDER BY y.id LIMIT 1)))
	SELECT json_build_object('tenant_id', p_tenant,
		'existing', (SELECT resolution_json_1(r) FROM callback_resolutions r WHERE r.tenant_id = p_tenant
			AND r.external_call_id = p_external_call_id),
		'usage', n.usage,
		'leases', (SELECT coalesce(json_agg(callee_json_1(p_tenant, h.user_id, h.guest, h.holder_id, h.endpoint,
			h.emergency_call_id, h.id, h.leased_at) ORDER BY h.state, h.leased_at DESC), '[]')
			FROM (SELECT * FROM held ORDER BY state, leased_at DESC LIMIT 20) h),
		'presented', (SELECT coalesce(json_agg(callee_json_1(p_tenant, c.user_id, c.guest, c.holder_id, c.endpoint, c.id,
			NULL, c.placed_at) ORDER BY c.placed_at DESC), '[]')
			FROM (SELECT * FROM presented ORDER BY placed_at DESC LIMIT 20) c),
		'owner', (SELECT callee_json_1(p_tenant, u.id, NULL, u.id, NULL, NULL, NULL, NULL) FROM users u
			WHERE u.tenant_id = p_tenant AND u.number_id = n.id),
		'last_lease_state', (SELECT CASE WHEN l.state IN ('active', 'superseded') THEN 'expired' ELSE l.state END
			FROM leases l WHERE l.tenant_id = p_tenant AND l.number = p_number ORDER BY l.leased_at DESC LIMIT 1),
		'caller_user_id', (SELECT u.id FROM users u WHERE u.tenant_id = p_tenant
			AND (u.id = ref_id(p_caller_user) OR u.external_id = ref_external(p_caller_user))),
		'fallbacks', (SELECT json_build_array(s.fallback, coalesce(s.safety_team, t.safety_team), t.fallback,
			s.resource_account->'destination') FROM tenants t LEFT JOIN s ON true WHERE t.id = p_tenant))
	FROM n);
END $$;
COMMENT ON FUNCTION callback_context_1(uuid, text, text, text, interval) IS
	'null: the number is not this tenant''s. leases: active first, then superseded ones that are still candidates, newest first. presented: calls outside pools that showed the number, in progress or within the TTL. fallbacks: in their order, null where unset.';

CREATE FUNCTION store_callback_1(p_tenant uuid, p jsonb, p_decision json, p_instance integer, p_alone boolean,
	OUT outcome text, OUT replay boolean, OUT body text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	r callback_resolutions;
BEGIN
	replay := false;
	outcome := 'resolved';
	IF p->>'external_call_id' IS NOT NULL THEN
		IF p_alone THEN PERFORM pg_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'external_call_id'), 3));
		ELSIF NOT pg_try_advisory_xact_lock(hashtextextended(p_tenant::text || (p->>'external_call_id'), 3)) THEN
			outcome := 'alone';
			RETURN;
		END IF;
		SELECT * INTO r FROM callback_resolutions x WHERE x.tenant_id = p_tenant AND x.external_call_id = p->>'external_call_id';
	ELSE
		SELECT * INTO r FROM callback_resolutions x WHERE x.tenant_id = p_tenant AND x.id = (p->>'id')::uuid;
	END IF;
	IF FOUND THEN
		replay := r.id <> (p->>'id')::uuid;
		body := resolution_json_1(r)::text;
		RETURN;
	END IF;
	INSERT INTO callback_resolutions (tenant_id, id, external_call_id, outcome, reason, holder_id, user_id, called_number,
		caller_number, sip_priority, emergency_call_id, lease_id, decision, warnings, resolved_at, times_out_at)
	VALUES (p_tenant, (p->>'id')::uuid, p->>'external_call_id', p->>'outcome', p->>'reason', (p->>'holder_id')::uuid,
		(p->>'user_id')::uuid, p->>'called_number', p->>'caller_number', p->>'sip_priority',
		(p->>'emergency_call_id')::uuid, (p->>'lease_id')::uuid, p_decision, p->'warnings', v_now, v_now + interval '180 s')
	RETURNING * INTO r;
	PERFORM emit_1(p_tenant, r.holder_id, v_now, p_instance,
		json_build_object('request_id', p->>'request_id', 'traceparent', p->>'traceparent'),
		json_build_array(callback_event_1(r, 'callback.resolved', v_now)));
	body := resolution_json_1(r)::text;
END $$;
COMMENT ON FUNCTION store_callback_1(uuid, jsonb, json, integer, boolean) IS
	'resolved (body is the resolution; replay: the same external_call_id was resolved before) or alone.';

CREATE FUNCTION callback_event_1(r callback_resolutions, p_type text, p_at timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('type', p_type, 'call', r.emergency_call_id, 'lease', r.lease_id, 'callback', r.id,
		'data', json_build_object('callback_id', r.id, 'state', r.state, 'outcome', r.outcome, 'reason', r.reason,
		'user_id', r.user_id, 'external_id', user_external_id_1(r.tenant_id, r.user_id),
		'emergency_call_id', r.emergency_call_id, 'lease_id', r.lease_id, 'occurred_at', rfc3339(p_at)))
$$;

CREATE POLICY lookup ON callback_resolutions FOR SELECT TO switchback_lookup USING (true);
GRANT SELECT ON callback_resolutions TO switchback_lookup;
CREATE FUNCTION lookup_resolution_1(p_id uuid) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS
$$ SELECT r.tenant_id FROM callback_resolutions r WHERE r.id = p_id $$;
COMMENT ON FUNCTION lookup_resolution_1(uuid) IS 'Whose resolution the operator asks for.';
ALTER FUNCTION lookup_resolution_1(uuid) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_resolution_1(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_resolution_1(uuid) TO switchback_app;
SET LOCAL ROLE switchback_owner;
