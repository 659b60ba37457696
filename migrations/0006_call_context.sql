-- What a decision needs to know, in one statement and one document.

CREATE FUNCTION address_json_1(a addresses) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN a.id IS NOT NULL THEN json_build_object('address_id', a.id, 'region', a.region,
		'admin_area', a.admin_area, 'city', a.city, 'postal_code', a.postal_code, 'street', a.street,
		'house_number', a.house_number, 'floor', a.floor, 'room', a.room, 'name', a.name, 'latitude', a.latitude,
		'longitude', a.longitude, 'uncertainty_m', a.uncertainty_m, 'method', NULL, 'detected_at', NULL) END
$$;
COMMENT ON FUNCTION address_json_1(addresses) IS 'The address of a call''s location; method and detected_at belong to a caller''s.';

CREATE FUNCTION call_context_1(p_tenant uuid, p_user text, p_site text, p_address text, p_extension text)
RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
	RETURN (WITH u AS (
		SELECT * FROM users WHERE tenant_id = p_tenant
			AND (id = ref_id(p_user) OR external_id = ref_external(p_user))),
	named AS (
		SELECT * FROM sites WHERE tenant_id = p_tenant
			AND (id = ref_id(p_site) OR external_id = ref_external(p_site))),
	s AS (
		SELECT * FROM named
		UNION ALL
		SELECT sites.* FROM sites JOIN u ON sites.tenant_id = p_tenant AND sites.id = u.site_id
		WHERE NOT EXISTS (SELECT FROM named))
	SELECT json_build_object(
		'tenant', json_build_object('id', t.id, 'config_version', t.config_version, 'region', t.region,
			'language', t.language, 'safety_team', t.safety_team, 'fallback', t.fallback),
		'user', (SELECT json_build_object('id', u.id, 'version', u.version, 'external_id', u.external_id,
			'active', u.active, 'remote', u.remote, 'outbound_enabled', u.outbound_enabled,
			'endpoints', u.endpoints, 'number', (SELECT json_build_object('id', n.id, 'number', n.number,
				'number_type', n.number_type, 'region', n.region,
				'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = n.address_id))
				FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.id = u.number_id),
			'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = u.address_id)) FROM u),
		'site', (SELECT json_build_object('id', s.id, 'region', s.region,
			'named', EXISTS (SELECT FROM named),
			'safety_team', s.safety_team, 'fallback', s.fallback, 'resource_account', s.resource_account,
			'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant AND a.id = s.address_id),
			'pools', (SELECT coalesce(json_agg(json_build_object('id', p.id, 'number_type', p.number_type, 'region', p.region,
				'numbers', (SELECT count(*) FROM pool_numbers n WHERE n.tenant_id = p_tenant AND n.pool_id = p.id AND n.leasable))
				ORDER BY p.id), '[]') FROM pools p WHERE p.tenant_id = p_tenant AND p.site_id = s.id)) FROM s LIMIT 1),
		'address', (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = p_tenant
			AND (a.id = ref_id(p_address) OR a.external_id = ref_external(p_address))),
		'extension', EXISTS (SELECT FROM users x WHERE x.tenant_id = p_tenant AND x.extension = p_extension),
		'carriers', (SELECT coalesce(json_agg(k.type), '[]') FROM (VALUES ('native'), ('operator_connect')) k(type)
			WHERE EXISTS (SELECT FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.number_type = k.type)))
	FROM tenants t WHERE t.id = p_tenant);
END $$;
COMMENT ON FUNCTION call_context_1(uuid, text, text, text, text) IS
	'The context of a call: tenant with config_version, user with version (null: a guest), site of the request else of the user, the address that the request names, whether the dialled digits are an extension.';
