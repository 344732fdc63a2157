package check_test

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/calendar"
	"github.com/posrecon/posrecon/internal/check"
	"github.com/posrecon/posrecon/internal/config"
	"github.com/posrecon/posrecon/internal/match"
	"github.com/posrecon/posrecon/internal/pipeline"
	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
	"github.com/posrecon/posrecon/internal/testdb"
)

func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }

// casebook is where the two nights lie that have one order for each rule of identity, progress and money.
const casebook = "../pipeline/testdata/casebook"

// world is the casebook after its two nights.
type world struct {
	pool  *pgxpool.Pool
	rules match.Rules
}

func newWorld(t *testing.T) world {
	t.Helper()
	zone, err := time.LoadLocation("Asia/Shanghai")
	if err != nil {
		t.Fatal(err)
	}
	pool, err := postgres.Open(t.Context(), testdb.New(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	job := pipeline.Job{
		Pool: pool, Config: config.Config{Lang: "en", Zone: zone, Acquirers: recon.Acquirers{}}, Calendar: calendar.Default(),
		Log: slog.New(slog.DiscardHandler), Program: "posrecon test",
	}
	w := world{pool: pool, rules: match.Rules{Zone: zone, Calendar: calendar.Default(), Acquirers: recon.Acquirers{}}}
	for _, night := range []string{"01", "02"} {
		text, err := os.ReadFile(filepath.Join(casebook, night, "as_of"))
		if err != nil {
			t.Fatal(err)
		}
		w.rules.AsOf, err = time.Parse(time.RFC3339, strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := job.Run(t.Context(), pipeline.Options{
			Kind: "run", Inbox: []string{filepath.Join(casebook, night, "inbox")}, AsOf: w.rules.AsOf,
		}); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// check corrupts what is stored, checks it and gives everything back.
func (w world) check(t *testing.T, corruptions ...string) check.Report {
	t.Helper()
	var report check.Report
	err := postgres.Transact(t.Context(), w.pool, func(tx pgx.Tx) (bool, error) {
		for _, sql := range corruptions {
			tag, err := tx.Exec(t.Context(), sql)
			if err != nil {
				return false, fmt.Errorf("%s: %w", sql, err)
			}
			if !strings.HasPrefix(tag.String(), "ALTER") && !strings.HasPrefix(tag.String(), "CREATE") && !strings.HasPrefix(tag.String(), "DROP") && tag.RowsAffected() != 1 {
				return false, fmt.Errorf("%s: %s, want one row", sql, tag)
			}
		}
		var err error
		report, err = check.Run(t.Context(), tx, w.rules)
		return false, err
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// sale is the key of a sale of merchant M1 in SQL, line that of a settlement line.
func sale(id string) string {
	return `(SELECT order_key FROM pos_row WHERE (type, order_id) = ('SALE', '` + id + `') LIMIT 1)`
}

func line(id string) string {
	return `(SELECT order_key FROM settlement_row WHERE (type, order_id, merchant_id) = ('SALE', '` + id + `', 'M1') LIMIT 1)`
}

const (
	rowCounts    = "every loaded file has as many rows as its entry says"
	archiveCount = "every file has as many archived rows as its entry says"
	archiveWhole = "no order is archived in part"
	rejectsKept  = "every rejected line is kept"
	rowsOfLoaded = "every row is of a loaded file"
	logHabits    = "every log's habits are those of its rows"
	keys         = "every row's key is that of the order it names"
	money        = "owed and excess are never both on a row, and received is what arrived and what is in excess"
	claims       = "no settlement line is claimed twice, nor claimed and unexpected"
	explained    = "every flagged verdict is explained, and no other but what says why"
	causes       = "outcomes that carry a cause have one"
	openCases    = "a case is open exactly when its order needs follow-up and nobody resolved it"
	histories    = "every case has a history that begins with its opening and has no gaps"
	verdicts     = "stored verdicts are what the facts say"
	explanations = "stored explanations are what the evidence says"
	incidents    = "stored incidents are what the explanations say"
	plainMatches = "plain matches told together are the plain matches"
	payouts      = "stored states of payouts are what their newest versions say"
	mergedRows   = "what several rows of a key say together is what the facts say"
)

// corruption is what somebody did to the database by hand, and what the check must say of it.
type corruption struct {
	name      string
	sql       []string
	invariant string
	row       string // a part of the name of the row that breaks it
	detail    string // a part of what is wrong
}

var corruptions = []corruption{
	{"the register counts a row too many", []string{`UPDATE file SET rows_read = rows_read + 1, rows_loaded = rows_loaded + 1 WHERE name = 'settlement-20261105.csv'`},
		rowCounts, "settlement-20261105.csv (file ", "the register says 2 rows, the tables hold 1"},
	{"the register counts an archived row", []string{`UPDATE file SET rows_archived = 1 WHERE name = 'settlement-20261105.csv'`},
		archiveCount, "settlement-20261105.csv (file ", "the register says 1 archived rows, the archive holds 0"},
	{"a log's habits are another's", []string{`UPDATE file SET habits = jsonb_set(habits, '{0,heard}', '99') WHERE name = 'pos-20261102.csv'`},
		logHabits, "pos-20261102.csv (file ", " 99 callbacks, "},
	{"a log's habits were not counted", []string{`UPDATE file SET habits = '[]' WHERE name = 'pos-20261102.csv'`},
		logHabits, "pos-20261102.csv (file ", " nothing, its rows "},
	{"a row of a live order is in the archive", []string{
		`CREATE TABLE archive.pos_row_2026_11 PARTITION OF archive.pos_row FOR VALUES FROM ('2026-11-01') TO ('2026-12-01')`,
		`INSERT INTO archive.pos_row SELECT * FROM pos_row WHERE order_id = 'C01'`},
		archiveWhole, "-", "has rows of 2026-11-02 in the archive, and live ones of 2026-11-02"},
	{"a row is gone", []string{`DELETE FROM pos_row WHERE order_id = 'C01'`},
		rowCounts, "pos-20261102.csv (file ", "the register says 32 rows, the tables hold 31"},
	{"a payout is gone", []string{`DELETE FROM payout_row WHERE payout_id = 'PA1'`},
		rowCounts, "payout-20261103.csv (file ", "the register says 3 rows, the tables hold 2"},
	{"a rejected line is gone", []string{`DELETE FROM rejected_line WHERE line = 35`},
		rejectsKept, "pos-20261102.csv (file ", "the register says 1 rejected lines, 0 are kept"},
	{"a file with rows is not loaded", []string{`UPDATE file SET state = 'held', reason = 'by hand' WHERE name = 'settlement-20261105.csv'`},
		rowsOfLoaded, "file ", "1 rows of a file that the register does not have as loaded"},
	{"a file with payouts is not loaded", []string{`UPDATE file SET state = 'held', reason = 'by hand' WHERE name = 'payout-20261104.csv'`},
		rowsOfLoaded, "file ", "2 rows of a file that the register does not have as loaded"},
	{"a row is of no file", []string{`UPDATE settlement_row SET file_id = 4711 WHERE order_id = 'C16'`},
		rowsOfLoaded, "file 4711", "1 rows of a file that the register does not have as loaded"},
	{"a POS row names another order", []string{`UPDATE pos_row SET order_id = 'C99' WHERE (order_id, type) = ('C01', 'SALE')`},
		keys, "lakala/M1/SALE/C99", "is stored under the key of another order"},
	{"a void names another sale", []string{`UPDATE pos_row SET original_order_id = 'C01' WHERE order_id = 'C10V'`},
		keys, "lakala/M1/SALE/C01", "is stored under the key of another order"},
	{"a refund has another id", []string{`UPDATE pos_row SET refund_id = 'RF9' WHERE refund_id = 'RF1'`},
		keys, "lakala/M1/REFUND/C05", "is stored under the key of another order"},
	{"a line names another merchant", []string{`UPDATE settlement_row SET merchant_id = 'M1' WHERE (order_id, merchant_id) = ('C20', 'M2')`},
		keys, "lakala/M1/SALE/C20", "is stored under the key of another order"},
	{"money has another definition", []string{`DROP VIEW verdict_money`, `CREATE VIEW verdict_money AS
		SELECT order_key, episode, pos_amount AS amount_due, received AS amount_arrived, pos_amount - received AS amount_owed, 0.00 AS amount_excess
		  FROM decided WHERE order_key = ` + sale("C01") + ` UNION ALL
		SELECT order_key, episode, 10.00, 0.00, 10.00, 5.00 FROM decided WHERE order_key = ` + sale("C02")},
		money, "lakala/M1/SALE/C02", "due 10.00, arrived 0.00, owed 10.00, excess 5.00, received 50.00"},
	{"an order claims another's line", []string{`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_a_line_once`,
		`UPDATE verdict SET settle_key = ` + sale("C01") + `, settle_episode = 0 WHERE order_key = ` + sale("C12")},
		claims, "lakala/M1/SALE/C12", "its line is claimed by another verdict as well"},
	{"an order claims a line that is unexpected", []string{`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_a_line_once`,
		`UPDATE verdict SET settle_key = ` + line("C16") + `, settle_episode = 0 WHERE order_key = ` + sale("C21")},
		claims, "lakala/M1/SALE/C21", "its line is claimed by another verdict as well"},
	{"two orders claim a line of neither's key", []string{`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_a_line_once`,
		`UPDATE verdict SET settle_key = ` + line("X23") + `, settle_episode = 0 WHERE order_key = ` + sale("C21")},
		claims, "lakala/M1/SALE/C21", "its line is claimed by another verdict as well"},
	{"a flagged verdict is not explained", []string{`DELETE FROM explanation WHERE order_key = ` + sale("C04")},
		explained, "lakala/M1/SALE/C04", "outcome unsettled without an explanation"},
	{"a matched verdict is explained", []string{`INSERT INTO explanation (order_key, episode, evidence, counter_evidence, action, needs_follow_up) VALUES (` + sale("C01") + `, 0, '[]', '[]', 'wait', false)`},
		explained, "lakala/M1/SALE/C01", "an explanation without a verdict to explain"},
	{"an explanation of nothing", []string{`INSERT INTO explanation (order_key, episode, evidence, counter_evidence, action, needs_follow_up) VALUES ('00000000-0000-0000-0000-000000000001', 0, '[]', '[]', 'wait', false)`},
		explained, "00000000-0000-0000-0000-000000000001", "an explanation without a verdict to explain"},
	{"an unsettled order without a cause", []string{`UPDATE explanation SET cause = NULL, sub_cause = NULL, confidence = NULL, certainty = NULL WHERE order_key = ` + sale("C04")},
		causes, "lakala/M1/SALE/C04", "outcome unsettled, cause none"},
	{"a duplicate with a cause", []string{`UPDATE explanation SET cause = 'delay', sub_cause = 'file_late', confidence = 0.5, certainty = 'low' WHERE order_key = ` + sale("C25")},
		causes, "lakala/M1/SALE/C25", "outcome duplicate, cause delay"},
	{"a case is closed too early", []string{`UPDATE cases SET status = 'closed' WHERE order_key = ` + sale("C04")},
		openCases, "lakala/M1/SALE/C04", "needs follow-up, its case is closed"},
	{"a case is gone", []string{`DELETE FROM cases WHERE order_key = ` + sale("C04")},
		openCases, "lakala/M1/SALE/C04", "needs follow-up, its case is not there"},
	{"a case is open still", []string{`UPDATE cases SET status = 'open' WHERE order_key = ` + sale("C15")},
		openCases, "C-", "is open though nothing needs follow-up"},
	{"a case is resolved still", []string{`UPDATE cases SET status = 'resolved', resolved_facts = 'by hand' WHERE order_key = ` + sale("C15")},
		openCases, "C-", "is resolved though nothing needs follow-up"},
	{"a history begins otherwise", []string{`UPDATE case_event SET kind = 'changed' WHERE seq = 1 AND case_id = (SELECT case_id FROM cases WHERE order_key = ` + sale("C15") + `)`},
		histories, "C-", "its history begins with changed"},
	{"a history has a gap", []string{`UPDATE case_event SET seq = 9 WHERE seq = 2 AND case_id = (SELECT case_id FROM cases WHERE order_key = ` + sale("C15") + `)`},
		histories, "C-", "its history begins with opened and has 2 events up to number 9"},
	{"a case without a history", []string{`INSERT INTO cases (case_id, order_key, episode, status) VALUES ('C-by-hand', '00000000-0000-0000-0000-000000000001', 0, 'closed')`},
		histories, "C-by-hand", "its history begins with nothing"},
	{"another outcome", []string{`UPDATE verdict SET outcome = 'matched' WHERE order_key = ` + sale("C12")},
		verdicts, "lakala/M1/SALE/C12", "outcome stored matched, derived amount_mismatch"},
	{"a fen less was settled", []string{`UPDATE verdict SET settled_amount = settled_amount - 0.01, received = received - 0.01 WHERE order_key = ` + sale("C12")},
		verdicts, "lakala/M1/SALE/C12", "settled_amount stored "},
	{"another due date", []string{`UPDATE verdict SET due_date = due_date + 1 WHERE order_key = ` + sale("C20")},
		verdicts, "lakala/M1/SALE/C20", "due_date stored 2026-11-04, derived 2026-11-03"},
	{"a payout that was not", []string{`UPDATE payout_state SET status = 'FAILED' WHERE payout_id = (SELECT payout_id FROM settlement_row WHERE order_id = 'C14' AND payout_id IS NOT NULL)`},
		verdicts, "lakala/M1/SALE/C14", "payout_status stored FAILED, derived PAID"},
	{"a payout's state is gone", []string{`DELETE FROM payout_state WHERE payout_id = 'PA1'`},
		payouts, "lakala/PA1", "stored nowhere, derived PA1 PAID"},
	{"a verdict is gone", []string{`DELETE FROM verdict WHERE order_key = ` + sale("C21")},
		verdicts, "lakala/M1/SALE/C21", "the facts say unsettled, but no verdict is stored"},
	{"a verdict that kept an order from being a plain match is gone", []string{`DELETE FROM verdict WHERE order_key = ` + sale("C12")},
		verdicts, "lakala/M1/SALE/C12", "outcome stored matched, derived amount_mismatch"},
	{"plain matches are told with a fen more", []string{`UPDATE plain_match SET amount = amount + 0.01 WHERE ctid = (SELECT min(ctid) FROM plain_match)`},
		plainMatches, "lakala/M1/", "told together are 0 orders and 0.01 CNY more than the facts hold"},
	{"plain matches are told of another second", []string{`UPDATE plain_match SET sold[1] = sold[1] + 1 WHERE ctid = (SELECT min(ctid) FROM plain_match)`},
		plainMatches, "lakala/M1/", "told together are 0 orders"},
	{"a line of a plain match is gone", []string{`UPDATE file SET counts = false WHERE name = 'settlement-20261103.csv'`},
		plainMatches, "lakala/M1/", "more than the facts hold"},
	{"a verdict of nothing", []string{`INSERT INTO verdict
		SELECT (jsonb_populate_record(v, '{"order_key": "00000000-0000-0000-0000-000000000001", "settle_key": null, "outcome": "unsettled"}')).*
		  FROM verdict AS v WHERE order_key = ` + sale("C21")},
		verdicts, "00000000-0000-0000-0000-000000000001", "stored as unsettled, but the facts tell of no such order or line"},
	{"an amount of the POS was changed", []string{`UPDATE pos_row SET amount = amount + 0.01 WHERE (order_id, type) = ('C01', 'SALE')`},
		verdicts, "lakala/M1/SALE/C01", "outcome stored matched, derived amount_mismatch"},
	{"a payout's state was changed", []string{`UPDATE payout_row SET status = 'RETURNED' WHERE payout_id = 'PA1'`},
		verdicts, "lakala/M1/SALE/C01", "outcome stored matched, derived unsettled"},
	{"another confidence", []string{`UPDATE explanation SET confidence = 0.11 WHERE order_key = ` + sale("C04")},
		explanations, "lakala/M1/SALE/C04", "0.11"},
	{"another next step", []string{`UPDATE explanation SET action = 'wait' WHERE order_key = ` + sale("C04")},
		explanations, "lakala/M1/SALE/C04", ""},
	{"other evidence", []string{`UPDATE explanation SET evidence = '[]' WHERE order_key = ` + sale("C25")},
		explanations, "lakala/M1/SALE/C25", ""},
	{"another fee of a key with several rows", []string{`UPDATE standing_line SET fee = 9.99 WHERE (order_key, line) = (` + sale("C07") + `, (SELECT min(line) FROM standing_line WHERE order_key = ` + sale("C07") + `))`},
		mergedRows, "lakala/M1/SALE/C07", ""},
	{"another channel transaction id of a key with several rows", []string{`UPDATE pos_merged SET channel_txn_id = 'X' WHERE order_key = ` + sale("C09")},
		mergedRows, "lakala/M1/SALE/C09", ""},
	{"an incident of nothing", []string{`INSERT INTO incident
		SELECT 'F-by-hand', as_of, 'frozen-account', 'acquirer=lakala merchant=M1', 'lakala', '', 'M1', '', as_of, as_of, 7, 7, 1, '{}', 1, NULL, NULL, 'open', '', ''
		  FROM (SELECT max(as_of) AS as_of FROM run) AS last`},
		incidents, "F-by-hand", ""},
}

// The check finds nothing on what a run stored, and after any change by hand it names the row and what is wrong with it.
func TestCorruptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	clean := w.check(t)
	if len(clean.Violations) > 0 {
		t.Fatalf("before anything was changed: %+v", clean.Violations)
	}
	for _, c := range corruptions {
		t.Run(c.name, func(t *testing.T) {
			report := w.check(t, c.sql...)
			for _, f := range report.Violations {
				if (c.invariant == "" || f.Invariant == c.invariant) && strings.Contains(f.Row, c.row) && strings.Contains(f.Detail, c.detail) {
					return
				}
			}
			t.Errorf("want %s: …%s…: …%s…, got:%s", c.invariant, c.row, c.detail, list(report.Violations))
		})
	}
	// Each invariant was broken at least once.
	for _, name := range clean.Checked {
		if !slices.ContainsFunc(corruptions, func(c corruption) bool { return c.invariant == name }) {
			t.Errorf("no corruption here breaks the invariant %q", name)
		}
	}
}

func list(findings []check.Finding) string {
	var b strings.Builder
	for _, f := range findings {
		fmt.Fprintf(&b, "\n  %s: %s: %s", f.Invariant, f.Row, f.Detail)
	}
	if len(findings) == 0 {
		return " nothing"
	}
	return b.String()
}
