-- Webhook deliveries: found across tenants by switchback_lookup (ids only), claimed and finished
-- under the tenant's wall.

ALTER TABLE webhook_deliveries ADD COLUMN in_flight boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN webhook_deliveries.in_flight IS
	'An attempt is under way: next_attempt_at is when it is given up, unless its instance is gone before.';

GRANT SELECT ON webhook_deliveries TO switchback_lookup;
CREATE POLICY lookup ON webhook_deliveries FOR SELECT TO switchback_lookup USING (true);

CREATE FUNCTION instance_lives_1(p_instance integer) RETURNS boolean LANGUAGE sql STABLE AS $$
	SELECT EXISTS (SELECT FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 22868
		AND l.objid = p_instance::oid AND l.objsubid = 2 AND l.granted
		AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))
$$;
COMMENT ON FUNCTION instance_lives_1(integer) IS 'Its delivery connection holds the advisory lock (22868, instance).';

CREATE INDEX webhook_deliveries_in_flight ON webhook_deliveries (tenant_id, endpoint_id) WHERE in_flight;
GRANT SELECT ON webhook_endpoints TO switchback_lookup;
CREATE POLICY lookup ON webhook_endpoints FOR SELECT TO switchback_lookup USING (true);

CREATE FUNCTION lookup_deliveries_1(p_instance integer, p_all boolean, p_limit integer)
RETURNS TABLE (tenant_id uuid, id uuid, endpoint_id uuid)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
DECLARE
	v_live integer[] := ARRAY[p_instance];
	v_since timestamptz := now() - interval '5 s';
BEGIN
	IF p_all THEN
		v_live := ARRAY(SELECT l.objid::bigint::integer FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 22868
			AND l.objsubid = 2 AND l.granted AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()));
		v_since := '-infinity';
	END IF;
	RETURN QUERY
	WITH first AS (
		SELECT d.tenant_id, d.id, d.endpoint_id, d.next_attempt_at, d.event_no,
			row_number() OVER (PARTITION BY d.tenant_id, d.endpoint_id ORDER BY d.next_attempt_at, d.event_no) AS n
		FROM webhook_deliveries d
		WHERE d.state = 'pending' AND d.next_attempt_at <= now() AND d.next_attempt_at > v_since
			AND (d.claimed_by = p_instance OR p_all AND (d.claimed_by IS NULL OR d.claimed_by <> ALL (v_live)))
			AND NOT EXISTS (SELECT FROM webhook_deliveries e WHERE e.tenant_id = d.tenant_id
				AND e.endpoint_id = d.endpoint_id AND e.holder_id = d.holder_id AND e.stream = d.stream
				AND e.state = 'pending' AND e.event_no < d.event_no
				AND (e.stream <> 'presence' OR e.in_flight OR e.attempts = 0))
		UNION ALL
		SELECT d.tenant_id, d.id, d.endpoint_id, d.next_attempt_at, d.event_no, 0
		FROM webhook_deliveries d
		WHERE p_all AND d.in_flight AND d.claimed_by <> ALL (v_live) AND d.next_attempt_at > now())
	SELECT f.tenant_id, f.id, f.endpoint_id
	FROM first f LEFT JOIN webhook_endpoints w ON w.tenant_id = f.tenant_id AND w.id = f.endpoint_id
	WHERE f.n <= CASE WHEN w.failing_since IS NULL THEN 16 ELSE 4 END - (SELECT count(*) FROM webhook_deliveries g
		WHERE g.tenant_id = f.tenant_id AND g.endpoint_id = f.endpoint_id AND g.in_flight AND g.claimed_by = p_instance)
	ORDER BY f.next_attempt_at, f.event_no LIMIT p_limit;
END $$;
COMMENT ON FUNCTION lookup_deliveries_1(integer, boolean, integer) IS
	'What this instance may attempt now: what it has just committed; with p_all everything that is due, also of nobody and of instances that are gone. Of one person and stream at one endpoint only the oldest (an older presence event that failed does not count: presence is a state); of one endpoint 16 at a time, of one that fails 4.';
ALTER FUNCTION lookup_deliveries_1(integer, boolean, integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_deliveries_1(integer, boolean, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_deliveries_1(integer, boolean, integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;

CREATE FUNCTION event_data_1(e events, p_full boolean) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN NOT p_full THEN e.data
	WHEN e.type LIKE 'emergency_call.%' THEN (e.data::jsonb || (SELECT jsonb_build_object('dial_string', c.dial_string,
		'service_urn', c.service_urn, 'caller_id', jsonb_build_object('number', c.caller_number,
		'source', c.caller_source, 'number_type', c.number_type), 'location', c.decision->'location',
		'presented_number', c.presented_number)
		FROM emergency_calls c WHERE c.tenant_id = e.tenant_id AND c.id = e.emergency_call_id))::json
	WHEN e.type LIKE 'lease.%' THEN (e.data::jsonb || (SELECT jsonb_build_object('number', l.number)
		FROM leases l WHERE l.tenant_id = e.tenant_id AND l.id = e.lease_id))::json
	WHEN e.type LIKE 'callback.%' THEN (e.data::jsonb || (SELECT jsonb_build_object('called_number', r.called_number,
		'caller_number', left(r.caller_number, 256), 'targets', r.decision->'targets')
		FROM callback_resolutions r WHERE r.tenant_id = e.tenant_id AND r.id = e.callback_id))::json
	ELSE e.data END
$$;
COMMENT ON FUNCTION event_data_1(events, boolean) IS
	'data of a payload; p_full adds location, number, dial string and address, read where they are kept.';

CREATE FUNCTION payload_1(e events, w webhook_endpoints) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE w.payload_format WHEN 'cloudevents' THEN json_build_object('specversion', '1.0', 'id', e.id,
		'source', '/v1/tenants/' || e.tenant_id, 'type', e.type, 'time', rfc3339(e.occurred_at),
		'datacontenttype', 'application/json', 'data', event_data_1(e, w.detail = 'full'))
	ELSE json_build_object('id', e.id, 'type', e.type, 'timestamp', rfc3339(e.occurred_at),
		'data', event_data_1(e, w.detail = 'full')) END
$$;

CREATE FUNCTION claim_delivery_1(p_tenant uuid, p_id uuid, p_instance integer)
RETURNS TABLE (endpoint_id uuid, url text, secret_sealed text, payload_format text, event_id uuid, payload text,
	request_id text, traceparent text, presence boolean, attempts integer)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	d webhook_deliveries;
	w webhook_endpoints;
	e events;
BEGIN
	SELECT x.* INTO d FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id AND x.state = 'pending'
		AND (x.claimed_by = p_instance AND x.next_attempt_at <= now() OR x.claimed_by IS NULL
			OR x.claimed_by <> p_instance AND NOT instance_lives_1(x.claimed_by)) FOR NO KEY UPDATE SKIP LOCKED;
	IF NOT FOUND THEN RETURN; END IF;
	SELECT x.* INTO w FROM webhook_endpoints x WHERE x.tenant_id = p_tenant AND x.id = d.endpoint_id AND x.enabled;
	IF NOT FOUND THEN
		UPDATE webhook_deliveries x SET state = 'failed', in_flight = false, finished_at = now(),
			last_error = 'the endpoint is deleted or disabled'
		WHERE x.tenant_id = p_tenant AND x.id = p_id;
		RETURN;
	END IF;
	SELECT x.* INTO e FROM events x WHERE x.tenant_id = p_tenant AND x.id = d.event_id;
	IF d.stream = 'presence' THEN
		UPDATE webhook_deliveries x SET state = 'superseded', finished_at = now()
		WHERE x.tenant_id = p_tenant AND x.id IN (SELECT o.id FROM webhook_deliveries o WHERE o.tenant_id = p_tenant
			AND o.endpoint_id = d.endpoint_id AND o.holder_id = d.holder_id AND o.stream = 'presence'
			AND o.state = 'pending' AND o.event_no < d.event_no AND NOT o.in_flight FOR NO KEY UPDATE SKIP LOCKED);
	END IF;
	UPDATE webhook_deliveries x SET claimed_by = p_instance, in_flight = true, attempts = x.attempts + 1,
		next_attempt_at = now() + interval '30 s'
	WHERE x.tenant_id = p_tenant AND x.id = p_id RETURNING * INTO d;
	RETURN QUERY SELECT w.id, w.url, encode(w.secret_sealed, 'hex'), w.payload_format, e.id, payload_1(e, w)::text,
		e.request_id, e.traceparent, d.stream = 'presence', d.attempts;
END $$;
COMMENT ON FUNCTION claim_delivery_1(uuid, uuid, integer) IS
	'Begins one attempt; no row: another has it, or its endpoint is gone (then it has failed).';

CREATE FUNCTION disable_endpoint_1(p_tenant uuid, p_endpoint uuid, p_reason text, p_instance integer) RETURNS void
LANGUAGE plpgsql VOLATILE AS $$
BEGIN
	UPDATE webhook_endpoints SET enabled = false, disabled_reason = p_reason, version = version + 1, updated_at = now()
	WHERE tenant_id = p_tenant AND id = p_endpoint AND enabled;
	IF FOUND THEN
		PERFORM emit_1(p_tenant, NULL, clock_timestamp(), p_instance, NULL, json_build_array(json_build_object(
			'type', 'webhook_endpoint.disabled', 'data', json_build_object('webhook_endpoint_id', p_endpoint,
			'reason', p_reason, 'occurred_at', rfc3339(clock_timestamp())))));
	END IF;
END $$;

CREATE FUNCTION finish_delivery_1(p_tenant uuid, p_id uuid, p_instance integer, p_status integer, p_error text,
	p_retry_seconds integer) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	d webhook_deliveries;
	v_failing timestamptz;
BEGIN
	SELECT x.* INTO d FROM webhook_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id AND x.state = 'pending'
		AND x.claimed_by = p_instance FOR NO KEY UPDATE;
	IF NOT FOUND THEN RETURN 'lost'; END IF;
	IF p_status BETWEEN 200 AND 299 THEN
		d.state := 'delivered';
		UPDATE webhook_endpoints SET failing_since = NULL
		WHERE tenant_id = p_tenant AND id = d.endpoint_id AND failing_since IS NOT NULL;
	ELSE
		UPDATE webhook_endpoints SET failing_since = now()
		WHERE tenant_id = p_tenant AND id = d.endpoint_id AND failing_since IS NULL;
		SELECT failing_since INTO v_failing FROM webhook_endpoints WHERE tenant_id = p_tenant AND id = d.endpoint_id;
		IF p_status = 410 THEN
			PERFORM disable_endpoint_1(p_tenant, d.endpoint_id, 'it answered 410 Gone', p_instance);
			d.state := 'failed';
		ELSIF v_failing < now() - interval '5 days' THEN
			PERFORM disable_endpoint_1(p_tenant, d.endpoint_id, 'it has failed for 5 days', p_instance);
			d.state := 'failed';
		ELSIF d.stream = 'presence' AND EXISTS (SELECT FROM webhook_deliveries x WHERE x.tenant_id = p_tenant
				AND x.endpoint_id = d.endpoint_id AND x.holder_id = d.holder_id AND x.stream = 'presence'
				AND x.state = 'pending' AND x.event_no > d.event_no) THEN
			d.state := 'superseded';
		ELSIF p_retry_seconds IS NULL THEN
			d.state := 'failed';
		END IF;
	END IF;
	UPDATE webhook_deliveries x SET state = d.state, in_flight = false, last_status = p_status, last_error = p_error,
		finished_at = CASE WHEN d.state <> 'pending' THEN now() END,
		next_attempt_at = CASE WHEN d.state = 'pending' THEN now() + make_interval(secs => p_retry_seconds)
			ELSE x.next_attempt_at END
	WHERE x.tenant_id = p_tenant AND x.id = p_id;
	-- Failing is a state of what is waiting: with nothing left to send, it begins anew.
	IF d.state IN ('failed', 'superseded') AND NOT EXISTS (SELECT FROM webhook_deliveries x WHERE x.tenant_id = p_tenant
			AND x.endpoint_id = d.endpoint_id AND x.state = 'pending') THEN
		UPDATE webhook_endpoints SET failing_since = NULL
		WHERE tenant_id = p_tenant AND id = d.endpoint_id AND failing_since IS NOT NULL;
	END IF;
	RETURN d.state;
END $$;
COMMENT ON FUNCTION finish_delivery_1(uuid, uuid, integer, integer, text, integer) IS
	'Records an attempt: delivered, pending (again after p_retry_seconds; null: the schedule is used up), superseded (a newer presence event of the person waits: presence is a state), failed, or lost (another instance has taken it over).';
