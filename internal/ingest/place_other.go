//go:build !linux

package ingest

import "io/fs"

// placeOf knows no place on other systems than Linux: every file is read.
func placeOf(fs.FileInfo) (place, bool) { return place{}, false }
