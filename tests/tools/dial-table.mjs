// Writes api/emergency/dial_table.h: every region's emergency numbers and other public short codes, from
// libphonenumber's ShortNumberMetadata as the npm package google-libphonenumber carries it.
//
//   node tests/tools/dial-table.mjs            write the header
//   node tests/tools/dial-table.mjs --check    exit 1 if the committed header differs
//
// The metadata holds one regular expression per region. All are finite, so each is expanded to the
// numbers it matches in full: dial.c then compares strings, and "9112" can never pass for "911".

import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import libphonenumber from 'google-libphonenumber';

const HEADER = new URL('../../api/emergency/dial_table.h', import.meta.url);
const COMMAND = 'node tests/tools/dial-table.mjs';
const COLUMNS = 100;

// PhoneMetadata is a protocol buffer in its array form: the indexes are its field numbers.
const EMERGENCY = 27; // PhoneMetadata.emergency, a PhoneNumberDesc
const SHORT_CODE = 29; // PhoneMetadata.short_code, likewise: all that is dialled short
const PATTERN = 2; // PhoneNumberDesc.national_number_pattern
const EXAMPLE = 6; // PhoneNumberDesc.example_number

// Where the order in primary() below would pick a number that is not the general one, or that a
// contact centre's trunk does not reach.
const PRIMARIES = new Map([
	['AU', '000'], // ACMA: 112 "can only be dialled on a digital mobile phone"
	['CC', '000'], // the Australian numbering plan
	['CX', '000'], // likewise
	['HK', '999'], // 112 is the mobile networks' alias of it
	['MY', '999'], // 112 is forwarded to it, and from mobile phones only
	['OM', '9999'], // the metadata's example, 1444, is not the general number
]);

// Short codes are listed where they name single services: three digits, and no more of them in a region than
// this. More is the metadata's "any three digits may be one", about which nobody need be warned.
const MOST_SHORT_CODES = 60;
const TEST_NUMBER = '933'; // of the United States and Canada: dial.c knows it

const product = (left, right) => left.flatMap((a) => right.map((b) => a + b));

// expand returns the strings that pattern matches from end to end. The grammar is the part of
// regular expressions that the metadata uses: digits, \d, [classes], (?:groups), | and ?.
// Anything else is an error: an unbounded pattern must not be cut short in silence.
function expand(pattern) {
	let at = 0;
	const fail = () => {
		throw new Error(`cannot expand ${pattern} at ${at}`);
	};
	const take = (text) => pattern.startsWith(text, at) && ((at += text.length), true);
	const digit = () => (/[0-9]/.test(pattern[at] ?? '') ? pattern[at++] : fail());

	function charClass() {
		const found = [];
		while (!take(']')) {
			const first = digit();
			const last = take('-') ? digit() : first;
			if (last < first) fail();
			for (let d = Number(first); d <= Number(last); d++) found.push(String(d));
		}
		return found;
	}
	function atom() {
		if (take('\\d')) return [...'0123456789'];
		if (take('[')) return charClass();
		if (!take('(?:')) return [digit()];
		const found = alternatives();
		if (!take(')')) fail();
		return found;
	}
	function sequence() {
		let found = [''];
		while (at < pattern.length && pattern[at] !== '|' && pattern[at] !== ')') {
			const next = atom();
			found = product(found, take('?') ? ['', ...next] : next);
		}
		return found;
	}
	function alternatives() {
		const found = sequence();
		while (take('|')) found.push(...sequence());
		return found;
	}

	const all = alternatives();
	if (at !== pattern.length) fail();
	return [...new Set(all)].sort();
}

// primary picks the number for a caller who named no service: 911 in the North American numbering
// plan, else 112, else what usually is the general one, else the metadata's own example.
function primary(region, numbers, isNanp, example) {
	const order = [isNanp && '911', '112', '911', '999', '000', example];
	const found = PRIMARIES.get(region) ?? order.find((number) => numbers.includes(number));
	if (!numbers.includes(found)) throw new Error(`${region}: no ${found} in ${numbers}`);
	return found;
}

function row(region, first, numbers) {
	const lines = [];
	let line = `\t{ "${region}", "${first}", DIAL_NUMBERS(`;
	numbers.forEach((number, i) => {
		const last = i === numbers.length - 1;
		const text = `"${number}"${last ? ') },' : ','}`;
		const space = i === 0 || line === '\t\t' ? '' : ' ';
		const columns = line.length + 7 * line.lastIndexOf('\t') + 7; // a tab is 8 wide
		if (columns + space.length + text.length > COLUMNS) {
			lines.push(line);
			line = `\t\t${text}`;
		} else {
			line += space + text;
		}
	});
	return [...lines, line].join('\n');
}

// shortCodes lists the region's public short codes of three digits that are no emergency numbers.
function shortCodes(data, numbers) {
	const pattern = data[SHORT_CODE]?.[PATTERN];
	if (!pattern) return [];
	const whole = new RegExp(`^(?:${pattern})$`);
	const codes = Array.from({ length: 1000 }, (_, i) => String(i).padStart(3, '0')).filter(
		(code) => whole.test(code) && !numbers.includes(code) && code !== TEST_NUMBER);
	return codes.length > MOST_SHORT_CODES ? [] : codes;
}

function shortCodeRow(region, codes) {
	const parts = [];
	for (let i = 0; i < codes.length; i += 20) parts.push(codes.slice(i, i + 20).join(' '));
	const literals = parts.map((part, i) => `"${part}${i + 1 < parts.length ? ' ' : ''}"`);
	return `\t{ "${region}",${parts.length > 1 ? '\n\t  ' : ' '}${literals.join('\n\t  ')} },`;
}

function header() {
	const { version } = createRequire(import.meta.url)('google-libphonenumber/package.json');
	const nanp = libphonenumber.metadata.countryCodeToRegionCodeMap[1];
	const rows = [];
	const codeRows = [];
	const missing = [];

	for (const [region, data] of Object.entries(
		libphonenumber.shortnumbermetadata.countryToMetadata).sort()) {
		const emergency = data[EMERGENCY];
		const pattern = emergency?.[PATTERN];
		const numbers = pattern ? expand(pattern) : [];
		const codes = shortCodes(data, numbers);
		if (codes.length > 0) codeRows.push(shortCodeRow(region, codes));
		if (!pattern) {
			missing.push(region);
			continue;
		}
		const whole = new RegExp(`^(?:${pattern})$`);
		if (!/^[A-Z]{2}$/.test(region)) throw new Error(`unexpected region ${region}`);
		for (const number of numbers)
			if (!/^[0-9]{2,6}$/.test(number) || !whole.test(number))
				throw new Error(`${region}: unexpected number ${number}`);
		const first = primary(region, numbers, nanp.includes(region), emergency[EXAMPLE]);
		rows.push(row(region, first, numbers));
	}

	return `/*
 * The emergency numbers of ${rows.length} regions, and public short codes. GENERATED, do not edit.
 *
 * Input:   google-libphonenumber ${version} (npm), ShortNumberMetadata, fields "emergency"
 *          and "short_code"
 * Command: ${COMMAND}   (--check compares)
 * Licence: libphonenumber metadata, Copyright (C) The Libphonenumber Authors, Apache License 2.0
 *          (http://www.apache.org/licenses/LICENSE-2.0); changed here: patterns expanded to the
 *          numbers that they match in full, a primary number chosen per region, short codes
 *          limited to three digits and to regions with at most ${MOST_SHORT_CODES} of them.
 *
 * Known to the metadata but without an emergency number, so absent: ${missing.join(' ') || 'none'}.
 */
#ifndef SWITCHBACK_DIAL_TABLE_H
#define SWITCHBACK_DIAL_TABLE_H

#include <stddef.h>

struct dial_region {
	char code[3];			/* ISO 3166-1 alpha-2; the table is sorted by it */
	const char *primary;		/* reaches the service in general; one of numbers */
	size_t n_numbers;
	const char *const *numbers;	/* sorted; 2 to 6 digits each */
};

#define DIAL_NUMBERS(...)                                                                   \\
	sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(const char *),                \\
		(const char *const[]){ __VA_ARGS__ }

static const struct dial_region dial_regions[] = {
${rows.join('\n')}
};

#undef DIAL_NUMBERS

struct dial_codes {
	char code[3];		  /* ISO 3166-1 alpha-2; the table is sorted by it */
	const char *short_codes;  /* sorted, three digits each, a space between them */
};

/* Public short codes other than emergency numbers and the test number. */
static const struct dial_codes dial_code_lists[] = {
${codeRows.join('\n')}
};

#endif
`;
}

const text = header();
if (process.argv.includes('--check')) {
	let committed = '';
	try {
		committed = readFileSync(HEADER, 'utf8');
	} catch (error) {
		if (error.code !== 'ENOENT') throw error;
	}
	if (committed !== text) {
		console.error(`api/emergency/dial_table.h is not what ${COMMAND} writes: run it`);
		process.exit(1);
	}
} else {
	writeFileSync(HEADER, text);
}
