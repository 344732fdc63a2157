// Package profile describes file formats: how the cells of an acquirer's, wallet's or bank's file become the columns of
// the input contract. A format is a mapping profile, a YAML document; the formats that posrecon knows by itself are
// profiles too, in formats/, each with its sources. So a clerk who copies one and changes a column name has written a
// format, and nothing is possible for us that is not possible for them.
//
// What lives here: the profile's document and its rules, which profile fits a file's first lines, and the translation of
// one row of cells into canonical values. What does not: bytes, encodings, archives and records (statement), and where
// files come from (ingest).
//
// # How a value is read
//
// Cells lose what programs put around them against spreadsheets: blanks, tabs, a leading back-tick or apostrophe,
// ="…", [ ] around an id. A cell that holds one of the profile's blanks ("-", "--", "null" and the like) is empty.
//
// Amounts: full-width digits, ¥, and thousands commas where they stand right are taken; in fen they are whole numbers;
// zeros beyond two decimals are dropped, anything else there is refused. A sign is dropped where the type says the
// direction, and refused where a sale would be negative.
//
// Dates and times begin with the year: 2026-03-05, 2026/3/5, 2026年3月5日, 20260305, with a time after a blank or a T or
// nothing: 9:15, 09:15:30, 091530. Anything that puts the day first needs a layout.
package profile
