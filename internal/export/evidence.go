package export

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/classify"
)

// readEvidence reads stored evidence into list's memory, as encoding/json does, which takes as long as all else that the program does
// with a flagged row. Nearly all has been written by that package, without spaces and with its keys in one order; what is in any other
// form, or has an escaped character, is left to it.
func readEvidence(list []classify.Evidence, stored string) ([]classify.Evidence, error) {
	list = list[:0]
	if stored == "[]" {
		return list, nil
	}
	rest, ok := strings.CutPrefix(stored, "[")
	for ok = ok && utf8.ValidString(stored); ok; {
		var e classify.Evidence
		if e, rest, ok = readSentence(rest); !ok {
			break
		}
		list = append(list, e)
		if rest == "]" {
			return list, nil
		}
		rest, ok = strings.CutPrefix(rest, ",")
	}
	var anew []classify.Evidence // it would leave in what is there what the text does not name
	err := json.Unmarshal([]byte(stored), &anew)
	return anew, err
}

// readSentence reads one element of evidence from the beginning of text, and returns what follows it.
func readSentence(text string) (e classify.Evidence, rest string, ok bool) {
	for _, field := range [...]struct {
		key  string
		into *string
	}{{`{"family":"`, &e.Family}, {`","en":"`, &e.EN}, {`","zh":"`, &e.ZH}, {`","source":"`, &e.Source}} {
		if text, ok = strings.CutPrefix(text, field.key); !ok {
			return e, "", false
		}
		end := strings.IndexByte(text, '"')
		if end < 0 || !plainText(text[:end]) {
			return e, "", false
		}
		*field.into, text = text[:end], text[end:]
	}
	if text, ok = strings.CutPrefix(text, `","db":`); !ok {
		return e, "", false
	}
	number, rest, ok := strings.Cut(text, "}")
	if !ok {
		return e, "", false
	}
	n, err := strconv.Atoi(number)
	if err != nil || number[0] == '+' || number != "0" && strings.TrimPrefix(number, "-")[0] == '0' {
		return e, "", false
	}
	e.Decibans = n
	return e, rest, true
}

// plainText reports whether a string of JSON stands for itself: nothing in it is escaped, or would have to be.
func plainText(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c == '\\' {
			return false
		}
	}
	return true
}
