package classify

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/csv"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/posrecon/posrecon/internal/recon"
)

// subs is the number of sub-causes; every table below has a place for each, in the order of recon.SubCauses.
const subs = 14

// perSub is a number for each sub-cause.
type perSub [subs]float64

// Weights say how often each sub-cause takes an order in a hundred thousand, and how probable each value of each family of
// evidence is where it did. They are a reviewed file of one line per value. A value that an order does not have, because
// its log does not carry the column, weighs nothing: it is no evidence.
type Weights struct {
	Text    []byte // the file
	Version string // the first bytes of its hash: what a verdict was made by
	rate    perSub
	values  map[string]map[string]*perSub // family → value → probability of the value given the sub-cause
	// What is stated is the posterior, sharpened or flattened by a power, and never more than the ceiling: see calibration.
	power, ceiling float64
}

//go:embed weights/weights.csv
var shippedWeights []byte

// Shipped are the weights that come with the program.
var Shipped = sync.OnceValue(func() *Weights {
	w, err := ParseWeights(shippedWeights)
	if err != nil {
		panic("weights that ship: " + err.Error())
	}
	return w
})

// The families of evidence about one order. What many orders share is found in cohorts and changes the rates instead.
var families = []string{"settlement", "payout", "reason", "status", "code", "callback", "channel_txn"}

// maxWeights bounds a weights file: ten times the lines of the one that ships.
const maxWeights = 64 << 10

// ParseWeights reads a weights file: a header that names the sub-causes, a line "rate" with how many orders of one each
// takes, lines "family,value" with probabilities, and a line "calibration" with power and ceiling in its first two columns.
// Errors name the line.
func ParseWeights(text []byte) (*Weights, error) {
	if len(text) > maxWeights {
		return nil, fmt.Errorf("a weights file has at most %d bytes", maxWeights)
	}
	hash := sha256.Sum256(text)
	w := &Weights{Text: text, Version: hex.EncodeToString(hash[:6]), values: map[string]map[string]*perSub{}, power: 1, ceiling: 0.995}
	r := csv.NewReader(bytes.NewReader(text))
	r.Comment = '#'
	for i := 0; ; i++ {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		at := func(format string, args ...any) error {
			line, _ := r.FieldPos(0) // comments count, too
			return fmt.Errorf("line %d: %s", line, fmt.Sprintf(format, args...))
		}
		if i == 0 {
			for j, sub := range recon.SubCauses {
				if len(record) != subs+2 || record[j+2] != string(sub) {
					return nil, at("the header is family,value and the %d sub-causes in the contract's order", subs)
				}
			}
			continue
		}
		var p perSub
		for j := range p {
			if p[j], err = strconv.ParseFloat(record[j+2], 64); err != nil || !(p[j] >= 0) || p[j] > 1 && record[0] != "calibration" {
				return nil, at("%s %s of %s is %q: not a number from 0 to 1", record[0], record[1], recon.SubCauses[j], record[j+2])
			}
		}
		family, value := record[0], record[1]
		switch {
		case family == "rate":
			w.rate = p
		case family == "calibration":
			w.power, w.ceiling = p[0], p[1]
			if w.power <= 0 || math.IsInf(w.power, 1) || w.ceiling <= 0 || w.ceiling > 1 {
				return nil, at("calibration is a power and a ceiling above 0")
			}
		case !slices.Contains(families, family):
			return nil, at("no family %q", family)
		default:
			if w.values[family] == nil {
				w.values[family] = map[string]*perSub{}
			}
			if w.values[family][value] != nil {
				return nil, at("%s %s stands there twice", family, value)
			}
			for j := range p {
				p[j] = max(p[j], leastLikely)
			}
			w.values[family][value] = &p
		}
	}
	for _, family := range families {
		if len(w.values[family]) == 0 {
			return nil, fmt.Errorf("no values of %s", family)
		}
	}
	for j, rate := range w.rate {
		if rate <= 0 {
			return nil, fmt.Errorf("no rate of %s", recon.SubCauses[j])
		}
	}
	return w, nil
}

// leastLikely is the smallest probability of a value: nothing that people write into files is impossible.
const leastLikely = 1e-7

// doubts are how much of a value's probability a code's strength leaves; the rest says nothing.
var doubts = []struct {
	suffix string
	share  float64
}{{" likely", 0.8}, {" perhaps", 0.4}}

// likelihood returns the probabilities of a value; nil where the file has none, which is no evidence.
func (w *Weights) likelihood(family, value string) *perSub {
	if p := w.values[family][value]; p != nil {
		return p
	}
	for _, d := range doubts {
		if plain, ok := strings.CutSuffix(value, d.suffix); ok {
			if p := w.values[family][plain]; p != nil {
				var mixed perSub
				mean := 0.0
				for _, x := range p {
					mean += x / subs
				}
				for j := range mixed {
					mixed[j] = d.share*p[j] + (1-d.share)*mean
				}
				return &mixed
			}
		}
	}
	return nil
}

// feature is the value that an order has in a family of evidence.
type feature struct{ family, value string }

func (f feature) String() string { return f.family + "=" + f.value }

// likelihoodOf multiplies what all features say, with the habits of the log that they come from.
func (w *Weights) likelihoodOf(list []feature, h *habit) perSub {
	var out perSub
	for j := range out {
		out[j] = 1
	}
	for _, f := range list {
		if p := w.likelihood(f.family, f.value); p != nil {
			if h != nil {
				p = h.apply(f, p)
			}
			for j := range out {
				out[j] *= p[j]
			}
		}
	}
	return out
}

// posterior is what rates and evidence make of each sub-cause, summing to one.
func (w *Weights) posterior(rates, likelihood *perSub) perSub {
	var out perSub
	sum := 0.0
	for j := range out {
		out[j] = math.Pow(rates[j]*likelihood[j], w.power)
		sum += out[j]
	}
	if sum == 0 {
		return out
	}
	for j := range out {
		out[j] /= sum
	}
	return out
}

// verdict is what a posterior comes to: the cause that has most of it, its likeliest sub-cause, and the runner-up among the
// other causes.
type verdict struct {
	sub, runnerUp         int
	confidence, otherwise float64 // of the cause, and of the runner-up's
}

func (w *Weights) decide(p *perSub) verdict {
	var of [4]float64
	best := [4]int{-1, -1, -1, -1}
	for j, sub := range recon.SubCauses {
		c := slices.Index(recon.Causes, sub.Cause())
		of[c] += p[j]
		if best[c] < 0 || p[j] > p[best[c]] {
			best[c] = j
		}
	}
	order := []int{0, 1, 2, 3}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case of[a] > of[b]:
			return -1
		case of[a] < of[b]:
			return 1
		}
		return 0
	})
	return verdict{best[order[0]], best[order[1]], min(of[order[0]], w.ceiling), of[order[1]]}
}

// decibans is the weight of evidence of a for one hypothesis against another: 10 is ten to one.
func decibans(a, b float64) int {
	return int(math.Round(10 * math.Log10(max(a, leastLikely/100)/max(b, leastLikely/100))))
}

// indexOf returns a sub-cause's place in the tables.
func indexOf(sub recon.SubCause) int { return slices.Index(recon.SubCauses, sub) }

// The places of the sub-causes that cohorts raise the rates of.
var (
	fileLate      = indexOf(recon.FileLate)
	systemDelay   = indexOf(recon.SystemDelay)
	payoutLate    = indexOf(recon.PayoutLate)
	channelOutage = indexOf(recon.ChannelOutage)
	callbackLost  = indexOf(recon.CallbackLost)
	network       = indexOf(recon.Network)
	falseSuccess  = indexOf(recon.FalseSuccess)
	accountFrozen = indexOf(recon.AccountFrozen)
	operatorError = indexOf(recon.OperatorError)
)
