-- Notifications of emergency calls (47 CFR 9.16): who is told was decided with the call; what they are
-- told is owed in its transaction, and made when it is sent. An outbox of its own beside that of the
-- webhook endpoints: another release that runs beside this one knows nothing of it.

CREATE TABLE notification_deliveries (
	tenant_id uuid NOT NULL,
	id uuid NOT NULL,
	recipient_id uuid NOT NULL,
	channel text NOT NULL,
	event_id uuid NOT NULL,
	emergency_call_id uuid NOT NULL,
	state text NOT NULL DEFAULT 'pending',
	attempts integer NOT NULL DEFAULT 0,
	next_attempt_at timestamptz NOT NULL,
	claimed_by integer,
	last_status integer,
	last_error text,
	finished_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	PRIMARY KEY (tenant_id, id)
) WITH (fillfactor = 80);
COMMENT ON TABLE notification_deliveries IS
	'One per call and recipient whom we tell ourselves, by email or webhook: phones are rung by the calling platform. Ids only: number, place and person are read from the call when it is sent.';
COMMENT ON COLUMN notification_deliveries.channel IS 'The recipient''s when the call was placed.';
COMMENT ON COLUMN notification_deliveries.claimed_by IS 'As in webhook_deliveries.';
COMMENT ON COLUMN notification_deliveries.last_status IS 'Of HTTP or SMTP; null: no answer.';
-- One recipient after the other, as webhook_deliveries_queue.
CREATE INDEX notification_deliveries_queue ON notification_deliveries (recipient_id, next_attempt_at) WHERE state = 'pending';
ALTER TABLE notification_deliveries ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON notification_deliveries TO switchback_app USING (tenant_id = (SELECT current_tenant()));
GRANT SELECT, INSERT, UPDATE, DELETE ON notification_deliveries TO switchback_app;
GRANT SELECT (tenant_id, id, recipient_id, channel, state, attempts, next_attempt_at, claimed_by)
	ON notification_deliveries TO switchback_lookup;
CREATE POLICY lookup ON notification_deliveries FOR SELECT TO switchback_lookup USING (true);

COMMENT ON COLUMN emergency_calls.decision IS
	'{route, location, restrictions, notifications, recipients}: as decided when the call was placed. recipients: [{id, channel}] of those notifications that we send ourselves.';

CREATE OR REPLACE FUNCTION emit_1(p_tenant uuid, p_holder uuid, p_at timestamptz, p_instance integer, p_trace json, p_events json)
RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_event uuid;
	v_call uuid;
BEGIN
	WITH e AS (
		INSERT INTO events (tenant_id, id, type, holder_id, event_no, emergency_call_id, lease_id, callback_id,
			data, request_id, traceparent, occurred_at)
		SELECT p_tenant, uuid7(), x->>'type', coalesce((x->>'holder')::uuid, p_holder), nextval('event_numbers'),
			(x->>'call')::uuid, (x->>'lease')::uuid, (x->>'callback')::uuid, x->'data',
			p_trace->>'request_id', p_trace->>'traceparent', p_at
		FROM json_array_elements(p_events) x
		RETURNING id, type, holder_id, event_no, emergency_call_id),
	hooks AS (
		INSERT INTO webhook_deliveries (tenant_id, id, endpoint_id, event_id, holder_id, stream, event_no, next_attempt_at, claimed_by)
		SELECT p_tenant, uuid7(), w.id, e.id, e.holder_id,
			CASE WHEN e.type LIKE 'presence.%' THEN 'presence' ELSE 'other' END, e.event_no, p_at, p_instance
		FROM e JOIN webhook_endpoints w ON w.tenant_id = p_tenant AND w.enabled
			AND (w.event_types = '{}' OR e.type = ANY (w.event_types)))
	SELECT e.id, e.emergency_call_id INTO v_event, v_call FROM e WHERE e.type = 'emergency_call.placed' LIMIT 1;
	IF v_event IS NOT NULL THEN
		INSERT INTO notification_deliveries (tenant_id, id, recipient_id, channel, event_id, emergency_call_id,
			next_attempt_at, claimed_by)
		SELECT p_tenant, uuid7(), (r->>'id')::uuid, r->>'channel', v_event, v_call, p_at, p_instance
		FROM emergency_calls c CROSS JOIN LATERAL json_array_elements(c.decision->'recipients') r
		WHERE c.tenant_id = p_tenant AND c.id = v_call;
	END IF;
END $$;
COMMENT ON FUNCTION emit_1(uuid, uuid, timestamptz, integer, json, json) IS
	'p_events: [{type, data, holder?, call?, lease?, callback?}] in their order; holder where it is not p_holder. With emergency_call.placed, whose row must be there, go the notifications of the call.';

CREATE FUNCTION lookup_notifications_1(p_instance integer, p_orphans boolean, p_flying uuid[], p_busy uuid[],
	p_each integer, p_limit integer, p_mails integer)
RETURNS TABLE (tenant_id uuid, id uuid, recipient_id uuid, claimed_by integer, failing boolean, channel text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp
SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off AS $$
BEGIN
	RETURN QUERY
	WITH RECURSIVE r (recipient_id) AS (
		(SELECT d.recipient_id FROM notification_deliveries d WHERE d.state = 'pending' ORDER BY d.recipient_id LIMIT 1)
		UNION ALL
		SELECT n.recipient_id FROM r CROSS JOIN LATERAL (
			SELECT d.recipient_id FROM notification_deliveries d
			WHERE d.state = 'pending' AND d.recipient_id > r.recipient_id ORDER BY d.recipient_id LIMIT 1) n),
	due AS (
		SELECT d.*, d.attempts > 0 AS failing,
			row_number() OVER (PARTITION BY d.channel ORDER BY d.attempts > 0, d.next_attempt_at) AS place
		FROM r CROSS JOIN LATERAL (
			SELECT x.tenant_id, x.id, x.recipient_id, x.claimed_by, x.attempts, x.channel, x.next_attempt_at
			FROM notification_deliveries x
			WHERE x.state = 'pending' AND x.recipient_id = r.recipient_id AND x.next_attempt_at <= now()
				AND x.id <> ALL (p_flying)
				AND (x.claimed_by = p_instance OR x.claimed_by IS NULL
					OR p_orphans AND x.claimed_by::bigint & 4294967295 NOT IN (
						SELECT l.objid::bigint FROM pg_locks l WHERE l.locktype = 'advisory' AND l.classid = 22868
							AND l.objsubid = 2 AND l.granted AND l.database = (
								SELECT b.oid FROM pg_database b WHERE b.datname = current_database())))
			ORDER BY x.next_attempt_at LIMIT p_each) d
		WHERE r.recipient_id <> ALL (p_busy)),
	chosen AS (
		SELECT due.* FROM due WHERE due.channel <> 'email' OR due.place <= p_mails
		-- What was never tried goes before what failed: that may hang.
		ORDER BY due.failing, due.next_attempt_at LIMIT p_limit)
	SELECT c.tenant_id, c.id, c.recipient_id, c.claimed_by, c.failing, c.channel FROM chosen c
	ORDER BY c.tenant_id, c.id;
END $$;
COMMENT ON FUNCTION lookup_notifications_1(integer, boolean, uuid[], uuid[], integer, integer, integer) IS
	'As lookup_deliveries_1, of notifications: they have no order. p_mails: how many emails at most, as all go to one server.';
ALTER FUNCTION lookup_notifications_1(integer, boolean, uuid[], uuid[], integer, integer, integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_notifications_1(integer, boolean, uuid[], uuid[], integer, integer, integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_notifications_1(integer, boolean, uuid[], uuid[], integer, integer, integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;

CREATE FUNCTION plain_1(p_text text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT nullif(btrim(regexp_replace(p_text, '[\u0001-\u0020\u007f-\u00a0\u2028\u2029]+', ' ', 'g')), '')
$$;
COMMENT ON FUNCTION plain_1(text) IS 'On one line: what a caller wrote must not look like a line of ours. Null: nothing.';

CREATE FUNCTION address_line_1(a json) RETURNS text LANGUAGE sql IMMUTABLE AS $$
	SELECT nullif(concat_ws(', ', plain_1(a->>'name'),
		CASE WHEN a->>'region' IN ('US', 'PR', 'VI', 'GU', 'AS', 'MP', 'CA', 'GB', 'IE', 'AU', 'NZ', 'FR')
			THEN nullif(concat_ws(' ', plain_1(a->>'house_number'), plain_1(a->>'street')), '')
			ELSE nullif(concat_ws(' ', plain_1(a->>'street'), plain_1(a->>'house_number')), '') END,
		'floor ' || plain_1(a->>'floor'), 'room ' || plain_1(a->>'room'), plain_1(a->>'city'),
		nullif(concat_ws(' ', plain_1(a->>'admin_area'), plain_1(a->>'postal_code')), ''), plain_1(a->>'region'),
		CASE WHEN a->>'latitude' IS NOT NULL AND a->>'longitude' IS NOT NULL THEN
			concat('latitude ', a->>'latitude', ', longitude ', a->>'longitude', ' (within ' || (a->>'uncertainty_m') || ' m)') END), '')
$$;
COMMENT ON FUNCTION address_line_1(json) IS 'An address for people to read, on one line; null: nothing is known.';

CREATE FUNCTION notification_facts_1(c emergency_calls) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN json_build_object(
		'display_name', (SELECT u.display_name FROM users u WHERE u.tenant_id = c.tenant_id AND u.id = c.user_id),
		'callback_number', coalesce(c.presented_number, c.caller_number),
		'site_name', (SELECT s.name FROM sites s WHERE s.tenant_id = c.tenant_id AND s.id = c.site_id));
END $$;
COMMENT ON FUNCTION notification_facts_1(emergency_calls) IS 'What a notification has beyond the webhook of the call with full detail.';

CREATE FUNCTION notification_body_1(c emergency_calls, e events) RETURNS text LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_data json;
BEGIN
	SELECT json_object_agg(m.key, m.value ORDER BY m.part, m.n) INTO v_data FROM (
		SELECT 1 AS part, a.key, CASE a.key WHEN 'test' THEN to_json(c.test) ELSE a.value END AS value, a.n
		FROM json_each(event_data_1(true, e)) WITH ORDINALITY a(key, value, n)
		UNION ALL SELECT 2, b.* FROM json_each(notification_facts_1(c)) WITH ORDINALITY b(key, value, n)) m;
	RETURN json_build_object('id', e.id, 'type', e.type, 'timestamp', rfc3339(e.occurred_at), 'data', v_data)::text;
END $$;
COMMENT ON FUNCTION notification_body_1(emergency_calls, events) IS
	'The body for a recipient of channel webhook: as Standard Webhooks 1.0.0 has it, with all that 47 CFR 9.16 asks for.';

CREATE FUNCTION notification_mail_1(c emergency_calls, e events, OUT subject text, OUT body text) LANGUAGE plpgsql STABLE AS $$
DECLARE
	f json := notification_facts_1(c);
	l json := c.decision->'location';
	v_site text := plain_1(f->>'site_name');
	v_external_id text := plain_1(e.data->>'external_id');
	v_name text := plain_1(f->>'display_name');
BEGIN
	subject := CASE WHEN c.test THEN 'Test call: ' ELSE 'Emergency call: ' END || plain_1(c.dial_string) || coalesce(' at ' || v_site, '');
	body := concat_ws(E'\n',
		CASE WHEN c.test THEN 'This is a TEST: a test number was dialled, no emergency.' ELSE 'An emergency number was dialled.' END,
		'',
		'Dialled:             ' || concat(plain_1(c.dial_string),
			CASE WHEN c.dialed_as <> c.dial_string THEN ' (as ' || plain_1(c.dialed_as) || ')' END),
		'Who:                 ' || CASE WHEN c.user_id IS NULL THEN 'guest ' || coalesce(plain_1(c.guest), 'unknown')
			ELSE concat(coalesce(v_name, 'user ' || c.user_id), ' (' || v_external_id || ')') END,
		'Callback number:     ' || coalesce(plain_1(f->>'callback_number'), 'none could be presented'),
		'Location for PSAP:   ' || coalesce(address_line_1(l->'address'), 'none is known'),
		'Caller''s location:   ' || address_line_1(l->'caller_address'),
		'Site:                ' || v_site,
		'Time:                ' || to_char(c.placed_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"'),
		'Call:                ' || c.id,
		'');
END $$;
COMMENT ON FUNCTION notification_mail_1(emergency_calls, events) IS
	'The subject and the text of an email, with all that 47 CFR 9.16 asks for. The subject names no person and no number but the one dialled.';

CREATE FUNCTION claim_notification_1(p_tenant uuid, p_id uuid, p_instance integer, p_seen integer,
	OUT outcome text, OUT url text, OUT secret_sealed text, OUT payload_format text, OUT event_id uuid,
	OUT payload text, OUT request_id text, OUT traceparent text, OUT sent_epoch bigint, OUT presence boolean, OUT failures integer,
	OUT subject text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	d notification_deliveries;
	n notification_recipients;
	c emergency_calls;
	e events;
BEGIN
	outcome := 'gone';
	IF p_seen = p_instance THEN
		-- As in claim_delivery_1: nobody else touches what a living instance has claimed.
		SELECT x.* INTO d FROM notification_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id
			AND x.state = 'pending' AND x.claimed_by = p_instance AND x.next_attempt_at <= v_now;
	ELSE
		SELECT x.* INTO d FROM notification_deliveries x WHERE x.tenant_id = p_tenant AND x.id = p_id
			AND x.state = 'pending' AND x.claimed_by IS NOT DISTINCT FROM p_seen AND x.next_attempt_at <= v_now
			FOR NO KEY UPDATE SKIP LOCKED;
	END IF;
	IF NOT FOUND THEN RETURN; END IF;
	SELECT x.* INTO n FROM notification_recipients x WHERE x.tenant_id = p_tenant AND x.id = d.recipient_id;
	SELECT x.* INTO c FROM emergency_calls x WHERE x.tenant_id = p_tenant AND x.id = d.emergency_call_id;
	SELECT x.* INTO e FROM events x WHERE x.tenant_id = p_tenant AND x.id = d.event_id;
	IF n.id IS NULL OR n.channel <> d.channel OR c.id IS NULL OR e.id IS NULL OR c.decision->'location' IS NULL THEN
		UPDATE notification_deliveries x SET state = 'failed', claimed_by = NULL, finished_at = v_now,
			last_error = CASE WHEN n.id IS NULL THEN 'the recipient is deleted'
				WHEN n.channel <> d.channel THEN 'the recipient has another channel by now'
				ELSE 'the data of the call is forgotten' END
		WHERE x.tenant_id = p_tenant AND x.id = p_id;
		outcome := 'closed';
		RETURN;
	END IF;
	IF d.claimed_by IS DISTINCT FROM p_instance THEN
		UPDATE notification_deliveries x SET claimed_by = p_instance WHERE x.tenant_id = p_tenant AND x.id = p_id;
	END IF;
	outcome := 'send';
	url := n.address;
	payload_format := 'standard';
	event_id := e.id;
	request_id := e.request_id;
	traceparent := e.traceparent;
	-- An email is the same in every attempt, its date too.
	sent_epoch := floor(extract(epoch FROM CASE d.channel WHEN 'email' THEN e.occurred_at ELSE v_now END));
	presence := true; -- retried as often as a presence: it matters now
	failures := d.attempts;
	BEGIN
		IF d.channel = 'email' THEN SELECT m.subject, m.body INTO subject, payload FROM notification_mail_1(c, e) m;
		ELSE payload := notification_body_1(c, e);
		END IF;
	EXCEPTION WHEN OTHERS THEN
		payload := NULL; -- one that cannot be made must not hold up the others of the batch
	END;
END $$;
COMMENT ON FUNCTION claim_notification_1(uuid, uuid, integer, integer) IS
	'As claim_delivery_1, with the same columns; url is the recipient''s address as it is now, payload the body of a webhook or the text of an email. Nothing is ever blocked.';

CREATE FUNCTION finish_notification_1(p_tenant uuid, p_id uuid, p_instance integer, p_status integer, p_error text,
	p_retry_seconds integer) RETURNS text
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_now timestamptz := clock_timestamp();
	v_state text := CASE WHEN p_status BETWEEN 200 AND 299 THEN 'delivered' WHEN p_retry_seconds IS NULL THEN 'failed' ELSE 'pending' END;
BEGIN
	-- As in finish_delivery_1: a success counts whoever has claimed it since.
	UPDATE notification_deliveries x SET state = v_state, attempts = attempts + 1,
		claimed_by = CASE WHEN v_state <> 'pending' THEN p_instance END,
		last_status = nullif(p_status, 0), last_error = p_error,
		next_attempt_at = CASE v_state WHEN 'pending' THEN v_now + make_interval(secs => p_retry_seconds) ELSE next_attempt_at END,
		finished_at = CASE WHEN v_state <> 'pending' THEN v_now END
	WHERE x.tenant_id = p_tenant AND x.id = p_id AND x.state = 'pending'
		AND (x.claimed_by = p_instance OR p_status BETWEEN 200 AND 299);
	RETURN CASE WHEN FOUND THEN v_state END;
END $$;
COMMENT ON FUNCTION finish_notification_1(uuid, uuid, integer, integer, text, integer) IS
	'As finish_delivery_1: delivered, pending, failed; null: it was no longer ours.';
