package metrics

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// checkStatistic accepts the five plain statistics and percentiles such as p99 or p99.9.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html
func checkStatistic(name string) error {
	if slices.Contains([]string{"SampleCount", "Average", "Sum", "Minimum", "Maximum"}, name) {
		return nil
	}
	if _, ok := percentile(name); ok {
		return nil
	}
	return invalid("the local stack has no statistic %q", name)
}

func percentile(name string) (float64, bool) {
	digits, ok := strings.CutPrefix(name, "p")
	p, err := strconv.ParseFloat(digits, 64)
	return p, ok && err == nil && p >= 0 && p <= 100
}

// aggregate computes a statistic over samples; without samples there is none.
func aggregate(samples []sample, statistic string) (float64, bool) {
	if len(samples) == 0 {
		return 0, false
	}
	total := sample{min: math.Inf(1), max: math.Inf(-1)}
	for _, v := range samples {
		total.sum += v.sum
		total.count += v.count
		total.min = min(total.min, v.min)
		total.max = max(total.max, v.max)
	}
	switch statistic {
	case "SampleCount":
		return total.count, true
	case "Sum":
		return total.sum, true
	case "Average":
		return total.sum / total.count, true
	case "Minimum":
		return total.min, true
	case "Maximum":
		return total.max, true
	}
	return rank(samples, statistic, total.count)
}

// rank computes a percentile by nearest rank. Data sent as statistic sets have none, unless all their values are equal.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html#Percentiles
func rank(samples []sample, statistic string, count float64) (float64, bool) {
	p, ok := percentile(statistic)
	if !ok {
		return 0, false
	}
	sorted := slices.Clone(samples)
	for _, v := range sorted {
		if v.min != v.max {
			return 0, false
		}
	}
	slices.SortFunc(sorted, func(a, b sample) int {
		switch {
		case a.min < b.min:
			return -1
		case a.min > b.min:
			return 1
		}
		return 0
	})
	seen := 0.0
	for _, v := range sorted {
		if seen += v.count; seen >= math.Ceil(p/100*count) {
			return v.min, true
		}
	}
	return sorted[len(sorted)-1].min, true
}

// expression is a metric math expression: identifiers, numbers, + - * /, parentheses and FILL(expression, number). A
// value that is missing on either side makes the result missing, and so does a division by zero.
// https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
type expression func(lookup func(id string) (float64, bool)) (float64, bool)

// parseExpression also gives the identifiers that the expression uses.
func parseExpression(text string) (expression, []string, error) {
	p := &parser{rest: text}
	e, err := p.sum()
	if err == nil && p.peek() != 0 {
		err = fmt.Errorf("unexpected %q", p.rest)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("metric math %q: %w (the local stack knows + - * / and FILL)", text, err)
	}
	return e, p.ids, nil
}

type parser struct {
	rest string
	ids  []string
}

// peek gives the next character that is no space, 0 at the end.
func (p *parser) peek() byte {
	p.rest = strings.TrimLeft(p.rest, " ")
	if p.rest == "" {
		return 0
	}
	return p.rest[0]
}

func (p *parser) expect(c byte) error {
	if p.peek() != c {
		return fmt.Errorf("expected %q at %q", c, p.rest)
	}
	p.rest = p.rest[1:]
	return nil
}

func (p *parser) sum() (expression, error) { return p.chain("+-", p.product) }

func (p *parser) product() (expression, error) { return p.chain("*/", p.factor) }

func (p *parser) chain(operators string, operand func() (expression, error)) (expression, error) {
	left, err := operand()
	for err == nil && p.peek() != 0 && strings.IndexByte(operators, p.peek()) >= 0 {
		op := p.peek()
		p.rest = p.rest[1:]
		var right expression
		if right, err = operand(); err == nil {
			left = combine(op, left, right)
		}
	}
	return left, err
}

func combine(op byte, left, right expression) expression {
	return func(lookup func(string) (float64, bool)) (float64, bool) {
		a, okA := left(lookup)
		b, okB := right(lookup)
		ok := okA && okB
		switch op {
		case '+':
			return a + b, ok
		case '-':
			return a - b, ok
		case '*':
			return a * b, ok
		}
		return a / b, ok && b != 0
	}
}

func (p *parser) factor() (expression, error) {
	if p.peek() == '(' {
		p.rest = p.rest[1:]
		e, err := p.sum()
		if err == nil {
			err = p.expect(')')
		}
		return e, err
	}
	end := 0
	for end < len(p.rest) && (p.rest[end] == '_' || p.rest[end] == '.' || p.rest[end] >= '0' && p.rest[end] <= '9' || p.rest[end]|0x20 >= 'a' && p.rest[end]|0x20 <= 'z') {
		end++
	}
	word := p.rest[:end]
	p.rest = p.rest[end:]
	switch {
	case word == "":
		return nil, fmt.Errorf("expected an identifier or number at %q", p.rest)
	case word == "FILL":
		return p.fill()
	}
	if n, err := strconv.ParseFloat(word, 64); err == nil {
		return func(func(string) (float64, bool)) (float64, bool) { return n, true }, nil
	}
	p.ids = append(p.ids, word)
	return func(lookup func(string) (float64, bool)) (float64, bool) { return lookup(word) }, nil
}

func (p *parser) fill() (expression, error) {
	if err := p.expect('('); err != nil {
		return nil, err
	}
	of, err := p.sum()
	if err != nil {
		return nil, err
	}
	if err := p.expect(','); err != nil {
		return nil, err
	}
	with, err := p.sum()
	if err != nil {
		return nil, err
	}
	return func(lookup func(string) (float64, bool)) (float64, bool) {
		if v, ok := of(lookup); ok {
			return v, true
		}
		return with(lookup)
	}, p.expect(')')
}
