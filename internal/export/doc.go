// Package export turns verdicts into what people read: rows with the contract's columns, as CSV, JSON lines or XLSX,
// in English or Chinese, and the totals over the same selection. It reads; it decides and stores nothing.
package export
