-- What a call of each user would be decided on, for many users in one statement: what several of them
-- share (tenant, sites, policies) is told once.

-- Guests are few, calls are many.
CREATE INDEX ON emergency_calls (tenant_id, placed_at) WHERE guest IS NOT NULL;
-- How many users of a site live on its pools.
CREATE INDEX ON users (tenant_id, site_id) WHERE number_id IS NULL AND active;

CREATE FUNCTION readiness_address_1(a addresses) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN a.id IS NOT NULL THEN json_build_object('address_id', a.id, 'region', a.region,
		'admin_area', a.admin_area, 'city', a.city, 'postal_code', a.postal_code, 'street', a.street,
		'house_number', a.house_number, 'floor', a.floor, 'room', a.room, 'name', a.name, 'latitude', a.latitude,
		'longitude', a.longitude, 'uncertainty_m', a.uncertainty_m, 'method', NULL, 'detected_at', NULL,
		'stale', coalesce(a.validated_at < now() - interval '12 months', true)) END
$$;
COMMENT ON FUNCTION readiness_address_1(addresses) IS
	'address_json_1, and stale: nobody validated it within the last 12 months.';

CREATE FUNCTION readiness_role_1(p_tenant uuid, p_role json) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('number', p_role->'number', 'number_type', p_role->'number_type',
		'destination', p_role->'destination', 'staffed_24x7', p_role->'staffed_24x7',
		'dedicated_to_safety', p_role->'dedicated_to_safety', 'licensed', p_role->'licensed', 'region', n.region,
		'address', readiness_address_1(a))
	FROM (SELECT) one
	LEFT JOIN phone_numbers n ON n.tenant_id = p_tenant AND n.number = p_role->>'number'
	LEFT JOIN addresses a ON a.tenant_id = p_tenant AND a.id = n.address_id
	WHERE p_role IS NOT NULL
$$;
COMMENT ON FUNCTION readiness_role_1(uuid, json) IS
	'An answering point of a site, with region and address of record of its number.';

CREATE FUNCTION readiness_policy_1(p policies) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object('id', p.id, 'name', p.name, 'preset', p.preset, 'fields',
		CASE WHEN (p.fields->>'psap_disabled_until')::timestamptz <= now()
		THEN (p.fields::jsonb || '{"psap_enabled": null, "psap_disabled_until": null}')::json ELSE p.fields END)
$$;
COMMENT ON FUNCTION readiness_policy_1(policies) IS
	'The policy as calls go by it: PSAP routing that was switched off until now is on again.';

CREATE FUNCTION readiness_rules_1(p_tenant uuid, p_site uuid) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT coalesce(json_agg(json_build_object('id', d.id, 'site_level', d.site_id IS NOT NULL, 'name', d.name,
		'pattern', d.pattern, 'kind', d.kind, 'translation', d.translation, 'route', d.route,
		'max_hold_seconds', d.max_hold_seconds, 'sip_group', d.sip_group, 'notify', d.notify) ORDER BY d.id), '[]')
	FROM dial_rules d WHERE d.tenant_id = p_tenant AND d.site_id IS NOT DISTINCT FROM p_site
$$;
CREATE FUNCTION readiness_carrier_routes_1(p_tenant uuid, p_site uuid) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT coalesce(json_agg(json_build_object('id', r.id, 'site_level', r.site_id IS NOT NULL, 'pattern', r.pattern,
		'trunk', r.trunk, 'confirmed', r.emergency_confirmed_at IS NOT NULL) ORDER BY r.id), '[]')
	FROM carrier_routes r WHERE r.tenant_id = p_tenant AND r.site_id IS NOT DISTINCT FROM p_site
$$;
COMMENT ON FUNCTION readiness_rules_1(uuid, uuid) IS 'The dial rules of one level: of the site, or of no site (null).';
COMMENT ON FUNCTION readiness_carrier_routes_1(uuid, uuid) IS
	'The carrier routes of one level: of the site, or of no site (null).';

CREATE FUNCTION readiness_tenant_1(p_tenant uuid) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT json_build_object(
		'tenant', json_build_object('id', t.id, 'config_version', t.config_version, 'region', t.region,
			'language', t.language, 'policy_order', t.policy_order, 'safety_team', t.safety_team, 'fallback', t.fallback),
		'carriers', (SELECT coalesce(json_agg(k.type), '[]') FROM (VALUES ('native'), ('operator_connect')) k(type)
			WHERE EXISTS (SELECT FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.number_type = k.type)),
		'rules', readiness_rules_1(p_tenant, NULL),
		'carrier_routes', readiness_carrier_routes_1(p_tenant, NULL),
		'presence_webhook', (SELECT count(DISTINCT e.type) = 2 FROM webhook_endpoints w
			CROSS JOIN (VALUES ('presence.do_not_disturb'), ('presence.restored')) e(type)
			WHERE w.tenant_id = p_tenant AND w.enabled
				AND (cardinality(w.event_types) = 0 OR e.type = ANY(w.event_types))),
		'guests', (SELECT count(DISTINCT c.guest) FROM emergency_calls c
			WHERE c.tenant_id = p_tenant AND c.guest IS NOT NULL AND c.placed_at > now() - interval '30 days'
				AND c.decision->'restrictions'->>'history' IS DISTINCT FROM 'false'
				AND NOT EXISTS (SELECT FROM users u WHERE u.tenant_id = p_tenant
					AND (u.id = ref_id(c.guest) OR u.external_id = coalesce(ref_external(c.guest), c.guest)))))
	FROM tenants t WHERE t.id = p_tenant
$$;
COMMENT ON FUNCTION readiness_tenant_1(uuid) IS
	'What every user''s context has of the tenant, and two facts beside it: whether changes of presence are told to anybody; how many references that still name no user placed calls as guests within 30 days (calls kept out of history are not counted).';

CREATE FUNCTION readiness_contexts_1(p_tenant uuid, p_user uuid, p_site text, p_after uuid, p_limit integer)
RETURNS TABLE (part text, id uuid, site_id uuid, policy_id uuid, external_id text, document json)
LANGUAGE plpgsql STABLE AS $$
DECLARE
	v_site uuid;
	v_users uuid[];
	v_sites uuid[];
	v_policies uuid[];
BEGIN
	-- One query each, so that each can go by its own index.
	IF p_user IS NOT NULL THEN
		v_users := ARRAY[p_user];
	ELSIF p_site IS NOT NULL THEN
		SELECT s.id INTO v_site FROM sites s WHERE s.tenant_id = p_tenant
			AND (s.id = ref_id(p_site) OR s.external_id = ref_external(p_site));
		v_users := ARRAY(SELECT u.id FROM users u WHERE u.tenant_id = p_tenant AND u.site_id = v_site
			AND u.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000') ORDER BY u.id LIMIT p_limit);
	ELSE
		v_users := ARRAY(SELECT u.id FROM users u WHERE u.tenant_id = p_tenant
			AND u.id > coalesce(p_after, '00000000-0000-0000-0000-000000000000') ORDER BY u.id LIMIT p_limit);
	END IF;
	v_sites := ARRAY(SELECT DISTINCT u.site_id FROM users u WHERE u.tenant_id = p_tenant AND u.id = ANY(v_users));
	v_policies := ARRAY(
		SELECT u.policy_id FROM users u WHERE u.tenant_id = p_tenant AND u.id = ANY(v_users)
		UNION SELECT s.policy_id FROM sites s WHERE s.tenant_id = p_tenant AND s.id = ANY(v_sites)
		UNION SELECT t.policy_id FROM tenants t WHERE t.id = p_tenant);

	RETURN QUERY SELECT 'tenant', t.id, NULL::uuid, t.policy_id, NULL, readiness_tenant_1(p_tenant)
	FROM tenants t WHERE t.id = p_tenant;

	RETURN QUERY SELECT 'policy', p.id, NULL::uuid, NULL::uuid, NULL, readiness_policy_1(p)
	FROM policies p WHERE p.tenant_id = p_tenant AND p.id = ANY(v_policies) ORDER BY p.id;

	RETURN QUERY SELECT 'site', s.id, NULL::uuid, s.policy_id, NULL, json_build_object(
		'site', json_build_object('id', s.id, 'region', s.region, 'named', false,
			'safety_team', s.safety_team, 'fallback', s.fallback,
			'resource_account', readiness_role_1(p_tenant, s.resource_account),
			'receptionist', readiness_role_1(p_tenant, s.receptionist),
			'call_queue', readiness_role_1(p_tenant, s.call_queue),
			'address', readiness_address_1(a),
			'pools', (SELECT coalesce(json_agg(json_build_object('id', p.id, 'number_type', p.number_type,
				'region', p.region, 'low_water', p.low_water, 'numbers', (SELECT count(*) FROM pool_numbers n
				WHERE n.tenant_id = p_tenant AND n.pool_id = p.id AND n.leasable)) ORDER BY p.id), '[]')
				FROM pools p WHERE p.tenant_id = p_tenant AND p.site_id = s.id)),
		'rules', readiness_rules_1(p_tenant, s.id),
		'carrier_routes', readiness_carrier_routes_1(p_tenant, s.id),
		'extension_only_users', (SELECT count(*) FROM users x
			WHERE x.tenant_id = p_tenant AND x.site_id = s.id AND x.number_id IS NULL AND x.active))
	FROM sites s JOIN addresses a ON a.tenant_id = p_tenant AND a.id = s.address_id
	WHERE s.tenant_id = p_tenant AND s.id = ANY(v_sites) ORDER BY s.id;

	RETURN QUERY SELECT 'user', u.id, u.site_id, u.policy_id, u.external_id, json_build_object(
		'user', json_build_object('id', u.id, 'version', u.version, 'external_id', u.external_id,
			'display_name', u.display_name, 'active', u.active, 'remote', u.remote,
			'outbound_enabled', u.outbound_enabled, 'endpoints', u.endpoints,
			'number', CASE WHEN n.id IS NOT NULL THEN json_build_object('id', n.id, 'number', n.number,
				'number_type', n.number_type, 'region', n.region, 'address', readiness_address_1(r)) END,
			'address', CASE WHEN l.address IS NOT NULL THEN (location_address_1(l)::jsonb || jsonb_build_object('stale',
				coalesce((l.address->>'validated_at')::timestamptz < now() - interval '12 months', true)))::json
				ELSE readiness_address_1(a) END,
			'location_expires_at', rfc3339(l.expires_at)),
		'provisioning', u.provisioning,
		'endpoint', (SELECT e FROM json_array_elements(u.endpoints) WITH ORDINALITY x(e, at)
			WHERE e->>'expires_at' IS NULL OR (e->>'expires_at')::timestamptz > now() ORDER BY at LIMIT 1))
	FROM users u
	LEFT JOIN user_locations l ON l.tenant_id = p_tenant AND l.user_id = u.id
		AND (l.expires_at IS NULL OR l.expires_at > now())
	LEFT JOIN addresses a ON a.tenant_id = p_tenant
		AND a.id = CASE WHEN l.user_id IS NULL THEN u.address_id ELSE l.address_id END
	LEFT JOIN phone_numbers n ON n.tenant_id = p_tenant AND n.id = u.number_id
	LEFT JOIN addresses r ON r.tenant_id = p_tenant AND r.id = n.address_id
	WHERE u.tenant_id = p_tenant AND u.id = ANY(v_users) ORDER BY u.id;
END $$;
COMMENT ON FUNCTION readiness_contexts_1(uuid, uuid, text, uuid, integer) IS
	'The contexts that calls of these users would be decided on, in parts: the tenant, the policies, the sites, the users, each by id. One user (p_user), or a page of those of a site (p_site, a reference) or of all, after p_after. The user''s address is where it is now, else its own; endpoint is the first that has not expired.';
