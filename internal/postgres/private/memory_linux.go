package private

import (
	"os"
	"strconv"
	"strings"
	"syscall"
)

// unknownMemory is assumed where the machine does not say: shared_buffers then stay at PostgreSQL's own 128 MB.
const unknownMemory = 512 << 20

// memory returns the bytes of memory that this program may use: the machine's, or its container's if that is less.
func memory() uint64 {
	var info syscall.Sysinfo_t
	total := uint64(unknownMemory)
	if syscall.Sysinfo(&info) == nil {
		total = uint64(info.Totalram) * uint64(info.Unit)
	}
	for _, limit := range []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"} {
		text, err := os.ReadFile(limit)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil { // "max" is no limit
			total = min(total, n)
		}
	}
	return total
}

// smallSharedMemory tells whether /dev/shm is too small for the shared memory of parallel queries: below 1 GB.
func smallSharedMemory() bool {
	var st syscall.Statfs_t
	if syscall.Statfs("/dev/shm", &st) != nil {
		return true // none at all
	}
	return st.Blocks*uint64(st.Bsize) < 1<<30
}
