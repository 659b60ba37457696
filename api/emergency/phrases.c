/* See phrases.h. */
#include "phrases.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* English is the first: it stands in for every other language. */
static const struct phrases languages[] = {
	{ "en",
	  "If this call drops, emergency services call you back on {number} until {time} UTC.",
	  "If this call drops, emergency services call back on {number}.",
	  "No callback number could be presented: tell the operator how to reach you.",
	  "This is a test call.", "The callback number is {number}.",
	  "No callback number is presented.", "The address is {address}.", "No address is known.",
	  "An emergency call would reach emergency services.",
	  "An emergency call would not reach emergency services." },
	{ "de",
	  "Bricht dieses Gespräch ab, ruft die Notrufzentrale Sie bis {time} UTC unter {number} zurück.",
	  "Bricht dieses Gespräch ab, ruft die Notrufzentrale unter {number} zurück.",
	  "Es konnte keine Rückrufnummer übermittelt werden: Sagen Sie der Notrufzentrale, wie Sie zu erreichen sind.",
	  "Dies ist ein Testanruf.", "Die Rückrufnummer ist {number}.",
	  "Es wird keine Rückrufnummer übermittelt.", "Die Adresse ist {address}.",
	  "Es ist keine Adresse bekannt.", "Ein Notruf würde die Notrufzentrale erreichen.",
	  "Ein Notruf würde die Notrufzentrale nicht erreichen." },
	{ "fr",
	  "Si cet appel est coupé, les secours vous rappelleront au {number} jusqu'à {time} UTC.",
	  "Si cet appel est coupé, les secours rappelleront au {number}.",
	  "Aucun numéro de rappel n'a pu être présenté : dites à l'opérateur comment vous joindre.",
	  "Ceci est un appel de test.", "Le numéro de rappel est le {number}.",
	  "Aucun numéro de rappel n'est présenté.", "L'adresse est : {address}.",
	  "Aucune adresse n'est connue.", "Un appel d'urgence aboutirait aux secours.",
	  "Un appel d'urgence n'aboutirait pas aux secours." },
	{ "es",
	  "Si se corta esta llamada, los servicios de emergencia le devolverán la llamada al {number} hasta las {time} UTC.",
	  "Si se corta esta llamada, los servicios de emergencia devolverán la llamada al {number}.",
	  "No se pudo presentar ningún número de devolución de llamada: diga al operador cómo localizarle.",
	  "Esta es una llamada de prueba.", "El número de devolución de llamada es el {number}.",
	  "No se presenta ningún número de devolución de llamada.", "La dirección es {address}.",
	  "No se conoce ninguna dirección.",
	  "Una llamada de emergencia llegaría a los servicios de emergencia.",
	  "Una llamada de emergencia no llegaría a los servicios de emergencia." },
	{ "it",
	  "Se questa chiamata cade, i servizi di emergenza la richiameranno al numero {number} fino alle {time} UTC.",
	  "Se questa chiamata cade, i servizi di emergenza richiameranno al numero {number}.",
	  "Non è stato possibile presentare un numero di richiamata: dica all'operatore come raggiungerla.",
	  "Questa è una chiamata di prova.", "Il numero di richiamata è {number}.",
	  "Non viene presentato alcun numero di richiamata.", "L'indirizzo è {address}.",
	  "Nessun indirizzo è noto.",
	  "Una chiamata di emergenza raggiungerebbe i servizi di emergenza.",
	  "Una chiamata di emergenza non raggiungerebbe i servizi di emergenza." },
	{ "nl",
	  "Als dit gesprek wegvalt, bellen de hulpdiensten u tot {time} UTC terug op {number}.",
	  "Als dit gesprek wegvalt, bellen de hulpdiensten terug op {number}.",
	  "Er kon geen terugbelnummer worden meegegeven: zeg tegen de centralist hoe u te bereiken bent.",
	  "Dit is een testoproep.", "Het terugbelnummer is {number}.",
	  "Er wordt geen terugbelnummer meegegeven.", "Het adres is {address}.",
	  "Er is geen adres bekend.", "Een noodoproep zou de hulpdiensten bereiken.",
	  "Een noodoproep zou de hulpdiensten niet bereiken." },
	{ "pl",
	  "Jeśli połączenie zostanie przerwane, służby ratunkowe oddzwonią do Pana/Pani na numer {number} do godziny {time} UTC.",
	  "Jeśli połączenie zostanie przerwane, służby ratunkowe oddzwonią na numer {number}.",
	  "Nie udało się przedstawić numeru zwrotnego: proszę powiedzieć operatorowi, jak się skontaktować.",
	  "To jest połączenie testowe.", "Numer zwrotny to {number}.",
	  "Numer zwrotny nie jest przedstawiany.", "Adres to {address}.", "Adres nie jest znany.",
	  "Połączenie alarmowe dotarłoby do służb ratunkowych.",
	  "Połączenie alarmowe nie dotarłoby do służb ratunkowych." },
	{ "pt",
	  "Se esta chamada cair, os serviços de emergência ligarão de volta para {number} até às {time} UTC.",
	  "Se esta chamada cair, os serviços de emergência ligarão de volta para {number}.",
	  "Não foi possível apresentar um número de retorno: diga ao operador como pode ser contactado.",
	  "Esta é uma chamada de teste.", "O número de retorno é {number}.",
	  "Nenhum número de retorno é apresentado.", "O endereço é {address}.",
	  "Nenhum endereço é conhecido.",
	  "Uma chamada de emergência chegaria aos serviços de emergência.",
	  "Uma chamada de emergência não chegaria aos serviços de emergência." },
	{ "sv",
	  "Om samtalet bryts ringer larmcentralen tillbaka till dig på {number} till klockan {time} UTC.",
	  "Om samtalet bryts ringer larmcentralen tillbaka på {number}.",
	  "Inget nummer för återuppringning kunde visas: tala om för operatören hur du kan nås.",
	  "Det här är ett testsamtal.", "Numret för återuppringning är {number}.",
	  "Inget nummer för återuppringning visas.", "Adressen är {address}.",
	  "Ingen adress är känd.", "Ett nödsamtal skulle nå larmcentralen.",
	  "Ett nödsamtal skulle inte nå larmcentralen." },
	{ "da",
	  "Hvis opkaldet afbrydes, ringer alarmcentralen tilbage til dig på {number} indtil klokken {time} UTC.",
	  "Hvis opkaldet afbrydes, ringer alarmcentralen tilbage på {number}.",
	  "Der kunne ikke vises et tilbagekaldsnummer: fortæl operatøren, hvordan du kan træffes.",
	  "Dette er et testopkald.", "Tilbagekaldsnummeret er {number}.",
	  "Der vises ikke noget tilbagekaldsnummer.", "Adressen er {address}.",
	  "Ingen adresse er kendt.", "Et nødopkald ville nå alarmcentralen.",
	  "Et nødopkald ville ikke nå alarmcentralen." },
	{ "nb",
	  "Hvis samtalen brytes, ringer nødetatene deg tilbake på {number} til klokken {time} UTC.",
	  "Hvis samtalen brytes, ringer nødetatene tilbake på {number}.",
	  "Det kunne ikke vises noe tilbakeringingsnummer: fortell operatøren hvordan du kan nås.",
	  "Dette er en testsamtale.", "Tilbakeringingsnummeret er {number}.",
	  "Det vises ikke noe tilbakeringingsnummer.", "Adressen er {address}.",
	  "Ingen adresse er kjent.", "Et nødanrop ville nådd nødetatene.",
	  "Et nødanrop ville ikke nådd nødetatene." },
	{ "fi",
	  "Jos puhelu katkeaa, hätäkeskus soittaa sinulle takaisin numeroon {number} kello {time} UTC asti.",
	  "Jos puhelu katkeaa, hätäkeskus soittaa takaisin numeroon {number}.",
	  "Takaisinsoittonumeroa ei voitu näyttää: kerro hätäkeskukselle, miten sinut tavoittaa.",
	  "Tämä on testipuhelu.", "Takaisinsoittonumero on {number}.",
	  "Takaisinsoittonumeroa ei näytetä.", "Osoite on {address}.", "Osoitetta ei tiedetä.",
	  "Hätäpuhelu tavoittaisi hätäkeskuksen.", "Hätäpuhelu ei tavoittaisi hätäkeskusta." },
	{ "ja", "通話が切れた場合、{time} UTC まで緊急機関から {number} に折り返し電話があります。",
	  "通話が切れた場合、緊急機関から {number} に折り返し電話があります。",
	  "折り返し先の番号を通知できませんでした。連絡方法を通信指令員に伝えてください。",
	  "これはテスト通話です。", "折り返し先の番号は {number} です。",
	  "折り返し先の番号は通知されません。", "住所は {address} です。", "住所は不明です。",
	  "緊急通報は緊急機関につながります。", "緊急通報は緊急機関につながりません。" },
};

#define LANGUAGES (sizeof(languages) / sizeof(languages[0]))

const struct phrases *phrases_of(const char *tag)
{
	size_t length;

	if (tag == NULL)
		return &languages[0];
	length = strcspn(tag, "-_");
	/* Norwegian without saying which, and Nynorsk: Bokmål is the nearest. */
	if (length == 2 && (strncasecmp(tag, "no", 2) == 0 || strncasecmp(tag, "nn", 2) == 0))
		tag = "nb";
	for (size_t i = 0; i < LANGUAGES; i++)
		if (strlen(languages[i].language) == length &&
		    strncasecmp(tag, languages[i].language, length) == 0)
			return &languages[i];
	return &languages[0];
}
