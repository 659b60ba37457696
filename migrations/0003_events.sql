-- The outbox: events are written in the transaction of what they tell, with one delivery per
-- interested webhook endpoint, born claimed by the instance that commits.

-- In PL/pgSQL, as everything hot that reads a table: its plans are kept. A function in SQL is planned
-- in each transaction anew, unless it can be inlined.
CREATE FUNCTION emit_1(p_tenant uuid, p_holder uuid, p_at timestamptz, p_instance integer, p_trace json, p_events json)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	WITH e AS (
		INSERT INTO events (tenant_id, id, type, holder_id, event_no, emergency_call_id, lease_id, callback_id,
			data, request_id, traceparent, occurred_at)
		SELECT p_tenant, uuid7(), x->>'type', coalesce((x->>'holder')::uuid, p_holder), nextval('event_numbers'),
			(x->>'call')::uuid, (x->>'lease')::uuid, (x->>'callback')::uuid, x->'data',
			p_trace->>'request_id', p_trace->>'traceparent', p_at
		FROM json_array_elements(p_events) x
		RETURNING id, type, holder_id, event_no)
	INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, holder_id, stream, event_no, next_attempt_at, claimed_by)
	SELECT p_tenant, uuid7(), w.id, e.id, e.holder_id,
		CASE WHEN e.type LIKE 'presence.%' THEN 'presence' ELSE 'other' END, e.event_no, p_at, p_instance
	FROM e JOIN webhook_endpoints w ON w.tenant_id = p_tenant AND w.enabled
		AND (w.event_types = '{}' OR e.type = ANY (w.event_types));
END $$;
COMMENT ON FUNCTION emit_1(uuid, uuid, timestamptz, integer, json, json) IS
	'p_events: [{type, data, holder?, call?, lease?, callback?}] in their order; holder where it is not p_holder.';

CREATE FUNCTION user_external_id_1(p_tenant uuid, p_user uuid) RETURNS text LANGUAGE plpgsql STABLE AS
$$ BEGIN RETURN (SELECT external_id FROM users WHERE tenant_id = p_tenant AND id = p_user); END $$;

CREATE FUNCTION presence_event_1(p_type text, p_user uuid, p_external_id text, p_before user_states, p_after user_states,
	p_reason text, p_call uuid, p_callback uuid, p_at timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('type', p_type, 'call', p_call, 'callback', p_callback, 'data', json_build_object(
		'user_id', p_user, 'external_id', p_external_id,
		'availability', CASE WHEN p_after.in_progress > 0 THEN 'do_not_disturb' ELSE p_after.availability END,
		'previous', CASE WHEN p_before.in_progress > 0 THEN 'do_not_disturb' ELSE p_before.availability END,
		'base_availability', p_after.availability, 'reason', p_reason, 'emergency_call_id', p_call,
		'callback_id', p_callback, 'sequence', p_after.sequence, 'occurred_at', rfc3339(p_at)))
$$;
COMMENT ON FUNCTION presence_event_1(text, uuid, text, user_states, user_states, text, uuid, uuid, timestamptz) IS
	'presence.do_not_disturb or presence.restored: the full state, so that any one of them is enough.';

CREATE FUNCTION call_event_1(c emergency_calls, p_type text, p_external_id text, p_at timestamptz)
RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('type', p_type, 'call', c.id, 'data', json_build_object(
		'emergency_call_id', c.id, 'external_call_id', c.external_call_id, 'user_id', c.user_id,
		'external_id', p_external_id, 'guest', CASE WHEN c.guest IS NOT NULL THEN json_build_object('reference', c.guest) END,
		'site_id', c.site_id, 'state', c.state, 'test', false, 'occurred_at', rfc3339(p_at)))
$$;

CREATE FUNCTION lease_event_1(l leases, p_type text, p_external_id text, p_at timestamptz)
RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('type', p_type, 'holder', l.holder_id, 'call', l.emergency_call_id, 'lease', l.id,
		'data', json_build_object('lease_id', l.id, 'pool_id', l.pool_id, 'user_id', l.user_id,
		'external_id', p_external_id, 'guest', CASE WHEN l.guest IS NOT NULL THEN json_build_object('reference', l.guest) END,
		'emergency_call_id', l.emergency_call_id, 'state', l.state, 'expires_at', rfc3339(l.expires_at),
		'shared', l.shared, 'test', l.test, 'occurred_at', rfc3339(p_at)))
$$;
