CREATE FUNCTION place_call_1(p_tenant uuid, p jsonb, p_ladder json, p_instance integer, p_alone boolean,
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
		v_warnings := v_warnings || jsonb_build_array(jsonb_build_object('code', 'idempotency_key_reused',
			'detail', 'The key or external_call_id was used by another call before; this is a new call.'));
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
		EXIT WHEN v_rung->>'source' <> 'pool_lease';
		SELECT * INTO v_got FROM lease_number_1(p_tenant, v_call, v_holder, p, make_interval(secs => (p->>'ttl_seconds')::int),
			p_alone, ARRAY(SELECT json_array_elements_text(v_rung->'pools')::uuid));
		IF v_got.outcome = 'alone' THEN outcome := 'alone'; RETURN; END IF;
		IF v_got.outcome = 'taken' THEN
			v_lease := v_got.lease;
			v_lease_event := v_got.event;
			v_closing := v_got.closing;
			v_type := coalesce(v_rung->>'number_type', (SELECT number_type FROM pools
				WHERE tenant_id = p_tenant AND id = v_lease.pool_id));
			v_chosen := v_rung->'types'->v_type;
			EXIT;
		END IF;
		v_chosen := NULL;
	END LOOP;

	v_now := clock_timestamp();
	v_warnings := v_warnings || coalesce((v_chosen->'warnings')::jsonb, '[]');
	IF v_lease.reuse_snapshot IS NOT NULL AND v_lease_event->>'type' = 'lease.created' THEN
		v_warnings := v_warnings || jsonb_build_array(jsonb_build_object('code', 'pool_exhausted', 'detail',
			'Every number of the site''s pools is leased: the least recently leased one is used again.'));
	END IF;
	IF v_lease.shared THEN
		v_warnings := v_warnings || jsonb_build_array(jsonb_build_object('code', 'number_shared', 'detail',
			'Another call in progress presents the same number; the latest caller gets the callbacks.'));
	END IF;
	INSERT INTO emergency_calls (tenant_id, id, external_call_id, holder_id, user_id, guest, site_id, origin, dial_string,
		dialed_as, service_urn, caller_number, caller_source, number_type, number_id, lease_id, presented_number,
		locks_presence, endpoint, decision, warnings, metadata, max_call_seconds, placed_at, times_out_at)
	VALUES (p_tenant, v_call, p->>'external_call_id', v_holder, v_user, p->>'guest', (p->>'site_id')::uuid, p->>'origin',
		p->>'dial_string', p->>'dialed_as', p->>'service_urn', coalesce(v_lease.number, v_chosen->>'number'),
		v_source, v_type, v_lease.number_id, v_lease.id, p->>'presented_number', v_locks,
		nullif(p->'endpoint', 'null'), v_chosen->'decision', v_warnings, nullif(p->'metadata', 'null'), (p->>'max_call_seconds')::int, v_now,
		v_now + make_interval(secs => (p->>'max_call_seconds')::int))
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
COMMENT ON FUNCTION place_call_1(uuid, jsonb, json, integer, boolean) IS
	'Stores a decided call: placed (body is the call; replay: it was there), stale (a version moved: load and decide again) or alone (it would have to wait: run it by itself). p: the scalars of the decision; p_ladder: its rungs, each complete: [{source, number, number_type, decision, warnings}], for a pool [{source: pool_lease, number_type?, pools, types: {<number_type>: {decision, warnings}}}].';
