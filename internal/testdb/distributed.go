package testdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/posrecon/posrecon/internal/postgres"
)

// distributed is whether the tests' databases are spread over the nodes of the extension Citus. The server must then be one
// that POSRECON_TEST_DATABASE_URL names: a coordinator, in whose database there the extension knows its workers. A test's
// database is on all of them, and is made as it is on one server: by cloning what was distributed once.
var distributed bool

// findWorkers finds the nodes beside the server.
func (s *server) findWorkers(ctx context.Context) error {
	return s.with(ctx, s.adminURL, func(conn *pgx.Conn) error {
		var citus bool
		if err := conn.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus')`).Scan(&citus); err != nil {
			return err
		}
		if !citus {
			return fmt.Errorf("the database of %s lacks the extension Citus", urlEnv)
		}
		rows, err := conn.Query(ctx, `SELECT nodename, nodeport FROM pg_dist_node WHERE groupid > 0 AND noderole = 'primary' ORDER BY nodeid`)
		if err != nil {
			return err
		}
		var name string
		var port int
		_, err = pgx.ForEachRow(rows, []any{&name, &port}, func() error {
			u, err := url.Parse(s.adminURL)
			if err != nil {
				return err
			}
			u.Host = net.JoinHostPort(name, strconv.Itoa(port))
			s.workers = append(s.workers, u.String())
			return nil
		})
		if err == nil && len(s.workers) == 0 {
			err = fmt.Errorf("the database of %s knows no worker of Citus: SELECT citus_set_coordinator_host(…), citus_add_node(…)", urlEnv)
		}
		return err
	})
}

// nodes are the server and its workers, by the URLs of their databases for managing; the server is the last.
func (s *server) nodes() []string { return append(append([]string{}, s.workers...), s.adminURL) }

// distribute spreads the tables of a migrated database over the workers.
func (s *server) distribute(ctx context.Context, database string) error {
	for _, node := range s.nodes() {
		if err := s.with(ctx, databaseAt(node, database), func(conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, `CREATE EXTENSION citus`)
			return err
		}); err != nil {
			return err
		}
	}
	err := s.with(ctx, s.url(database), func(conn *pgx.Conn) error {
		add := `SELECT citus_set_coordinator_host($1, $2::integer)`
		for i := range s.nodes() {
			u, err := url.Parse(s.nodes()[(i+len(s.workers))%(len(s.workers)+1)])
			if err != nil {
				return err
			}
			if _, err := conn.Exec(ctx, add, u.Hostname(), u.Port()); err != nil {
				return err
			}
			add = `SELECT citus_add_node($1, $2::integer)`
		}
		return nil
	})
	return errors.Join(err, postgres.Distribute(ctx, s.url(database)))
}

// databaseAt is the URL of another database of the server at a URL.
func databaseAt(server, database string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // cannot be: we have connected by it
	}
	u.Path = "/" + database
	return u.String()
}
