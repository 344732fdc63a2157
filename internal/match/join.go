package match

import (
	"context"
	"errors"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// joinColumns are the columns of plain_now as the join fills them: a group of plain matches has no other_key, a line without an
// order has no acquirer.
const joinColumns = `acquirer, merchant_id, channel, type, currency, business_date, cycle, settle_date, settle_file_id, payout_id,
		        other_key, sign, lines, orders, amount, net, sold`

// halves are the conditions that part the keys in two. They are hashes, so that each part has as many.
var halves = []string{
	`order_key < '80000000-0000-0000-0000-000000000000'`,
	`order_key >= '80000000-0000-0000-0000-000000000000'`,
}

// errUnread ends a half whose result nobody reads any more.
var errUnread = errors.New("the other half could not be copied")

// joinFresh joins the fresh orders and lines into plain_now: in two halves side by side, where other transactions can see what
// this one sees. One process joins and counts a million orders in two seconds; a parallel plan would leave the counting, which
// is most of it, to its leader.
func (d *decision) joinFresh(ctx context.Context) error {
	if err := d.run(ctx,
		`CREATE TEMP TABLE bad_payout ON COMMIT DROP AS
		 SELECT acquirer, payout_id FROM payout_state WHERE status <> 'PAID'`,
		`ANALYZE bad_payout`, `
		CREATE TEMP TABLE plain_now (
		    acquirer       text COLLATE "C",
		    merchant_id    text COLLATE "C",
		    channel        text COLLATE "C",
		    type           text COLLATE "C",
		    currency       text COLLATE "C",
		    business_date  date,
		    cycle          text COLLATE "C",
		    settle_date    date,
		    settle_file_id integer,
		    payout_id      text COLLATE "C",
		    other_key      uuid,
		    sign           smallint,
		    lines          bigint,
		    orders         integer,
		    amount         numeric,
		    net            numeric,
		    sold           integer[]
		) ON COMMIT DROP`,
	); err != nil {
		return err
	}
	if d.rules.Beside == nil || d.distributed { // where each node joins its own, and shares no snapshot
		return d.with(ctx, wholeSides, `INSERT INTO plain_now (`+joinColumns+`)`+d.joinSQL("true"))
	}
	return d.joinHalves(ctx)
}

// joinSQL joins the fresh orders and lines whose keys meet a condition.
func (d *decision) joinSQL(keys string) string {
	return `
		 SELECT p.acquirer,
		        p.merchant_id,
		        p.channel,
		        p.type,
		        p.currency,
		        p.business_date,
		        CASE WHEN p.order_key IS NOT NULL THEN COALESCE(p.settle_cycle, '') END,
		        s.settle_date,
		        s.file_id,
		        s.payout_id,
		        -- What is no plain match gets a group of its own, by its key.
		        CASE WHEN ` + agree + ` THEN NULL ELSE COALESCE(p.order_key, s.order_key) END,
		        1::smallint,
		        count(s.order_key),
		        count(p.order_key)::integer,
		        sum(p.amount),
		        sum(COALESCE(s.net_amount, s.amount - COALESCE(s.fee, 0))),
		        array_agg(floor(date_part('epoch', p.txn_time) - 86400 * (p.business_date - DATE '1970-01-01'))::integer)
		   FROM (SELECT * FROM pos_row AS p WHERE ` + d.fresh.posRow("p") + ` AND ` + keys + `) AS p
		   FULL JOIN (SELECT * FROM settlement_row AS s WHERE ` + d.fresh.line("s") + ` AND ` + keys + `) AS s ON s.order_key = p.order_key
		   LEFT JOIN bad_payout AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`
}

// joinHalves joins each half of the keys in a transaction of its own, and copies what comes of it into plain_now.
func (d *decision) joinHalves(ctx context.Context) error {
	var snapshot string
	if err := d.tx.QueryRow(ctx, `SELECT pg_export_snapshot()`).Scan(&snapshot); err != nil {
		return err
	}
	rows, err := d.tx.Query(ctx, `SELECT acquirer, payout_id FROM bad_payout`)
	if err != nil {
		return err
	}
	// What this transaction has written the others do not see.
	bad, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
	if err != nil {
		return err
	}
	group, joining := errgroup.WithContext(ctx)
	var results []*io.PipeReader
	for _, half := range halves {
		result, into := io.Pipe()
		results = append(results, result)
		group.Go(func() error {
			err := d.rules.Beside(joining, snapshot, func(tx pgx.Tx) error { return d.joinHalf(joining, tx, half, bad, into) })
			into.CloseWithError(err) // the end, where it is nil
			return err
		})
	}
	var copying error
	for _, result := range results {
		if copying == nil {
			_, copying = d.tx.Conn().PgConn().CopyFrom(ctx, result, `COPY plain_now (`+joinColumns+`) FROM STDIN (FORMAT binary)`)
		}
		result.CloseWithError(errUnread)
	}
	// What stopped a half is what stopped the copying of it.
	if err := group.Wait(); err != nil && !errors.Is(err, errUnread) {
		return err
	}
	return copying
}

// joinHalf joins the orders and lines of a half of the keys in tx and writes the groups in the binary format of COPY.
func (d *decision) joinHalf(ctx context.Context, tx pgx.Tx, half string, bad [][]any, into io.Writer) error {
	other := decision{tx: tx, rules: d.rules, fresh: d.fresh}
	if err := other.run(ctx, `
		CREATE TEMP TABLE bad_payout (
		    acquirer  text COLLATE "C",
		    payout_id text COLLATE "C"
		) ON COMMIT DROP`); err != nil {
		return err
	}
	if _, err := tx.CopyFrom(ctx, pgx.Identifier{"bad_payout"}, []string{"acquirer", "payout_id"}, pgx.CopyFromRows(bad)); err != nil {
		return err
	}
	if err := other.set(ctx, append(slices.Clone(wholeSides), "enable_mergejoin = off", "max_parallel_workers_per_gather = 0")...); err != nil {
		return err
	}
	if err := other.run(ctx, `ANALYZE bad_payout`); err != nil {
		return err
	}
	_, err := tx.Conn().PgConn().CopyTo(ctx, into, `COPY (`+d.joinSQL(half)+`) TO STDOUT (FORMAT binary)`)
	return err
}
