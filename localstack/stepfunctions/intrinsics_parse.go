package stepfunctions

import (
	"fmt"
	"strings"
)

// maxNesting is how deep intrinsic functions may be nested.
const maxNesting = 10

func parseIntrinsic(text string) (template, error) {
	p := &intrinsicParser{text: text}
	t, err := p.call(1)
	if err == nil && p.skip() != 0 {
		err = fmt.Errorf("there is something after the closing parenthesis")
	}
	if err != nil {
		return nil, fmt.Errorf("intrinsic function %q: %w", text, err)
	}
	return t, nil
}

type intrinsicParser struct {
	text string
	at   int
}

// skip passes over blanks and shows the next byte, 0 at the end.
func (p *intrinsicParser) skip() byte {
	for p.at < len(p.text) && p.text[p.at] == ' ' {
		p.at++
	}
	if p.at == len(p.text) {
		return 0
	}
	return p.text[p.at]
}

func (p *intrinsicParser) call(depth int) (template, error) {
	open := strings.IndexByte(p.text[p.at:], '(')
	if open < 0 {
		return nil, fmt.Errorf("there is no argument list")
	}
	name := strings.TrimSpace(p.text[p.at : p.at+open])
	fn, ok := intrinsics[name]
	if !ok {
		return nil, fmt.Errorf("there is no function %q", name)
	}
	if depth > maxNesting {
		return nil, fmt.Errorf("functions are nested more than %d deep", maxNesting)
	}
	p.at += open + 1
	c := &intrinsicCall{name: name, fn: fn}
	for p.skip() != ')' {
		if len(c.args) > 0 {
			if p.skip() != ',' {
				return nil, fmt.Errorf("at %d: a comma or a closing parenthesis is missing", p.at)
			}
			p.at++
		}
		arg, err := p.argument(depth)
		if err != nil {
			return nil, err
		}
		c.args = append(c.args, arg)
	}
	p.at++
	if len(c.args) < fn.least || (fn.most >= 0 && len(c.args) > fn.most) {
		return nil, fmt.Errorf("%s does not take %d arguments", name, len(c.args))
	}
	return c, nil
}

func (p *intrinsicParser) argument(depth int) (template, error) {
	switch c := p.skip(); {
	case c == 0:
		return nil, fmt.Errorf("the argument list does not end")
	case c == '\'':
		return p.quoted()
	case strings.HasPrefix(p.text[p.at:], "States."):
		return p.call(depth + 1)
	}
	// A path or a literal ends at a comma or parenthesis outside brackets and quotes.
	start, brackets, quote := p.at, 0, byte(0)
	for ; p.at < len(p.text); p.at++ {
		c := p.text[p.at]
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '[' || c == '(':
			brackets++
		case c == ']' || (c == ')' && brackets > 0):
			brackets--
		case brackets == 0 && (c == ',' || c == ')'):
			return literalArgument(strings.TrimSpace(p.text[start:p.at]))
		}
	}
	return nil, fmt.Errorf("the argument list does not end")
}

func literalArgument(text string) (template, error) {
	if strings.HasPrefix(text, "$") {
		p, err := parsePath(text)
		if err != nil {
			return nil, err
		}
		return pathTemplate{"argument", p}, nil
	}
	v, err := decode([]byte(text))
	if _, isString := v.(string); err != nil || isString {
		return nil, fmt.Errorf("the argument %q is no path, number, true, false, null, string in single quotes or function", text)
	}
	return literal{v}, nil
}

func (p *intrinsicParser) quoted() (template, error) {
	start := p.at + 1
	for i := start; i < len(p.text); i++ {
		switch p.text[i] {
		case '\\':
			i++
		case '\'':
			p.at = i + 1
			return quoted(p.text[start:i]), nil
		}
	}
	return nil, fmt.Errorf("a string does not end")
}
