package profile

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"github.com/posrecon/posrecon/internal/recon"
)

// Profile is one format as its document has it. The JSON Schema in schema.json is the same for editors.
type Profile struct {
	Name     string   `yaml:"name"`      // short, lower case, unique: wechat-trade
	Title    string   `yaml:"title"`     // for people
	Status   Status   `yaml:"status"`    // where the layout is known from
	Source   []string `yaml:"source"`    // documents or public code that show the layout
	Note     string   `yaml:"note"`      // what to look out for
	Kind     string   `yaml:"kind"`      // pos_log, settlement, payout, bank_statement; none for a file without anything to load
	Nothing  string   `yaml:"nothing"`   // kind none: why there is nothing to load
	Missing  string   `yaml:"missing"`   // kind none: what stands in place of a file that was asked for and is still to come; it is refused
	Acquirer string   `yaml:"acquirer"`  // whose files these are
	TimeZone string   `yaml:"time_zone"` // of times without an offset; the configuration's if empty
	CutOff   string   `yaml:"cut_off"`   // HH:MM; the clearing day's, for rows that name a day by it; 23:00 if empty

	File     File             `yaml:"file"`
	Match    Match            `yaml:"match"`
	Captures []Capture        `yaml:"captures"`
	Blanks   []string         `yaml:"blanks"`
	Ignore   []string         `yaml:"ignore"` // patterns of lines that are no rows: titles, separators
	Rows     Condition        `yaml:"rows"`   // which rows are loaded; the others are counted and left alone
	Skip     Condition        `yaml:"skip"`   // which rows are not, of those
	Fields   map[string]Field `yaml:"fields"`
	Totals   []Total          `yaml:"totals"`
	Personal []string         `yaml:"personal"` // columns that are never kept, not even of a rejected line
	RowCap   int              `yaml:"row_cap"`  // rows at which the source cuts an export off without a word

	builtin  bool
	version  string
	zone     *time.Location
	cutOff   time.Duration
	ignore   []*regexp.Regexp
	captures []*regexp.Regexp

	matchColumns, normalNames []string // as they are compared
	matchLines                []*regexp.Regexp
	matchCells                []matchCell
}

// Status says where a layout is known from.
type Status string

// Documented: its owner has published it. Seen: public code reads it, or a real file of it is public. Inferred: put
// together from an owner's other interfaces; check it against your file. Own is a user's profile.
const (
	Documented Status = "documented"
	Seen       Status = "seen"
	Inferred   Status = "inferred"
	Own        Status = "own"
)

// File says how a file is cut into rows and cells.
type File struct {
	Layout  string   `yaml:"layout"`  // table (CSV, TSV, XLSX: the default), fixed, json, camt053, mt940, bai2
	Header  *bool    `yaml:"header"`  // a table's line of column names; true by default
	Columns []string `yaml:"columns"` // the names, where the file has none
	Widths  []int    `yaml:"widths"`  // fixed: bytes of each column in GB18030
	Gap     int      `yaml:"gap"`     // fixed: bytes between two columns
	Rows    string   `yaml:"rows"`    // json: dotted path of the array or object that holds the rows; "" for the top
	Short   bool     `yaml:"short"`   // rows may lack cells at their end
}

// Match recognises a file. All that is given must hold.
type Match struct {
	Columns []string          `yaml:"columns"` // names that the header has, at least
	Without []string          `yaml:"without"` // names that it has not
	Lines   []string          `yaml:"lines"`   // patterns, each of which one of the first lines fits
	Cells   map[string]string `yaml:"cells"`   // column → pattern, which the first row fits; for files without a header
	Width   int               `yaml:"width"`   // cells in the first row; for files without a header
}

// Capture takes a value from a line outside the rows, or from the file's name. The pattern's group is the value.
type Capture struct {
	Name    string `yaml:"name"`
	Pattern string `yaml:"pattern"`
	In      string `yaml:"in"`     // lines (the default) or name
	Layout  string `yaml:"layout"` // of a date that does not begin with four digits of the year
}

// Condition is true of a row where each column holds one of the values; a value between slashes is a pattern. An empty
// condition is true of every row.
type Condition map[string]OneOrMore

// Field says where a canonical column's value comes from. In YAML a lone name, or a list of names, will do.
type Field struct {
	Column  OneOrMore `yaml:"column"`  // the first of these columns that has a value
	Join    []string  `yaml:"join"`    // these columns with a blank between them, as a date and its time
	Capture string    `yaml:"capture"` // a captured value
	Value   string    `yaml:"value"`   // always this
	Text    string    `yaml:"text"`    // columns in braces: {商户号}-{结算日期}
	Default string    `yaml:"default"` // where the above gives nothing, or a map does not know it

	Pattern string            `yaml:"pattern"`      // keeps its group; a value that does not fit is empty
	Replace *Replace          `yaml:"replace"`      // writes a part of the value another way
	Map     map[string]string `yaml:"map"`          // value → canonical value; an unknown one is refused unless there is a default
	Find    []Find            `yaml:"find"`         // the first pattern that fits gives the value
	Blanks  []string          `yaml:"blanks"`       // further values that mean nothing here
	Digits  int               `yaml:"digits"`       // so many digits; fewer means that a spreadsheet took the leading zeros
	Unit    string            `yaml:"unit"`         // amounts: yuan (the default) or fen
	Letter  bool              `yaml:"letter"`       // amounts: C or D before the digits, for credit and debit
	SignOf  string            `yaml:"sign_of"`      // type: REFUND where this column's amount is negative, else SALE
	Debit   Condition         `yaml:"debit"`        // bank amounts: rows where the money goes out
	Less    OneOrMore         `yaml:"less"`         // bank amounts: a second column, of money that goes out
	Red     bool              `yaml:"red"`          // bank amounts: a negative amount in the column of less takes one back, so that it comes in
	Minus   string            `yaml:"minus"`        // amounts: this column is taken off, whatever its sign: a fee
	Layout  string            `yaml:"layout"`       // dates and times that do not begin with the year: dd/MM/yyyy HH:mm:ss
	Clear   bool              `yaml:"clear"`        // times: joined from the clearing day, so that from the cut-off on it is the day before
	Day     bool              `yaml:"clearing_day"` // dates: the clearing day of the time found, by the cut-off
	Days    int               `yaml:"days"`         // dates: so many days later
	Cases   []Case            `yaml:"cases"`        // before all this: rows of which something else is true
}

// Case is a field's rule for some rows.
type Case struct {
	When  Condition `yaml:"when"`
	Field `yaml:",inline"`
}

// Replace writes what a pattern finds another way; ${1} is its first group.
type Replace struct {
	Pattern string `yaml:"pattern"`
	With    string `yaml:"with"`
}

// Find is one pattern of a list.
type Find struct {
	Pattern string `yaml:"pattern"`
	Value   string `yaml:"value"`
}

// Total is a control total in the source's own terms: what a line outside the rows states, and what of the rows must
// come to it.
type Total struct {
	Label   string    `yaml:"label"`   // for people; where there is no pattern, what stands beside the value, or above it in a summary's own header line
	Pattern string    `yaml:"pattern"` // a line whose group is the stated value
	Path    string    `yaml:"path"`    // json: the member beside the rows that states it
	Pages   bool      `yaml:"pages"`   // it is of all pages of an answer: fewer rows are told, and are no difference
	Of      string    `yaml:"of"`      // count, or the column that is added up
	When    Condition `yaml:"when"`
	Unit    string    `yaml:"unit"`
	Require bool      `yaml:"required"` // a file without it has been cut short
}

// OneOrMore is a list that YAML may write as one value.
type OneOrMore []string

func (o *OneOrMore) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*o = OneOrMore{n.Value}
		return nil
	}
	var list []string
	if err := n.Decode(&list); err != nil {
		return err
	}
	*o = list
	return nil
}

func (f *Field) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return f.Column.UnmarshalYAML(n)
	}
	if err := knownKeys(n, fieldKeys); err != nil {
		return err
	}
	type plain Field
	return n.Decode((*plain)(f))
}

func (c *Case) UnmarshalYAML(n *yaml.Node) error {
	if err := knownKeys(n, append([]string{"when"}, fieldKeys...)); err != nil {
		return err
	}
	var when struct {
		When Condition `yaml:"when"`
	}
	if err := n.Decode(&when); err != nil {
		return err
	}
	c.When = when.When
	type plain Field
	return n.Decode((*plain)(&c.Field))
}

// fieldKeys are the keys of a field; a decoder of its own is not strict by itself.
var fieldKeys = []string{"column", "join", "capture", "value", "text", "default", "pattern", "map", "find", "blanks", "digits",
	"unit", "letter", "minus", "replace", "sign_of", "debit", "less", "red", "layout", "clear", "clearing_day", "days", "cases"}

func knownKeys(n *yaml.Node, keys []string) error {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if key := n.Content[i].Value; !slices.Contains(keys, key) {
			return fmt.Errorf("unknown key %q; known are %s", key, strings.Join(keys, ", "))
		}
	}
	return nil
}

// kindColumns are the canonical columns of each kind, required ones first: a profile must say where each of these comes
// from, and may say nothing else.
var kindColumns = map[recon.Kind]struct{ required, optional []string }{
	recon.KindPOSLog: {
		[]string{"order_id", "merchant_id", "channel", "amount", "status", "txn_time"},
		[]string{"acquirer", "store_id", "terminal_id", "operator_id", "scan_mode", "type", "refund_id", "original_order_id", "currency",
			"channel_txn_id", "ref_no", "trace_no", "batch_no", "response_code", "response_message", "settle_cycle", "callback_time"},
	},
	recon.KindSettlement: {
		[]string{"order_id", "merchant_id", "amount", "settle_date", "status"},
		[]string{"acquirer", "fee", "net_amount", "currency", "type", "refund_id", "original_order_id", "txn_time", "terminal_id",
			"channel", "channel_txn_id", "ref_no", "trace_no", "batch_no", "payout_id", "reason_code", "reason"},
	},
	recon.KindPayout: {
		[]string{"payout_id", "merchant_id", "payout_date", "amount", "status"},
		[]string{"acquirer", "currency", "reason_code", "reason", "bank_credit_time", "replaces_payout_id"},
	},
	recon.KindBank: {
		[]string{"book_date", "amount"},
		[]string{"acquirer", "account", "currency", "counterparty", "memo", "bank_ref", "book_time", "balance"},
	},
}

// Limits on what a profile may hold: several times the largest that ships.
const (
	maxProfileBytes = 256 << 10
	maxPattern      = 1000
	maxBlanks       = 20
	maxProfiles     = 500
)

// Parse reads a profile. The name says where the document is from, for errors.
func Parse(name string, data []byte) (*Profile, error) {
	p, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("profile %s: %w", name, err)
	}
	return p, nil
}

func parse(data []byte) (*Profile, error) {
	if len(data) > maxProfileBytes {
		return nil, fmt.Errorf("larger than %d KiB", maxProfileBytes>>10)
	}
	p := &Profile{}
	if err := yaml.Load(data, p, yaml.WithKnownFields(true)); err != nil {
		return nil, plainError(err)
	}
	if err := completed(data); err != nil {
		return nil, err
	}
	if p.Status == "" {
		p.Status = Own
	}
	sum := sha256.Sum256(data)
	p.version = hex.EncodeToString(sum[:8])
	return p, p.validate()
}

// matchCell is a cell of the first row and the pattern that it fits.
type matchCell struct {
	at      int
	pattern *regexp.Regexp
}

// prepareMatch compiles what a file is recognised by.
func (p *Profile) prepareMatch(fail func(string, ...any)) {
	for _, name := range p.Match.Columns {
		p.matchColumns = append(p.matchColumns, normalName(name))
	}
	for _, name := range p.Names() {
		p.normalNames = append(p.normalNames, normalName(name))
	}
	for _, text := range p.Match.Lines {
		p.matchLines = append(p.matchLines, compilePattern(text, fail))
	}
	names := make([]string, 0, len(p.Match.Cells))
	for name := range p.Match.Cells {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		at := slices.IndexFunc(p.File.Columns, func(c string) bool { return normalName(c) == normalName(name) })
		if at < 0 {
			fail("match.cells: the file has no column %s", name)
		}
		p.matchCells = append(p.matchCells, matchCell{at, compilePattern(p.Match.Cells[name], fail)})
	}
}

var validName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,63}$`)

func (p *Profile) validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !validName.MatchString(p.Name) {
		fail("name %q: lower-case letters, digits and hyphens", p.Name)
	}
	if !slices.Contains([]Status{Documented, Seen, Inferred, Own}, p.Status) {
		fail("status %q is not one of documented, seen, inferred, own", p.Status)
	}
	if !slices.Contains([]string{"", "table", "fixed", "json", "camt053", "mt940", "bai2"}, p.File.Layout) {
		fail("file.layout %q is not one of table, fixed, json, camt053, mt940, bai2", p.File.Layout)
	}
	if p.File.Layout == "fixed" && (len(p.File.Widths) == 0 || len(p.File.Widths) != len(p.File.Columns)) {
		fail("file: a fixed layout needs as many widths as columns")
	}
	for _, w := range p.File.Widths {
		if w < 1 || w > 4096 {
			fail("file.widths: %d is not from 1 to 4096", w)
		}
	}
	if p.File.Gap < 0 || p.File.Gap > 16 {
		fail("file.gap: %d is not from 0 to 16", p.File.Gap)
	}
	if !p.HasHeader() && p.File.Layout != "json" && !p.parsed() && len(p.File.Columns) == 0 {
		fail("file: without a header the columns must be named")
	}
	if len(p.Match.Columns)+len(p.Match.Lines)+len(p.Match.Cells) == 0 && !p.parsed() {
		fail("match: say what the file is recognised by: columns, lines or cells")
	}
	p.zone, p.cutOff = nil, 23*time.Hour
	if p.TimeZone != "" {
		zone, err := time.LoadLocation(p.TimeZone)
		if err != nil {
			fail("time_zone: %v", err)
		}
		p.zone = zone
	}
	if p.CutOff != "" {
		t, err := time.Parse("15:04", p.CutOff)
		if err != nil {
			fail("cut_off %q is not HH:MM", p.CutOff)
		}
		p.cutOff = time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
	}
	for _, text := range p.Ignore {
		p.ignore = append(p.ignore, compilePattern(text, fail))
	}
	for _, c := range p.Captures {
		re := compilePattern(c.Pattern, fail)
		if re != nil && re.NumSubexp() != 1 {
			fail("captures: %q needs one group", c.Pattern)
		}
		if !slices.Contains([]string{"", "lines", "name"}, c.In) {
			fail("captures: in %q is not lines or name", c.In)
		}
		if c.Layout != "" {
			if _, err := goLayout(c.Layout); err != nil {
				fail("captures: %v", err)
			}
		}
		p.captures = append(p.captures, re)
	}
	if len(p.Blanks) > maxBlanks {
		fail("blanks: more than %d", maxBlanks)
	}
	for _, t := range p.Totals {
		if t.Of == "" {
			fail("totals: %q says nothing of what is added up", t.Label)
		}
		if re := compilePattern(t.Pattern, fail); t.Pattern != "" && re != nil && re.NumSubexp() != 1 {
			fail("totals: %q needs one group", t.Pattern)
		}
		if t.Path != "" && (t.Pattern != "" || p.File.Layout != "json") {
			fail("totals: %q: a path is of a JSON document, and in place of a pattern", t.Label)
		}
	}
	p.prepareMatch(fail)
	p.validateFields(fail)
	return errors.Join(errs...)
}

func (p *Profile) validateFields(fail func(string, ...any)) {
	if p.Kind == "none" {
		if (p.Nothing == "") == (p.Missing == "") || len(p.Fields) > 0 {
			fail("kind none: say under nothing: why there is nothing to load, or under missing: what is still to come; and no fields")
		}
		return
	}
	columns, ok := kindColumns[recon.Kind(p.Kind)]
	if !ok {
		fail("kind %q is not one of pos_log, settlement, payout, bank_statement, none", p.Kind)
		return
	}
	for _, name := range columns.required {
		if _, ok := p.Fields[name]; !ok {
			fail("fields: a %s needs %s", p.Kind, name)
		}
	}
	for name, f := range p.Fields {
		if !slices.Contains(columns.required, name) && !slices.Contains(columns.optional, name) {
			fail("fields: a %s has no %s; it has %s, %s", p.Kind, name, strings.Join(columns.required, ", "), strings.Join(columns.optional, ", "))
		}
		p.validateField(name, f, fail)
		for _, c := range f.Cases {
			if len(c.When) == 0 || len(c.Cases) > 0 {
				fail("fields.%s: a case needs a when, and has no cases of its own", name)
			}
			p.validateField(name, c.Field, fail)
		}
	}
}

func (p *Profile) validateField(name string, f Field, fail func(string, ...any)) {
	sources := 0
	for _, given := range []bool{len(f.Column) > 0, len(f.Join) > 0, f.Capture != "", f.Value != "", f.Text != "", f.SignOf != ""} {
		if given {
			sources++
		}
	}
	if sources != 1 && !(sources == 0 && len(f.Cases) > 0) && !(sources == 2 && f.Capture != "") {
		fail("fields.%s: one of column, join, capture, value, text, sign_of", name)
	}
	if f.Capture != "" && !slices.ContainsFunc(p.Captures, func(c Capture) bool { return c.Name == f.Capture }) {
		fail("fields.%s: nothing is captured as %q", name, f.Capture)
	}
	if f.Unit != "" && f.Unit != "yuan" && f.Unit != "fen" {
		fail("fields.%s: unit %q is not yuan or fen", name, f.Unit)
	}
	if re := compilePattern(f.Pattern, fail); f.Pattern != "" && re != nil && re.NumSubexp() != 1 {
		fail("fields.%s: pattern %q needs one group", name, f.Pattern)
	}
	if f.Replace != nil {
		compilePattern(f.Replace.Pattern, fail)
	}
	for _, find := range f.Find {
		compilePattern(find.Pattern, fail)
	}
	p.validateValues(name, f, fail)
	if f.Days < 0 || f.Days > 31 || f.Days > 0 && valueTypes[name] != typeDate {
		fail("fields.%s: days is from 0 to 31, of a date", name)
	}
	if f.Layout != "" {
		if _, err := goLayout(f.Layout); err != nil {
			fail("fields.%s: %v", name, err)
		}
	}
}

// canonicalValues are what a column of a kind may hold, for those that hold one of a few words.
var canonicalValues = map[recon.Kind]map[string][]string{
	recon.KindPOSLog:     {"status": texts(recon.POSStatuses), "type": texts([]recon.Type{recon.TypeSale, recon.TypeRefund, recon.TypeVoid})},
	recon.KindSettlement: {"status": texts(recon.SettleStatuses), "type": texts([]recon.Type{recon.TypeSale, recon.TypeRefund})},
	recon.KindPayout:     {"status": texts(recon.PayoutStatuses)},
}

func texts[T ~string](list []T) []string {
	out := make([]string, len(list))
	for i, v := range list {
		out[i] = string(v)
	}
	return out
}

// validateValues refuses a word that is none of the column's: each row that it is read from would be rejected.
func (p *Profile) validateValues(name string, f Field, fail func(string, ...any)) {
	allowed := canonicalValues[recon.Kind(p.Kind)][name]
	if allowed == nil {
		return
	}
	check := func(where, v string) {
		if v != "" && !slices.Contains(allowed, strings.ToUpper(v)) {
			fail("fields.%s: %s %q is not one of %s", name, where, v, strings.Join(allowed, ", "))
		}
	}
	check("value", f.Value)
	check("default", f.Default)
	for _, from := range slices.Sorted(maps.Keys(f.Map)) {
		check("map: "+from+":", f.Map[from])
	}
	for _, find := range f.Find {
		check("find: "+find.Pattern+":", find.Value)
	}
}

// compilePattern compiles a pattern of a profile; Go's engine takes time linear in the text whatever the pattern says.
func compilePattern(text string, fail func(string, ...any)) *regexp.Regexp {
	if len(text) > maxPattern {
		fail("a pattern is longer than %d bytes", maxPattern)
		return nil
	}
	re, err := regexp.Compile(text)
	if err != nil {
		fail("%v", err)
	}
	return re
}

// HasHeader reports whether a table's rows follow a line of column names.
func (p *Profile) HasHeader() bool {
	return p.IsTable() && (p.File.Header == nil || *p.File.Header)
}

// IsTable reports whether the file is rows of cells: CSV, TSV or a sheet.
func (p *Profile) IsTable() bool { return p.File.Layout == "" || p.File.Layout == "table" }

// parsed reports whether the layout is a standard of its own, which brings its columns and is recognised by itself.
func (p *Profile) parsed() bool {
	return p.File.Layout == "camt053" || p.File.Layout == "mt940" || p.File.Layout == "bai2"
}

// Zone returns the zone of times without an offset, or the given one where the profile has none.
func (p *Profile) Zone(zone *time.Location) *time.Location {
	if p.zone != nil {
		return p.zone
	}
	return zone
}

// Builtin reports whether the profile ships with the program.
func (p *Profile) Builtin() bool { return p.builtin }

// Version names this edition of the document: it changes with every change to it.
func (p *Profile) Version() string { return p.version }
