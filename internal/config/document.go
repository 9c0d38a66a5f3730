package config

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// document is a TOML file whose values know their lines.
type document struct {
	file   string
	lines  []string
	values []entry // in the file's order
	tables []entry // the headers, [model]; their value is nil
}

// entry is one value of a document, inline tables taken apart.
type entry struct {
	key   string // dotted
	value any    // int64, float64, bool, string, or what no setting takes
	line  int    // from 1
}

// parseDocument reads TOML, and refuses a key that is given twice.
func parseDocument(file string, data []byte) (*document, error) {
	d := &document{file: file, lines: strings.Split(string(data), "\n")}
	var tree map[string]any
	syntax := toml.Unmarshal(data, &tree)
	if err := d.walk(data, tree); err != nil {
		return nil, err
	}
	if syntax != nil {
		return nil, d.syntaxError(syntax)
	}
	return d, nil
}

// fail is an Error at a line of the document.
func (d *document) fail(line int, key, format string, args ...any) error {
	e := &Error{File: d.file, Line: line, Key: key, Msg: fmt.Sprintf(format, args...)}
	if line > 0 && line <= len(d.lines) {
		e.Text = strings.TrimSpace(d.lines[line-1])
	}
	return e
}

func (d *document) syntaxError(err error) error {
	line := 0
	var at *toml.DecodeError
	if errors.As(err, &at) {
		line, _ = at.Position()
	}
	why := parsing.ReplaceAllString(strings.TrimPrefix(err.Error(), "toml: "), "no number that fits can be read from")
	return d.fail(line, "", "this is not TOML: %s", why)
}

// parsing is how the parser passes on what Go says of a number.
var parsing = regexp.MustCompile(`unable to parse \w+: strconv\.\w+: parsing`)

// walk visits the syntax tree for the lines and takes the values from tree,
// which is incomplete when the document has a syntax error: then the walk ends
// at it.
func (d *document) walk(data []byte, tree map[string]any) error {
	w := walker{document: d, tree: tree, seen: map[string]int{}}
	w.parser.Reset(data)
	for w.parser.NextExpression() {
		if err := w.expression(w.parser.Expression()); err != nil {
			return err
		}
	}
	return nil
}

type walker struct {
	*document
	parser unstable.Parser
	tree   map[string]any
	table  []string       // the header in force
	seen   map[string]int // the line of every key and header so far
}

func (w *walker) expression(n *unstable.Node) error {
	switch n.Kind {
	case unstable.ArrayTable:
		path, line := w.path(n.Key())
		return w.fail(line, strings.Join(path, "."), "%[1]s cannot be a list: write [%[1]s]", strings.Join(path, "."))
	case unstable.Table:
		path, line := w.path(n.Key())
		w.table = path
		w.tables = append(w.tables, entry{key: strings.Join(path, "."), line: line})
		return w.once("["+strings.Join(path, ".")+"]", line)
	case unstable.KeyValue:
		return w.keyValue(n, w.table)
	}
	return nil
}

func (w *walker) keyValue(n *unstable.Node, table []string) error {
	path, line := w.path(n.Key())
	path = append(table[:len(table):len(table)], path...)
	if n.Value().Kind == unstable.InlineTable {
		for it := n.Value().Children(); it.Next(); {
			if err := w.keyValue(it.Node(), path); err != nil {
				return err
			}
		}
		return nil
	}
	key := strings.Join(path, ".")
	w.values = append(w.values, entry{key: key, value: lookUp(w.tree, path), line: line})
	return w.once(key, line)
}

func (w *walker) once(key string, line int) error {
	if first, twice := w.seen[key]; twice {
		return w.fail(line, key, "%s is given twice: first in line %d", key, first)
	}
	w.seen[key] = line
	return nil
}

// path is a key's parts and its line.
func (w *walker) path(key unstable.Iterator) (parts []string, line int) {
	for key.Next() {
		if line == 0 {
			line = w.parser.Shape(key.Node().Raw).Start.Line
		}
		parts = append(parts, string(key.Node().Data))
	}
	return parts, line
}

func lookUp(tree map[string]any, path []string) any {
	var value any = tree
	for _, part := range path {
		table, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = table[part]
	}
	return value
}
