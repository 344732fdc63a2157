package statement

import (
	"bytes"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/posrecon/posrecon/internal/recon"
)

// Meta is what the lines before the header say of the file. What they do not say is zero.
type Meta struct {
	Acquirer   string
	SettleDate recon.Date
	PayoutDate recon.Date
	ExportedAt time.Time
	StatusTime time.Time
	Replaces   string      // the name or the SHA-256 of the file that this one replaces
	All        []MetaEntry // every entry in the order of the file, unknown keys included
}

// MetaEntry is one line "# key: value".
type MetaEntry struct {
	Line  int
	Key   string // in lower case
	Value string
}

// add enters one line. A key that is known must be readable and may not be given twice with different values: which
// date or acquirer counts is not ours to choose.
func (m *Meta) add(e MetaEntry, zone *time.Location) *FileError {
	fault := func(rule string) *FileError {
		return &FileError{Line: e.Line, Field: e.Key, Value: excerpt([]byte(e.Value), maxValue), Rule: rule}
	}
	if len(e.Value) > maxText {
		return fault(ruleTextTooLong)
	}
	known := true
	rule := ""
	if e.Value != "" {
		switch e.Key {
		case "acquirer":
			m.Acquirer = e.Value
			if len(e.Value) > maxIdentifier {
				rule = ruleIdentifierTooLong
			}
		case "settle_date":
			m.SettleDate, rule = parseDate(e.Value)
		case "payout_date":
			m.PayoutDate, rule = parseDate(e.Value)
		case "exported_at":
			m.ExportedAt, rule = parseTime(e.Value, zone)
		case "status_time":
			m.StatusTime, rule = parseTime(e.Value, zone)
		case "replaces":
			m.Replaces = e.Value
		default:
			known = false
		}
	}
	if rule == "" && known && hasControl(e.Value) {
		rule = ruleControl
	}
	if rule != "" {
		return fault(rule)
	}
	if known {
		for _, earlier := range m.All {
			if earlier.Key == e.Key && earlier.Value != "" && e.Value != "" && earlier.Value != e.Value {
				return fault("given twice with different values")
			}
		}
	}
	m.All = append(m.All, e)
	return nil
}

// metaLine reads a line "# key: value"; a full-width colon will do, an input method types it. Commas that a
// spreadsheet appended are dropped from the value.
func metaLine(raw []byte) (key, value string, ok bool) {
	if len(raw) == 0 || raw[0] != '#' || len(raw) > maxHashLine || !utf8.Valid(raw) {
		return "", "", false
	}
	line := string(raw[1:])
	colon, width := strings.IndexByte(line, ':'), 1
	if wide := strings.Index(line, "："); wide >= 0 && (colon < 0 || wide < colon) {
		colon, width = wide, len("：")
	}
	if colon < 0 {
		return "", "", false
	}
	key = strings.ToLower(trim(line[:colon]))
	if key == "" || len(key) > maxKey || strings.ContainsAny(key, ",\"") || hasControl(key) {
		return "", "", false
	}
	value = trim(line[colon+width:])
	for strings.HasSuffix(value, ",") {
		value = trim(value[:len(value)-1])
	}
	return key, value, true
}

// isTrailer reports whether a '#' line may stand after the last row: "# key: value", but not a row whose order id
// happens to look like it. A row has cells, as many as the header.
func isTrailer(raw []byte, width int) bool {
	key, value, ok := metaLine(raw)
	if !ok {
		return false
	}
	return isTotal(key) || !strings.Contains(value, ",") || bytes.Count(raw, []byte(",")) != width-1
}
