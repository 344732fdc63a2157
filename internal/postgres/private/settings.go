package private

import (
	"fmt"
	"maps"
	"slices"
)

// settings returns the server's settings: ours, overridden and completed by more. compression is how it compresses its log.
func settings(compression string, more map[string]string) map[string]string {
	s := map[string]string{
		// Nobody connects but this program: no TCP, and a socket that only its owner may use.
		"listen_addresses":        "",
		"unix_socket_permissions": "0700",
		// The console, the scheduler and one run, each with a small pool; and a person with psql.
		"max_connections": "50",

		// A quarter of the machine is PostgreSQL's own advice. The matcher reads one night at a time, which fits in 1 GB;
		// the rest is worth more as file cache and to whatever else runs here.
		"shared_buffers": fmt.Sprintf("%dkB", min(memory()/4, 1<<30)>>10),
		// The set-based passes sort and hash whole nights; 64 MB keeps a night's join out of temporary files.
		"work_mem": "64MB",
		// Index builds and vacuum after a bulk load.
		"maintenance_work_mem": "256MB",
		// Huge pages must be reserved by an administrator; without that they only cost a warning.
		"huge_pages": "off",
		// Compiling a query costs more than our queries take.
		"jit": "off",

		// A night's COPY is one burst: let it finish without forcing checkpoints in its middle…
		"max_wal_size":       "4GB",
		"checkpoint_timeout": "15min",
		// …and write less for the full pages that follow each checkpoint.
		"wal_compression": compression,
		// Facts are kept for ever: what was committed survives a power cut. Said here because a changed postgresql.conf
		// must not take it away.
		"fsync":              "on",
		"synchronous_commit": "on",
		"full_page_writes":   "on",

		// Instants are UTC and zones are arguments; the machine's zone must not change a result.
		"timezone": "UTC",
		// So that ps tells whose these processes are.
		"cluster_name": "posrecon",
		// One plain log file beside the data, which Start keeps small; the server writes it through its stderr.
		"logging_collector": "off",
		"log_destination":   "stderr",
		"log_line_prefix":   "%m [%p] ",
	}
	if smallSharedMemory() {
		// In a container /dev/shm is often 64 MB, and a parallel hash join that needs more fails; System V memory is not
		// limited so.
		s["dynamic_shared_memory_type"] = "sysv"
	}
	maps.Copy(s, more)
	return s
}

// arguments turns settings into the server's command line, in a fixed order.
func arguments(settings map[string]string) []string {
	var args []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		args = append(args, "-c", name+"="+settings[name])
	}
	return args
}
