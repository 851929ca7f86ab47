package report

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
)

//go:embed page.html
var pageText string

//go:embed page.css
var pageStyle string

// HTML is the report as one page that needs nothing but itself: no script, no font, no picture from elsewhere, and a policy
// that would refuse them. It is well-formed XML, too. The same report gives the same bytes.
func (r Report) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := page.Execute(&b, r); err != nil {
		return nil, fmt.Errorf("write the page: %w", err)
	}
	return b.Bytes(), nil
}

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"css":    func() template.CSS { return template.CSS(pageStyle) },
	"date":   func(at string) string { return layout(at, "2 January 2006") },
	"moment": func(at string) string { return layout(at, "2 Jan 2006 15:04") },
	"clock":  func(at string) string { return layout(at, "15:04:05") },
	"ago":    ago,
	"age": func(seconds *int64) string {
		if seconds == nil {
			return "–"
		}
		return Words(time.Duration(*seconds) * time.Second)
	},
	"slug":         contract.Slug,
	"name":         func(secret string) string { _, name, _ := strings.Cut(secret, "/"); return name },
	"brief":        func(digest string) string { return digest[:min(len(digest), 12)] },
	"short":        shortened,
	"number":       thousands,
	"count":        func(n int, unit string) string { return count(int64(n), unit) },
	"first":        func(n int, all []string) []string { return all[:min(n, len(all))] },
	"list":         listed,
	"length":       func(d contract.Duration) string { return Words(d.Std()) },
	"seconds":      took,
	"plain":        spoken,
	"framework":    framework,
	"trigger":      func(kind, id string) string { return strings.TrimSuffix(spoken(kind)+" "+id, " ") },
	"why":          why,
	"summary":      summary,
	"environments": environments,
	"heads":        heads,
	"bar":          bar,
	"picture":      picture,
	"detail": func(s Secret, now string) any {
		return struct {
			Secret Secret
			Now    string
		}{s, now}
	},
}).Parse(pageText))

// summary is the page in one or two sentences.
func summary(r Report) string {
	names := environments(r)
	text := fmt.Sprintf("%s in %s.", count(int64(len(r.Secrets)), "secret"), count(int64(len(names)), "environment"))
	need := 0
	for _, s := range r.Secrets {
		if len(s.Findings) > 0 {
			need++
		}
	}
	switch {
	case need == 1:
		return text + " One needs attention."
	case need > 1:
		return fmt.Sprintf("%s %d need attention.", text, need)
	case len(r.Findings) > 0:
		return text + " Something needs attention."
	default:
		return text + " Nothing needs attention."
	}
}

type environment struct {
	Name    string
	Secrets []Secret
}

// environments are the secrets by environment, in the order of the report.
func environments(r Report) []environment {
	var all []environment
	for _, s := range r.Secrets {
		if len(all) == 0 || all[len(all)-1].Name != s.Environment {
			all = append(all, environment{Name: s.Environment})
		}
		last := &all[len(all)-1]
		last.Secrets = append(last.Secrets, s)
	}
	return all
}

type head struct {
	Name, To, Head string
	Records        int
}

// heads are the chains of secrets, one by one, and those of events, which are many and short, in one line.
func heads(chains []audit.Chain) []head {
	var all []head
	events, n := head{Head: "mayfly audit verify lists them"}, 0
	for _, c := range chains {
		if c.Environment == audit.NoEnvironment {
			n++
			events.Records, events.To = events.Records+c.Records, max(events.To, c.To)
			continue
		}
		all = append(all, head{strings.Replace(c.Secret, "--", "/", 1), c.To, c.Head, c.Records})
	}
	if n > 0 {
		events.Name = count(int64(n), "chain") + " of events"
		all = append(all, events)
	}
	return all
}

// bar draws a life from its beginning to its end: what is spent of it, when it is due, and when it ends.
func bar(l Life, height int) template.HTML {
	end := l.expires
	if l.rotated.IsZero() || !end.After(l.rotated) {
		return template.HTML(fmt.Sprintf(`<svg viewBox="0 0 1000 %d" height="%d" preserveAspectRatio="none" role="img" aria-label="nothing says how old it is"><rect class="track" y="%d" width="1000" height="2"/></svg>`,
			height, height, height/2-1))
	}
	if l.now.After(end) {
		end = l.now
	}
	at := func(t time.Time) int {
		return int(min(1000, max(0, 1000*t.Sub(l.rotated).Seconds()/end.Sub(l.rotated).Seconds())))
	}
	thick := height / 4
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 1000 %d" height="%d" preserveAspectRatio="none" role="img" aria-label="%d of 100 of its life are spent; %s">`,
		height, height, int(100*l.now.Sub(l.rotated).Seconds()/l.expires.Sub(l.rotated).Seconds()), l.State)
	fmt.Fprintf(&b, `<rect class="track" y="%d" width="%d" height="%d"/>`, (height-thick)/2, at(l.expires), thick)
	fmt.Fprintf(&b, `<rect class="spent %s" y="%d" width="%d" height="%d"/>`, l.State, (height-thick)/2, max(2, at(l.now)), thick)
	for _, m := range []struct {
		class string
		at    time.Time
	}{{"due", l.due}, {"end", l.expires}} {
		x := min(999, max(1, at(m.at)))
		fmt.Fprintf(&b, `<path class="mark %s" vector-effect="non-scaling-stroke" d="M%d 0V%d"/>`, m.class, x, height)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String())
}

// picture is the picture of a leak, with ids of its own. It escapes what it draws.
func picture(s Secret) template.HTML {
	if s.radius == nil {
		return ""
	}
	slug := contract.Slug(s.Secret)
	return template.HTML(strings.NewReplacer(
		`id="title"`, `id="`+slug+`-title"`, `id="description"`, `id="`+slug+`-description"`,
		`aria-labelledby="title description"`, `aria-labelledby="`+slug+`-title `+slug+`-description"`,
	).Replace(string(blastradius.Picture(*s.radius))))
}

// layout writes a time; "–" where there is none.
func layout(at, how string) string {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		return "–"
	}
	return t.UTC().Format(how)
}

// ago says how far a time lies from now: "3 days ago", "in 20 minutes".
func ago(at, now string) string {
	t, err := time.Parse(time.RFC3339, at)
	n, failed := time.Parse(time.RFC3339, now)
	if err != nil || failed != nil {
		return "–"
	}
	if t.After(n) {
		return "in " + Words(t.Sub(n))
	}
	return Words(n.Sub(t)) + " ago"
}

func took(seconds *float64) string {
	if seconds == nil {
		return "–"
	}
	if d := time.Duration(*seconds * float64(time.Second)); d >= time.Minute {
		return Words(d)
	}
	return fmt.Sprintf("%.1f s", *seconds)
}

// spoken writes a code as words: failed_clean, FailedClean.
func spoken(code string) string {
	var b strings.Builder
	for i, r := range code {
		if r == '_' {
			r = ' '
		} else if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	text := b.String()
	if !strings.ContainsRune(code, '_') && code != "" && code[0] >= 'A' && code[0] <= 'Z' {
		text = text[:1] + strings.ToLower(text[1:])
	}
	return text
}

func framework(name string) string {
	switch name {
	case "iso_27001":
		return "ISO 27001"
	case "pci_dss":
		return "PCI DSS"
	case "soc_2", "soc2":
		return "SOC 2"
	default:
		return name
	}
}

// shortened cuts version ids of Mayfly's, mayfly-<slot>-<40 hex digits>, as Git shortens a commit's.
func shortened(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if rest, ours := strings.CutPrefix(w, "mayfly-"); ours && len(rest) > 40 {
			words[i] = "mayfly-" + rest[:10]
		}
	}
	return strings.Join(words, " ")
}

// why is a reason without the code that it may begin with.
func why(code, reason string) string { return strings.TrimPrefix(reason, code+": ") }

func listed(names []string) string {
	switch n := len(names); n {
	case 0:
		return "nobody"
	case 1:
		return names[0]
	default:
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
}

// thousands writes a number with thin spaces: 12 345.
func thousands(n int) string {
	digits := []byte(fmt.Sprint(n))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = slices.Insert(digits, i, []byte("\u202f")...)
	}
	return string(digits)
}
