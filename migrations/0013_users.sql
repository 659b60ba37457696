-- Writing users: the same rules for one and for thousands; and where a user is now, as calls see it.

CREATE FUNCTION endpoints_json_1(p_endpoints json) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT coalesce(json_agg(json_build_object('type', e->'type', 'address', e->'address', 'cellular', e->'cellular',
		'expires_at', rfc3339((e->>'expires_at')::timestamptz)) ORDER BY at), '[]')
	FROM json_array_elements(p_endpoints) WITH ORDINALITY AS x(e, at)
$$;
COMMENT ON FUNCTION endpoints_json_1(json) IS 'As they are stored: times leave as UTC with Z, however they came.';

CREATE FUNCTION extension_lock_1(p_tenant uuid) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT hashtextextended(p_tenant::text, 6) $$;
COMMENT ON FUNCTION extension_lock_1(uuid) IS
	'Advisory lock: shared by whoever gives a user an extension, exclusive for who writes a dial rule.';

ALTER TABLE users ADD COLUMN revision bigint NOT NULL DEFAULT 1;
COMMENT ON COLUMN users.revision IS 'The ETag: rises when what GET answers changes.';
COMMENT ON COLUMN users.version IS
	'place_call compares it at commit, so that a changed user is never served from a stale cache; rises with revision, and with the location, which is no part of the user.';

CREATE FUNCTION check_user_1(p_tenant uuid, p_id uuid, p_external_id text, p_site text, p_extension text, p_number text,
	p_address text, p_policy text, OUT site_id uuid, OUT number_id uuid, OUT address_id uuid, OUT policy_id uuid,
	OUT code text, OUT pointer text, OUT detail text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_before users;
	v_usage text;
	v_rule text;
BEGIN
	SELECT s.id INTO site_id FROM sites s WHERE s.tenant_id = p_tenant
		AND (s.id = ref_id(p_site) OR s.external_id = ref_external(p_site));
	SELECT n.id INTO number_id FROM phone_numbers n WHERE n.tenant_id = p_tenant
		AND (n.id = ref_id(p_number) OR n.number = p_number);
	SELECT a.id INTO address_id FROM addresses a WHERE a.tenant_id = p_tenant
		AND (a.id = ref_id(p_address) OR a.external_id = ref_external(p_address));
	SELECT o.id INTO policy_id FROM policies o WHERE o.tenant_id = p_tenant
		AND (o.id = ref_id(p_policy) OR o.external_id = ref_external(p_policy));
	SELECT 'unknown_reference', '/' || x.member, 'names no ' || x.noun || ' of this tenant' INTO code, pointer, detail
	FROM (VALUES ('site_id', 'site', p_site, site_id), ('number_id', 'phone number', p_number, number_id),
		('address_id', 'address', p_address, address_id), ('policy_id', 'policy', p_policy, policy_id))
		x(member, noun, given, found)
	WHERE x.given IS NOT NULL AND x.found IS NULL LIMIT 1;
	IF code IS NOT NULL THEN RETURN; END IF;

	SELECT * INTO v_before FROM users u WHERE u.tenant_id = p_tenant AND u.id = p_id;
	IF v_before.number_id IS DISTINCT FROM number_id THEN
		-- Neither its usage nor its user may change before this is committed.
		PERFORM FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.id IN (v_before.number_id, number_id)
			ORDER BY n.id FOR NO KEY UPDATE;
		SELECT n.usage INTO v_usage FROM phone_numbers n WHERE n.tenant_id = p_tenant AND n.id = number_id;
		IF v_usage <> 'user' THEN
			code := 'number_usage'; pointer := '/number_id';
			detail := 'is registered with usage ' || v_usage || ', and must have usage user';
			RETURN;
		END IF;
	END IF;
	IF v_before.extension IS DISTINCT FROM p_extension AND p_extension IS NOT NULL THEN
		-- Who writes a dial rule has it exclusively: neither may miss what the other is about to commit.
		PERFORM pg_advisory_xact_lock_shared(extension_lock_1(p_tenant));
		SELECT d.name INTO v_rule FROM dial_rules d WHERE d.tenant_id = p_tenant AND d.kind <> 'override'
			AND length(d.pattern) = length(p_extension) AND d.pattern ~ '^[0-9*#x]+$'
			AND p_extension ~ ('^' || replace(replace(d.pattern, '*', '\*'), 'x', '[0-9]') || '$')
			ORDER BY d.id LIMIT 1;
		IF FOUND THEN
			code := 'pattern_conflict'; pointer := '/extension';
			detail := 'is taken by the pattern of the dial rule "' || v_rule || '"';
			RETURN;
		END IF;
	END IF;
	IF EXISTS (SELECT FROM users u WHERE u.tenant_id = p_tenant AND u.external_id = p_external_id AND u.id <> p_id) THEN
		code := 'already_exists'; pointer := '/external_id'; detail := 'is taken';
	ELSIF EXISTS (SELECT FROM users u WHERE u.tenant_id = p_tenant AND u.extension = p_extension AND u.id <> p_id) THEN
		code := 'already_exists'; pointer := '/extension'; detail := 'is another user''s';
	ELSIF EXISTS (SELECT FROM users u WHERE u.tenant_id = p_tenant AND u.number_id = check_user_1.number_id
			AND u.id <> p_id) THEN
		code := 'number_in_use'; pointer := '/number_id'; detail := 'is another user''s';
	END IF;
END $$;
COMMENT ON FUNCTION check_user_1(uuid, uuid, text, text, text, text, text, text) IS
	'May the user, new or old, be stored like this? References become ids; code, pointer and detail tell the first rule that is broken (null: none). Writes nothing.';

CREATE FUNCTION store_user_1(p_tenant uuid, p_id uuid, p_external_id text, p_display_name text, p_site uuid, p_kind text,
	p_extension text, p_number uuid, p_address uuid, p_policy uuid, p_active boolean, p_remote boolean,
	p_outbound_enabled boolean, p_provisioning json, p_endpoints json) RETURNS SETOF users
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_before users;
	v_after users;
BEGIN
	SELECT * INTO v_before FROM users u WHERE u.tenant_id = p_tenant AND u.id = p_id;
	INSERT INTO users AS u (tenant_id, id, external_id, display_name, site_id, kind, extension, number_id, address_id,
		policy_id, active, remote, outbound_enabled, provisioning, endpoints)
	VALUES (p_tenant, p_id, p_external_id, p_display_name, p_site, p_kind, p_extension, p_number, p_address, p_policy,
		p_active, p_remote, p_outbound_enabled, p_provisioning, endpoints_json_1(p_endpoints))
	ON CONFLICT (tenant_id, id) DO UPDATE SET external_id = excluded.external_id, display_name = excluded.display_name,
		site_id = excluded.site_id, kind = excluded.kind, extension = excluded.extension, number_id = excluded.number_id,
		address_id = excluded.address_id, policy_id = excluded.policy_id, active = excluded.active,
		remote = excluded.remote, outbound_enabled = excluded.outbound_enabled, provisioning = excluded.provisioning,
		endpoints = excluded.endpoints, version = u.version + 1, revision = u.revision + 1, updated_at = now()
	RETURNING * INTO v_after;
	IF v_before.id IS NULL THEN
		-- What calls lock and change is there before the first of them.
		INSERT INTO user_states (tenant_id, holder_id) VALUES (p_tenant, p_id);
	END IF;
	-- user_id is a member of a number.
	UPDATE phone_numbers n SET version = n.version + 1, updated_at = now()
	WHERE n.tenant_id = p_tenant AND n.id IN (v_before.number_id, v_after.number_id)
		AND v_before.number_id IS DISTINCT FROM v_after.number_id;
	RETURN NEXT v_after;
END $$;
COMMENT ON FUNCTION store_user_1(uuid, uuid, text, text, uuid, text, text, uuid, uuid, uuid, boolean, boolean, boolean, json, json) IS
	'Creates the user, or replaces what there is under this id.';

CREATE FUNCTION change_user_1(p_tenant uuid, p_id uuid, p_external_id text, p_display_name text, p_site uuid, p_kind text,
	p_extension text, p_number uuid, p_address uuid, p_policy uuid, p_active boolean, p_remote boolean,
	p_outbound_enabled boolean, p_provisioning json, p_endpoints json) RETURNS SETOF users
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_renamed boolean := EXISTS (SELECT FROM users u WHERE u.tenant_id = p_tenant AND u.id = p_id
		AND (u.external_id, u.extension) IS DISTINCT FROM (p_external_id, p_extension));
BEGIN
	RETURN QUERY SELECT * FROM store_user_1(p_tenant, p_id, p_external_id, p_display_name, p_site, p_kind, p_extension,
		p_number, p_address, p_policy, p_active, p_remote, p_outbound_enabled, p_provisioning, p_endpoints);
	-- Other people's decisions know these two: whom a reference names, what is an extension.
	UPDATE tenants SET config_version = config_version + 1 WHERE id = p_tenant AND v_renamed;
END $$;
COMMENT ON FUNCTION change_user_1(uuid, uuid, text, text, uuid, text, text, uuid, uuid, uuid, boolean, boolean, boolean, json, json) IS
	'Replaces the user, and raises the tenant''s config_version where others may know it by what has changed.';

CREATE FUNCTION delete_user_1(p_tenant uuid, p_id uuid) RETURNS void LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_user users;
BEGIN
	DELETE FROM users u WHERE u.tenant_id = p_tenant AND u.id = p_id RETURNING * INTO v_user;
	DELETE FROM user_states s WHERE s.tenant_id = p_tenant AND s.holder_id = p_id;
	UPDATE phone_numbers n SET version = n.version + 1, updated_at = now()
	WHERE n.tenant_id = p_tenant AND n.id = v_user.number_id;
END $$;
COMMENT ON FUNCTION delete_user_1(uuid, uuid) IS 'The user, its state and its location; whoever calls it holds the lock of the state.';

CREATE FUNCTION import_users_1(p_tenant uuid, p_key uuid, p_users json)
RETURNS TABLE (status text, id uuid, code text, pointer text, detail text)
LANGUAGE plpgsql VOLATILE AS $$
DECLARE
	v_new users;  -- as the element says it
	v_old users;
	v_named jsonb;
	v_checked record;
	v_raise boolean := false; -- once, in the last statement: the tenant's row is what calls may have to wait for
	v_element json;
	v json;
BEGIN
	-- Two imports of the same users meet here, in one order.
	PERFORM FROM users u WHERE u.tenant_id = p_tenant
		AND u.external_id = ANY(ARRAY(SELECT e->'user'->>'external_id' FROM json_array_elements(p_users) e))
		ORDER BY u.id FOR NO KEY UPDATE;
	FOR v_element IN SELECT e FROM json_array_elements(p_users) e LOOP
		v := v_element->'user';
		v_named := v_element->'named';
		v_old := NULL;
		SELECT * INTO v_old FROM users u WHERE u.tenant_id = p_tenant
			AND u.external_id = v->>'external_id';
		id := coalesce(v_old.id, uuid7());
		SELECT * INTO v_checked FROM check_user_1(p_tenant, id, v->>'external_id', v->>'site_id',
			CASE WHEN v_old.id IS NULL OR v_named ? 'extension' THEN v->>'extension' ELSE v_old.extension END,
			CASE WHEN v_old.id IS NULL OR v_named ? 'number_id' THEN v->>'number_id' ELSE v_old.number_id::text END,
			CASE WHEN v_old.id IS NULL OR v_named ? 'address_id' THEN v->>'address_id' ELSE v_old.address_id::text END,
			CASE WHEN v_old.id IS NULL OR v_named ? 'policy_id' THEN v->>'policy_id' ELSE v_old.policy_id::text END);
		code := v_checked.code;
		pointer := v_checked.pointer;
		detail := v_checked.detail;
		IF code IS NOT NULL THEN
			status := 'error';
			id := NULL;
			RETURN NEXT;
			CONTINUE;
		END IF;
		status := CASE WHEN v_old.id IS NULL THEN 'created' ELSE 'updated' END;
		v_new := v_old;
		v_new.external_id := v->>'external_id';
		v_new.display_name := v->>'display_name';
		v_new.site_id := v_checked.site_id;
		v_new.number_id := v_checked.number_id;
		v_new.address_id := v_checked.address_id;
		v_new.policy_id := v_checked.policy_id;
		IF status = 'created' OR v_named ? 'kind' THEN v_new.kind := v->>'kind'; END IF;
		IF status = 'created' OR v_named ? 'extension' THEN v_new.extension := v->>'extension'; END IF;
		IF status = 'created' OR v_named ? 'active' THEN v_new.active := v->>'active'; END IF;
		IF status = 'created' OR v_named ? 'remote' THEN v_new.remote := v->>'remote'; END IF;
		IF status = 'created' OR v_named ? 'outbound_enabled' THEN v_new.outbound_enabled := v->>'outbound_enabled'; END IF;
		IF status = 'created' OR v_named ? 'provisioning' THEN v_new.provisioning := v->>'provisioning'; END IF;
		IF status = 'created' OR v_named ? 'endpoints' THEN v_new.endpoints := endpoints_json_1((v->>'endpoints')::json); END IF;
		-- A record with json in it cannot be compared.
		IF status = 'created' OR to_jsonb(v_new) <> to_jsonb(v_old) THEN
			PERFORM store_user_1(p_tenant, import_users_1.id, v_new.external_id, v_new.display_name, v_new.site_id, v_new.kind,
				v_new.extension, v_new.number_id, v_new.address_id, v_new.policy_id, v_new.active, v_new.remote,
				v_new.outbound_enabled, v_new.provisioning, v_new.endpoints);
			INSERT INTO audit_entries (tenant_id, id, key_id, action, resource_type, resource_id)
			VALUES (p_tenant, uuid7_ordered(), p_key, status, 'user', import_users_1.id);
			v_raise := v_raise OR status = 'created'
				OR (v_old.external_id, v_old.extension) IS DISTINCT FROM (v_new.external_id, v_new.extension);
		END IF;
		RETURN NEXT;
	END LOOP;
	IF v_raise THEN
		UPDATE tenants t SET config_version = t.config_version + 1 WHERE t.id = p_tenant;
	END IF;
END $$;
COMMENT ON FUNCTION import_users_1(uuid, uuid, json) IS
	'A slice of users/batch, in its order: [{user: {member: text, ...}, named: [member, ...]}], every member with its default; of a user that is there (by external_id) only those named are replaced. One that breaks a rule is told and left out. p_key: null for the operator.';

-- Where the user is now stands before the user's address, until it expires.
CREATE FUNCTION location_address_1(l user_locations) RETURNS json LANGUAGE sql STABLE AS $$
	SELECT CASE WHEN l.address_id IS NOT NULL
		THEN (SELECT address_json_1(a) FROM addresses a WHERE a.tenant_id = l.tenant_id AND a.id = l.address_id)
		ELSE json_build_object('address_id', NULL, 'region', l.address->'region', 'admin_area', l.address->'admin_area',
			'city', l.address->'city', 'postal_code', l.address->'postal_code', 'street', l.address->'street',
			'house_number', l.address->'house_number', 'floor', l.address->'floor', 'room', l.address->'room',
			'name', l.address->'name', 'latitude', l.address->'latitude', 'longitude', l.address->'longitude',
			'uncertainty_m', l.address->'uncertainty_m', 'method', NULL, 'detected_at', NULL) END
$$;

CREATE FUNCTION placing_lock_1(p_tenant uuid) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT hashtextextended(p_tenant::text, 5) $$;
COMMENT ON FUNCTION placing_lock_1(uuid) IS
	'Advisory lock: shared by whoever places a call, exclusive for who deletes a tenant or a site. Who has the latter sees every call that was placed, and none is being placed.';

-- Whoever deletes a user asks for the leases that may still call back.
CREATE INDEX ON leases (tenant_id, holder_id) WHERE state = 'superseded';

-- Where people were until a time that is over, for the sweeper.
CREATE INDEX ON user_locations (expires_at) WHERE expires_at IS NOT NULL;
GRANT SELECT ON user_locations TO switchback_lookup;
CREATE POLICY lookup ON user_locations FOR SELECT TO switchback_lookup USING (true);
CREATE FUNCTION lookup_left_locations_1(p_limit integer) RETURNS TABLE (tenant_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = switchback, pg_temp AS $$
	SELECT DISTINCT o.tenant_id FROM (SELECT l.tenant_id FROM user_locations l
		WHERE l.expires_at <= now() ORDER BY l.expires_at LIMIT p_limit) o
$$;
COMMENT ON FUNCTION lookup_left_locations_1(integer) IS 'Tenants whose users have locations that have expired.';
ALTER FUNCTION lookup_left_locations_1(integer) OWNER TO switchback_lookup;
SET LOCAL ROLE switchback_lookup;
REVOKE ALL ON FUNCTION lookup_left_locations_1(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION lookup_left_locations_1(integer) TO switchback_app;
SET LOCAL ROLE switchback_owner;
