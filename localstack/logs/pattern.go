package logs

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// predicate says whether a log message matches a filter pattern.
type predicate func(message string) bool

// parsePattern reads a filter pattern: terms, "phrases", -excluded, ?optional and %regular expressions%, or a JSON
// pattern in braces. The empty pattern matches everything. Space-delimited patterns in brackets are not in the local
// stack, and neither is mixing ?terms with others, of which AWS says only that the ?terms are then ignored.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
func parsePattern(pattern string) (predicate, error) {
	text := strings.TrimSpace(pattern)
	switch {
	case text == "":
		return func(string) bool { return true }, nil
	case strings.HasPrefix(text, "{"):
		return parseJSONPattern(text)
	case strings.HasPrefix(text, "["):
		return nil, badPattern("space-delimited patterns are not in the local stack")
	}
	return parseTerms(text)
}

func badPattern(why string) error { return invalid("Invalid filter pattern: %s", why) }

func parseTerms(text string) (predicate, error) {
	var all, any, not []predicate
	for text != "" {
		into := &all
		switch text[0] {
		case '?':
			into, text = &any, text[1:]
		case '-':
			into, text = &not, text[1:]
		}
		term, rest, err := cutTerm(text)
		if err != nil {
			return nil, err
		}
		*into = append(*into, term)
		text = strings.TrimSpace(rest)
	}
	if len(any) > 0 && len(all)+len(not) > 0 {
		return nil, badPattern("the local stack does not mix ?terms with other terms")
	}
	return func(message string) bool {
		for _, p := range not {
			if p(message) {
				return false
			}
		}
		for _, p := range all {
			if !p(message) {
				return false
			}
		}
		for _, p := range any {
			if p(message) {
				return true
			}
		}
		return len(any) == 0
	}, nil
}

// cutTerm takes the first term off a pattern.
func cutTerm(text string) (predicate, string, error) {
	switch {
	case strings.HasPrefix(text, `"`):
		phrase, rest, err := cutQuoted(text)
		if err != nil {
			return nil, "", err
		}
		return func(message string) bool { return containsWord(message, phrase) }, rest, nil
	case strings.HasPrefix(text, "%"):
		expression, rest, ok := strings.Cut(text[1:], "%")
		if !ok {
			return nil, "", badPattern("a regular expression does not end")
		}
		re, err := regexp.Compile(expression)
		if err != nil {
			return nil, "", badPattern(err.Error())
		}
		return re.MatchString, rest, nil
	}
	term, rest, _ := strings.Cut(text, " ")
	if term == "" {
		return nil, "", badPattern("an empty term")
	}
	for _, r := range term {
		if !wordRune(r) {
			return nil, "", badPattern("term " + term + " has characters that are neither letters, digits nor underscores: put it in double quotes")
		}
	}
	return func(message string) bool { return containsWord(message, term) }, rest, nil
}

// cutQuoted takes a double-quoted string off a pattern; a backslash escapes the next character.
func cutQuoted(text string) (value, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '"':
			return b.String(), text[i+1:], nil
		case '\\':
			if i++; i < len(text) {
				b.WriteByte(text[i])
			}
		default:
			b.WriteByte(text[i])
		}
	}
	return "", "", badPattern("a quoted string does not end")
}

func wordRune(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// containsWord looks for a term that is not part of a longer word: AWS's page speaks of messages that "contain the word"
// and has regular expressions for parts of words.
func containsWord(message, term string) bool {
	if term == "" {
		return true
	}
	first, _ := utf8.DecodeRuneInString(term)
	last, _ := utf8.DecodeLastRuneInString(term)
	for from := 0; ; {
		i := strings.Index(message[from:], term)
		if i < 0 {
			return false
		}
		start, end := from+i, from+i+len(term)
		before, _ := utf8.DecodeLastRuneInString(message[:start])
		after, _ := utf8.DecodeRuneInString(message[end:])
		joined := start > 0 && wordRune(first) && wordRune(before) || end < len(message) && wordRune(last) && wordRune(after)
		if !joined {
			return true
		}
		from = start + 1
	}
}
