-- What is due: found across tenants by switchback_lookup (ids only), done under the tenant's wall.

GRANT SELECT ON leases, emergency_calls TO switchback_lookup;
CREATE POLICY lookup ON leases FOR SELECT TO switchback_lookup USING (true);
CREATE POLICY lookup ON emergency_calls FOR SELECT TO switchback_lookup USING (true);

CREATE FUNCTION lookup_due_1(p_limit integer) RETURNS TABLE (kind text, tenant_id uuid, id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	(SELECT 'lease', l.tenant_id, l.id FROM leases l
		WHERE l.state = 'active' AND l.expires_at <= now() AND l.in_call = 0 ORDER BY l.expires_at LIMIT p_limit)
	UNION ALL
	(SELECT 'call', c.tenant_id, c.id FROM emergency_calls c
		WHERE c.state IN ('placed', 'connected') AND c.times_out_at <= now() ORDER BY c.times_out_at LIMIT p_limit)
	UNION ALL
	(SELECT 'callback', r.tenant_id, r.id FROM callback_resolutions r
		WHERE r.state = 'resolved' AND r.times_out_at <= now() ORDER BY r.times_out_at LIMIT p_limit)
$$;
COMMENT ON FUNCTION lookup_due_1(integer) IS
	'Leases that are over, calls nobody ended, callbacks nobody connected: at most p_limit of each.';
ALTER FUNCTION lookup_due_1(integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_due_1(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_due_1(integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;

CREATE FUNCTION sweep_1(p_kind text, p_tenant uuid, p_id uuid, p_instance integer) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_number uuid;
	r callback_resolutions;
BEGIN
	IF p_kind = 'call' THEN
		RETURN (SELECT m.outcome = 'done' FROM move_call_1(p_tenant, p_id::text, 'time_out', '{}', p_instance, false) m);
	ELSIF p_kind = 'lease' THEN
		SELECT number_id INTO v_number FROM leases WHERE tenant_id = p_tenant AND id = p_id;
		PERFORM FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = v_number FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND AND EXISTS (SELECT FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = v_number) THEN
			RETURN false;
		END IF;
		PERFORM FROM leases WHERE tenant_id = p_tenant AND id = p_id AND state = 'active' AND in_call = 0 AND expires_at <= v_now
			FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND THEN RETURN false; END IF;
		PERFORM emit_1(p_tenant, NULL, v_now, p_instance, NULL, json_build_array(close_lease_1(p_tenant, p_id, v_now)));
		RETURN true;
	END IF;
	UPDATE callback_resolutions SET state = 'timed_out', ended_at = v_now
	WHERE tenant_id = p_tenant AND id = (SELECT x.id FROM callback_resolutions x WHERE x.tenant_id = p_tenant AND x.id = p_id
		AND x.state = 'resolved' AND x.times_out_at <= v_now FOR NO KEY UPDATE SKIP LOCKED)
	RETURNING * INTO r;
	IF NOT FOUND THEN RETURN false; END IF;
	PERFORM emit_1(p_tenant, r.holder_id, v_now, p_instance, NULL,
		json_build_array(callback_event_1(r, 'callback.timed_out', v_now)));
	RETURN true;
END $$;
COMMENT ON FUNCTION sweep_1(text, uuid, uuid, integer) IS
	'Does one thing that is due, once, whoever asks first; false: done by another, or locked (the next sweep finds it).';
