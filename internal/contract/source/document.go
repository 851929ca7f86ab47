package source

import (
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds of one file: contracts are short, and what is not short is no contract.
const (
	maxFile  = 64 << 10
	maxDepth = 16
)

// document is one parsed file: plain data as JSON has it, and for every value, by its JSON pointer, where it stands and
// how it was written.
type document struct {
	file     string
	lines    []string
	value    map[string]any
	places   map[string]place // of a value; of a mapping's member, of its key
	problems Problems
}

type place struct {
	line, column int
	text         string // a scalar as it was written
}

// parse reads one file. What it could not read is in problems; value is nil when there is nothing to go on with.
func parse(file string, data []byte) *document {
	d := &document{file: file, lines: strings.Split(string(data), "\n"), places: map[string]place{}}
	if len(data) > maxFile {
		d.report("", "too-large", fmt.Sprintf("the file has %d bytes, more than %d", len(data), maxFile), "a contract holds no data; shorten it")
		return d
	}
	tree, err := parseYAML(data)
	if err != nil {
		d.syntax(err)
		return d
	}
	bodies := tree.Docs[:0:0]
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.CommentType {
			bodies = append(bodies, doc)
		}
	}
	switch {
	case len(bodies) == 0:
		d.report("", "empty", "the file is empty", "write a contract in it, or remove it")
		return d
	case len(bodies) > 1:
		d.at(start(bodies[1].Body), "many-documents", "the file holds more than one document", "give each its own file")
	}
	value, ok := d.walk(bodies[0].Body, "", 0).(map[string]any)
	if !ok {
		d.report("", "wrong-type", "the file is not a mapping", "write name: value lines")
		return d
	}
	d.value = value
	return d
}

// parseYAML turns a crash of the parser on hostile text into a syntax error.
func parseYAML(data []byte) (tree *ast.File, err error) {
	defer func() {
		if r := recover(); r != nil {
			tree, err = nil, fmt.Errorf("the text confuses the YAML parser: %v", r)
		}
	}()
	return parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
}

func (d *document) syntax(err error) {
	at, message := place{line: 1, column: 1}, err.Error()
	var syntax *yaml.SyntaxError
	if errors.As(err, &syntax) {
		at, message = tokenPlace(syntax.Token), syntax.Message
	}
	message, _, _ = strings.Cut(message, "\n")
	d.at(at, "yaml-syntax", message, "correct the YAML; nothing else in this file was checked")
}

// number as JSON and YAML agree on it, and of a size that means something; anything else is text.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?$`)

// walk turns a node into plain data. Anchors, aliases, merge keys and tags are refused: a contract says what it says where
// it says it.
func (d *document) walk(node ast.Node, pointer string, depth int) any {
	d.note(pointer, node)
	if depth > maxDepth {
		d.report(pointer, "too-deep", "values are nested too deeply", "contracts need no such depth")
		return nil
	}
	switch n := node.(type) {
	case *ast.MappingNode:
		return d.mapping(n.Values, pointer, depth)
	case *ast.MappingValueNode:
		return d.mapping([]*ast.MappingValueNode{n}, pointer, depth)
	case *ast.SequenceNode:
		list := make([]any, 0, len(n.Values))
		for i, v := range n.Values {
			list = append(list, d.walk(v, pointer+"/"+strconv.Itoa(i), depth+1))
		}
		return list
	case *ast.StringNode:
		return n.Value
	case *ast.LiteralNode:
		return n.Value.Value
	case *ast.IntegerNode, *ast.FloatNode:
		text := node.GetToken().Value
		if number.MatchString(text) {
			return json.Number(text)
		}
		return text
	case *ast.BoolNode:
		return n.Value
	case *ast.NullNode, nil:
		return nil
	default:
		d.report(pointer, "yaml-feature", "anchors, aliases, tags and special numbers are not used in contracts", "write the value out")
		return nil
	}
}

func (d *document) mapping(values []*ast.MappingValueNode, pointer string, depth int) map[string]any {
	m := make(map[string]any, len(values))
	for _, v := range values {
		key, ok := v.Key.(*ast.StringNode)
		if !ok {
			d.at(tokenPlace(v.Key.GetToken()), "yaml-feature", "the key is no plain text", "use a plain name as the key")
			continue
		}
		member := pointer + "/" + escape(key.Value)
		if _, taken := m[key.Value]; taken {
			d.at(tokenPlace(key.GetToken()), "duplicate-key", fmt.Sprintf("%q is given twice", key.Value), "remove one")
			continue
		}
		m[key.Value] = d.walk(v.Value, member, depth+1)
		switch m[key.Value].(type) {
		case nil, []any, map[string]any: // these begin on another line; the key is where to look
			d.places[member] = tokenPlace(key.GetToken())
		}
		d.places[keyOf(member)] = tokenPlace(key.GetToken())
	}
	return m
}

// keyOf is where the key of a member is noted, apart from its value: no JSON pointer ends like this.
func keyOf(pointer string) string { return pointer + "~" }

func (d *document) note(pointer string, node ast.Node) {
	if node != nil && node.GetToken() != nil {
		d.places[pointer] = start(node)
	}
}

// start is where a reader sees a value begin: for a mapping, at its first key and not at the colon behind it.
func start(node ast.Node) place {
	switch n := node.(type) {
	case *ast.MappingNode:
		if len(n.Values) > 0 {
			return tokenPlace(n.Values[0].Key.GetToken())
		}
	case *ast.MappingValueNode:
		return tokenPlace(n.Key.GetToken())
	}
	return tokenPlace(node.GetToken())
}

func tokenPlace(t *token.Token) place {
	if t == nil || t.Position == nil {
		return place{line: 1, column: 1}
	}
	return place{line: t.Position.Line, column: t.Position.Column, text: t.Value}
}

// find gives the place of a value, or of the nearest thing around it that is there.
func (d *document) find(pointer string) place {
	for {
		if p, ok := d.places[pointer]; ok {
			return p
		}
		i := strings.LastIndex(pointer, "/")
		if i < 0 {
			return place{line: 1, column: 1}
		}
		pointer = pointer[:i]
	}
}

func (d *document) report(pointer, code, message, do string) {
	d.at(d.find(pointer), code, message, do)
	d.problems[len(d.problems)-1].pointer = pointer
}

func (d *document) at(p place, code, message, do string) {
	d.problems = append(d.problems, Problem{
		File: d.file, Line: p.line, Column: p.column, Code: code, Message: message, Do: do, pointer: "?",
	})
}

// conceal is report, at its key, for a member that has no business in a contract: what it holds may be a password, and
// lint's output goes to build logs, so that no excerpt shows it.
func (d *document) conceal(pointer, code, message, do string) {
	d.at(d.find(keyOf(pointer)), code, message, do)
	d.problems[len(d.problems)-1].pointer = pointer
	for at, p := range d.places {
		if (at == pointer || strings.HasPrefix(at, pointer+"/")) && p != d.places[keyOf(at)] {
			d.mask(p)
		}
	}
}

// mask overwrites a scalar in the source lines, letter by letter, so that columns stay what they are.
func (d *document) mask(p place) {
	if p.line < 1 || p.line > len(d.lines) {
		return
	}
	line := []rune(d.lines[p.line-1])
	from := max(0, p.column-1)
	to := from + len([]rune(p.text))
	if from < len(line) && (line[from] == '"' || line[from] == '\'') {
		to = len(line) // escapes may make what is written longer than what is meant
	}
	for i := from; i < min(to, len(line)); i++ {
		line[i] = '*'
	}
	d.lines[p.line-1] = string(line)
}

// excerpts shows each problem's source line, as it is in the end.
func (d *document) excerpts() {
	for i := range d.problems {
		if n := d.problems[i].Line; n >= 1 && n <= len(d.lines) {
			d.problems[i].Excerpt = strings.TrimRight(d.lines[n-1], "\r")
		}
	}
}

// escape writes one segment of a JSON pointer (RFC 6901).
func escape(segment string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(segment)
}

func pointerOf(segments []string) string {
	var b strings.Builder
	for _, s := range segments {
		b.WriteString("/" + escape(s))
	}
	return b.String()
}
