// Package migrations holds the schema, one idea per number, each with its way up and its way down. It holds SQL only;
// package postgres applies it.
package migrations

import "embed"

// FS holds every NNNNNN_verb_what.{up,down}.sql of this folder.
//
//go:embed *.sql
var FS embed.FS
