package credential

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// FuzzParse reads whatever people keep in Secrets Manager. What it prints of a value says nothing of it.
func FuzzParse(f *testing.F) {
	f.Add(`{"engine":"postgres","username":"orders_app","password":"p\"w","port":5432,"nested":{"a":[1]}}`)
	f.Add(`{"username":null,"password":7,"":"x"}`)
	f.Add("plain text")
	f.Fuzz(func(t *testing.T, text string) {
		v := Parse(text)
		if v.Reveal() != text {
			t.Errorf("%q came back as %q", text, v.Reveal())
		}
		v.Unknown(target)
		marshalled, _ := json.Marshal(map[string]any{"v": v}) // refused, or without it
		if shown := fmt.Sprintf("%v %+v %#v %s %q", v, v, v, v, v) + string(marshalled); len(text) > 12 && strings.Contains(shown, text) {
			t.Errorf("%q shows the value", shown)
		}
	})
}
