// Package ingest loads files: it finds them, knows them by their bytes, decides whether each is loaded, held back or
// refused, and moves its rows into the fact tables. One file is one transaction: all of its good lines and the record
// of its bad ones, or nothing. It reads the inbox and never changes anything there.
//
// How bytes become records is package statement's; what the rows mean together is package match's.
package ingest
