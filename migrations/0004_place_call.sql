-- Placing a call. One statement, one round trip; runs in a batch (nothing waits: SKIP LOCKED,
-- try-locks, outcome 'alone' for who would have to) or alone (p_alone: waits, within lock_timeout).
-- Lock order everywhere: keys of a repeat, user state, call, number, lease, outbox.

CREATE FUNCTION number_is_free_1(n pool_numbers, p_now timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT n.in_call = 0 AND (n.free_at IS NULL OR n.free_at <= p_now) $$;
COMMENT ON FUNCTION number_is_free_1(pool_numbers, timestamptz) IS 'The one definition of a free number.';

CREATE FUNCTION close_lease_1(p_tenant uuid, p_lease uuid, p_now timestamptz)
RETURNS json LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	l leases;
BEGIN
	-- An expired lease ended when it was over, not when somebody noticed.
	UPDATE leases x SET
		state = CASE WHEN x.in_call = 0 AND x.expires_at <= p_now THEN 'expired' ELSE 'superseded' END,
		ended_at = CASE WHEN x.in_call = 0 AND x.expires_at <= p_now THEN greatest(x.expires_at,
			(SELECT n.free_at FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.number_id = x.number_id
				AND n.lease_id = x.id)) ELSE p_now END
	WHERE x.tenant_id = p_tenant AND x.id = p_lease AND x.state = 'active' RETURNING x.* INTO l;
	RETURN CASE WHEN FOUND THEN
		lease_event_1(l, 'lease.' || l.state, user_external_id_1(p_tenant, l.user_id), p_now) END;
END $$;
COMMENT ON FUNCTION close_lease_1(uuid, uuid, timestamptz) IS
	'Ends an active lease, under the lock of its number: expired where it was over, else superseded. Gives its one closing event, for the caller to emit; null where it was closed before.';

CREATE FUNCTION take_number_1(p_tenant uuid, p_pools uuid[], p_alone boolean,
	OUT outcome text, OUT head pool_numbers, OUT reuse boolean, OUT reuse_snapshot pg_snapshot)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_locked uuid; -- a number that others hold: what would have to be waited for
	v_now timestamptz; -- once a round: the clock is not asked for every row
BEGIN
	LOOP
		outcome := 'taken';
		reuse := false;
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
			-- Used up: the least recently leased number outside calls, else of all. Joined to itself: of a
			-- row that changed since the snapshot only conditions are looked at again, not its place in
			-- the order; so its leased_at must still be the one that it was ordered by.
			reuse := true;
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
COMMENT ON FUNCTION take_number_1(uuid, uuid[], boolean) IS
	'Locks the number that a call gets: taken, alone (not without waiting) or none (the pools have no usable number). Never two people on one number while one is free in the snapshot of the check.';

CREATE FUNCTION lease_number_1(p_tenant uuid, p_call uuid, p_holder uuid, p jsonb, p_ttl interval,
	p_alone boolean, p_pools uuid[], OUT outcome text, OUT lease leases, OUT event json, OUT closing json)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_own leases;
	v_take record;
	v_head pool_numbers;
BEGIN
	-- The same person again keeps the number, while it is in a pool of the site.
	SELECT l.* INTO v_own FROM leases l
	WHERE l.tenant_id = p_tenant AND l.holder_id = p_holder AND l.state = 'active' AND l.pool_id = ANY (p_pools)
		AND (l.expires_at > v_now OR l.in_call > 0)
	ORDER BY l.leased_at DESC LIMIT 1;
	IF FOUND THEN
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
			UPDATE leases l SET emergency_call_id = p_call, endpoint = p->'endpoint', in_call = l.in_call + 1,
				shared = v_head.in_call > l.in_call, freed_xid = NULL, expires_at = greatest(l.expires_at, v_now + p_ttl)
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

	SELECT * INTO v_take FROM take_number_1(p_tenant, p_pools, p_alone);
	outcome := v_take.outcome;
	IF outcome <> 'taken' THEN RETURN; END IF;
	v_head := v_take.head;
	v_now := clock_timestamp();
	IF v_head.lease_id IS NOT NULL THEN
		closing := close_lease_1(p_tenant, v_head.lease_id, v_now);
	END IF;
	INSERT INTO leases (tenant_id, id, number_id, number, pool_id, holder_id, user_id, guest, emergency_call_id, endpoint,
		leased_at, expires_at, shared, reuse_snapshot)
	VALUES (p_tenant, uuid7(), v_head.number_id, v_head.number, v_head.pool_id, p_holder, (p->>'user_id')::uuid, p->>'guest',
		p_call, p->'endpoint', v_now, v_now + p_ttl, v_take.reuse AND v_head.in_call > 0,
		CASE WHEN v_take.reuse THEN v_take.reuse_snapshot END)
	RETURNING * INTO lease;
	UPDATE pool_numbers n SET in_call = n.in_call + 1, call_id = p_call, lease_id = lease.id, leased_at = v_now,
		free_at = lease.expires_at
	WHERE n.tenant_id = p_tenant AND n.number_id = v_head.number_id;
	event := lease_event_1(lease, 'lease.created', p->>'external_id', v_now);
END $$;
COMMENT ON FUNCTION lease_number_1(uuid, uuid, uuid, jsonb, interval, boolean, uuid[]) IS
	'Renews the holder''s lease or leases a number of the pools to them: taken (with its event, and that of the lease that ended thereby), alone or none.';
