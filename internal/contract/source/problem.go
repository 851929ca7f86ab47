package source

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one thing wrong, with the place where it is wrong. Line and Column count from 1.
type Problem struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Excerpt string `json:"excerpt"` // the source line
	Code    string `json:"code"`    // stable, for scripts
	Message string `json:"message"`
	Do      string `json:"do"` // what to do about it

	pointer string // JSON pointer to the value, "?" where the place is all that is known
}

// String writes the problem on four lines: where and what, the source line, a caret, and what to do.
//
//	orders-db.yaml:12:1: unknown-field: "rotate_in" is not a field here
//	  12 | rotate_in:
//	     | ^
//	  do: did you mean rotate_on?
func (p Problem) String() string {
	gutter := fmt.Sprint(p.Line)
	var lead strings.Builder
	for i, r := range []rune(p.Excerpt) {
		if i >= p.Column-1 {
			break
		}
		if r != '\t' {
			r = ' '
		}
		lead.WriteRune(r)
	}
	return fmt.Sprintf("%s:%d:%d: %s: %s\n  %s | %s\n  %s | %s^\n  do: %s\n",
		p.File, p.Line, p.Column, p.Code, p.Message, gutter, p.Excerpt, strings.Repeat(" ", len(gutter)), lead.String(), p.Do)
}

// Problems is everything wrong, by file and place.
type Problems []Problem

// Error makes problems an error, so that a caller that only wants to fail can.
func (ps Problems) Error() string {
	var b strings.Builder
	for _, p := range ps {
		b.WriteString(p.String())
	}
	return b.String()
}

func (ps Problems) sort() {
	slices.SortStableFunc(ps, func(x, y Problem) int {
		return cmp.Or(strings.Compare(x.File, y.File), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Column, y.Column))
	})
}

// about tells whether something was said about the value, about one inside it, or about one around it (but for the whole
// file): a second complaint would only say the same again.
func (ps Problems) about(pointer string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool {
		return p.pointer == pointer || strings.HasPrefix(p.pointer, pointer+"/") ||
			(p.pointer != "" && strings.HasPrefix(pointer, p.pointer+"/"))
	})
}

// exactly tells whether something was said about the value itself.
func (ps Problems) exactly(pointer string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool { return p.pointer == pointer })
}
