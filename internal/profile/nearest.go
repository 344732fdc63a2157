package profile

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v4"

	"github.com/posrecon/posrecon/internal/recon"
)

// rarity is how many of the formats that ship speak of a column of a name.
var rarity = sync.OnceValue(func() map[string]int {
	out := map[string]int{}
	for _, p := range Builtin() {
		for _, name := range p.normalNames {
			out[name]++
		}
	}
	return out
})

// Nearest finds the shipped format that a header, which no format reads, comes nearest to, and which of the columns that it
// is recognised by the header lacks; nil where none is near: three of them must be there, and half of all if no other
// format has one of those that are, else two thirds: an amount, a time and a fee are in any bill. Of several the one counts with the most of what few others have.
func Nearest(header []string, json bool) (near *Profile, lacks []string) {
	names := NewHeader(header)
	best := 0.0
	for _, p := range Builtin() {
		if json != (p.File.Layout == "json") || !json && !p.HasHeader() || p.Kind == "none" {
			continue
		}
		var missing []string
		there, own := 0.0, false
		for i, name := range p.matchColumns {
			if names[name] {
				there += 1 / float64(rarity()[name])
				own = own || rarity()[name] == 1
			} else {
				missing = append(missing, p.Match.Columns[i])
			}
		}
		have := len(p.matchColumns) - len(missing)
		if have < 3 || have*2 < len(p.matchColumns) || !own && have*3 < 2*len(p.matchColumns) || len(missing) == 0 {
			continue
		}
		if there > best {
			near, lacks, best = p, missing, there
		}
	}
	return near, lacks
}

// renamed guesses which column of a header stands for one that a format has and the header lacks, "" for none: one of the two
// names has the other within it, or, where a field is given, it has a word that columns of that field have. taken are columns
// that stand for others.
func renamed(name, field string, header []string, taken map[string]bool) string {
	bare := func(s string) string {
		s, _, _ = strings.Cut(normalName(s), "(")
		return s
	}
	want := bare(name)
	for _, h := range header {
		if n := bare(h); !taken[h] && 2*min(len(n), len(want)) >= max(len(n), len(want)) && (strings.Contains(want, n) || strings.Contains(n, want)) {
			return h
		}
	}
	for _, pattern := range nameWords[field] {
		for _, h := range header {
			if n := normalName(h); !taken[h] && matches(pattern, n) && (notFor[field] == nil || !notFor[field].MatchString(n)) && !personal(h, nil) {
				return h
			}
		}
	}
	return ""
}

// fieldsOf returns the fields that read a column, in a fixed order.
func (p *Profile) fieldsOf(name string) []string {
	var out []string
	for field, f := range p.Fields {
		if slices.Contains(slices.Concat([]string(f.Column), f.Join, []string(f.Less), []string{f.Minus, f.SignOf}), name) {
			out = append(out, field)
		}
	}
	slices.Sort(out)
	return out
}

// nearTo drafts a profile after the format that the file comes nearest to: the columns that it lacks are read from those that
// seem to stand for them, or left blank where nothing does and a value is needed.
func (d *draft) nearTo(file string, p *Profile, lacks []string) (string, error) {
	text, err := Document(p.Name)
	if err != nil {
		return "", err
	}
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		return "", err
	}
	d.kind = recon.Kind(p.Kind)
	names := NewHeader(d.Header)
	taken := map[string]bool{}
	for _, h := range d.Header {
		taken[h] = slices.Contains(p.normalNames, normalName(h))
	}
	instead := map[string]string{}
	var notes []string
	for _, name := range p.Names() {
		fields := p.fieldsOf(name)
		if names[normalName(name)] || len(fields) == 0 {
			continue
		}
		needed := slices.IndexFunc(fields, func(f string) bool {
			return slices.Contains(kindColumns[d.kind].required, f) && !p.Fields[f].anyOf(names)
		})
		field := ""
		if needed >= 0 {
			field = fields[needed]
		} else if !slices.Contains(lacks, name) {
			continue
		}
		if to := renamed(name, field, d.Header, taken); to != "" {
			instead[name], taken[to] = to, true
			notes = append(notes, fmt.Sprintf("# ? %s is read from %s: the format has %s.", cmp.Or(field, fields[0]), to, name))
		}
	}
	whose := d.acquirer(file)
	if strings.HasPrefix(whose, blank) {
		whose = blank
		notes = append(notes, "# ? acquirer: "+p.Acquirer+" if the file is theirs, as the format is.")
	} else {
		whose, _, _ = strings.Cut(whose, " ")
	}
	top := doc.Content[0]
	for i := 0; i+1 < len(top.Content); {
		key, value := top.Content[i].Value, top.Content[i+1]
		switch key {
		case "name", "title", "status", "source", "note", "match":
			top.Content = slices.Delete(top.Content, i, i+2)
			continue
		case "fields", "skip", "rows", "totals":
			rename(value, instead)
		}
		if key == "fields" {
			notes = append(notes, d.settleFields(p, value, names, instead)...)
		}
		i += 2
	}
	var columns []string
	for _, name := range p.Match.Columns {
		if to := cmp.Or(instead[name], name); names[normalName(to)] && !personal(to, nil) {
			columns = append(columns, to)
		}
	}
	if d.kind != recon.KindPOSLog {
		put(top, "acquirer", whose)
	}
	put(top, "match", map[string][]string{"columns": columns})
	var people []string
	for i, h := range d.Header {
		if personal(h, d.values[i]) || slices.ContainsFunc(p.Personal, func(name string) bool { return normalName(name) == normalName(h) }) {
			people = append(people, h)
		}
	}
	if len(people) > 0 {
		put(top, "personal", people)
	}
	out, err := yaml.Marshal(&doc)
	if err != nil {
		return "", err
	}
	head := "# It comes nearest to the format " + p.Name + ", and lacks of it " + strings.Join(lacks, ", ") + ".\n"
	if len(notes) > 0 {
		head += strings.Join(notes, "\n") + "\n"
	}
	return head + string(out), nil
}

// anyOf reports whether one of the columns that a field is read from is there, or it needs none.
func (f Field) anyOf(names Header) bool {
	columns := slices.Concat([]string(f.Column), f.Join)
	return len(columns) == 0 || slices.ContainsFunc(columns, func(c string) bool { return names[normalName(c)] })
}

// settleFields leaves blank what is needed and not there, drops what is not needed, and adds the words of the first rows that
// the format does not know.
func (d *draft) settleFields(p *Profile, fields *yaml.Node, names Header, instead map[string]string) []string {
	var notes []string
	for i := 0; i+1 < len(fields.Content); {
		name, value := fields.Content[i].Value, fields.Content[i+1]
		f := p.Fields[name]
		columns := slices.Concat([]string(f.Column), f.Join)
		for j := range columns {
			columns[j] = cmp.Or(instead[columns[j]], columns[j])
		}
		there := slices.DeleteFunc(slices.Clone(columns), func(c string) bool { return !names[normalName(c)] })
		switch {
		case len(columns) == 0 || len(there) > 0:
		case slices.Contains(kindColumns[d.kind].required, name):
			*value = yaml.Node{Kind: yaml.ScalarNode, Value: blank}
			notes = append(notes, fmt.Sprintf("# ? %s: no column looks like the format's %s.", name, strings.Join(f.wanted(), " or ")))
		default:
			fields.Content = slices.Delete(fields.Content, i, i+2)
			continue
		}
		if name == "status" && f.Value != "" {
			// Each row would be settled, whatever a column says.
			for at, h := range d.Header {
				if h != "" && statuses(d.values[at]) && !types(d.values[at]) {
					pairs := &yaml.Node{Kind: yaml.MappingNode}
					for _, v := range d.values[at] {
						pairs.Content = append(pairs.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v, Tag: "!!str"}, &yaml.Node{Kind: yaml.ScalarNode, Value: statusWord(d.kind, v)})
					}
					*value = yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Value: "column"}, {Kind: yaml.ScalarNode, Value: h, Tag: "!!str"}, {Kind: yaml.ScalarNode, Value: "map"}, pairs}}
					notes = append(notes, fmt.Sprintf("# ? status: the format has none, and takes each row for %s; %s seems to say how a row stands.", f.Value, h))
					break
				}
			}
		}
		if words := child(value, "map"); words != nil && len(there) > 0 {
			for at, h := range d.Header {
				if normalName(h) != normalName(there[0]) {
					continue
				}
				for _, v := range d.values[at][:min(len(d.values[at]), 20)] {
					if _, known := f.Map[v]; known {
						continue
					}
					to := typeWord(d.kind, v)
					if name == "status" {
						to = statusWord(d.kind, v)
					} else if name != "type" {
						continue
					}
					words.Content = append(words.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: v, Tag: "!!str"}, &yaml.Node{Kind: yaml.ScalarNode, Value: to})
					notes = append(notes, fmt.Sprintf("# ? %s: the format does not know %s.", name, v))
				}
			}
		}
		i += 2
	}
	return notes
}

// rename puts one column for another, wherever it stands.
func rename(n *yaml.Node, instead map[string]string) {
	if to := instead[n.Value]; n.Kind == yaml.ScalarNode && to != "" {
		n.Value, n.Style = to, 0
	}
	for _, c := range n.Content {
		rename(c, instead)
	}
}

// child returns the value of a key, nil where there is none.
func child(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// put sets a key of a document.
func put(top *yaml.Node, key string, value any) {
	var v yaml.Node
	if err := v.Encode(value); err != nil {
		return // lists of text can be encoded
	}
	if v.Kind != yaml.ScalarNode {
		v.Style = yaml.FlowStyle
	}
	for i := 0; i+1 < len(top.Content); i += 2 {
		if top.Content[i].Value == key {
			top.Content[i+1] = &v
			return
		}
	}
	top.Content = append(top.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, &v)
}
