package profile

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// plainError says what is wrong with a document in the words of its reader, who knows the file and not the decoder: the line,
// what stands there and what should.
func plainError(err error) error {
	var several *yaml.LoadErrors
	if errors.As(err, &several) {
		var out []error
		for _, e := range several.Errors {
			out = append(out, plainLoadError(e.Mark.Line, e.Message))
		}
		return errors.Join(out...)
	}
	var one *yaml.LoadError
	if errors.As(err, &one) {
		return plainLoadError(one.Mark.Line, one.Message)
	}
	return err
}

var (
	unknownField = regexp.MustCompile(`^field (\S+) not found in type`)
	wrongShape   = regexp.MustCompile("^cannot construct !!(\\w+)(?: `(.*)`)? into (\\S+)$")
)

func plainLoadError(line int, message string) error {
	hint := ""
	if m := unknownField.FindStringSubmatch(message); m != nil {
		message = fmt.Sprintf("unknown key %q; 'posrecon formats --schema' lists them", m[1])
	} else if m := wrongShape.FindStringSubmatch(message); m != nil {
		found := map[string]string{"map": "keys with values", "seq": "a list"}[m[1]]
		if found == "" {
			found = fmt.Sprintf("%q", m[2])
		}
		want := "keys with values, each on a line of its own as 'key: value'"
		switch m[3] {
		case "string":
			want = "one value"
		case "int":
			want = "a whole number"
		case "bool":
			want = "true or false"
		case "[]string", "[]int":
			want = "a list, as in [a, b]"
		}
		message = found + " stands where " + want + " should"
	} else if strings.Contains(message, "no documents in stream") {
		message = "the file is empty"
	} else if !strings.HasPrefix(message, "unknown key") && !strings.HasPrefix(message, "mapping key") {
		message = "not YAML: " + message
		hint = "; indent with blanks, and put text with : # [ { or a quote in it into single quotes"
	}
	return fmt.Errorf("line %d: %s%s", max(line, 1), message, hint)
}

// completed refuses a draft in which something is still to be written, wherever it stands: it would be loaded as a name.
func completed(data []byte) error {
	var doc yaml.Node
	if err := yaml.Load(data, &doc); err != nil {
		return plainError(err)
	}
	var lines []string
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && n.Value == blank {
			if at := fmt.Sprint(n.Line); len(lines) == 0 || lines[len(lines)-1] != at {
				lines = append(lines, at)
			}
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(&doc)
	if len(lines) > 0 {
		return fmt.Errorf("line %s: %s is still to be replaced: this is a draft that was not completed", strings.Join(lines, ", "), blank)
	}
	return nil
}
