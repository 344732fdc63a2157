package classify

import (
	"cmp"

	"github.com/posrecon/posrecon/internal/codes"
	"github.com/posrecon/posrecon/internal/recon"
)

// codeClass is what a POS response code is evidence for; codeNone where there is none, codeOther where it is not known.
type codeClass = codes.Class

// The classes as the rules speak of them.
const (
	codeNone     codeClass = ""
	codeBusiness           = codes.Business
	codeSystem             = codes.System
	codeNetwork            = codes.Network
	codeWaiting            = codes.Waiting
	codeBlocked            = codes.Blocked
	codeOther              = codes.Other
)

// posCode is the meaning of one response code.
type posCode struct {
	class    codeClass
	sub      recon.SubCause
	strength codes.Strength
	en, zh   string
}

// lookUp returns the meaning of a response code to the acquirer and on the channel that it came by; an unknown one says
// nothing.
func lookUp(code string, scopes ...string) posCode {
	if code == "" {
		return posCode{}
	}
	r, ok := codes.FindResponse(code, scopes...)
	if !ok || r.Class == codes.Other {
		return posCode{class: codeOther, en: r.EN, zh: r.ZH}
	}
	return posCode{r.Class, r.SubCause, r.Strength, r.EN, r.ZH}
}

// sureness is how far the strength of a code takes the confidence in what it says.
func sureness(s codes.Strength, strong float64) float64 {
	switch s {
	case codes.Medium:
		return min(strong, 0.9)
	case codes.Weak:
		return min(strong, 0.6)
	}
	return strong
}

// holdReason is what a settlement row's or payout's reason says.
type holdReason struct {
	sub    recon.SubCause
	known  bool // by code or by words, not by default
	byCode bool // by a code that has one meaning; one that has several is worth what words are
}

// readHold reads a reason: the code where it is known, else the words, else what the fallback says.
func readHold(code, text string, fallback recon.SubCause, scopes ...string) holdReason {
	p, _ := codes.FindPayout(code, scopes...)
	if p.Strength == codes.Strong || p.Strength == codes.Medium {
		return holdReason{p.SubCause, true, p.Strength == codes.Strong}
	}
	if sub, ok := codes.FindWords(text); ok {
		return holdReason{sub, true, false}
	}
	return holdReason{sub: cmp.Or(p.SubCause, fallback)}
}
