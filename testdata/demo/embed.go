// Package demo holds the labelled world that posrecon ships: four nights of a fortnight of three acquirers and forty
// merchants, made by internal/simulate from its Demo options and never edited by hand. What makes it is not here, and
// neither is anything that reads it.
package demo

import "embed"

// FS holds the nights in order, 01 to 04: NN/inbox as it newly arrived, NN/as_of, NN/truth.csv.
//
//go:embed 01 02 03 04
var FS embed.FS
