package pattern_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/localstack/events/pattern"
)

// event is a CodeDeploy notice, an access finding and a list of people in one.
const event = `{
  "version": "0", "id": "c071bfbf-83c4-49ca-a6ff-3df053957145", "source": "aws.codedeploy", "account": "000000000000",
  "detail-type": "CodeDeploy Deployment State-change Notification", "time": "2026-03-30T22:06:31Z", "region": "us-east-1",
  "resources": ["arn:aws:codedeploy:us-east-1:000000000000:application:billing", "arn:aws:codedeploy:us-east-1:000000000000:deploymentgroup:billing/prod"],
  "detail": {
    "state": "SUCCESS", "application": "billing", "empty": "", "nothing": null, "yes": true, "no": false,
    "severity": 8.5, "count": 300, "big": 9007199254740993, "text": "300", "ip": "10.1.2.3", "ip6": "2001:db8::17",
    "path": "dir/lib/app.PNG", "star": "a*b\\c", "none": [], "tags": ["prod", "pci", 7], "nested": {"deep": {"leaf": "x"}},
    "lists": [["a", ["b"]], "c"],
    "people": [{"first": "John", "last": "Doe"}, {"first": "Anna", "last": "Smith", "age": 41}, {"first": "Peter", "last": "Jones"}],
    "rooms": [[{"name": "red", "beds": 1}], [{"name": "blue", "beds": 2}]]
  }
}`

func TestOperators(t *testing.T) {
	for _, c := range []struct {
		pattern string
		want    bool
	}{
		// exact values
		{`{"source": ["aws.codedeploy"]}`, true},
		{`{"source": ["aws.ecs", "aws.codedeploy"]}`, true},
		{`{"source": ["aws.ecs"]}`, false},
		{`{"source": ["AWS.CODEDEPLOY"]}`, false},
		{`{"source": ["aws.codedeploy"], "detail-type": ["Other"]}`, false},
		{`{"source": ["aws.codedeploy"], "detail": {"state": ["FAILURE", "SUCCESS"]}}`, true},
		{`{"missing": ["x"]}`, false},
		{`{"detail": {"missing": {"deeper": ["x"]}}}`, false},
		{`{"detail": ["x"]}`, false},
		{`{"detail": {"state": {"deeper": ["SUCCESS"]}}}`, false},
		{`{"detail": {"nested": {"deep": {"leaf": ["x"]}}}}`, true},
		// types are not mixed
		{`{"detail": {"count": [300]}}`, true},
		{`{"detail": {"count": [300.0]}}`, true},
		{`{"detail": {"count": [3.0e2]}}`, true},
		{`{"detail": {"count": ["300"]}}`, false},
		{`{"detail": {"text": [300]}}`, false},
		{`{"detail": {"text": ["300"]}}`, true},
		{`{"detail": {"big": [9007199254740993]}}`, true},
		{`{"detail": {"big": [9007199254740992]}}`, false},
		{`{"detail": {"yes": [true]}}`, true},
		{`{"detail": {"yes": [false]}}`, false},
		{`{"detail": {"yes": ["true"]}}`, false},
		{`{"detail": {"nothing": [null]}}`, true},
		{`{"detail": {"nothing": [""]}}`, false},
		{`{"detail": {"empty": [""]}}`, true},
		{`{"detail": {"empty": [null]}}`, false},
		{`{"detail": {"missing": [null]}}`, false},
		// arrays in the event
		{`{"resources": ["arn:aws:codedeploy:us-east-1:000000000000:application:billing"]}`, true},
		{`{"resources": [{"suffix": "billing/prod"}]}`, true},
		{`{"resources": ["arn:aws:codedeploy:us-east-1:000000000000:application:other"]}`, false},
		{`{"detail": {"tags": ["pci"]}}`, true},
		{`{"detail": {"tags": [7]}}`, true},
		{`{"detail": {"tags": ["7"]}}`, false},
		{`{"detail": {"lists": ["b"]}}`, true},
		{`{"detail": {"none": ["x"]}}`, false},
		// arrays of objects: one element must carry every field
		{`{"detail": {"people": {"first": ["Anna"]}}}`, true},
		{`{"detail": {"people": {"first": ["Anna"], "last": ["Smith"]}}}`, true},
		{`{"detail": {"people": {"first": ["Anna"], "last": ["Jones"]}}}`, false},
		{`{"detail": {"rooms": {"name": ["blue"], "beds": [2]}}}`, true},
		{`{"detail": {"rooms": {"name": ["blue"], "beds": [1]}}}`, false},
		{`{"detail": {"people": {"age": [{"numeric": [">", 40]}]}}}`, true},
		{`{"detail": {"people": ["Anna"]}}`, false},
		{`{"detail": {"tags": {"name": ["prod"]}}}`, false},
		// prefix and suffix
		{`{"time": [{"prefix": "2026-03-30"}]}`, true},
		{`{"time": [{"prefix": "2026-04"}]}`, false},
		{`{"detail": {"count": [{"prefix": "3"}]}}`, false},
		{`{"detail": {"empty": [{"prefix": ""}]}}`, true},
		{`{"source": [{"prefix": {"equals-ignore-case": "AWS.Code"}}]}`, true},
		{`{"source": [{"prefix": {"equals-ignore-case": "Code"}}]}`, false},
		{`{"detail": {"path": [{"suffix": ".PNG"}]}}`, true},
		{`{"detail": {"path": [{"suffix": ".png"}]}}`, false},
		{`{"detail": {"path": [{"suffix": {"equals-ignore-case": ".png"}}]}}`, true},
		{`{"detail": {"empty": [{"suffix": {"equals-ignore-case": ".png"}}]}}`, false},
		// equals-ignore-case
		{`{"detail": {"state": [{"equals-ignore-case": "success"}]}}`, true},
		{`{"detail": {"state": [{"equals-ignore-case": "succes"}]}}`, false},
		{`{"detail": {"count": [{"equals-ignore-case": "300"}]}}`, false},
		// wildcard
		{`{"detail": {"path": [{"wildcard": "dir/*"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "*/lib/*"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "*.PNG"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "d*r/*b/a*.P*G"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "dir/lib/app.PNG"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "dir/lib/app.PNG*"}]}}`, true},
		{`{"detail": {"path": [{"wildcard": "dir/*/lib/*"}]}}`, false},
		{`{"detail": {"path": [{"wildcard": "dir*dir"}]}}`, false},
		{`{"detail": {"path": [{"wildcard": "dir"}]}}`, false},
		{`{"detail": {"star": [{"wildcard": "a\\*b\\\\c"}]}}`, true},
		{`{"detail": {"star": [{"wildcard": "a\\*c"}]}}`, false},
		{`{"detail": {"star": [{"wildcard": "\\**"}]}}`, false},
		{`{"detail": {"empty": [{"wildcard": "*"}]}}`, true},
		{`{"detail": {"count": [{"wildcard": "*"}]}}`, false},
		// anything-but
		{`{"detail": {"state": [{"anything-but": "FAILURE"}]}}`, true},
		{`{"detail": {"state": [{"anything-but": "SUCCESS"}]}}`, false},
		{`{"detail": {"state": [{"anything-but": ["FAILURE", "SUCCESS"]}]}}`, false},
		{`{"detail": {"count": [{"anything-but": 300}]}}`, false},
		{`{"detail": {"count": [{"anything-but": [301, 302.5]}]}}`, true},
		{`{"detail": {"count": [{"anything-but": "300"}]}}`, true},
		{`{"detail": {"nothing": [{"anything-but": "x"}]}}`, true},
		{`{"detail": {"missing": [{"anything-but": "x"}]}}`, false},
		{`{"detail": {"nested": [{"anything-but": "x"}]}}`, false},
		{`{"detail": {"tags": [{"anything-but": "prod"}]}}`, true},
		{`{"detail": {"tags": [{"anything-but": ["prod", "pci"]}]}}`, true},
		{`{"detail": {"state": [{"anything-but": {"prefix": "SUC"}}]}}`, false},
		{`{"detail": {"state": [{"anything-but": {"prefix": ["FAIL", "STOP"]}}]}}`, true},
		{`{"detail": {"state": [{"anything-but": {"suffix": "CESS"}}]}}`, false},
		{`{"detail": {"state": [{"anything-but": {"suffix": "URE"}}]}}`, true},
		{`{"detail": {"state": [{"anything-but": {"equals-ignore-case": "success"}}]}}`, false},
		{`{"detail": {"state": [{"anything-but": {"equals-ignore-case": ["failure", "stop"]}}]}}`, true},
		{`{"detail": {"path": [{"anything-but": {"wildcard": "*/lib/*"}}]}}`, false},
		{`{"detail": {"path": [{"anything-but": {"wildcard": ["*/etc/*", "x*"]}}]}}`, true},
		// numeric
		{`{"detail": {"severity": [{"numeric": [">=", 7]}]}}`, true},
		{`{"detail": {"severity": [{"numeric": [">=", 8.5]}]}}`, true},
		{`{"detail": {"severity": [{"numeric": [">", 8.5]}]}}`, false},
		{`{"detail": {"severity": [{"numeric": ["<", 8.5]}]}}`, false},
		{`{"detail": {"severity": [{"numeric": ["<=", 8.5]}]}}`, true},
		{`{"detail": {"severity": [{"numeric": ["=", 8.50]}]}}`, true},
		{`{"detail": {"severity": [{"numeric": [">", 7, "<", 9]}]}}`, true},
		{`{"detail": {"severity": [{"numeric": [">=", 9, "<=", 10]}]}}`, false},
		{`{"detail": {"severity": [{"numeric": [">=", 9]}, {"numeric": ["<", 8.6]}]}}`, true},
		{`{"detail": {"count": [{"numeric": [">", -5.0e9]}]}}`, true},
		{`{"detail": {"text": [{"numeric": ["=", 300]}]}}`, false},
		{`{"detail": {"big": [{"numeric": [">", 0]}]}}`, false},
		// cidr
		{`{"detail": {"ip": [{"cidr": "10.0.0.0/8"}]}}`, true},
		{`{"detail": {"ip": [{"cidr": "10.1.2.99/24"}]}}`, true},
		{`{"detail": {"ip": [{"cidr": "10.1.3.0/24"}]}}`, false},
		{`{"detail": {"ip6": [{"cidr": "2001:db8::/32"}]}}`, true},
		{`{"detail": {"ip": [{"cidr": "2001:db8::/32"}]}}`, false},
		{`{"detail": {"state": [{"cidr": "0.0.0.0/0"}]}}`, false},
		// exists: leaves only
		{`{"detail": {"state": [{"exists": true}]}}`, true},
		{`{"detail": {"nothing": [{"exists": true}]}}`, true},
		{`{"detail": {"missing": [{"exists": true}]}}`, false},
		{`{"detail": {"missing": [{"exists": false}]}}`, true},
		{`{"detail": {"state": [{"exists": false}]}}`, false},
		{`{"detail": {"nested": [{"exists": true}]}}`, false},
		{`{"detail": {"nested": [{"exists": false}]}}`, true},
		{`{"detail": {"none": [{"exists": false}]}}`, true},
		{`{"detail": {"tags": [{"exists": true}]}}`, true},
		{`{"missing": {"deeper": [{"exists": false}]}}`, true},
		{`{"source": {"deeper": [{"exists": false}]}}`, true},
		{`{"detail": {"missing": ["x", {"exists": false}]}}`, true},
		{`{"detail": {"state": ["SUCCESS", {"exists": false}]}}`, true},
		{`{"detail": {"state": ["FAILURE", {"exists": false}]}}`, false},
		{`{"detail": {"people": {"first": ["John"], "middle": [{"exists": false}]}}}`, true},
		{`{"detail": {"people": {"first": ["John"], "age": [{"exists": false}]}}}`, false},
		{`{"detail": {"people": {"first": ["John"], "age": [{"exists": true}]}}}`, false},
		{`{"detail": {"people": {"first": ["Anna"], "age": [{"exists": true}]}}}`, true},
		// $or
		{`{"$or": [{"source": ["aws.ecs"]}, {"detail-type": [{"prefix": "CodeDeploy"}]}]}`, true},
		{`{"$or": [{"source": ["aws.ecs"]}, {"detail-type": [{"prefix": "ECS"}]}]}`, false},
		{`{"region": ["eu-west-1"], "$or": [{"source": ["aws.codedeploy"]}, {"account": ["x"]}]}`, false},
		{`{"detail": {"$or": [{"state": ["FAILURE"]}, {"severity": [{"numeric": [">", 8]}], "yes": [true]}]}}`, true},
		{`{"detail": {"$or": [{"state": ["FAILURE"]}, {"severity": [{"numeric": [">", 8]}], "yes": [false]}]}}`, false},
		{`{"$or": [{"source": ["x"]}, {"$or": [{"source": ["y"]}, {"source": ["aws.codedeploy"]}]}]}`, true},
		{`{"$or": [{"source": ["x"]}, {"account": ["000000000000"]}], "detail": {"$or": [{"yes": [false]}, {"no": [false]}]}}`, true},
		{`{"detail": {"people": {"first": ["Anna"], "$or": [{"last": ["Jones"]}, {"last": ["Doe"]}]}}}`, false},
		{`{"detail": {"people": {"first": ["Anna"], "$or": [{"last": ["Jones"]}, {"last": ["Smith"]}]}}}`, true},
		// any of several
		{`{"detail": {"state": [{"prefix": "X"}, {"suffix": "SS"}, "Y"]}}`, true},
		{`{"source": [{"exactly": "aws.codedeploy"}]}`, true},
	} {
		p, err := pattern.Parse(c.pattern)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		got, err := p.Match([]byte(event))
		if err != nil || got != c.want {
			t.Errorf("%s: %v (%v), want %v", c.pattern, got, err, c.want)
		}
	}
}

func TestInvalidPatterns(t *testing.T) {
	for text, reason := range map[string]string{
		`[]`:                                   "Filter is not an object",
		`"x"`:                                  "Filter is not an object",
		`{}`:                                   "Empty objects are not allowed",
		`{"detail": {}}`:                       "Empty objects are not allowed",
		`{"source": "aws.ec2"}`:                `"source" must be an object or an array`,
		`{"source": []}`:                       "Empty arrays are not allowed",
		`{"source": [["a"]]}`:                  "Match value must be String, number, true, false, or null",
		`{"source": [{"like": "x"}]}`:          "Unrecognized match type like",
		`{"source": [{}]}`:                     "Match expression name not found",
		`{"source": [{"prefix": 1}]}`:          "prefix match pattern must be a string",
		`{"source": [{"prefix": {"x": "y"}}]}`: "prefix match pattern must be a string",
		`{"source": [{"prefix":"a","suffix":"b"}]}`:                      "Only one key allowed in match expression",
		`{"source": [{"suffix": null}]}`:                                 "suffix match pattern must be a string",
		`{"source": [{"equals-ignore-case": 1}]}`:                        "equals-ignore-case match pattern must be a string",
		`{"source": [{"wildcard": "a**b"}]}`:                             "Consecutive wildcard characters at pos 1",
		`{"source": [{"wildcard": "a\\x"}]}`:                             "Invalid escape character at pos 1",
		`{"source": [{"wildcard": "a\\"}]}`:                              "Invalid escape character at pos 1",
		`{"source": [{"exists": "yes"}]}`:                                "exists match pattern must be either true or false.",
		`{"source": [{"cidr": "10.0.0.0"}]}`:                             "Malformed CIDR",
		`{"source": [{"numeric": 1}]}`:                                   "Value of numeric must be an array.",
		`{"source": [{"numeric": []}]}`:                                  "Too many elements",
		`{"source": [{"numeric": [">"]}]}`:                               "Too many elements",
		`{"source": [{"numeric": ["~", 1]}]}`:                            "Unrecognized numeric range operator: ~",
		`{"source": [{"numeric": [">", "1"]}]}`:                          "Value of > must be numeric",
		`{"source": [{"numeric": [">", 5, "<", 1]}]}`:                    "Bottom must be less than top",
		`{"source": [{"numeric": [">", 1, ">", 5]}]}`:                    "Bad numeric range operator: >",
		`{"source": [{"numeric": ["<", 1, ">", 5]}]}`:                    "Too many elements",
		`{"source": [{"numeric": [">", 1e300]}]}`:                        "Value must be between",
		`{"source": [{"anything-but": ["a", 1]}]}`:                       "mixed type is not supported",
		`{"source": [{"anything-but": []}]}`:                             "mixed type is not supported",
		`{"source": [{"anything-but": null}]}`:                           "Value of anything-but must be an array or single string/number value.",
		`{"source": [{"anything-but": {"numeric": [1]}}]}`:               "Unsupported anything-but pattern: numeric",
		`{"source": [{"anything-but": {"prefix": ""}}]}`:                 "Null prefix/suffix not allowed",
		`{"source": [{"anything-but": {"prefix": "a", "suffix": "b"}}]}`: "Only one key allowed",
		`{"$or": {"a": ["b"]}}`:                                          "It must be an Array followed with $or.",
		`{"$or": [{"a": ["b"]}]}`:                                        "There must have at least 2 Objects in $or relationship.",
		`{"$or": ["a", "b"]}`:                                            "Only JSON object is allowed in array of $or relationship.",
		`{"$or": [{"prefix": ["a"]}, {"b": ["c"]}]}`:                     "prefix is Ruler reserved fieldName which cannot be used inside $or.",
		`{"source": ["a"]} x`:                                            "Unexpected text",
		`{"source": ["a"]`:                                               "Unexpected end-of-input",
		`{"source": ["a",]}`:                                             "Not valid JSON",
		``:                                                               "Unexpected end-of-input",
	} {
		_, err := pattern.Parse(text)
		var e *pattern.Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), reason) || !strings.HasPrefix(err.Error(), "Event pattern is not valid. Reason: ") {
			t.Errorf("%s: got %v, want %q", text, err, reason)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	_, err := pattern.Parse("{\"source\": [\"a\"],\n \"detail\": {\"x\": 1}}")
	if err == nil || !strings.HasSuffix(err.Error(), "line: 2, column: 19]") {
		t.Error(err)
	}
}

func TestOrMultipliesAtMostAThousandfold(t *testing.T) {
	or := func(n int, field string) string {
		var branches []string
		for i := range n {
			branches = append(branches, fmt.Sprintf(`{"%s%d": ["x"]}`, field, i))
		}
		return `{"$or": [` + strings.Join(branches, ",") + `]}`
	}
	if _, err := pattern.Parse(`{"a": ` + or(31, "x") + `, "b": ` + or(32, "y") + `}`); err != nil {
		t.Error(err)
	}
	if _, err := pattern.Parse(`{"a": ` + or(32, "x") + `, "b": ` + or(32, "y") + `}`); err == nil {
		t.Error("1024 combinations were accepted")
	}
}

// Patterns as a rule for each of the documented kinds of event would use, against samples of their documented shape.
func TestSampleEvents(t *testing.T) {
	patterns := map[string]string{
		"codedeploy-success": `{"source":["aws.codedeploy"],"detail-type":["CodeDeploy Deployment State-change Notification"],"detail":{"state":["SUCCESS"],"application":["billing"]}}`,
		"guardduty-finding":  `{"source":["aws.guardduty"],"detail-type":["GuardDuty Finding"],"detail":{"severity":[{"numeric":[">=",7]}],"type":[{"prefix":"UnauthorizedAccess:IAMUser/"},{"prefix":"CredentialAccess:"}],"service":{"archived":[false],"additionalInfo":{"sample":[{"exists":false},false]}}}}`,
		"secrets-tagging":    `{"source":["aws.secretsmanager"],"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventName":["TagResource","UntagResource"],"errorCode":[{"exists":false}],"$or":[{"responseElements":{"arn":[{"wildcard":"arn:aws:secretsmanager:*:secret:prod/*"}]}},{"responseElements":{"aRN":[{"wildcard":"arn:aws:secretsmanager:*:secret:prod/*"}]}}]}}`,
		"health-exposed":     `{"source":["aws.health"],"detail":{"service":["RISK"],"eventTypeCode":["AWS_RISK_CREDENTIALS_EXPOSED"],"affectedEntities":{"entityValue":[{"prefix":"AKIA"}]}}}`,
	}
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) != len(patterns) {
		t.Fatalf("%d samples, %d patterns, %v", len(files), len(patterns), err)
	}
	for _, file := range files {
		sample, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, text := range patterns {
			p, err := pattern.Parse(text)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			got, err := p.Match(sample)
			if want := filepath.Base(file) == name+".json"; err != nil || got != want {
				t.Errorf("%s on %s: %v (%v), want %v", name, file, got, err, want)
			}
		}
	}
}

// A pattern made of an event's own scalars matches it, whatever the event; and no text makes the parser panic.
func FuzzPattern(f *testing.F) {
	f.Add(event, `{"source": ["aws.codedeploy"]}`)
	f.Add(`{"a":{"b":[1,{"c":null}]}}`, `{"$or":[{"a":[{"exists":false}]},{"b":[{"anything-but":{"wildcard":"*x"}}]}]}`)
	f.Add(`{}`, `{"a":[{"numeric":[">",1,"<",2]}]}`)
	f.Fuzz(func(t *testing.T, event, text string) {
		var root map[string]any
		dec := json.NewDecoder(strings.NewReader(event))
		dec.UseNumber()
		if dec.Decode(&root) != nil || dec.More() || !json.Valid([]byte(event)) {
			return
		}
		if p, err := pattern.Parse(text); err == nil {
			if _, err := p.Match([]byte(event)); err != nil {
				t.Errorf("%s against %s: %v", text, event, err)
			}
		} else if !strings.HasPrefix(err.Error(), "Event pattern is not valid. Reason: ") {
			t.Errorf("%s: %v", text, err)
		}
		own := map[string]any{}
		for k, v := range root {
			switch v.(type) {
			case map[string]any, []any:
			default:
				if k != "$or" {
					own[k] = []any{v}
				}
			}
		}
		if len(own) == 0 {
			return
		}
		b, err := json.Marshal(own)
		if err != nil {
			return
		}
		p, err := pattern.Parse(string(b))
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if ok, err := p.Match([]byte(event)); !ok || err != nil {
			t.Errorf("%s does not match the event it was made of, %s: %v", b, event, err)
		}
	})
}
