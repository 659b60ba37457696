-- Webhook deliveries. What is due is found across tenants by switchback_lookup (ids only), then
-- claimed and finished under the tenant's wall.
--
-- A claim is `claimed_by` naming a living instance. A delivery is born with the claim of the instance
-- that committed it, and loses it when an attempt fails: a retry is anybody's. So a pending delivery
-- with attempts but without a claim is one that failed and waits for its next attempt.

-- One endpoint after the other, its oldest first: however many deliveries wait for an endpoint that
-- hangs or fails, finding those of the others costs the same. Neither index begins with the tenant:
-- what is looked for by id must not be looked for in them.
CREATE INDEX webhook_deliveries_queue ON webhook_deliveries (endpoint_id, next_attempt_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_order ON webhook_deliveries (endpoint_id, holder_id, stream, event_no)
	WHERE state = 'pending';
-- The table is a queue: what its statistics say of it was true at another time, and a plan made for
-- an empty one reads everything. So whoever looks into the queue is left no choice but the index that
-- has the order asked for (SET enable_... = off, below).

GRANT SELECT (tenant_id, id, endpoint_id, holder_id, stream, event_no, state, next_attempt_at, claimed_by)
	ON webhook_deliveries TO switchback_lookup;
GRANT SELECT (tenant_id, id, failing_since) ON webhook_endpoints TO switchback_lookup;
CREATE POLICY lookup ON webhook_deliveries FOR SELECT TO switchback_lookup USING (true);
CREATE POLICY lookup ON webhook_endpoints FOR SELECT TO switchback_lookup USING (true);

CREATE FUNCTION lookup_deliveries_1(p_instance integer, p_orphans boolean, p_flying uuid[], p_busy uuid[],
	p_each integer, p_limit integer)
RETURNS TABLE (tenant_id uuid, id uuid, endpoint_id uuid, claimed_by integer, failing boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
	RETURN QUERY
	WITH RECURSIVE e (tenant_id, endpoint_id) AS (
		(SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d WHERE d.state = 'pending'
			ORDER BY d.endpoint_id LIMIT 1)
		UNION ALL
		SELECT n.tenant_id, n.endpoint_id FROM e CROSS JOIN LATERAL (
			SELECT d.tenant_id, d.endpoint_id FROM webhook_deliveries d
			WHERE d.state = 'pending' AND d.endpoint_id > e.endpoint_id ORDER BY d.endpoint_id LIMIT 1) n),
	due AS (
		SELECT d.*, w.failing_since IS NOT NULL AS failing
		FROM e LEFT JOIN webhook_endpoints w ON w.tenant_id = e.tenant_id AND w.id = e.endpoint_id
		CROSS JOIN LATERAL (
			SELECT x.tenant_id, x.id, x.endpoint_id, x.claimed_by, x.next_attempt_at FROM webhook_deliveries x
			WHERE x.state = 'pending' AND x.tenant_id = e.tenant_id AND x.endpoint_id = e.endpoint_id
				AND x.next_attempt_at <= now() AND x.id <> ALL (p_flying)
				AND (x.claimed_by = p_instance OR x.claimed_by IS NULL
					OR p_orphans AND x.claimed_by::bigint & 4294967295 NOT IN (
						SELECT l.objid::bigint FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 22868
							AND l.objsubid = 2 AND l.granted AND l.database = (
								SELECT b.oid FROM pg_database b WHERE b.datname = current_database())))
				AND (SELECT b.id FROM webhook_deliveries b WHERE b.state = 'pending'
					AND b.tenant_id = x.tenant_id AND b.endpoint_id = x.endpoint_id AND b.holder_id = x.holder_id
					AND b.stream = x.stream AND b.event_no < x.event_no AND b.next_attempt_at <= now()
					ORDER BY b.event_no LIMIT 1) IS NULL
			ORDER BY x.next_attempt_at LIMIT p_each) d
		WHERE e.endpoint_id <> ALL (p_busy)
		-- Endpoints that work go before those that fail: these may hang, one transfer after the other.
		ORDER BY failing, d.next_attempt_at LIMIT p_limit)
	SELECT due.tenant_id, due.id, due.endpoint_id, due.claimed_by, due.failing FROM due
	ORDER BY due.tenant_id, due.id;
END $$;
COMMENT ON FUNCTION lookup_deliveries_1(integer, boolean, uuid[], uuid[], integer, integer) IS
	'What this instance may attempt now: its own and nobody''s, with p_orphans also what instances left whose lock is free. Not p_flying, not of the endpoints p_busy, of each endpoint p_each, of a person''s stream only the first that is due.';
ALTER FUNCTION lookup_deliveries_1(integer, boolean, uuid[], uuid[], integer, integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_deliveries_1(integer, boolean, uuid[], uuid[], integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_deliveries_1(integer, boolean, uuid[], uuid[], integer, integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;

CREATE FUNCTION event_data_1(p_full boolean, e events) RETURNS json LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_more json;
	v_data json;
BEGIN
	IF p_full THEN
		IF e.type LIKE 'emergency_call.%' THEN
			SELECT json_build_object('dial_string', c.dial_string, 'service_urn', c.service_urn,
				'caller_id', json_build_object('number', c.caller_number, 'source', c.caller_source, 'number_type', c.number_type),
				'location', c.decision->'location', 'presented_number', c.presented_number) INTO v_more
			FROM emergency_calls c WHERE c.tenant_id = e.tenant_id AND c.id = e.emergency_call_id;
		ELSIF e.type LIKE 'lease.%' THEN
			SELECT json_build_object('number', l.number) INTO v_more
			FROM leases l WHERE l.tenant_id = e.tenant_id AND l.id = e.lease_id;
		ELSIF e.type LIKE 'callback.%' THEN
			SELECT json_build_object('called_number', r.called_number, 'caller_number', left(r.caller_number, 256),
				'targets', r.decision->'targets') INTO v_more
			FROM callback_resolutions r WHERE r.tenant_id = e.tenant_id AND r.id = e.callback_id;
		END IF;
	END IF;
	IF v_more IS NULL THEN RETURN e.data; END IF;
	SELECT json_object_agg(m.key, m.value ORDER BY m.part, m.n) INTO v_data FROM (
		SELECT 1 AS part, a.* FROM json_each(e.data) WITH ORDINALITY a(key, value, n)
		UNION ALL SELECT 2, a.* FROM json_each(v_more) WITH ORDINALITY a(key, value, n)) m;
	-- A webhook is to stay below 20 kB.
	RETURN CASE WHEN octet_length(v_data::text) > 19000 THEN e.data ELSE v_data END;
END $$;
COMMENT ON FUNCTION event_data_1(boolean, events) IS
	'The data of a webhook. p_full adds number, dial string and location, read where they are kept: once they are forgotten there, they are in no webhook either.';

CREATE FUNCTION payload_1(w webhook_endpoints, e events) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_data json := event_data_1(w.detail = 'full', e);
BEGIN
	IF w.payload_format = 'cloudevents' THEN
		RETURN json_build_object('specversion', '1.0', 'id', e.id, 'source', '/v1/tenants/' || e.tenant_id, 'type', e.type,
			'time', rfc3339(e.occurred_at), 'datacontenttype', 'application/json', 'data', v_data)::text;
	END IF;
	RETURN json_build_object('id', e.id, 'type', e.type, 'timestamp', rfc3339(e.occurred_at), 'data', v_data)::text;
END $$;
COMMENT ON FUNCTION payload_1(webhook_endpoints, events) IS
	'The body of a webhook, the same in every attempt: as Standard Webhooks 1.0.0 or as a structured CloudEvent 1.0.';

CREATE FUNCTION close_delivery_1(d webhook_deliveries, p_state text, p_error text) RETURNS void LANGUAGE sql VOLATILE AS $$
	UPDATE webhook_deliveries SET state = p_state, claimed_by = NULL, finished_at = clock_timestamp(),
		last_error = coalesce(p_error, last_error)
	WHERE tenant_id = d.tenant_id AND id IN (SELECT x.id FROM webhook_deliveries x WHERE x.tenant_id = d.tenant_id
		AND x.id = d.id AND x.state = 'pending' FOR NO KEY UPDATE SKIP LOCKED)
$$;
COMMENT ON FUNCTION close_delivery_1(webhook_deliveries, text, text) IS
	'Ends a delivery that is not to be attempted (again).';

CREATE FUNCTION earlier_delivery_1(d webhook_deliveries) RETURNS webhook_deliveries LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
	b webhook_deliveries;
BEGIN
	SELECT x.* INTO b FROM webhook_deliveries x WHERE x.tenant_id = d.tenant_id AND x.endpoint_id = d.endpoint_id
		AND x.holder_id = d.holder_id AND x.stream = d.stream AND x.state = 'pending' AND x.event_no < d.event_no
	ORDER BY x.event_no LIMIT 1;
	RETURN b;
END $$;
CREATE FUNCTION later_delivery_1(d webhook_deliveries) RETURNS webhook_deliveries LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
DECLARE
	n webhook_deliveries;
BEGIN
	SELECT x.* INTO n FROM webhook_deliveries x WHERE x.tenant_id = d.tenant_id AND x.endpoint_id = d.endpoint_id
		AND x.holder_id = d.holder_id AND x.stream = d.stream AND x.state = 'pending' AND x.event_no > d.event_no
	ORDER BY x.event_no LIMIT 1;
	RETURN n;
END $$;
COMMENT ON FUNCTION earlier_delivery_1(webhook_deliveries) IS
	'The first of the deliveries that go before this one: same endpoint, person and stream.';
COMMENT ON FUNCTION later_delivery_1(webhook_deliveries) IS 'The one that goes after this one.';

CREATE FUNCTION put_off_1(p_tenant uuid, p_endpoint uuid, p_now timestamptz) RETURNS void LANGUAGE sql VOLATILE
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
	UPDATE webhook_deliveries d SET next_attempt_at = greatest(b.next_attempt_at, p_now + interval '1 s')
	FROM (SELECT x.* FROM webhook_deliveries x
		WHERE x.tenant_id = p_tenant AND x.endpoint_id = p_endpoint AND x.state = 'pending' AND x.stream <> 'presence'
			AND x.attempts = 0 AND x.next_attempt_at <= p_now
		ORDER BY x.next_attempt_at LIMIT 200 FOR NO KEY UPDATE SKIP LOCKED) y
	CROSS JOIN LATERAL (SELECT e.next_attempt_at FROM webhook_deliveries e
		WHERE e.tenant_id = p_tenant AND e.endpoint_id = p_endpoint AND e.holder_id = y.holder_id
			AND e.stream = y.stream AND e.state = 'pending' AND e.event_no < y.event_no
		ORDER BY e.event_no LIMIT 1) b
	WHERE d.tenant_id = p_tenant AND d.id = y.id AND b.next_attempt_at > p_now
$$;
COMMENT ON FUNCTION put_off_1(uuid, uuid, timestamptz) IS
	'Deliveries behind one that waits for its retry wait with it, so that nobody looks at them meanwhile; not longer, whatever becomes of that.';

CREATE FUNCTION claim_delivery_1(p_tenant uuid, p_id uuid, p_instance integer, p_seen integer,
	OUT outcome text, OUT url text, OUT secret_sealed text, OUT payload_format text, OUT event_id uuid,
	OUT payload text, OUT request_id text, OUT traceparent text, OUT sent_epoch bigint, OUT presence boolean, OUT failures integer)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	d webhook_deliveries;
	b webhook_deliveries;
	w webhook_endpoints;
	e events;
BEGIN
	outcome := 'gone';
	IF p_seen = p_instance THEN
		-- Nobody else touches what a living instance has claimed: no lock, so nothing is written.
		SELECT x.* INTO d FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id
			AND x.state = 'pending' AND x.claimed_by = p_instance AND x.next_attempt_at <= v_now;
	ELSE
		SELECT x.* INTO d FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id
			AND x.state = 'pending' AND x.claimed_by IS NOT DISTINCT FROM p_seen AND x.next_attempt_at <= v_now
			FOR NO KEY UPDATE SKIP LOCKED;
	END IF;
	IF NOT FOUND THEN RETURN; END IF;

	-- Presence is a state: what failed while a newer one waits is not retried.
	IF d.stream = 'presence' AND d.attempts > 0 AND (later_delivery_1(d)).id IS NOT NULL THEN
		PERFORM close_delivery_1(d, 'superseded', NULL);
		outcome := 'closed';
		RETURN;
	END IF;
	b := earlier_delivery_1(d);
	WHILE b.id IS NOT NULL AND b.stream = 'presence' AND b.attempts > 0 AND b.claimed_by IS NULL LOOP
		PERFORM close_delivery_1(b, 'superseded', NULL);
		IF (earlier_delivery_1(d)).id = b.id THEN EXIT; END IF;
		b := earlier_delivery_1(d);
	END LOOP;
	IF b.id IS NOT NULL THEN
		IF b.next_attempt_at > v_now AND d.stream <> 'presence' THEN
			PERFORM put_off_1(p_tenant, d.endpoint_id, v_now);
			outcome := 'blocked';
		END IF;
		RETURN;
	END IF;

	SELECT x.* INTO w FROM webhook_endpoints x WHERE x.tenant_id = p_tenant AND x.id = d.endpoint_id AND x.enabled;
	SELECT x.* INTO e FROM events x WHERE x.tenant_id = p_tenant AND x.id = d.event_id;
	IF w.id IS NULL OR e.id IS NULL THEN
		PERFORM close_delivery_1(d, 'failed', CASE WHEN w.id IS NULL THEN 'the endpoint is disabled or deleted'
			ELSE 'the event is forgotten' END);
		outcome := 'closed';
		RETURN;
	END IF;
	IF d.claimed_by IS DISTINCT FROM p_instance THEN
		UPDATE webhook_deliveries x SET claimed_by = p_instance WHERE x.tenant_id = p_tenant AND x.id = p_id;
	END IF;
	outcome := 'send';
	url := w.url;
	secret_sealed := encode(w.secret_sealed, 'hex');
	payload_format := w.payload_format;
	event_id := e.id;
	request_id := e.request_id;
	traceparent := e.traceparent;
	sent_epoch := extract(epoch FROM v_now)::bigint; -- our clock may be wrong, and receivers compare
	presence := d.stream = 'presence';
	failures := d.attempts;
	BEGIN
		payload := payload_1(w, e);
	EXCEPTION WHEN OTHERS THEN
		payload := NULL; -- one that cannot be made must not hold up the others of the batch
	END;
END $$;
COMMENT ON FUNCTION claim_delivery_1(uuid, uuid, integer, integer) IS
	'Before an attempt: send (claimed, with all that it takes), blocked (an earlier one of the person waits for its retry: put off), closed (it is not to be sent any more) or gone (another has it). p_seen: the claim that the look-up saw. Never waits for a lock.';

CREATE FUNCTION disable_endpoint_1(p_tenant uuid, p_endpoint uuid, p_reason text, p_instance integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
BEGIN
	UPDATE webhook_endpoints SET enabled = false, disabled_reason = p_reason, version = version + 1, updated_at = v_now
	WHERE tenant_id = p_tenant AND id = p_endpoint AND enabled;
	IF NOT FOUND THEN RETURN; END IF;
	UPDATE webhook_deliveries SET state = 'failed', claimed_by = NULL, finished_at = v_now,
		last_error = 'the endpoint is disabled or deleted'
	WHERE tenant_id = p_tenant AND id IN (SELECT x.id FROM webhook_deliveries x WHERE x.tenant_id = p_tenant
		AND x.endpoint_id = p_endpoint AND x.state = 'pending' ORDER BY x.id FOR NO KEY UPDATE SKIP LOCKED);
	PERFORM emit_1(p_tenant, NULL, v_now, p_instance, NULL, json_build_array(json_build_object(
		'type', 'webhook_endpoint.disabled', 'data', json_build_object('webhook_endpoint_id', p_endpoint,
		'reason', p_reason, 'occurred_at', rfc3339(v_now)))));
END $$;
COMMENT ON FUNCTION disable_endpoint_1(uuid, uuid, text, integer) IS
	'Stops sending, under the lock of the endpoint: its deliveries have failed, the other endpoints are told.';

CREATE FUNCTION endpoint_failed_1(d webhook_deliveries, p_status integer, p_instance integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	w webhook_endpoints;
BEGIN
	-- Who finds it locked leaves it to the next failure: a batch waits for nobody.
	SELECT x.* INTO w FROM webhook_endpoints x WHERE x.tenant_id = d.tenant_id AND x.id = d.endpoint_id
		AND x.enabled AND (p_status = 410 OR x.failing_since IS NULL OR x.failing_since < now() - interval '5 days')
		FOR NO KEY UPDATE SKIP LOCKED;
	IF NOT FOUND THEN RETURN; END IF;
	IF p_status = 410 THEN
		PERFORM disable_endpoint_1(d.tenant_id, d.endpoint_id, 'it answered 410 Gone', p_instance);
	ELSIF w.failing_since IS NULL THEN
		UPDATE webhook_endpoints SET failing_since = clock_timestamp()
		WHERE tenant_id = d.tenant_id AND id = d.endpoint_id;
	ELSE
		PERFORM disable_endpoint_1(d.tenant_id, d.endpoint_id, 'it has failed for 5 days', p_instance);
	END IF;
END $$;

CREATE FUNCTION finish_delivery_1(p_tenant uuid, p_id uuid, p_instance integer, p_status integer, p_error text,
	p_retry_seconds integer) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_state text;
	d webhook_deliveries;
	n webhook_deliveries;
BEGIN
	-- A success counts whoever has claimed it since; a failure only while the claim is ours, so that it
	-- is counted once however often this is asked.
	SELECT x.* INTO d FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id AND x.state = 'pending'
		AND (x.claimed_by = p_instance OR p_status BETWEEN 200 AND 299) FOR NO KEY UPDATE;
	IF NOT FOUND THEN RETURN NULL; END IF;
	n := later_delivery_1(d);
	v_state := CASE WHEN p_status BETWEEN 200 AND 299 THEN 'delivered'
		WHEN p_status = 410 OR p_retry_seconds IS NULL THEN 'failed'
		WHEN d.stream = 'presence' AND n.id IS NOT NULL THEN 'superseded'
		ELSE 'pending' END;
	UPDATE webhook_deliveries SET state = v_state, attempts = attempts + 1,
		claimed_by = CASE WHEN v_state <> 'pending' THEN p_instance END,
		last_status = nullif(p_status, 0), last_error = p_error,
		next_attempt_at = CASE v_state WHEN 'pending' THEN v_now + make_interval(secs => p_retry_seconds) ELSE next_attempt_at END,
		finished_at = CASE WHEN v_state <> 'pending' THEN v_now END
	WHERE tenant_id = p_tenant AND id = p_id;
	IF v_state = 'delivered' THEN
		UPDATE webhook_endpoints SET failing_since = NULL WHERE tenant_id = p_tenant AND id IN (
			SELECT x.id FROM webhook_endpoints x WHERE x.tenant_id = p_tenant AND x.id = d.endpoint_id
				AND x.failing_since IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED);
	ELSE
		PERFORM endpoint_failed_1(d, p_status, p_instance);
	END IF;
	-- Failing is a state of what waits: with nothing left to send, it begins anew.
	IF v_state IN ('failed', 'superseded') AND NOT EXISTS (SELECT FROM webhook_deliveries x
			WHERE x.tenant_id = p_tenant AND x.endpoint_id = d.endpoint_id AND x.state = 'pending') THEN
		UPDATE webhook_endpoints SET failing_since = NULL WHERE tenant_id = p_tenant AND id IN (
			SELECT x.id FROM webhook_endpoints x WHERE x.tenant_id = p_tenant AND x.id = d.endpoint_id
				AND x.failing_since IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED);
	END IF;
	-- What was put off behind it goes now.
	IF v_state <> 'pending' AND n.attempts = 0 AND n.next_attempt_at > v_now THEN
		UPDATE webhook_deliveries SET next_attempt_at = v_now WHERE tenant_id = p_tenant AND id IN (
			SELECT x.id FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = n.id
				AND x.state = 'pending' FOR NO KEY UPDATE SKIP LOCKED);
	END IF;
	RETURN v_state;
END $$;
COMMENT ON FUNCTION finish_delivery_1(uuid, uuid, integer, integer, text, integer) IS
	'After an attempt (p_status 0: no answer): delivered, pending (again after p_retry_seconds; null: the schedule is used up), superseded or failed; null: it was no longer ours. May be asked again when its answer was lost.';
