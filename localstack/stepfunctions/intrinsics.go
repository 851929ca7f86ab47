package stepfunctions

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
)

// An intrinsic function computes a value of its arguments:
// https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
type intrinsic struct {
	least, most int // number of arguments; most -1 for any
	call        func(s *Service, args []any) (any, error)
}

// intrinsicCall is one use of a function in a template.
type intrinsicCall struct {
	name string
	fn   intrinsic
	args []template
}

// quoted is a string literal of an intrinsic call, escapes kept, because States.Format tells \{ from {.
type quoted string

func (q quoted) eval(*scope) (any, error) { return q, nil }

// plain is the literal's text without escapes.
func (q quoted) plain() string {
	var b strings.Builder
	for i := 0; i < len(q); i++ {
		if q[i] == '\\' && i+1 < len(q) {
			i++
		}
		b.WriteByte(q[i])
	}
	return b.String()
}

func (c *intrinsicCall) eval(sc *scope) (any, error) {
	args := make([]any, len(c.args))
	for i, a := range c.args {
		v, err := a.eval(sc)
		if err != nil {
			return nil, err
		}
		if q, ok := v.(quoted); ok && !(c.name == "States.Format" && i == 0) {
			v = q.plain()
		}
		args[i] = v
	}
	v, err := c.fn.call(sc.service, args)
	if err != nil {
		return nil, faultf(errIntrinsic, "%s: %v", c.name, err)
	}
	return v, nil
}

var intrinsics = map[string]intrinsic{
	"States.Array":          {0, -1, func(_ *Service, a []any) (any, error) { return append([]any{}, a...), nil }},
	"States.ArrayPartition": {2, 2, arrayPartition},
	"States.ArrayContains": {2, 2, func(_ *Service, a []any) (any, error) {
		list, err := array(a[0])
		return contains(list, a[1]), err
	}},
	"States.ArrayRange":   {3, 3, arrayRange},
	"States.ArrayGetItem": {2, 2, arrayGetItem},
	"States.ArrayLength": {1, 1, func(_ *Service, a []any) (any, error) {
		list, err := array(a[0])
		return int64(len(list)), err
	}},
	"States.ArrayUnique": {1, 1, func(_ *Service, a []any) (any, error) {
		list, err := array(a[0])
		unique := []any{}
		for _, v := range list {
			if !contains(unique, v) {
				unique = append(unique, v)
			}
		}
		return unique, err
	}},
	"States.Base64Encode": {1, 1, func(_ *Service, a []any) (any, error) {
		s, err := text(a[0], 10000)
		return base64.StdEncoding.EncodeToString([]byte(s)), err
	}},
	"States.Base64Decode": {1, 1, func(_ *Service, a []any) (any, error) {
		s, err := text(a[0], 10000)
		if err != nil {
			return nil, err
		}
		b, err := base64.StdEncoding.DecodeString(s)
		return string(b), err
	}},
	"States.Hash":      {2, 2, hashOf},
	"States.JsonMerge": {3, 3, jsonMerge},
	"States.StringToJson": {1, 1, func(_ *Service, a []any) (any, error) {
		s, err := text(a[0], maxData)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(s) == "" {
			return nil, nil
		}
		return decode([]byte(s))
	}},
	"States.JsonToString": {1, 1, func(_ *Service, a []any) (any, error) { return encode(a[0]), nil }},
	"States.MathRandom":   {2, 3, mathRandom},
	"States.MathAdd": {2, 2, func(_ *Service, a []any) (any, error) {
		x, err := whole(a[0])
		if err != nil {
			return nil, err
		}
		y, err := whole(a[1])
		return x + y, err
	}},
	"States.StringSplit": {2, 2, func(_ *Service, a []any) (any, error) {
		s, err := text(a[0], maxData)
		if err != nil {
			return nil, err
		}
		// Each character of the second argument separates.
		separators, err := text(a[1], maxData)
		list := []any{}
		for _, part := range strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			list = append(list, part)
		}
		return list, err
	}},
	"States.UUID":   {0, 0, func(s *Service, _ []any) (any, error) { return s.newID(), nil }},
	"States.Format": {1, -1, format},
}

func array(v any) ([]any, error) {
	list, ok := v.([]any)
	if !ok {
		return nil, fmt.Errorf("%s is no array", kindOf(v))
	}
	return list, nil
}

func text(v any, most int) (string, error) {
	s, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("%s is no string", kindOf(v))
	}
	if len(s) > most {
		return "", fmt.Errorf("the string is longer than %d characters", most)
	}
	return s, nil
}

// whole takes a number as an integer; fractions are rounded, as the documentation of States.MathAdd says.
func whole(v any) (int64, error) {
	switch v := v.(type) {
	case int64:
		return v, nil
	case float64:
		return int64(math.Round(v)), nil
	}
	return 0, fmt.Errorf("%s is no number", kindOf(v))
}

// kindOf names a value's JSON type: error texts do not show data.
func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case int64, float64:
		return "a number"
	case []any:
		return "an array"
	}
	return "an object"
}

func contains(list []any, v any) bool {
	for _, item := range list {
		if equal(item, v) {
			return true
		}
	}
	return false
}

// equal compares values as JSON: 1 and 1.0 are the same number.
func equal(a, b any) bool {
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	return reflect.DeepEqual(a, b)
}

func arrayPartition(_ *Service, a []any) (any, error) {
	list, err := array(a[0])
	if err != nil {
		return nil, err
	}
	size, err := whole(a[1])
	if err != nil || size < 1 {
		return nil, fmt.Errorf("the chunk size is no positive number")
	}
	chunks := []any{}
	for len(list) > 0 {
		n := min(int(size), len(list))
		chunks = append(chunks, append([]any{}, list[:n]...))
		list = list[n:]
	}
	return chunks, nil
}

func arrayRange(_ *Service, a []any) (any, error) {
	var n [3]int64
	for i := range n {
		var err error
		if n[i], err = whole(a[i]); err != nil {
			return nil, err
		}
	}
	first, last, step := n[0], n[1], n[2]
	if step == 0 {
		return nil, fmt.Errorf("the increment is zero")
	}
	list := []any{}
	for v := first; (step > 0 && v <= last) || (step < 0 && v >= last); v += step {
		if list = append(list, v); len(list) > 1000 {
			return nil, fmt.Errorf("the range has more than 1000 items")
		}
	}
	return list, nil
}

func arrayGetItem(_ *Service, a []any) (any, error) {
	list, err := array(a[0])
	if err != nil {
		return nil, err
	}
	n, err := whole(a[1])
	if err != nil || n < 0 || n >= int64(len(list)) {
		return nil, fmt.Errorf("there is no item at that index in an array of %d", len(list))
	}
	return list[n], nil
}

func hashOf(_ *Service, a []any) (any, error) {
	data, isText := a[0].(string)
	if !isText {
		data = encode(a[0])
	}
	if len(data) > 10000 {
		return nil, fmt.Errorf("the data is longer than 10000 characters")
	}
	name, _ := a[1].(string)
	algorithms := map[string]func() hash.Hash{
		"MD5": md5.New, "SHA-1": sha1.New, "SHA-256": sha256.New, "SHA-384": sha512.New384, "SHA-512": sha512.New,
	}
	make, ok := algorithms[name]
	if !ok {
		return nil, fmt.Errorf("the algorithm is none of MD5, SHA-1, SHA-256, SHA-384, SHA-512")
	}
	h := make()
	h.Write([]byte(data))
	return hex.EncodeToString(h.Sum(nil)), nil
}

// jsonMerge merges two objects; only the shallow mode exists, so the third argument must be false.
func jsonMerge(_ *Service, a []any) (any, error) {
	x, ok1 := a[0].(map[string]any)
	y, ok2 := a[1].(map[string]any)
	if !ok1 || !ok2 {
		return nil, fmt.Errorf("both of the first two arguments must be objects")
	}
	if deep, ok := a[2].(bool); !ok || deep {
		return nil, fmt.Errorf("the third argument must be false: only shallow merging is supported")
	}
	merged := make(map[string]any, len(x)+len(y))
	for k, v := range x {
		merged[k] = v
	}
	for k, v := range y {
		merged[k] = v
	}
	return merged, nil
}

// mathRandom gives a number from the first argument up to, not including, the second; a third one is a seed.
func mathRandom(s *Service, a []any) (any, error) {
	low, err := whole(a[0])
	if err != nil {
		return nil, err
	}
	high, err := whole(a[1])
	if err != nil || high <= low {
		return nil, fmt.Errorf("the end of the range is not above its start")
	}
	fraction := s.random()
	if len(a) == 3 {
		seed, err := whole(a[2])
		if err != nil {
			return nil, err
		}
		fraction = rand.New(rand.NewPCG(uint64(seed), 0)).Float64()
	}
	return low + int64(fraction*float64(high-low)), nil
}

func format(_ *Service, a []any) (any, error) {
	var pattern string
	switch p := a[0].(type) {
	case quoted:
		pattern = string(p)
	case string:
		pattern = p
	default:
		return nil, fmt.Errorf("the template is no string")
	}
	args := a[1:]
	var b strings.Builder
	for i := 0; i < len(pattern); i++ {
		switch {
		case pattern[i] == '\\' && i+1 < len(pattern):
			i++
			b.WriteByte(pattern[i])
		case strings.HasPrefix(pattern[i:], "{}"):
			if len(args) == 0 {
				return nil, fmt.Errorf("there are more {} than arguments")
			}
			b.WriteString(formatted(args[0]))
			args = args[1:]
			i++
		default:
			b.WriteByte(pattern[i])
		}
	}
	if len(args) > 0 {
		return nil, fmt.Errorf("there are fewer {} than arguments")
	}
	return b.String(), nil
}

func formatted(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	}
	return encode(v)
}
