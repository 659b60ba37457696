/*
 * Which URLs outbound.c may call, as libcurl itself reads them: another parser would see another host.
 */
#include <string.h>

#include <curl/curl.h>

#include "outbound.h"
#include "outbound_guard.h"

static bool has_part(CURLU *url, CURLUPart part)
{
	char *text = NULL;
	bool has = curl_url_get(url, part, &text, 0) == CURLUE_OK;

	curl_free(text);
	return has;
}

static const char *check_host(const struct config *config, CURLU *url)
{
	const char *rule = NULL;
	char *host = NULL;
	bool literal, allowed;

	if (curl_url_get(url, CURLUPART_HOST, &host, 0) != CURLUE_OK || *host == '\0') {
		rule = "must name a host";
	} else {
		allowed = outbound_text_allowed(config, host, &literal);
		if (literal && !allowed)
			rule = "must not name an address that is not globally reachable";
		else if (has_part(url, CURLUPART_ZONEID))
			rule = "must not have a zone in its address";
	}
	curl_free(host);
	return rule;
}

static const char *check_parts(const struct config *config, CURLU *url)
{
	char *scheme = NULL;
	bool https, http;

	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK)
		return "must be an absolute URL";
	https = strcmp(scheme, "https") == 0;
	http = strcmp(scheme, "http") == 0;
	curl_free(scheme);
	if (!https && !(http && config->webhook_allow_http))
		return config->webhook_allow_http ? "must begin with https:// or http://"
						  : "must begin with https://";
	if (has_part(url, CURLUPART_USER) || has_part(url, CURLUPART_PASSWORD))
		return "must not hold a user name or password";
	return check_host(config, url);
}

const char *outbound_check_url(const struct config *config, const char *url)
{
	const char *rule = "must be an absolute URL";
	CURLU *parsed;

	/* libcurl takes an empty fragment for none. */
	if (strchr(url, '#') != NULL)
		return "must not have a fragment";
	parsed = curl_url();
	if (parsed == NULL)
		return "cannot be checked: there is no memory";
	if (curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
		rule = check_parts(config, parsed);
	curl_url_cleanup(parsed);
	return rule;
}

static const char *check_smtp_parts(CURLU *url)
{
	const char *rule = NULL;
	char *scheme = NULL, *path = NULL;

	if (curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    (strcmp(scheme, "smtp") != 0 && strcmp(scheme, "smtps") != 0))
		rule = "must begin with smtp:// or smtps://";
	else if (!has_part(url, CURLUPART_HOST))
		rule = "must name a host";
	/* libcurl would greet the server by the name of the path. */
	else if (has_part(url, CURLUPART_QUERY) ||
		 curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK || strcmp(path, "/") != 0)
		rule = "must not have a path or a query";
	curl_free(scheme);
	curl_free(path);
	return rule;
}

const char *outbound_check_smtp_url(const char *url)
{
	const char *rule = "must be smtp://host:port or smtps://host:port";
	CURLU *parsed = curl_url();

	if (parsed == NULL)
		return "cannot be checked: there is no memory";
	if (strchr(url, '#') == NULL && curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK)
		rule = check_smtp_parts(parsed);
	curl_url_cleanup(parsed);
	return rule;
}
