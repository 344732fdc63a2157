// Package postgres opens the database and its transactions, moves rows in bulk and keeps the schema current. It knows
// how to talk to PostgreSQL, not what an outcome or a cause is. Its sub-package private runs a server of our own.
package postgres
