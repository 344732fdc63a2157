package profile

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

//go:embed formats/*.yaml
var formats embed.FS

//go:embed schema.json
var schema []byte

// Schema returns the JSON Schema of a profile, for editors.
func Schema() []byte { return schema }

// Builtin returns the formats that ship, in the order of their names. They are the program's own: one that cannot be
// read is a mistake in the program, which a test finds.
var Builtin = sync.OnceValue(func() []*Profile {
	names, err := fs.Glob(formats, "formats/*.yaml")
	if err != nil {
		panic(err)
	}
	var out []*Profile
	for _, name := range names {
		data, err := formats.ReadFile(name)
		if err != nil {
			panic(err)
		}
		p, err := Parse(name, data)
		if err != nil {
			panic(err)
		}
		p.builtin = true
		out = append(out, p)
	}
	slices.SortFunc(out, func(a, b *Profile) int { return cmp.Compare(a.Name, b.Name) })
	return out
})

// Document returns the YAML of a format that ships, for a user to start from.
func Document(name string) ([]byte, error) {
	return formats.ReadFile("formats/" + name + ".yaml")
}

// Load reads the profiles under paths: files, or folders of *.yaml and *.yml. Of a name that ships the user's counts.
func Load(paths []string) ([]*Profile, error) {
	var files []string
	for _, path := range paths {
		info, err := os.Stat(path)
		if err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
		if !info.IsDir() {
			files = append(files, path)
			continue
		}
		entries, err := os.ReadDir(path)
		if err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
		for _, e := range entries {
			if ext := filepath.Ext(e.Name()); !e.IsDir() && (ext == ".yaml" || ext == ".yml") && !strings.HasPrefix(e.Name(), ".") {
				files = append(files, filepath.Join(path, e.Name()))
			}
		}
	}
	if len(files) > maxProfiles {
		return nil, fmt.Errorf("profiles: %d of them, at most %d are read", len(files), maxProfiles)
	}
	names := map[string]string{}
	var out []*Profile
	var bad []error // all of them: who mends one wants to know of the others
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("profiles: %w", err)
		}
		p, err := Parse(file, data)
		if err != nil {
			bad = append(bad, err)
			continue
		}
		if other, ok := names[p.Name]; ok {
			bad = append(bad, fmt.Errorf("profiles: %s and %s are both named %s: give one of them another name", other, file, p.Name))
			continue
		}
		names[p.Name] = file
		out = append(out, p)
	}
	if len(bad) > 0 {
		return nil, errors.Join(bad...)
	}
	return out, nil
}
