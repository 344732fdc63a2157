package profile

import (
	"regexp"
	"slices"
)

// Header is the names of a line that may be a header, as they are compared.
type Header map[string]bool

// NewHeader takes the cells of such a line.
func NewHeader(cells []string) Header {
	names := make(Header, len(cells))
	for _, name := range cells {
		if n := normalName(name); n != "" {
			names[n] = true
		}
	}
	return names
}

// FitsHeader reports whether a header has the columns by which the profile is recognised, and how many it knows of them
// in all. lines are those before it.
func (p *Profile) FitsHeader(names Header, lines []string) (known int, ok bool) {
	if !p.HasHeader() && p.File.Layout != "json" || len(p.Match.Columns) == 0 {
		return 0, false
	}
	for _, name := range p.matchColumns {
		if !names[name] {
			return 0, false
		}
	}
	for _, name := range p.Match.Without {
		if names[normalName(name)] {
			return 0, false
		}
	}
	if !p.FitsLines(lines) {
		return 0, false
	}
	for _, name := range p.normalNames {
		if names[name] {
			known++
		}
	}
	return known, true
}

// Names returns all columns of a source that the profile speaks of, in a fixed order.
func (p *Profile) Names() []string {
	names := slices.Clone(p.Match.Columns)
	condition := func(c Condition) {
		for name := range c {
			names = append(names, name)
		}
	}
	note := func(f Field) {
		names = slices.Concat(names, []string(f.Column), f.Join, []string(f.Less))
		for _, part := range braces.FindAllStringSubmatch(f.Text, -1) {
			names = append(names, part[1])
		}
		for _, name := range []string{f.SignOf, f.Minus} {
			if name != "" {
				names = append(names, name)
			}
		}
		condition(f.Debit)
	}
	condition(p.Rows)
	condition(p.Skip)
	for _, f := range p.Fields {
		note(f)
		for _, c := range f.Cases {
			condition(c.When)
			note(c.Field)
		}
	}
	for _, t := range p.Totals {
		if t.Of != "count" {
			names = append(names, t.Of)
		}
		condition(t.When)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Used tells of each column of a file without a header whether anything is read from it.
func (p *Profile) Used() []bool {
	names := map[string]bool{}
	for _, name := range p.Names() {
		names[normalName(name)] = true
	}
	used := make([]bool, len(p.File.Columns))
	for i, name := range p.File.Columns {
		used[i] = names[normalName(name)]
	}
	return used
}

var braces = regexp.MustCompile(`\{([^}]*)\}`)

// FitsLines reports whether each pattern for lines is met by one of them.
func (p *Profile) FitsLines(lines []string) bool {
	for _, re := range p.matchLines {
		if !slices.ContainsFunc(lines, re.MatchString) {
			return false
		}
	}
	return true
}

// FitsRow reports whether a row of a file without a header is the profile's.
func (p *Profile) FitsRow(cells []string) bool {
	if p.HasHeader() || !p.IsTable() && p.File.Layout != "fixed" {
		return false
	}
	width := p.Match.Width
	if width == 0 {
		width = len(p.File.Columns)
	}
	if p.IsTable() && len(cells) != width && (!p.File.Short || len(cells) > width) {
		return false
	}
	for _, c := range p.matchCells {
		if c.at >= len(cells) || !c.pattern.MatchString(clean(cells[c.at])) {
			return false
		}
	}
	return len(p.matchCells) > 0
}

// Captured finds the profile's captures in the lines outside the rows and the file's name.
func (p *Profile) Captured(lines []string, name string) map[string]string {
	found := map[string]string{}
	for i, c := range p.Captures {
		if found[c.Name] != "" {
			continue
		}
		texts := lines
		if c.In == "name" {
			texts = []string{name}
		}
		for _, text := range texts {
			if m := p.captures[i].FindStringSubmatch(text); m != nil {
				found[c.Name] = clean(m[1])
				if layout, err := goLayout(c.Layout); err == nil {
					if found[c.Name], _, _ = byLayout(found[c.Name], layout); found[c.Name] == "" {
						continue
					}
				}
				break
			}
		}
	}
	return found
}
