package match

import (
	"context"
	"strings"
)

// Settings that make a plan what it is known to have to be: of a partitioned table as a whole the planner knows only that keys are of
// one row (postgres.AnalyzePartitions sees to that). What is taken of it by file and date it may take for few rows, and it then
// chooses a loop or a sort that takes ten times as long.
var (
	// Both sides are read once and hashed, by one worker beside the leader: counting, which is the leader's alone, takes it as
	// long as the join takes the two.
	wholeSides = []string{"enable_nestloop = off", "enable_sort = off", "parallel_tuple_cost = 0", "parallel_setup_cost = 0",
		"max_parallel_workers_per_gather = 1"}
	// The fresh rows are as many as a night has. With the 128 MB of work_mem that a connection asks for by itself, the hash table of
	// each half of their keys may take half a gigabyte before it spills, and the groups of each as much (joinFresh).
	wholeNight = append([]string{"hash_mem_multiplier = 4"}, wholeSides...)
	// Few keys are looked up in the indexes of a long history.
	fewKeys = []string{"enable_hashjoin = off"}
)

// with runs statements under settings of the planner, and takes those back.
func (d *decision) with(ctx context.Context, settings []string, statements ...string) error {
	var all []string
	for _, s := range settings {
		all = append(all, "SET LOCAL "+s)
	}
	all = append(all, statements...)
	for _, s := range settings {
		name, _, _ := strings.Cut(s, " ")
		all = append(all, "SET LOCAL "+name+" TO DEFAULT")
	}
	return d.run(ctx, all...)
}

// many reports whether so many keys are to be found among rows that reading them all costs less: looking one up costs about
// what reading twenty rows does.
func many(keys, rows int64) bool { return keys*20 > rows }

// lookUps returns the settings for finding keys among rows. Where all is decided the indexes may still be in the making.
func (d *decision) lookUps(keys, rows int64) []string {
	if d.all || many(keys, rows) {
		return wholeSides
	}
	return fewKeys
}

// count counts the keys of a temporary table, and the rows of orders and lines that there are.
func (d *decision) count(ctx context.Context, table string) (keys, rows int64, err error) {
	err = d.tx.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM `+table+`),
		       (SELECT COALESCE(sum(rows_loaded - rows_archived), 0)::bigint
		          FROM file
		         WHERE state = 'loaded'
		           AND kind IN ('pos_log', 'settlement'))`).Scan(&keys, &rows)
	return keys, rows, err
}
