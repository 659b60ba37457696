/*
 * What is said to people, in their language: the notice to the agent, and the announcement of a test
 * call. Pure, constant; any thread.
 *
 * {number} and {time} (HH:MM, the texts say that it is UTC) are put in where they are known, when the
 * call is stored; {address} when it is decided.
 */
#ifndef SB_PHRASES_H
#define SB_PHRASES_H

struct phrases {
	const char *language; /* primary subtag of BCP 47 */
	/* agent_notice: whether a callback number was given, and until when it is the agent's */
	const char *with_expiry, *without_expiry, *without_number;
	/* announcement: one sentence each */
	const char *test, *number, *no_number, *address, *no_address, *reached, *not_reached;
};

/* For a language tag such as de-AT; English for NULL and for every language that is missing. */
const struct phrases *phrases_of(const char *tag);

#endif
