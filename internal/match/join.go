package match

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// joinFresh joins the fresh orders and lines in plain_now: plain matches are told together there, every other order and every line
// without one has a group of its own, by its key; without_order has the latter, whose groups have no orders.
//
// Keys are hashes, so that their first bit halves them, and each half is joined and told together in a process of its own, of what is
// read twice. That takes less than joining in two processes what one of them then tells together alone; and before PostgreSQL 16 a
// join tells what either side lacks only where one process does it.
func (d *decision) joinFresh(ctx context.Context) error {
	halves, settings := []func(alias string) string{lowerKeys, upperKeys}, wholeNight
	// Where an order without a line lies is found at once, as long as this transaction holds its table.
	place, of := "max(p.ctid) FILTER (WHERE s.order_key IS NULL)", "max(p.tableoid) FILTER (WHERE s.order_key IS NULL)"
	if d.distributed { // every shard is joined by itself
		halves = []func(string) string{func(string) string { return "" }}
		place, of = "NULL::tid", "NULL::oid"
	} else {
		rows, err := d.countFresh(ctx)
		if err != nil {
			return err
		}
		// By the planner's costs sharing the reading of one side saves a fortieth a row at most, sharing the joining and telling a third.
		settings = slices.Concat(settings, besideEachOther(rows/20))
	}
	joined := make([]string, len(halves))
	for i, half := range halves {
		joined[i] = fmt.Sprintf(`
		 SELECT %s,
		        CASE WHEN %s THEN NULL ELSE COALESCE(p.order_key, s.order_key) END AS other_key,
		        %d::smallint AS half,
		        1::smallint AS sign,
		        %s AS pos_place,
		        %s AS pos_of,
		        count(s.order_key) AS lines,
		        %s
		   FROM (SELECT ctid, tableoid, * FROM pos_row AS p WHERE %s) AS p
		   FULL JOIN (SELECT * FROM settlement_row AS s WHERE %s) AS s ON s.order_key = p.order_key
		   LEFT JOIN payout_state AS y ON y.acquirer = s.acquirer AND y.payout_id = s.payout_id AND y.status <> 'PAID'
		  GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11`,
			plainGroup, agree, i, place, of, plainSums("p", "s"), half("p")+d.fresh.posRow("p"), half("s")+d.fresh.line("s"))
	}
	return d.with(ctx, settings,
		`CREATE TEMP TABLE plain_now ON COMMIT DROP AS`+strings.Join(joined, `
		  UNION ALL`),
		`CREATE TEMP TABLE without_order ON COMMIT DROP AS
		 SELECT other_key AS order_key, sum(lines) AS lines
		   FROM plain_now
		  WHERE orders = 0
		  GROUP BY other_key`,
		`ANALYZE without_order`,
	)
}

// lowerKeys and upperKeys are the beginning of a condition that a row of alias has a key of that half. IS TRUE keeps the planner from
// looking half of all keys up in an index.
func lowerKeys(alias string) string { return halfOfKeys(alias, "TRUE") }
func upperKeys(alias string) string { return halfOfKeys(alias, "FALSE") }

func halfOfKeys(alias, lower string) string {
	return "(" + alias + ".order_key < '80000000-0000-0000-0000-000000000000') IS " + lower + " AND "
}

// countFresh counts the fresh rows, by the register.
func (d *decision) countFresh(ctx context.Context) (rows int64, err error) {
	err = d.tx.QueryRow(ctx, `
		SELECT COALESCE(sum(rows_loaded - rows_archived), 0)::bigint
		  FROM file
		 WHERE file_id = ANY (`+integers(slices.Concat(d.fresh.pos, d.fresh.lines))+`)`).Scan(&rows)
	return rows, err
}

// besideEachOther are settings that let the two parts of a UNION ALL be done by two processes, one each, and not one after the other by
// both: to start a process is told to cost so much, more than is saved by sharing what is read for one part. The planner counts on
// workers alone, so it needs two.
func besideEachOther(start int64) []string {
	return []string{"max_parallel_workers_per_gather = 2", "parallel_setup_cost = " + strconv.FormatInt(max(start, 1000), 10)}
}
