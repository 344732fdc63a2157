// Package statement turns the bytes of an input file into records: rows of a POS log, a settlement file, a payout file or
// an account statement, or rejects that name line, field, value and rule. It reads an io.Reader once, in bounded memory,
// and knows neither files nor a database nor which acquirer's folder the bytes came from.
//
// A file is recognised by its first lines: by the user's profiles, else as canonical, else by the profiles that ship. A
// profile's file is cut into cells here (tables with any separator and XLSX sheets, fixed widths, JSON, camt.053, MT940,
// BAI2), translated by package profile, and from then on read by the rules for values that follow. What they say of lines
// and headers is of the canonical file.
//
// A record has the line on which it begins, and no two records of a file have the same: in JSON and XML, which need no line
// breaks, one that is not beyond the record before it has the next number. In a document of one line that is the record's
// number.
//
// # The canonical file
//
// UTF-8 (or what package charset makes it from), comma-separated, lines ended by LF or CRLF, mixed or not. A workbook with
// the canonical columns is read as the CSV that it would be.
//
//	# key: value      any number of lines that describe the file: acquirer, settle_date, payout_date,
//	                  exported_at, status_time, replaces; other keys are kept and not interpreted
//	order_id,amount…  the header: columns by name, in any order and case, blanks around a name ignored;
//	                  columns of other names are ignored
//	P1,12.50…         rows
//	# total_count: 1  control totals: total_count, total_amount, total_fee
//
// A line that begins with '#' never spans lines. Before the header it is metadata if it reads "# key: value", else a
// comment. After the last row it is a control total, or a remark under any other key, if it reads "# key: value".
// Everywhere else, above all when data follow it, it is data and goes through the rules for rows. Commas that a
// spreadsheet appends to such a line are dropped.
//
// A line is blank, and skipped, if all its cells are empty: spreadsheets leave lines of bare commas.
//
// # Cells
//
// A cell in double quotes may hold commas, line breaks and doubled quotes (RFC 4180); blanks around the quotes are
// ignored. A quote inside an unquoted cell is an ordinary character, as in 5" screen, but a record that has one must
// end on its line. Where a quoted cell does not end as it should, only the physical line on which the record began is
// rejected and reading goes on with the next one, so that a stray quote costs one line and not the rest of the file.
// The same holds for a record of more than 1,000 lines or 1 MiB.
//
// Blanks around a value (ASCII and full-width spaces, no-break spaces, tabs, line breaks) are dropped. The first rule
// that a line breaks makes it a Reject; nothing is guessed, and no default stands in for a value that cannot be read.
//
// # The kind
//
// The kind follows from the columns, never from a name: all required columns of a kind must be there. A settle_date or
// payout_date given as metadata counts as the column. A header with an order_id is never a payout file. If a header
// satisfies both a POS log and a settlement file, the kind that knows more of its columns counts; where they tie it is
// a settlement file, because only that has a settle date.
//
// # Personal data
//
// Card numbers, mobile numbers, citizen ids and e-mail addresses are masked in what is kept of a rejected line and in the free
// texts of an accepted row (reason, response_message, memo), see MaskPersonal. The other side of an account's line is kept
// where it is a business, else as its first character. Columns that a profile calls personal, and names and accounts of a
// statement's line, are not kept of a rejected line either. Identifiers in typed fields are never touched.
package statement
