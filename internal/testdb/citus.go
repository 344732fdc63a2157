//go:build citus

package testdb

// With the build tag citus every test's database is distributed.
func init() { distributed = true }
