package dynamodb

import "strings"

// A token is one word of an expression.
type token struct {
	kind       tokenKind
	text       string
	start, end int // bytes of the expression
}

type tokenKind int

const (
	tokenEnd         tokenKind = iota
	tokenName                  // attribute, function or keyword
	tokenNameHolder            // #name
	tokenValueHolder           // :value
	tokenIndex                 // digits
	tokenSymbol
)

// maxExpression in bytes bounds parsing, recursion included.
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-expression-parameters
const maxExpression = 4096

// scan cuts an expression into tokens, the last of which is the end. A name starts with a letter; a placeholder may go
// on with a digit or an underscore too.
func scan(source string) ([]token, error) {
	var tokens []token
	for at := 0; at < len(source); {
		if isBlank(source[at]) {
			at++
			continue
		}
		t := tokenAt(source, at)
		if t.kind == tokenEnd {
			end := at + 1
			for end < len(source) && isWord(source[end]) {
				end++
			}
			tokens = append(tokens, token{text: source[at : at+1], start: at, end: end})
			return nil, syntaxError(source, tokens, len(tokens)-1)
		}
		tokens = append(tokens, t)
		at = t.end
	}
	return append(tokens, token{text: "<EOF>", start: len(source), end: len(source)}), nil
}

// tokenAt reads the token at a place; its kind is tokenEnd when none can start there.
func tokenAt(source string, at int) token {
	rest := source[at:]
	for _, symbol := range []string{"<>", "<=", ">=", "<", ">", "=", "(", ")", "[", "]", ",", ".", "+", "-"} {
		if strings.HasPrefix(rest, symbol) {
			return token{kind: tokenSymbol, text: symbol, start: at, end: at + len(symbol)}
		}
	}
	length := 1
	for length < len(rest) && isWord(rest[length]) {
		length++
	}
	t := token{text: rest[:length], start: at, end: at + length}
	switch c := rest[0]; {
	case isLetter(c):
		t.kind = tokenName
	case c == '#' && length > 1:
		t.kind = tokenNameHolder
	case c == ':' && length > 1:
		t.kind = tokenValueHolder
	case isDigit(c) && onlyDigits(t.text):
		t.kind = tokenIndex
	}
	return t
}

func isBlank(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }

// syntaxError names the token and quotes it with its neighbours, as DynamoDB does.
func syntaxError(source string, tokens []token, at int) error {
	from, to := tokens[at].start, tokens[at].end
	if at > 0 {
		from = tokens[at-1].start
	}
	if at+1 < len(tokens) {
		to = tokens[at+1].end
	}
	return invalid("Syntax error; token: %q, near: %q", tokens[at].text, source[from:to])
}
