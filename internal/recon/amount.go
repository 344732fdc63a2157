package recon

import "github.com/shopspring/decimal"

// Amount is an amount of money that is printed: with two places, in JSON as a string, so that no reader makes a binary
// float of it.
type Amount struct{ decimal.Decimal }

// Plus returns the sum of both.
func (a Amount) Plus(b Amount) Amount { return Amount{a.Add(b.Decimal)} }

// String prints two places.
func (a Amount) String() string { return a.StringFixed(2) }

// MarshalJSON prints two places in quotes.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(`"` + a.StringFixed(2) + `"`), nil }
