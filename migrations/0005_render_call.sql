-- The document of a call, from its row: the same for placing, replays, reads and actions.

CREATE FUNCTION notice_json_1(p_number text, p_expires timestamptz) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('text', CASE
		WHEN p_number IS NULL THEN 'No callback number could be presented: tell the operator how to reach you.'
		WHEN p_expires IS NULL THEN 'If this call drops, emergency services call back on ' || p_number || '.'
		ELSE 'If this call drops, emergency services call you back on ' || p_number || ' until '
			|| to_char(p_expires AT TIME ZONE 'UTC', 'HH24:MI') || ' UTC.' END,
		'language', 'en', 'callback_number', p_number, 'expires_at', rfc3339(p_expires))
$$;

CREATE FUNCTION call_json_1(c emergency_calls) RETURNS json LANGUAGE plpgsql STABLE AS $$
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
	RETURN json_build_object('id', c.id, 'external_call_id', c.external_call_id, 'state', c.state, 'origin', c.origin,
		'test', false, 'degraded', false, 'user_id', c.user_id,
		'guest', CASE WHEN c.guest IS NOT NULL THEN json_build_object('reference', c.guest) END,
		'site_id', c.site_id, 'dial_string', c.dial_string, 'dialed_as', c.dialed_as, 'service_urn', c.service_urn,
		'caller_id', json_build_object('number', c.caller_number, 'source', c.caller_source, 'number_type', c.number_type),
		'presented_number', c.presented_number,
		'lease', CASE WHEN l.id IS NOT NULL THEN json_build_object('id', l.id, 'number', l.number,
			'expires_at', rfc3339(l.expires_at), 'shared', l.shared, 'test', l.test) END,
		'route', c.decision->'route', 'location', c.decision->'location',
		'restrictions', CASE WHEN c.state IN ('placed', 'connected') THEN c.decision->'restrictions'
			ELSE json_build_object('blocked_operations', '[]'::json, 'visible_controls', '[]'::json, 'incoming_calls', 'allowed',
				'record', c.decision->'restrictions'->'record', 'history', c.decision->'restrictions'->'history') END,
		'presence', CASE WHEN c.user_id IS NOT NULL THEN json_build_object(
			'availability', CASE WHEN s.in_progress > 0 THEN 'do_not_disturb' ELSE s.availability END,
			'base_availability', s.availability, 'sequence', s.sequence) END,
		'notifications', c.decision->'notifications',
		'agent_notice', notice_json_1(coalesce(c.presented_number, c.caller_number), l.expires_at),
		'announcement', NULL, 'warnings', c.warnings, 'metadata', c.metadata, 'end_reason', c.end_reason,
		'placed_at', rfc3339(c.placed_at), 'connected_at', rfc3339(c.connected_at), 'ended_at', rfc3339(c.ended_at));
END $$;
COMMENT ON FUNCTION call_json_1(emergency_calls) IS
	'The emergency call of api.md 3. Lease and presence are those of now; after the end nothing is blocked.';
