-- Connect, end, cancel and the time-out of a call.

CREATE FUNCTION call_transition_1(p_state text, p_action text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN p_action = 'connect' AND p_state IN ('placed', 'cancelled', 'timed_out') THEN 'connected'
		WHEN p_action = 'end' AND p_state IN ('placed', 'connected', 'timed_out') THEN 'ended'
		WHEN p_action = 'cancel' AND p_state = 'placed' THEN 'cancelled'
		WHEN p_action = 'time_out' AND p_state IN ('placed', 'connected') THEN 'timed_out' END
$$;
COMMENT ON FUNCTION call_transition_1(text, text) IS
	'The state machine: the state that the action leads to, null where it is not allowed. From cancelled and timed_out only a fact that is reported late.';

CREATE FUNCTION free_number_1(p_tenant uuid, c emergency_calls, p_now timestamptz, p_alone boolean) RETURNS boolean
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_in_call integer;
BEGIN
	IF c.number_id IS NULL THEN RETURN true; END IF;
	IF p_alone THEN
		PERFORM FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = c.number_id FOR NO KEY UPDATE;
	ELSE
		PERFORM FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = c.number_id FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND AND EXISTS (SELECT FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = c.number_id) THEN
			RETURN false;
		END IF;
	END IF;
	UPDATE pool_numbers SET in_call = in_call - 1,
		free_at = CASE WHEN in_call = 1 THEN greatest(free_at, p_now) ELSE free_at END
	WHERE tenant_id = p_tenant AND number_id = c.number_id AND in_call > 0;
	UPDATE leases SET in_call = in_call - 1, freed_xid = CASE WHEN in_call = 1 THEN pg_current_xact_id() END
	WHERE tenant_id = p_tenant AND id = c.lease_id AND in_call > 0 RETURNING in_call INTO v_in_call;
	RETURN true;
END $$;
COMMENT ON FUNCTION free_number_1(uuid, emergency_calls, timestamptz, boolean) IS
	'The call presents its number no longer; false: locked by another, run alone. Shortens no lease.';

CREATE FUNCTION move_call_1(p_tenant uuid, p_ref text, p_action text, p jsonb, p_instance integer, p_alone boolean,
	OUT outcome text, OUT body text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_trace json := json_build_object('request_id', p->>'request_id', 'traceparent', p->>'traceparent');
	v_call uuid;
	v_holder uuid;
	v_before user_states;
	v_after user_states;
	v_new text;
	v_late boolean;
	v_external_id text;
	v_events json[];
	v_over boolean;
	v_target text := CASE p_action WHEN 'connect' THEN 'connected' WHEN 'end' THEN 'ended'
		WHEN 'cancel' THEN 'cancelled' ELSE 'timed_out' END;
	v_head_lease uuid;
	l leases;
	c emergency_calls;
BEGIN
	IF ref_id(p_ref) IS NOT NULL THEN
		SELECT e.id, e.holder_id INTO v_call, v_holder FROM emergency_calls e
		WHERE e.tenant_id = p_tenant AND e.id = ref_id(p_ref);
	ELSE
		SELECT e.id, e.holder_id INTO v_call, v_holder FROM emergency_calls e
		WHERE e.tenant_id = p_tenant AND e.external_call_id = ref_external(p_ref)
		ORDER BY e.placed_at DESC LIMIT 1;
	END IF;
	IF v_call IS NULL THEN outcome := 'not_found'; RETURN; END IF;

	IF p_alone THEN
		SELECT * INTO v_before FROM user_states WHERE tenant_id = p_tenant AND holder_id = v_holder FOR NO KEY UPDATE;
		SELECT * INTO c FROM emergency_calls WHERE tenant_id = p_tenant AND id = v_call FOR NO KEY UPDATE;
	ELSE
		SELECT * INTO v_before FROM user_states WHERE tenant_id = p_tenant AND holder_id = v_holder FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND THEN outcome := 'alone'; RETURN; END IF;
		SELECT * INTO c FROM emergency_calls WHERE tenant_id = p_tenant AND id = v_call FOR NO KEY UPDATE SKIP LOCKED;
		IF NOT FOUND THEN outcome := 'alone'; RETURN; END IF;
	END IF;

	v_new := call_transition_1(c.state, p_action);
	v_late := c.state IN ('cancelled', 'timed_out');
	IF c.state = v_target THEN
		-- The action once more, or with more to say of the number.
		IF p_action = 'connect' AND p->>'presented_number' IS DISTINCT FROM c.presented_number
			AND p->>'presented_number' IS NOT NULL AND (c.presented_number IS NOT NULL
				OR p->>'presented_number' IS DISTINCT FROM c.caller_number) THEN
			UPDATE emergency_calls SET presented_number = p->>'presented_number'
			WHERE tenant_id = p_tenant AND id = v_call RETURNING * INTO c;
		END IF;
		outcome := 'done';
		body := call_json_1(c)::text;
		RETURN;
	ELSIF v_new IS NULL OR p_action = 'time_out' AND c.times_out_at > v_now THEN
		outcome := 'invalid_state';
		body := c.state;
		RETURN;
	END IF;

	v_over := c.state IN ('placed', 'connected') AND v_new NOT IN ('placed', 'connected');
	IF v_over AND NOT free_number_1(p_tenant, c, v_now, p_alone) THEN outcome := 'alone'; RETURN; END IF;
	IF c.state NOT IN ('placed', 'connected') AND v_new = 'connected' AND c.number_id IS NOT NULL THEN
		-- It is in progress after all: the number is presented again, whoever holds it by now.
		IF NOT p_alone THEN outcome := 'alone'; RETURN; END IF;
		PERFORM FROM pool_numbers WHERE tenant_id = p_tenant AND number_id = c.number_id FOR NO KEY UPDATE;
		UPDATE pool_numbers SET in_call = in_call + 1 WHERE tenant_id = p_tenant AND number_id = c.number_id
		RETURNING lease_id INTO v_head_lease;
		-- Its lease lives as long as the call: active again where nobody has taken the number since,
		-- else a candidate behind who has.
		UPDATE leases SET in_call = in_call + 1, freed_xid = NULL,
			ended_at = CASE WHEN id = v_head_lease THEN NULL ELSE ended_at END,
			state = CASE WHEN id = v_head_lease THEN 'active' ELSE 'superseded' END
		WHERE tenant_id = p_tenant AND id = c.lease_id RETURNING * INTO l;
		IF l.id = v_head_lease THEN
			v_events := v_events || lease_event_1(l, 'lease.renewed', user_external_id_1(p_tenant, c.user_id), v_now);
		END IF;
	END IF;

	v_external_id := user_external_id_1(p_tenant, c.user_id);
	IF c.locks_presence AND (v_over OR c.state NOT IN ('placed', 'connected') AND v_new = 'connected') THEN
		UPDATE user_states SET updated_at = v_now, in_progress = in_progress + CASE WHEN v_over THEN -1 ELSE 1 END,
			sequence = sequence + (c.user_id IS NOT NULL AND in_progress = v_over::int)::int
		WHERE tenant_id = p_tenant AND holder_id = v_holder RETURNING * INTO v_after;
		IF v_after.sequence > v_before.sequence THEN
			v_events := v_events || presence_event_1(
				CASE WHEN v_over THEN 'presence.restored' ELSE 'presence.do_not_disturb' END, c.user_id, v_external_id,
				v_before, v_after, 'emergency_call', c.id, NULL, v_now);
		END IF;
	END IF;

	UPDATE emergency_calls SET state = v_new,
		connected_at = CASE WHEN p_action = 'connect' THEN v_now ELSE connected_at END,
		ended_at = CASE WHEN p_action = 'connect' THEN NULL ELSE v_now END,
		times_out_at = CASE WHEN v_late AND p_action = 'connect'
			THEN v_now + make_interval(secs => max_call_seconds) ELSE times_out_at END,
		end_reason = CASE p_action WHEN 'connect' THEN NULL WHEN 'time_out' THEN NULL ELSE p->>'reason' END,
		sip_status = coalesce((p->>'sip_status')::integer, sip_status),
		presented_number = coalesce(nullif(p->>'presented_number', caller_number), presented_number),
		warnings = warnings || coalesce(p->'warnings', '[]') || CASE WHEN v_late THEN jsonb_build_array(jsonb_build_object(
			'code', 'late_report', 'detail', 'Reported after the call was ' || c.state || '; taken as it was reported.'))
			ELSE '[]' END
	WHERE tenant_id = p_tenant AND id = v_call RETURNING * INTO c;
	v_events := v_events || call_event_1(c, 'emergency_call.' || c.state, v_external_id, v_now);
	PERFORM emit_1(p_tenant, v_holder, v_now, p_instance, v_trace, array_to_json(v_events));
	outcome := 'done';
	body := call_json_1(c)::text;
END $$;
COMMENT ON FUNCTION move_call_1(uuid, text, text, jsonb, integer, boolean) IS
	'p_action: connect, end, cancel, time_out. done (body is the call), alone, not_found, invalid_state (body is the state). No action ends or shortens a lease.';
