package dynamodb

import "strings"

// A parser reads the tokens of one expression from left to right. Its methods for conditions are in grammar.go, for
// updates in update.go.
type parser struct {
	text         string
	tokens       []token
	at           int
	placeholders *placeholders
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) unexpected() error { return syntaxError(p.text, p.tokens, p.at) }

// symbol takes the next token if it is this symbol.
func (p *parser) symbol(text string) bool {
	if t := p.peek(); t.kind == tokenSymbol && t.text == text {
		p.at++
		return true
	}
	return false
}

func (p *parser) expect(symbol string) error {
	if !p.symbol(symbol) {
		return p.unexpected()
	}
	return nil
}

// keyword takes the next token if it is this keyword, in any case.
func (p *parser) keyword(word string) bool {
	if t := p.peek(); t.kind == tokenName && strings.EqualFold(t.text, word) {
		p.at++
		return true
	}
	return false
}

// path reads a document path: name(.name|[index])*.
func (p *parser) path() (path, error) {
	first, err := p.name()
	if err != nil {
		return nil, err
	}
	found := path{first}
	for {
		switch {
		case p.symbol("."):
			s, err := p.name()
			if err != nil {
				return nil, err
			}
			found = append(found, s)
		case p.symbol("["):
			t := p.peek()
			if t.kind != tokenIndex {
				return nil, p.unexpected()
			}
			p.at++
			found = append(found, step{index: clampedInt(t.text)})
			if err := p.expect("]"); err != nil {
				return nil, err
			}
		default:
			if len(found) > maxNesting {
				return nil, invalid("The document path has too many nesting elements; nesting elements: %d", len(found))
			}
			return found, nil
		}
	}
}

func (p *parser) name() (step, error) {
	t := p.peek()
	switch t.kind {
	case tokenName:
		if reserved(t.text) {
			return step{}, invalid("Attribute name is a reserved keyword; reserved keyword: %s", t.text)
		}
		p.at++
		return step{name: t.text}, nil
	case tokenNameHolder:
		name, ok := p.placeholders.names[t.text]
		if !ok {
			return step{}, invalid("An expression attribute name used in the document path is not defined; attribute name: %s", t.text)
		}
		delete(p.placeholders.unusedNames, t.text)
		p.at++
		return step{name: name}, nil
	}
	return step{}, p.unexpected()
}

// value reads a :placeholder.
func (p *parser) value() (value, error) {
	t := p.peek()
	if t.kind != tokenValueHolder {
		return value{}, p.unexpected()
	}
	v, ok := p.placeholders.values[t.text]
	if !ok {
		return value{}, invalid("An expression attribute value used in expression is not defined; attribute value: %s", t.text)
	}
	delete(p.placeholders.unusedValue, t.text)
	p.at++
	return v, nil
}

// paths is the grammar of a projection: path (, path)*.
func (p *parser) paths() ([]path, error) {
	var list []path
	for {
		one, err := p.path()
		if err != nil {
			return nil, err
		}
		list = append(list, one)
		if !p.symbol(",") {
			return list, distinct(list)
		}
	}
}

// call reads a function's name and its opening parenthesis, if that is what comes next.
func (p *parser) call() (string, bool) {
	t := p.peek()
	if t.kind != tokenName || p.tokens[p.at+1].kind != tokenSymbol || p.tokens[p.at+1].text != "(" {
		return "", false
	}
	p.at += 2
	return t.text, true
}

// arguments reads what is between a function's parentheses, the closing one included.
func arguments[T any](p *parser, one func() (T, error)) ([]T, error) {
	var list []T
	for {
		argument, err := one()
		if err != nil {
			return nil, err
		}
		list = append(list, argument)
		if p.symbol(",") {
			continue
		}
		return list, p.expect(")")
	}
}

func unknownFunction(name string) error {
	return invalid("Invalid function name; function: %s", name)
}

func misusedFunction(name string) error {
	return invalid("The function is not allowed to be used this way in an expression; function: %s", name)
}

func operandCount(function string, n int) error {
	return invalid("Incorrect number of operands for operator or function; operator or function: %s, number of operands: %d", function, n)
}

func operandType(operator string, k kind) error {
	return invalid("Incorrect operand type for operator or function; operator or function: %s, operand type: %s", operator, k)
}

func needsPath(function string) error {
	return invalid("Operator or function requires a document path; operator or function: %s", function)
}
