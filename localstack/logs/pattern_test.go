package logs

import "testing"

func TestPatterns(t *testing.T) {
	const audit = `{"schema":"mayfly.audit.v1","outcome":"failed_dirty","attempt":3,"ok":false,"gone":null,"trigger":{"type":"manual","ids":["a","b"]}}`
	const plain = "[ERROR 401] UNAUTHORIZED REQUEST from user_1"
	for _, c := range []struct {
		pattern, message string
		want             bool
	}{
		{"", plain, true},
		{"ERROR", plain, true},
		{"error", plain, false},
		{"AUTHORIZED", plain, false},
		{"%AUTHORIZED%", plain, true},
		{"%^ERROR%", plain, false},
		{"ERROR REQUEST", plain, true},
		{"ERROR ARGUMENTS", plain, false},
		{"?ERROR ?WARN", plain, true},
		{"?INFO ?WARN", plain, false},
		{"ERROR -REQUEST", plain, false},
		{"ERROR -ARGUMENTS", plain, true},
		{`"ERROR 401"`, plain, true},
		{`"ERROR 40"`, plain, false},
		{`"401] UNAUTHORIZED"`, plain, true},
		{"user", plain, false},
		{"user_1", plain, true},
		{`"failed_dirty"`, audit, true},
		{`{ $.schema = "mayfly.audit.v1" && $.outcome = "failed_dirty" }`, audit, true},
		{`{ $.schema = "mayfly.audit.v1" && $.outcome = "rotated" }`, audit, false},
		{`{ $.outcome = "rotated" || $.outcome = "failed_*" }`, audit, true},
		{`{ $.outcome = failed_dirty }`, audit, true},
		{`{ $.outcome != "failed_dirty" }`, audit, false},
		{`{ $.outcome = %^failed% }`, audit, true},
		{`{ $.none != "x" }`, audit, false},
		{`{ $.attempt = 3 }`, audit, true},
		{`{ $.attempt != 3 }`, audit, false},
		{`{ $.attempt > 2 && $.attempt < 4 && $.attempt >= 3 && $.attempt <= 3 }`, audit, true},
		{`{ $.attempt > 3 }`, audit, false},
		{`{ $.outcome > 3 }`, audit, false},
		{`{ $.attempt = "*" }`, audit, true},
		{`{ $.gone IS NULL }`, audit, true},
		{`{ $.none IS NULL }`, audit, false},
		{`{ $.ok IS FALSE }`, audit, true},
		{`{ $.ok IS TRUE }`, audit, false},
		{`{ $.none NOT EXISTS }`, audit, true},
		{`{ $.gone NOT EXISTS }`, audit, false},
		{`{ $.trigger.type = "manual" && $.trigger.ids[1] = "b" }`, audit, true},
		{`{ $.trigger.ids[2] = "b" }`, audit, false},
		{`{ ($.attempt = 1 || $.attempt = 3) && $.ok IS FALSE }`, audit, true},
		{`{ $.attempt = 3 || $.attempt = 1 && $.ok IS TRUE }`, audit, true},
		{`{ $.attempt = 3 }`, plain, false},
	} {
		p, err := parsePattern(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		if got := p(c.message); got != c.want {
			t.Errorf("%s on %s: got %v", c.pattern, c.message, got)
		}
	}
	for _, bad := range []string{"{ $.a = 1", "{ $.a }", "{ a = 1 }", "{ $.a > x }", "{ ($.a = 1 }", `"open`, "[a, b]", "a.b", "?a b", "{ $.a = 1 } x", "%(%"} {
		if _, err := parsePattern(bad); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
}
