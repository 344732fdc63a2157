package classify

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/posrecon/posrecon/internal/recon"
)

// Numbers that a verdict starts from are rounded to what is stored of them before they are used, so that the same verdict comes
// out of what is stored.
const storedDigits = 6

func number(x float64) string { return strconv.FormatFloat(x, 'g', storedDigits, 64) }

func asStored(x float64) float64 {
	rounded, err := strconv.ParseFloat(number(x), 64)
	if err != nil {
		return x // what cannot be written as a number cannot be rounded either
	}
	return rounded
}

// Step is a line of the arithmetic of a verdict: what a piece of evidence weighs for the sub-cause that is stated against the
// runner-up, in decibans. 10 is ten to one, -20 one to a hundred.
type Step struct {
	Evidence string `json:"evidence"`
	Decibans int    `json:"db"`
}

// Arithmetic is how a verdict follows from what is stored with it.
type Arithmetic struct {
	Weights    string         `json:"weights"` // version
	SubCause   recon.SubCause `json:"sub_cause"`
	RunnerUp   recon.SubCause `json:"runner_up"`
	Confidence float64        `json:"confidence"` // of the cause
	Steps      []Step         `json:"steps"`
	Posterior  []Share        `json:"posterior"` // of each sub-cause that has a thousandth or more
}

// Share is how likely a sub-cause is.
type Share struct {
	SubCause recon.SubCause `json:"sub_cause"`
	Share    float64        `json:"share"`
}

// parseInference reads what is stored with a verdict, and derives it again by some weights.
func parseInference(w *Weights, features, rates string) (*inference, error) {
	n := &inference{base: w.rate, rates: w.rate}
	for _, text := range strings.Fields(features) {
		family, value, ok := strings.Cut(text, "=")
		if !ok {
			return nil, fmt.Errorf("stored feature %q is not family=value", text)
		}
		n.features = append(n.features, feature{family, strings.ReplaceAll(value, "~", " ")})
	}
	for _, text := range strings.Fields(rates) {
		name, value, ok := strings.Cut(text, "=")
		family, sub, ok2 := strings.Cut(name, ":")
		rate, err := strconv.ParseFloat(value, 64)
		if !ok || !ok2 || err != nil {
			return nil, fmt.Errorf("stored rate %q is not family:sub_cause=number", text)
		}
		switch at := indexOf(recon.SubCause(sub)); {
		case family == "habit":
			if n.habit == nil {
				n.habit = &habit{}
			}
			if sub == "silent" {
				n.habit.silent = rate
			} else {
				n.habit.lacks = rate
			}
		case at < 0:
			return nil, fmt.Errorf("stored rate %q is of no sub-cause", text)
		default:
			n.rates[at] = rate
			n.shifts = append(n.shifts, shift{sub: at, family: family, to: rate})
		}
	}
	n.conclude(w)
	return n, nil
}

// conclude does the arithmetic: features and rates are given, the posterior follows.
func (n *inference) conclude(w *Weights) {
	n.likelihood = w.likelihoodOf(n.features, n.habit)
	n.posterior = w.posterior(&n.rates, &n.likelihood)
	n.verdict = w.decide(&n.posterior)
}

// Derive does the arithmetic of a verdict again, from the features and rates that are stored with it.
func (w *Weights) Derive(features, rates string) (Arithmetic, error) {
	n, err := parseInference(w, features, rates)
	if err != nil {
		return Arithmetic{}, err
	}
	a := Arithmetic{Weights: w.Version, SubCause: recon.SubCauses[n.sub], RunnerUp: recon.SubCauses[n.runnerUp], Confidence: n.confidence}
	a.Steps = append(a.Steps, Step{"how often each takes an order", decibans(n.base[n.sub], n.base[n.runnerUp])})
	for _, f := range n.features {
		if p := n.weigh(w, f); p != nil {
			a.Steps = append(a.Steps, Step{f.String(), decibans(p[n.sub], p[n.runnerUp])})
		}
	}
	at := n.base
	for _, x := range n.shifts {
		db := 0
		switch x.sub {
		case n.sub:
			db = decibans(x.to, at[x.sub])
		case n.runnerUp:
			db = -decibans(x.to, at[x.sub])
		}
		at[x.sub] = x.to
		a.Steps = append(a.Steps, Step{fmt.Sprintf("%s, how often such orders are %s", x.family, recon.SubCauses[x.sub]), db})
	}
	for j, p := range n.posterior {
		if p >= 0.001 {
			a.Posterior = append(a.Posterior, Share{recon.SubCauses[j], p})
		}
	}
	return a, nil
}

// weigh returns what a feature says with the habits of its log, nil for nothing.
func (n *inference) weigh(w *Weights, f feature) *perSub {
	p := w.likelihood(f.family, f.value)
	if p != nil && n.habit != nil {
		p = n.habit.apply(f, p)
	}
	return p
}
