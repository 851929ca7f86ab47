package report_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mayfly-secrets/mayfly/internal/audit"
	"github.com/mayfly-secrets/mayfly/internal/blastradius"
	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/registry"
	"github.com/mayfly-secrets/mayfly/internal/report"
)

// element is one element of the page, in the order of the page.
type element struct {
	name       string
	attributes map[string]string
	text       string // of it and all that is in it
}

// read reads the page strictly, as XML: whatever is not escaped does not parse.
func read(t *testing.T, r report.Report) []*element {
	t.Helper()
	page, err := r.HTML()
	if err != nil {
		t.Fatal(err)
	}
	var all, open []*element
	dec := xml.NewDecoder(bytes.NewReader(page))
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("the page is not well-formed: %v\n%s", err, page)
		}
		switch token := token.(type) {
		case xml.StartElement:
			e := &element{name: token.Name.Local, attributes: map[string]string{}}
			for _, a := range token.Attr {
				e.attributes[a.Name.Local] = a.Value
			}
			all, open = append(all, e), append(open, e)
		case xml.EndElement:
			open = open[:len(open)-1]
			for _, e := range open {
				e.text += " "
			}
		case xml.CharData:
			for _, e := range open {
				e.text += string(token)
			}
		}
	}
}

func find(all []*element, name, attribute, value string) *element {
	i := slices.IndexFunc(all, func(e *element) bool { return e.name == name && (attribute == "" || e.attributes[attribute] == value) })
	if i < 0 {
		return &element{}
	}
	return all[i]
}

func TestPage(t *testing.T) {
	f := scene()
	f.Standing[1].Tags["mayfly:compromised"] = "true"
	page := read(t, report.Build(f))
	said := func(where *element, texts ...string) {
		t.Helper()
		flat := strings.Join(strings.Fields(where.text), " ")
		for _, text := range texts {
			if !strings.Contains(flat, text) {
				t.Errorf("%s %v does not say %q:\n%s", where.name, where.attributes, text, flat)
			}
		}
	}
	said(find(page, "p", "class", "lead"), "2 secrets in 2 environments. One needs attention.")
	said(find(page, "section", "id", "attention"), "staging/key", "Compromised: it is marked as compromised")
	said(find(page, "section", "id", "audit"), "Verified. 8 records in 3 chains")
	said(find(page, "section", "id", "environment-prod"), "db", "5 hours", "in 19 hours")
	said(find(page, "article", "id", "prod--db"),
		"team · postgres · blast radius minimal · used by api", "If this leaks, its holder can log in to database orders", // who and what
		"In force since 2 Mar 2026 07:00 5 hours ago", "Expires 3 Mar 2026 07:00 in 19 hours", "Lives 1 day", // its life
		"arn:aws:iam::000000000000:role/prod-api", "Mayfly's functions", "the break-glass role", // its readers
		"When was it last rotated? 2 Mar 2026 07:00", "Why? manual cli-1, from cli, by somebody: a drill", "By which workflow? one contract", "Did the last run succeed? Yes",
		"rotated 4.0 s refused , 07:00:03 a login with version v1 was tried and refused", // its last run and the proof
		"ISO 27001 A.9.2 a number of ISO 27001:2013", "A.8.2 Privileged access rights", "house R-7 as written; not known here",
		"Blast radius of prod/db", "at commit 4f2d", "4 audit records, verified")
	said(find(page, "article", "id", "staging--key"), "When was it last rotated? Never.", "No run has ended yet.")
	said(find(page, "section", "id", "heads"), "prod/db", "d0", "1 chain of events")
	order := []string{}
	for _, e := range page {
		if e.name == "section" {
			order = append(order, e.attributes["id"])
		}
	}
	if want := []string{"attention", "audit", "environment-prod", "environment-staging", "heads"}; !slices.Equal(order, want) {
		t.Errorf("sections %v, want %v", order, want)
	}
	for name := range map[string]int{"a": 0, "svg": 0} { // every link leads somewhere, every picture has a name
		for _, e := range page {
			if e.name != name {
				continue
			}
			if target := strings.TrimPrefix(e.attributes["href"], "#"); name == "a" && !slices.ContainsFunc(page, func(x *element) bool { return x.attributes["id"] == target }) {
				t.Errorf("the link %q leads nowhere", target)
			}
			if label := e.attributes["aria-label"] + e.attributes["aria-labelledby"]; name == "svg" && label == "" {
				t.Error("a picture has no name")
			}
		}
	}
	ids := map[string]bool{}
	for _, e := range page {
		if id := e.attributes["id"]; id != "" && ids[id] {
			t.Errorf("the id %q is there twice", id)
		} else {
			ids[id] = true
		}
	}
}

// The page needs nothing but itself, and a browser is told to refuse whatever else it might ask for.
func TestPageIsAlone(t *testing.T) {
	page := read(t, report.Build(scene()))
	for _, e := range page {
		if slices.Contains([]string{"script", "link", "iframe", "object", "embed", "img", "image", "use", "form", "base"}, e.name) {
			t.Errorf("the page has a %s", e.name)
		}
		for name, value := range e.attributes {
			switch {
			case name == "src", name == "srcset", name == "action", strings.HasPrefix(name, "on"):
				t.Errorf("%s has %s=%q", e.name, name, value)
			case name == "href" && !strings.HasPrefix(value, "#"):
				t.Errorf("a link leads to %q", value)
			}
		}
	}
	if p := find(page, "meta", "http-equiv", "Content-Security-Policy").attributes["content"]; p != "default-src 'none'; style-src 'unsafe-inline'" {
		t.Errorf("content security policy %q", p)
	}
	if style := find(page, "style", "", "").text; strings.Contains(style, "url(") || strings.Contains(style, "@import") || !strings.Contains(style, "@media print") {
		t.Error("the style fetches something, or is not for print")
	}
}

// Whatever people and events write is text, everywhere.
func TestPageEscapes(t *testing.T) {
	const nasty = `</style></p>"'><script>alert(1)</script><img src=x onerror=alert(2)>&amp;{{.}}`
	f := scene()
	c := &f.Standing[0].Contract
	c.Owner, c.Statement, c.Target.Owner, c.Compliance = "O"+nasty, "S"+nasty, "T"+nasty, map[string]string{"F" + nasty: "C" + nasty}
	c.Services = []string{"api" + nasty}
	f.Written.Services = append(f.Written.Services, contract.Service{Name: "api" + nasty, Environments: map[string]contract.Placement{"prod": {Role: "R" + nasty}}})
	f.Standing[0].Commit, f.Standing[0].Digest = "K"+nasty, "<b>bold</b>"
	f.Standing[0].Tags["mayfly:ttl"], f.Standing[0].Tags["mayfly:expires-at"] = "G"+nasty, nasty
	f.Account, f.Region, f.Bucket, f.Folder = "A"+nasty, "E"+nasty, "B"+nasty, "D"+nasty
	f.Chains[0].Problems = []string{"P" + nasty}
	f.Chains[1].Head = "H" + nasty
	for i := range f.Records[:4] {
		r := &f.Records[i]
		r.TriggerType, r.TriggerID, r.TriggerSource, r.Actor, r.ExecutionARN, r.ContractCommit = "t"+nasty, "I"+nasty, "U"+nasty, "V"+nasty, "X"+nasty, "Y"+nasty
		r.Reason, r.ReasonCode = "W"+nasty, "Z"+nasty
	}
	f.Records[0].ContractDigest, f.Records[0].RunID = nasty, nasty
	failed := f.Records[3]
	failed.Outcome, failed.ExecutionARN, failed.Seq = audit.FailedClean, "second", failed.Seq+1
	f.Records, f.Problems = append(f.Records, failed), 1
	f.Standing = append(f.Standing, report.Standing{Standing: registry.Standing{Entry: registry.Entry{Contract: contract.Contract{Name: "x" + nasty, Environment: "N" + nasty}}}})
	page := read(t, report.Build(f))
	for _, e := range page {
		if e.name == "script" || e.name == "img" || e.name == "b" {
			t.Errorf("the page has a %s", e.name)
		}
		for name := range e.attributes {
			if strings.HasPrefix(name, "on") {
				t.Errorf("%s has %s", e.name, name)
			}
		}
	}
	body := find(page, "body", "", "").text
	for _, mark := range "OSFCRKAEBDPHIUVXYWZN" { // what a tag says is quoted, and the statement stands for the target's owner
		if !strings.Contains(body, string(mark)+nasty) {
			t.Errorf("what was written as %c is not on the page as it is", mark)
		}
	}
}

// The style gives each colour of the picture another one in the dark: those that the picture has are all that it knows.
func TestPictureInTheDark(t *testing.T) {
	f := scene()
	r, err := blastradius.Derive(contract.Bundle{Contracts: []contract.Contract{f.Standing[0].Contract}, Services: f.Written.Services}, "prod/db")
	if err != nil {
		t.Fatal(err)
	}
	style := find(read(t, report.Build(f)), "style", "", "").text
	for _, m := range regexp.MustCompile(`<(rect|text|path)[^>]*?(fill|stroke)="(#[0-9a-f]{6})"`).FindAllStringSubmatch(string(blastradius.Picture(r)), -1) {
		selector := `.picture ` + m[1] + `[fill="` + m[3] + `"]`
		if m[2] == "stroke" {
			selector = `.picture [stroke="` + m[3] + `"]`
		}
		if !strings.Contains(style, selector) {
			t.Errorf("there is no %s in the dark", selector)
		}
	}
}

// The same facts give the same bytes.
func TestPageIsTheSame(t *testing.T) {
	first, err := report.Build(scene()).HTML()
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if again, err := report.Build(scene()).HTML(); err != nil || !bytes.Equal(first, again) {
			t.Fatalf("another page, %v", err)
		}
	}
	f := scene()
	f.Now = f.Now.Add(time.Minute)
	if later, err := report.Build(f).HTML(); err != nil || bytes.Equal(first, later) {
		t.Errorf("a minute later the page is the same, %v", err)
	}
}
