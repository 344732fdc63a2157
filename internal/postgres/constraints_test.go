package postgres_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/posrecon/posrecon/internal/postgres"
	"github.com/posrecon/posrecon/internal/recon"
)

// columns are values of a row by column, as SQL.
type columns map[string]string

// possible is one row of each table that may be; tables in the order in which they can be filled.
var possible = []struct {
	table string
	row   columns
}{
	{"file", columns{"sha256": `'` + strings.Repeat("a", 64) + `'`, "name": `'a.csv'`, "names": `'{a.csv,b.csv}'`, "state": `'loaded'`, "kind": `'pos_log'`,
		"file_date": `'2026-11-02'`, "size_bytes": `1`, "rows_read": `3`, "rows_loaded": `2`, "rows_rejected": `1`, "reader_version": `1`}},
	{"rejected_line", columns{"file_id": `1`, "line": `2`, "field": `'amount'`, "value": `'x'`, "rule": `'no amount'`, "raw": `'x'`}},
	{"pos_row", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "business_date": `'2026-11-02'`, "file_id": `1`, "line": `2`, "txn_time": `'2026-11-02 12:00+08'`,
		"amount": `0.00`, "status": `'SUCCESS'`, "type": `'SALE'`, "acquirer": `'lakala'`, "merchant_id": `'M1'`, "channel": `'WECHAT'`, "order_id": `'A1'`, "currency": `'CNY'`}},
	{"settlement_row", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "business_date": `'2026-11-02'`, "file_id": `1`, "line": `2`, "settle_date": `'2026-11-03'`,
		"amount": `1.00`, "fee": `0.00`, "net_amount": `1.00`, "status": `'SETTLED'`, "type": `'SALE'`, "acquirer": `'lakala'`, "merchant_id": `'M1'`, "order_id": `'A1'`, "currency": `'CNY'`}},
	{"payout_row", columns{"acquirer": `'lakala'`, "payout_id": `'P1'`, "file_id": `1`, "line": `2`, "merchant_id": `'M1'`, "payout_date": `'2026-11-03'`,
		"version_time": `'2026-11-03 09:00+08'`, "amount": `-1.00`, "currency": `'CNY'`, "status": `'PAID'`}},
	{"bank_row", columns{"file_id": `1`, "line": `2`, "bank": `'cmb'`, "account": `'***0001'`, "book_date": `'2026-11-03'`, "amount": `-1.00`, "currency": `'CNY'`}},
	{"calendar_day", columns{"day": `'2027-01-01'`, "kind": `'off'`, "name": `'元旦'`, "notice": `'n'`}},
	{"run", columns{"as_of": `'2026-11-03 12:00+08'`, "kind": `'run'`, "program": `'test'`, "summary": `'{}'`}},
	{"verdict", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "business_date": `'2026-11-02'`, "has_order": `true`, "duplicate_pos": `false`,
		"settled_lines": `1`, "pos_file_id": `1`, "pos_line": `2`, "settle_key": `'00000000-0000-0000-0000-000000000001'`, "settle_episode": `0`, "settle_file_id": `1`, "settle_line": `2`,
		"outcome": `'matched'`, "match_rule": `'order_id'`, "type": `'SALE'`, "acquirer": `'lakala'`, "merchant_id": `'M1'`, "channel": `'WECHAT'`, "currency": `'CNY'`,
		"pos_status": `'SUCCESS'`, "settle_status": `'SETTLED'`, "pos_amount": `1.00`, "settled_amount": `1.00`, "received": `1.00`}},
	{"due_day", columns{"acquirer": `'lakala'`, "business_date": `'2026-11-02'`, "cycle": `''`, "due_date": `'2026-11-03'`}},
	{"final_day", columns{"acquirer": `'lakala'`, "business_date": `'2026-11-02'`, "due_date": `'2026-11-03'`, "as_of": `'2026-11-20 12:00+08'`, "asleep": `false`}},
	{"payout_state", columns{"acquirer": `'lakala'`, "payout_id": `'P1'`, "last_id": `'P1'`, "merchant_id": `'M1'`, "status": `'PAID'`, "amount": `1.00`, "currency": `'CNY'`,
		"payout_date": `'2026-11-03'`, "version_time": `'2026-11-03 09:00+08'`, "file_id": `1`, "line": `2`, "fact": `'P1 PAID'`}},
	{"plain_match", columns{"acquirer": `'lakala'`, "merchant_id": `'M1'`, "channel": `'WECHAT'`, "type": `'SALE'`, "currency": `'CNY'`, "business_date": `'2026-11-02'`,
		"settle_date": `'2026-11-03'`, "settle_file_id": `1`, "sign": `1`, "orders": `2`, "amount": `1.00`, "net": `1.00`, "sold": `'{1,2}'`}},
	{"reread_line", columns{"file_id": `1`, "line": `2`}},
	{"pos_merged", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "voided": `false`, "txn_time": `'2026-11-02 12:00+08'`, "channel": `'WECHAT'`, "differs": `''`, "history": `'h'`}},
	{"settlement_merged", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "differs": `''`, "history": `'h'`}},
	{"standing_line", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "file_id": `1`, "line": `2`, "acquirer": `'lakala'`, "type": `'SALE'`,
		"status": `'SETTLED'`, "currency": `'CNY'`, "amount": `1.00`}},
	{"incident", columns{"incident_id": `'O-1'`, "kind": `'outage'`, "scope": `'acquirer=lakala'`, "started_at": `now()`, "ended_at": `now()`, "orders": `1`,
		"as_of": `'2026-11-03 12:00+08'`, "acquirer": `'lakala'`, "channel": `''`, "merchant_id": `''`, "terminal_id": `''`, "peak_orders": `1`, "merchants": `1`,
		"amounts": `'{}'`, "probability": `0.9`, "status": `'open'`, "summary_en": `'s'`, "summary_zh": `'s'`}},
	{"label", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "source": `'person'`, "at": `now()`, "actor": `'li'`, "acquirer": `'lakala'`,
		"stated": `'file_late'`, "confidence": `0.9`, "features": `''`, "rates": `''`, "weights": `'abc'`, "actual": `'closed'`, "amount": `1.00`, "currency": `'CNY'`}},
	{"known_place", columns{"path": `'/inbox/a.csv'`, "part": `0`, "size_bytes": `1`, "modified_ns": `1`, "changed_ns": `1`, "inode": `1`, "read_by": `'r'`,
		"document": `''`, "document_bytes": `1`, "sha256": `'` + strings.Repeat("a", 64) + `'`, "format": `'canonical'`, "format_version": `''`,
		"kind": `'pos_log'`, "acquirer": `''`, "sends_totals": `false`}},
	{"archive.month", columns{"month": `'2025-09-01'`, "last_settle_date": `'2025-10-02'`}},
	{"weights", columns{"version": `'abc'`, "text": `'t'`}},
	{"explanation", columns{"order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "cause": `'delay'`, "sub_cause": `'file_late'`, "confidence": `0.5`,
		"certainty": `'low'`, "evidence": `'[]'`, "counter_evidence": `'[]'`, "action": `'wait'`, "needs_follow_up": `true`}},
	{"cases", columns{"case_id": `'C-1'`, "order_key": `'00000000-0000-0000-0000-000000000001'`, "episode": `0`, "status": `'open'`}},
	{"case_event", columns{"case_id": `'C-1'`, "seq": `1`, "at": `now()`, "kind": `'opened'`, "actor": `'posrecon'`, "outcome": `'unsettled'`, "cause": `''`, "sub_cause": `''`, "note": `''`}},
}

// insert is the statement that inserts a row: the possible one of the table with some columns changed.
func insert(table string, changed columns) string {
	row := columns{}
	for _, p := range possible {
		if p.table == table {
			maps.Copy(row, p.row)
		}
	}
	maps.Copy(row, changed)
	names := slices.Sorted(maps.Keys(row))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = row[name]
	}
	return fmt.Sprintf(`INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE VALUES (%s)`, table, strings.Join(names, ", "), strings.Join(values, ", "))
}

// fill inserts the possible row of each table.
func fill(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	partitions := postgres.NewPartitions(pool)
	for _, table := range []string{"pos_row", "settlement_row"} {
		if err := partitions.Ensure(t.Context(), table, recon.NewDate(2026, 11, 2)); err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range possible {
		if _, err := pool.Exec(t.Context(), insert(p.table, nil)); err != nil {
			t.Fatalf("a row of %s that may be: %v", p.table, err)
		}
	}
}

const (
	anotherSHA = `'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb'`
	anotherKey = `'00000000-0000-0000-0000-000000000002'`
)

// impossible are rows that no program may store, by the constraint that refuses them. What is not changed would make a
// row that may be beside the first.
var impossible = []struct {
	constraint string
	table      string
	changed    []columns
}{
	{"file_has_an_id", "file", []columns{{"sha256": anotherSHA, "file_id": `1`}}},
	{"file_is_its_bytes", "file", []columns{{}}},
	{"file_name_is_one_of_its_names", "file", []columns{{"sha256": anotherSHA, "name": `'c.csv'`}, {"sha256": anotherSHA, "names": `'{}'`}}},
	{"file_sha256_is_hex", "file", []columns{{"sha256": `''`}, {"sha256": `upper(` + anotherSHA + `)`}, {"sha256": anotherSHA + ` || 'b'`}, {"sha256": anotherSHA + ` || E'\n'`}}},
	{"file_state_is_known", "file", []columns{{"sha256": anotherSHA, "state": `'lost'`, "reason": `'r'`}}},
	{"file_kind_is_known", "file", []columns{{"sha256": anotherSHA, "kind": `'bank'`}}},
	{"file_not_loaded_says_why", "file", []columns{{"sha256": anotherSHA, "state": `'held'`}, {"sha256": anotherSHA, "state": `'refused'`}}},
	{"file_loaded_is_dated", "file", []columns{{"sha256": anotherSHA, "file_date": `NULL`}, {"sha256": anotherSHA, "kind": `''`}}},
	{"file_counts_its_rows", "file", []columns{{"sha256": anotherSHA, "rows_read": `4`}, {"sha256": anotherSHA, "rows_rejected": `0`}}},
	{"file_archives_what_it_loaded", "file", []columns{{"sha256": anotherSHA, "rows_archived": `3`}, {"sha256": anotherSHA, "rows_archived": `-1`}}},
	{"file_does_not_replace_itself", "file", []columns{{"sha256": anotherSHA, "file_id": `7`, "replaced_by": `7`}}},
	{"rejected_line_once", "rejected_line", []columns{{}}},
	{"rejected_line_of_file", "rejected_line", []columns{{"file_id": `4711`}}},
	{"pos_row_amount_is_unsigned", "pos_row", []columns{{"amount": `-0.01`}}},
	{"pos_row_status_is_known", "pos_row", []columns{{"status": `'SETTLED'`}, {"status": `'success'`}, {"status": `''`}}},
	{"pos_row_type_is_known", "pos_row", []columns{{"type": `'TIP'`}}},
	{"settlement_row_amount_is_unsigned", "settlement_row", []columns{{"amount": `-0.01`}, {"fee": `-0.01`}, {"net_amount": `-0.01`}}},
	{"settlement_row_status_is_known", "settlement_row", []columns{{"status": `'PAID'`}}},
	{"settlement_row_type_is_known", "settlement_row", []columns{{"type": `'VOID'`}}},
	{"payout_row_once", "payout_row", []columns{{}}},
	{"payout_row_of_file", "payout_row", []columns{{"file_id": `4711`}}},
	{"payout_row_status_is_known", "payout_row", []columns{{"line": `3`, "status": `'SETTLED'`}}},
	{"payout_row_does_not_replace_itself", "payout_row", []columns{{"line": `3`, "replaces_payout_id": `'P1'`}}},
	{"bank_row_once", "bank_row", []columns{{}}},
	{"bank_row_of_file", "bank_row", []columns{{"file_id": `4711`}}},
	{"calendar_day_once", "calendar_day", []columns{{"kind": `'working'`}}},
	{"calendar_day_kind_is_known", "calendar_day", []columns{{"day": `'2027-01-02'`, "kind": `'holiday'`}}},
	{"run_has_an_id", "run", []columns{{"run_id": `1`}}},
	{"run_kind_is_known", "run", []columns{{"kind": `'ingest'`}}},
	{"verdict_claims_an_order_once", "verdict", []columns{{"settle_key": anotherKey}}},
	{"verdict_claims_a_line_once", "verdict", []columns{{"order_key": anotherKey}}},
	{"verdict_outcome_is_known", "verdict", []columns{{"order_key": anotherKey, "settle_key": anotherKey, "outcome": `'lost'`}}},
	{"verdict_match_rule_is_known", "verdict", []columns{{"order_key": anotherKey, "settle_key": anotherKey, "match_rule": `'guess'`}}},
	{"verdict_is_of_an_order_or_a_line", "verdict", []columns{
		{"order_key": anotherKey, "settle_key": anotherKey, "pos_file_id": `NULL`},
		{"order_key": anotherKey, "settle_key": anotherKey, "has_order": `false`, "outcome": `'unexpected_settlement'`},
		{"order_key": anotherKey, "settle_key": anotherKey, "has_order": `false`, "outcome": `'unexpected_settlement'`, "pos_file_id": `NULL`, "settle_file_id": `NULL`}}},
	{"verdict_without_order_is_unexpected", "verdict", []columns{
		{"order_key": anotherKey, "settle_key": anotherKey, "outcome": `'unexpected_settlement'`},
		{"order_key": anotherKey, "settle_key": anotherKey, "has_order": `false`, "pos_file_id": `NULL`}}},
	{"verdict_pending_has_no_line", "verdict", []columns{{"order_key": anotherKey, "settle_key": anotherKey, "outcome": `'pending'`}}},
	{"due_day_once", "due_day", []columns{{}}},
	{"final_day_once", "final_day", []columns{{}}},
	{"due_day_is_counted_or_says_why", "due_day", []columns{{"cycle": `'T+1'`, "missing_year": `2027`}, {"cycle": `'T+1'`, "due_date": `NULL`}}},
	{"payout_state_once", "payout_state", []columns{{}}},
	{"plain_match_sign_is_one", "plain_match", []columns{{"sign": `0`}, {"sign": `2`}}},
	{"plain_match_counts_its_orders", "plain_match", []columns{{"orders": `3`}, {"orders": `0`, "sold": `'{}'`}}},
	{"plain_match_type_is_known", "plain_match", []columns{{"type": `'VOID'`}}},
	{"reread_line_once", "reread_line", []columns{{}}},
	{"pos_merged_once", "pos_merged", []columns{{}}},
	{"settlement_merged_once", "settlement_merged", []columns{{}}},
	{"standing_line_once", "standing_line", []columns{{"episode": `1`}}},
	{"incident_once_a_night", "incident", []columns{{}}},
	{"incident_status_is_known", "incident", []columns{{"incident_id": `'O-2'`, "status": `'closed'`}}},
	{"incident_peak_holds", "incident", []columns{{"incident_id": `'O-2'`, "orders": `2`}, {"incident_id": `'O-2'`, "orders": `0`}}},
	{"incident_ends_after_it_began", "incident", []columns{{"incident_id": `'O-2'`, "ended_at": `now() - interval '1 day'`}}},
	{"incident_probability_is_a_share", "incident", []columns{{"incident_id": `'O-2'`, "probability": `1.1`}}},
	{"label_once_a_source", "label", []columns{{}}},
	{"label_source_is_known", "label", []columns{{"source": `'guess'`}}},
	{"label_confidence_is_a_share", "label", []columns{{"source": `'implied'`, "confidence": `1.01`}}},
	{"label_amount_is_unsigned", "label", []columns{{"source": `'implied'`, "amount": `-1.00`}}},
	{"known_place_once", "known_place", []columns{{}}},
	{"known_place_sha256_is_hex", "known_place", []columns{{"part": `1`, "sha256": `''`}, {"part": `2`, "sha256": `upper(` + anotherSHA + `)`}}},
	{"month_once", "archive.month", []columns{{}}},
	{"month_is_its_first_day", "archive.month", []columns{{"month": `'2025-09-30'`}}},
	{"weights_once", "weights", []columns{{}}},
	{"explanation_once", "explanation", []columns{{}}},
	{"explanation_cause_is_known", "explanation", []columns{{"order_key": anotherKey, "cause": `'weather'`}}},
	{"explanation_cause_is_whole", "explanation", []columns{
		{"order_key": anotherKey, "cause": `NULL`}, {"order_key": anotherKey, "sub_cause": `NULL`},
		{"order_key": anotherKey, "confidence": `NULL`}, {"order_key": anotherKey, "certainty": `NULL`}}},
	{"explanation_confidence_is_a_share", "explanation", []columns{{"order_key": anotherKey, "confidence": `1.01`}, {"order_key": anotherKey, "confidence": `-0.01`}, {"order_key": anotherKey, "confidence": `'NaN'`}}},
	{"explanation_certainty_is_known", "explanation", []columns{{"order_key": anotherKey, "certainty": `'sure'`}}},
	{"cases_once", "cases", []columns{{"order_key": anotherKey}}},
	{"cases_one_per_order", "cases", []columns{{"case_id": `'C-2'`}}},
	{"cases_status_is_known", "cases", []columns{{"case_id": `'C-2'`, "order_key": anotherKey, "status": `'lost'`}}},
	{"cases_resolved_know_their_facts", "cases", []columns{
		{"case_id": `'C-2'`, "order_key": anotherKey, "status": `'resolved'`}, {"case_id": `'C-2'`, "order_key": anotherKey, "resolved_facts": `'f'`}}},
	{"case_event_in_order", "case_event", []columns{{}}},
	{"case_event_of_case", "case_event", []columns{{"case_id": `'C-2'`}}},
	{"case_event_kind_is_known", "case_event", []columns{{"seq": `2`, "kind": `'lost'`}}},
}

// The database itself refuses rows that cannot be, and says by name which rule they break.
func TestConstraints(t *testing.T) {
	t.Parallel()
	pool := open(t)
	fill(t, pool)
	var tested []string
	for _, i := range impossible {
		tested = append(tested, i.constraint)
		for _, changed := range i.changed {
			_, err := pool.Exec(t.Context(), insert(i.table, changed))
			var refused *pgconn.PgError
			if !errors.As(err, &refused) || refused.ConstraintName != i.constraint {
				t.Errorf("%s with %v: %v, want it refused by %s", i.table, changed, err, i.constraint)
			}
		}
	}
	// Every rule was tried.
	rows, err := pool.Query(t.Context(), `
		SELECT DISTINCT conname::text COLLATE "C"
		  FROM pg_constraint AS c
		  JOIN pg_class AS r ON r.oid = conrelid AND NOT r.relispartition
		 WHERE r.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)
		   AND r.relname <> 'schema_migrations'
		   AND contype <> 'n' -- NOT NULL has a name from PostgreSQL 18 on
		 ORDER BY 1`)
	if err != nil {
		t.Fatal(err)
	}
	declared, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(tested)
	if diff := cmp.Diff(declared, tested); diff != "" {
		t.Errorf("constraints of the schema (-) and of this test (+):\n%s", diff)
	}
}

// The contract's table of money, row by row.
func TestMoneyView(t *testing.T) {
	t.Parallel()
	pool := open(t)
	type amounts struct{ due, arrived, owed, excess string }
	for name, tt := range map[string]struct {
		changed columns
		want    amounts
	}{
		"matched":                          {columns{}, amounts{"1.00", "1.00", "0.00", "0.00"}},
		"matched refund":                   {columns{"type": `'REFUND'`, "pos_amount": `-1.00`, "received": `-1.00`}, amounts{"-1.00", "-1.00", "0.00", "0.00"}},
		"pending":                          {columns{"outcome": `'pending'`, "settle_key": `NULL`, "received": `0`}, amounts{"0.00", "0.00", "0.00", "0.00"}},
		"unsettled":                        {columns{"outcome": `'unsettled'`, "received": `0.00`}, amounts{"1.00", "0.00", "1.00", "0.00"}},
		"unsettled, unknown":               {columns{"outcome": `'unsettled'`, "pos_status": `'UNKNOWN'`, "received": `0.00`}, amounts{"1.00", "0.00", "1.00", "0.00"}},
		"unsettled, failed":                {columns{"outcome": `'unsettled'`, "pos_status": `'FAILED'`, "received": `0`}, amounts{"0.00", "0.00", "0.00", "0.00"}},
		"too little":                       {columns{"outcome": `'amount_mismatch'`, "received": `0.90`}, amounts{"1.00", "0.90", "0.10", "0.00"}},
		"too much":                         {columns{"outcome": `'amount_mismatch'`, "received": `1.10`}, amounts{"1.00", "1.00", "0.00", "0.10"}},
		"too much refunded":                {columns{"type": `'REFUND'`, "outcome": `'amount_mismatch'`, "pos_amount": `-1.00`, "received": `-1.10`}, amounts{"-1.00", "-1.00", "0.00", "-0.10"}},
		"too little refunded":              {columns{"type": `'REFUND'`, "outcome": `'amount_mismatch'`, "pos_amount": `-1.00`, "received": `-0.90`}, amounts{"-1.00", "-0.90", "-0.10", "0.00"}},
		"settled though reversed":          {columns{"outcome": `'status_mismatch'`, "pos_status": `'REVERSED'`}, amounts{"0.00", "0.00", "0.00", "1.00"}},
		"settled though failed, unpaid":    {columns{"outcome": `'status_mismatch'`, "pos_status": `'FAILED'`, "received": `0`}, amounts{"0.00", "0.00", "0.00", "0.00"}},
		"settled though pending":           {columns{"outcome": `'status_mismatch'`, "pos_status": `'PENDING'`}, amounts{"1.00", "1.00", "0.00", "0.00"}},
		"settled twice":                    {columns{"outcome": `'duplicate'`, "received": `2.00`}, amounts{"1.00", "1.00", "0.00", "1.00"}},
		"unexpected":                       {columns{"outcome": `'unexpected_settlement'`, "has_order": `false`, "pos_file_id": `NULL`, "pos_amount": `NULL`}, amounts{"0.00", "0.00", "0.00", "1.00"}},
		"unexpected, its payout came back": {columns{"outcome": `'unexpected_settlement'`, "has_order": `false`, "pos_file_id": `NULL`, "pos_amount": `NULL`, "received": `0`}, amounts{"0.00", "0.00", "0.00", "0.00"}},
		"unexpected refund":                {columns{"type": `'REFUND'`, "outcome": `'unexpected_settlement'`, "has_order": `false`, "pos_file_id": `NULL`, "pos_amount": `NULL`, "received": `-1.00`}, amounts{"0.00", "0.00", "0.00", "-1.00"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got amounts
			err := postgres.Transact(t.Context(), pool, func(tx pgx.Tx) (bool, error) {
				if _, err := tx.Exec(t.Context(), insert("verdict", tt.changed)); err != nil {
					return false, err
				}
				return false, tx.QueryRow(t.Context(), `
					SELECT to_char(amount_due, 'FM0.00'), to_char(amount_arrived, 'FM0.00'), to_char(amount_owed, 'FM0.00'), to_char(amount_excess, 'FM0.00')
					  FROM verdict_money`).Scan(&got.due, &got.arrived, &got.owed, &got.excess)
			})
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("due, arrived, owed, excess: %v, want %v", got, tt.want)
			}
		})
	}
}
