package credential

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/contract"
	"github.com/mayfly-secrets/mayfly/internal/fault"
)

var target = &contract.Target{Host: "db.internal", Port: 5432, Database: "orders", Owner: "orders_app",
	Fields: map[string]string{"schema": "sales", "password": "never"}}

func TestParseReadsWhatSecretsManagerHolds(t *testing.T) {
	v := Parse(`{"engine":"postgres","username":"orders_app","password":"p\"w","port":1000000,"tags":{"a":1},"empty":null}`)
	if v.User() != "orders_app" || v.Password() != `p"w` {
		t.Errorf("user %q, password %q", v.User(), v.Password())
	}
	if v.fields["port"] != "1000000" || v.fields["tags"] != `{"a":1}` {
		t.Errorf("members: %q", v.fields)
	}
	for _, text := range []string{"plain", `"quoted"`, "[1]", "12", `{"half":`, ""} {
		v := Parse(text)
		if v.Reveal() != text || v.User() != "" || v.Password() != "" || v.IsZero() != (text == "") {
			t.Errorf("%q: user %q, password %q", text, v.User(), v.Password())
		}
	}
}

func TestAValueCannotPrintItself(t *testing.T) {
	const secret = "hunter2hunter2"
	v := Parse(`{"username":"u","password":"` + secret + `"}`)
	var log bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&log, nil), slog.NewJSONHandler(&log, nil)} {
		slog.New(h).Info("x", "value", v, "pointer", &v, "inside", struct{ V Value }{v})
	}
	texts := []string{log.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, v), fmt.Sprintf(verb, &v), fmt.Sprintf(verb, struct{ V Value }{v}),
			fmt.Sprintf(verb, []Value{v}), fmt.Sprintf(verb, map[string]Value{"k": v}))
	}
	_, err := json.Marshal(map[string]Value{"k": v})
	var e *fault.Error
	if !errors.As(err, &e) || e.Code != fault.Internal {
		t.Errorf("marshalling: %v", err)
	}
	for _, text := range append(texts, fmt.Sprint(err)) {
		if strings.Contains(text, secret) || strings.Contains(text, fmt.Sprintf("%x", secret)) {
			t.Errorf("the value shows: %s", text)
		}
	}
}

func TestComposeMakesANewLogin(t *testing.T) {
	v, err := Compose(target, "orders_app_a", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(v.Password()) {
		t.Errorf("the password has %d characters or ones that need quoting", len(v.Password()))
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(v.Reveal()), &members); err != nil {
		t.Fatal(err)
	}
	delete(members, "password")
	want := map[string]any{"engine": "postgres", "host": "db.internal", "port": "5432", "dbname": "orders", "username": "orders_app_a", "schema": "sales"}
	if fmt.Sprint(members) != fmt.Sprint(want) {
		t.Errorf("members %v, want %v", members, want)
	}
	if again := Parse(v.Reveal()); again.Password() != v.Password() || again.User() != "orders_app_a" {
		t.Error("what was composed does not parse back")
	}
	other, _ := Compose(target, "orders_app_a", rand.Reader)
	if other.Password() == v.Password() {
		t.Error("two values have the same password")
	}
	if target.Fields["username"] != "" {
		t.Error("composing changed the contract's own fields")
	}
	plain, err := Compose(nil, "", rand.Reader)
	if err != nil || len(plain.Reveal()) != 43 || plain.User() != "" {
		t.Errorf("without a target: %d characters, %v", len(plain.Reveal()), err)
	}
	if _, err := Compose(target, "x", bytes.NewReader(make([]byte, 31))); err == nil {
		t.Error("too little randomness: want an error")
	}
}

func TestUnknownNamesWhatARotationWouldDrop(t *testing.T) {
	v := Parse(`{"username":"u","password":"p","schema":"s","sslmode":"require","app_id":"7"}`)
	if got := v.Unknown(target); !slices.Equal(got, []string{"app_id", "sslmode"}) {
		t.Errorf("unknown: %v", got)
	}
	if got := Parse(`{"key":"k"}`).Unknown(nil); !slices.Equal(got, []string{"key"}) {
		t.Errorf("unknown without a target: %v", got)
	}
	if got := Parse("plain").Unknown(nil); len(got) != 0 {
		t.Errorf("unknown of plain text: %v", got)
	}
}
