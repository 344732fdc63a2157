//go:build !linux

package private

import (
	"context"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// unknownMemory is assumed where the machine does not say: shared_buffers then stay at PostgreSQL's own 128 MB.
const unknownMemory = 512 << 20

// memory returns the bytes of memory of the machine.
func memory() uint64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "sysctl", "-n", "hw.memsize").Output()
	if err != nil {
		return unknownMemory
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	if err != nil {
		return unknownMemory
	}
	return n
}

// smallSharedMemory tells whether shared memory is limited as /dev/shm is in Linux containers.
func smallSharedMemory() bool { return false }
