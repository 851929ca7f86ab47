package dynamodb

import "slices"

// condition is the grammar of conditions and filters. NOT binds closer than AND, AND closer than OR.
func (p *parser) condition() (condition, error) {
	left, err := p.conjunction()
	for err == nil && p.keyword("OR") {
		var right condition
		right, err = p.conjunction()
		left = anyOf{left, right}
	}
	return left, err
}

func (p *parser) conjunction() (condition, error) {
	left, err := p.negation()
	for err == nil && p.keyword("AND") {
		var right condition
		right, err = p.negation()
		left = allOf{left, right}
	}
	return left, err
}

func (p *parser) negation() (condition, error) {
	if p.keyword("NOT") {
		inner, err := p.negation()
		return not{inner}, err
	}
	if p.symbol("(") {
		return p.parenthesised()
	}
	if name, ok := p.call(); ok && name != "size" {
		return p.function(name)
	} else if ok {
		p.at -= 2
	}
	return p.comparison()
}

func (p *parser) parenthesised() (condition, error) {
	opening := p.at
	inner, err := p.condition()
	if err != nil {
		return nil, err
	}
	if err := p.expect(")"); err != nil {
		return nil, err
	}
	if p.doubled(opening) {
		return nil, invalid("The expression has redundant parentheses;")
	}
	return inner, nil
}

// doubled says whether all that was read since opening, up to the parenthesis just closed, is itself one
// parenthesised condition.
func (p *parser) doubled(opening int) bool {
	first, last := p.tokens[opening], p.tokens[p.at-2]
	if first.text != "(" || last.text != ")" {
		return false
	}
	depth := 0
	for i := opening; i < p.at-1; i++ {
		switch p.tokens[i].text {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			return i == p.at-2
		}
	}
	return false
}

func (p *parser) function(name string) (condition, error) {
	counts := map[string]int{"attribute_exists": 1, "attribute_not_exists": 1, "attribute_type": 2, "begins_with": 2, "contains": 2}
	count, known := counts[name]
	if !known {
		return nil, unknownFunction(name)
	}
	args, err := arguments(p, p.operand)
	if err != nil {
		return nil, err
	}
	if len(args) != count {
		return nil, operandCount(name, len(args))
	}
	if count == 2 {
		if err := different(name, args[0], args[1]); err != nil {
			return nil, err
		}
	}
	made, err := makeFunction(name, args)
	if err != nil {
		return nil, err
	}
	// A function that is a condition by itself is not a value to compare with.
	if t := p.peek(); isComparator(t) {
		return nil, misusedFunction(name)
	}
	return made, nil
}

func makeFunction(name string, args []operand) (condition, error) {
	switch name {
	case "attribute_exists", "attribute_not_exists":
		a, ok := args[0].(attribute)
		if !ok {
			return nil, needsPath(name)
		}
		if name == "attribute_exists" {
			return exists(a), nil
		}
		return not{exists(a)}, nil
	case "attribute_type":
		l, ok := args[1].(literal)
		if !ok {
			return nil, operandType(name, "{NS,SS,L,BS,N,M,B,BOOL,NULL,S}")
		}
		if l.value.kind != kindString {
			return nil, operandType(name, l.value.kind)
		}
		kinds := []kind{kindBinary, kindNull, kindStringSet, kindBool, kindList, kindBinarySet, kindNumber, kindNumberSet, kindString, kindMap}
		if !slices.Contains(kinds, kind(l.value.text)) {
			return nil, invalid("Invalid attribute type name found; type: %s, valid types: {B,NULL,SS,BOOL,L,BS,N,NS,S,M}", l.value.text)
		}
		return typeIs{args[0], kind(l.value.text)}, nil
	case "begins_with":
		for _, a := range args {
			if k := knownKind(a); k != "" && k != kindString && k != kindBinary {
				return nil, operandType(name, k)
			}
		}
		return beginsWith{args[0], args[1]}, nil
	}
	return contains{args[0], args[1]}, nil
}

// knownKind is the type of an operand that does not depend on the item, or "".
func knownKind(o operand) kind {
	switch o := o.(type) {
	case literal:
		return o.value.kind
	case sizeOf:
		return kindNumber
	}
	return ""
}

func isComparator(t token) bool {
	return t.kind == tokenSymbol && slices.Contains([]string{"=", "<>", "<", "<=", ">", ">="}, t.text)
}

// comparison reads a comparison, BETWEEN or IN.
func (p *parser) comparison() (condition, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch t := p.peek(); {
	case isComparator(t):
		p.at++
		right, err := p.operand()
		if err != nil {
			return nil, err
		}
		return makeComparison(t.text, left, right)
	case p.keyword("BETWEEN"):
		return p.between(left)
	case p.keyword("IN"):
		if err := p.expect("("); err != nil {
			return nil, err
		}
		list, err := arguments(p, p.operand)
		if err == nil && len(list) > 100 {
			err = invalid("The IN operator is provided with too many operands; number of operands: %d", len(list))
		}
		for _, o := range list {
			if err == nil {
				err = different("IN", left, o)
			}
		}
		return among{left, list}, err
	}
	if _, ok := left.(sizeOf); ok {
		return nil, misusedFunction("size")
	}
	return nil, p.unexpected()
}

func makeComparison(operator string, left, right operand) (condition, error) {
	if err := different(operator, left, right); err != nil {
		return nil, err
	}
	if operator != "=" && operator != "<>" {
		for _, o := range []operand{left, right} {
			if k := knownKind(o); k != "" && k != kindString && k != kindNumber && k != kindBinary {
				return nil, operandType(operator, k)
			}
		}
	}
	return comparison{operator, left, right}, nil
}

func (p *parser) between(left operand) (condition, error) {
	low, err := p.operand()
	if err != nil {
		return nil, err
	}
	if !p.keyword("AND") {
		return nil, p.unexpected()
	}
	high, err := p.operand()
	if err != nil {
		return nil, err
	}
	l, okL := low.(literal)
	h, okH := high.(literal)
	for _, bound := range []operand{low, high} {
		if k := knownKind(bound); k != "" && k != kindString && k != kindNumber && k != kindBinary {
			return nil, operandType("BETWEEN", k)
		}
	}
	if okL && okH {
		bounds := describe(l.value, h.value)
		if l.value.kind != h.value.kind {
			return nil, invalid("The BETWEEN operator requires same data type for lower and upper bounds; %s", bounds)
		}
		if compareScalars(l.value, h.value) > 0 {
			return nil, invalid("The BETWEEN operator requires upper bound to be greater than or equal to lower bound; %s", bounds)
		}
	}
	return between{left, low, high}, nil
}

func describe(low, high value) string {
	one := func(v value) string {
		text := v.text
		if v.kind == kindNumber {
			text = v.number.String()
		}
		return "operand: AttributeValue: {" + string(v.kind) + ":" + text + "}"
	}
	return "lower bound " + one(low) + ", upper bound " + one(high)
}

// different refuses to compare a path with itself.
func different(operator string, left, right operand) error {
	l, okL := left.(attribute)
	r, okR := right.(attribute)
	if okL && okR && slices.Equal(l.path, r.path) {
		return invalid("The first operand must be distinct from the remaining operands for this operator or function; operator: %s, first operand: %s", operator, l.path)
	}
	return nil
}

// operand reads a path, a value or size(…).
func (p *parser) operand() (operand, error) {
	if name, ok := p.call(); ok {
		if name != "size" {
			if slices.Contains([]string{"attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains"}, name) {
				return nil, misusedFunction(name)
			}
			return nil, unknownFunction(name)
		}
		args, err := arguments(p, p.operand)
		if err != nil {
			return nil, err
		}
		if len(args) != 1 {
			return nil, operandCount(name, len(args))
		}
		if k := knownKind(args[0]); k == kindNumber || k == kindBool || k == kindNull {
			return nil, operandType(name, k)
		}
		return sizeOf{args[0]}, nil
	}
	if p.peek().kind == tokenValueHolder {
		v, err := p.value()
		return literal{v}, err
	}
	at, err := p.path()
	return attribute{at}, err
}
