package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Where a table lies on a distributed PostgreSQL, which is one with the extension Citus.
type place int

const (
	byOrder   place = iota // in shards by order_key: what is known of an order is on one node
	onAll                  // whole on every node: small, and joined with the former
	byLine                 // in the same shards, by the key of the line that an order claims
	byAccount              // in shards by merchant: the ledger
	stays                  // on the coordinator: small, or asked by itself alone
)

// places says of every table where it lies, and why it may. A table that is missing here is an error of Distribute.
var places = map[string]place{
	"pos_row":                   byOrder,
	"settlement_row":            byOrder,
	"verdict":                   byOrder,
	"explanation":               byOrder,
	"pos_merged":                byOrder,
	"settlement_merged":         byOrder,
	"standing_line":             byOrder,
	"cases":                     byOrder,
	"label":                     byOrder,
	"archive.pos_row":           byOrder,
	"archive.settlement_row":    byOrder,
	"archive.verdict":           byOrder,
	"archive.explanation":       byOrder,
	"archive.pos_merged":        byOrder,
	"archive.settlement_merged": byOrder,
	"archive.standing_line":     byOrder,

	"claim": byLine,

	"file":          onAll,
	"due_day":       onAll,
	"payout_state":  onAll,
	"reread_line":   onAll,
	"weights":       onAll,
	"archive.month": onAll,

	"plain_match":         byAccount,
	"archive.plain_match": byAccount,

	"case_event":        stays,
	"incident":          stays,
	"final_day":         stays,
	"run":               stays,
	"calendar_day":      stays,
	"known_place":       stays,
	"payout_row":        stays,
	"bank_row":          stays,
	"rejected_line":     stays,
	"schema_migrations": stays,
}

// ErrNotDistributable says that the server lacks the extension Citus.
var ErrNotDistributable = errors.New("the database is not one of Citus: its server needs shared_preload_libraries = 'citus', and the database CREATE EXTENSION citus and its nodes (citus_add_node)")

// Distributed tells whether the tables of a database are distributed.
func Distributed(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (is bool, err error) {
	// pg_dist_partition is there only with the extension: asked for by name, it may be absent.
	err = q.QueryRow(ctx, `SELECT to_regclass('pg_catalog.pg_dist_partition') IS NOT NULL`).Scan(&is)
	if err != nil || !is {
		return false, err
	}
	err = q.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass('pos_row'))`).Scan(&is)
	return is, err
}

// OnNodes gives tx the settings of its session on every node. Citus passes on what a transaction sets for itself, and nothing
// else. Elsewhere it changes nothing.
func OnNodes(ctx context.Context, tx pgx.Tx) error {
	for _, name := range []string{"jit", "work_mem", "random_page_cost"} {
		var value string
		if err := tx.QueryRow(ctx, `SELECT quote_literal(current_setting($1))`, name).Scan(&value); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `SET LOCAL `+name+` = `+value); err != nil {
			return err
		}
	}
	return nil
}

// ReadOwnWrites is OnNodes, and makes the statements of tx see what those before it wrote, on every node: one connection to each.
// Citus would open several, for the shards there, and then refuse to join what one of them wrote of a table that is on all nodes
// with what another reads. It must come first in tx.
func ReadOwnWrites(ctx context.Context, tx pgx.Tx) error {
	if _, err := tx.Exec(ctx, `SET LOCAL citus.multi_shard_modify_mode = 'sequential'`); err != nil {
		return err
	}
	return OnNodes(ctx, tx)
}

// Distribute spreads the tables of the database at databaseURL, whose schema is up to date, over the nodes of Citus. What is
// spread already stays as it is, so that it may be called again.
func Distribute(ctx context.Context, databaseURL string) error {
	return inTransaction(ctx, databaseURL, distribute)
}

// distributeNew is Distribute where tables are distributed, after a migration, and nothing elsewhere.
func distributeNew(ctx context.Context, databaseURL string) error {
	return inTransaction(ctx, databaseURL, func(ctx context.Context, tx pgx.Tx) error {
		is, err := Distributed(ctx, tx)
		if err != nil || !is {
			return err
		}
		return distribute(ctx, tx)
	})
}

func inTransaction(ctx context.Context, databaseURL string, do func(context.Context, pgx.Tx) error) error {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return fmt.Errorf("distribute the tables: %w", redact(err, databaseURL))
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error { return do(ctx, tx) }); err != nil {
		return fmt.Errorf("distribute the tables: %w", err)
	}
	return nil
}

func distribute(ctx context.Context, tx pgx.Tx) error {
	var citus bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')`).Scan(&citus); err != nil {
		return err
	}
	if !citus {
		return ErrNotDistributable
	}
	unplaced, err := Unplaced(ctx, tx)
	if err != nil {
		return err
	}
	if len(unplaced) > 0 {
		return fmt.Errorf("it is not said where %v lie", unplaced)
	}
	rows, err := tx.Query(ctx, `SELECT logicalrelid::oid FROM pg_dist_partition WHERE partmethod = 'h' OR repmodel = 't'`)
	if err != nil {
		return err
	}
	spread, err := pgx.CollectRows(rows, pgx.RowTo[uint32])
	if err != nil {
		return err
	}
	// The lines that verdicts claim. One server holds by verdict_claims_a_line_once that none is claimed twice; over nodes a unique
	// constraint needs the key by which its table is spread, and a line may be claimed by an order of another key.
	if _, err := tx.Exec(ctx, `
		CREATE TABLE IF NOT EXISTS claim (
		    settle_key     uuid NOT NULL,
		    settle_episode smallint NOT NULL,
		    order_key      uuid NOT NULL,
		    episode        smallint NOT NULL,
		    CONSTRAINT claim_of_a_line_once PRIMARY KEY (settle_key, settle_episode)
		)`); err != nil {
		return err
	}
	statements := []string{
		// What was made on every node first, and then in shards, would otherwise be made over connections that do not see it.
		`SET LOCAL citus.multi_shard_modify_mode = 'sequential'`,
	}
	// What others refer to comes first, then what they are laid beside.
	tables := slices.SortedFunc(maps.Keys(places), func(a, b string) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a, b)) })
	for _, t := range tables {
		var oid uint32
		if err := tx.QueryRow(ctx, `SELECT $1::regclass::oid`, t).Scan(&oid); err != nil {
			return err
		}
		if slices.Contains(spread, oid) || places[t] == stays {
			continue
		}
		statements = append(statements, fit[t]...)
		switch places[t] {
		case byOrder:
			with := "pos_row"
			if t == with {
				with = "none"
			}
			statements = append(statements, fmt.Sprintf(`SELECT create_distributed_table('%s', 'order_key', colocate_with => '%s')`, t, with))
		case byLine:
			statements = append(statements, fmt.Sprintf(`SELECT create_distributed_table('%s', 'settle_key', colocate_with => 'pos_row')`, t))
		case byAccount:
			with := "plain_match"
			if t == with {
				with = "none"
			}
			statements = append(statements, fmt.Sprintf(`SELECT create_distributed_table('%s', 'merchant_id', colocate_with => '%s')`, t, with))
		case onAll:
			statements = append(statements, fmt.Sprintf(`SELECT create_reference_table('%s')`, t))
		}
	}
	for _, sql := range statements {
		if _, err := tx.Exec(ctx, sql); err != nil {
			var pg *pgconn.PgError
			if errors.As(err, &pg) && pg.Hint != "" {
				return fmt.Errorf("%s: %w (%s)", sql, err, pg.Hint)
			}
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

// fit is what has to change of a table before it is spread.
var fit = map[string][]string{
	// What refers to it stays on the coordinator. For a foreign key, Citus would ask one shard after the other in a transaction
	// that changes it; posrecon check finds rows of no file. An identity is counted on one node, as a sequence is; Citus takes only the latter.
	"file": {
		`ALTER TABLE payout_row DROP CONSTRAINT payout_row_of_file`,
		`ALTER TABLE bank_row DROP CONSTRAINT bank_row_of_file`,
		`ALTER TABLE rejected_line DROP CONSTRAINT rejected_line_of_file`,
		`ALTER TABLE file ALTER file_id DROP IDENTITY`,
		`CREATE SEQUENCE file_file_id_seq AS integer OWNED BY file.file_id`,
		`SELECT setval('file_file_id_seq', COALESCE(max(file_id), 0) + 1, false) FROM file`,
		`ALTER TABLE file ALTER file_id SET DEFAULT nextval('file_file_id_seq')`,
	},
	// A case's id derives from its order's key, and its first event, which stays on the coordinator, is there once.
	"cases": {
		`ALTER TABLE case_event DROP CONSTRAINT case_event_of_case`,
		`ALTER TABLE cases DROP CONSTRAINT cases_once`,
		`CREATE INDEX cases_by_id ON cases (case_id)`,
	},
	"claim": {
		`CREATE INDEX claim_by_order ON claim (order_key)`,
		`INSERT INTO claim SELECT settle_key, settle_episode, order_key, episode FROM verdict WHERE settle_key IS NOT NULL`,
	},
	"verdict": {`ALTER TABLE verdict DROP CONSTRAINT verdict_claims_a_line_once`},
}

// Unplaced returns the tables of which nobody says where they lie; partitions lie with theirs.
func Unplaced(ctx context.Context, q interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}) ([]string, error) {
	rows, err := q.Query(ctx, `
		SELECT CASE n.nspname WHEN 'public' THEN '' ELSE n.nspname || '.' END || c.relname
		  FROM pg_class AS c
		  JOIN pg_namespace AS n ON n.oid = c.relnamespace
		 WHERE n.nspname IN ('public', 'archive')
		   AND c.relkind IN ('r', 'p')
		   AND NOT c.relispartition
		 ORDER BY 1`)
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("list tables: %w", err)
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, ok := places[name]
		return ok
	}), nil
}

// rank puts first what others refer to, or are laid beside.
func rank(table string) int {
	switch {
	case places[table] == onAll:
		return 0
	case table == "pos_row" || table == "plain_match":
		return 1
	}
	return 2
}
