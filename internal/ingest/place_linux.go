package ingest

import (
	"io/fs"
	"syscall"
)

// placeOf returns how a file lies; not ok where the system does not say.
func placeOf(info fs.FileInfo) (place, bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return place{}, false
	}
	return place{size: stat.Size, modified: stat.Mtim.Nano(), changed: stat.Ctim.Nano(), inode: int64(stat.Ino)}, true
}
