package stepfunctions

import (
	"fmt"
	"strings"
	"testing"
)

func TestChoiceOperators(t *testing.T) {
	const input = `{"s":"foo","low":"bar","n":5,"f":5.0,"big":7,"yes":true,"null":null,"at":"2026-08-18T17:33:00Z","later":"2026-08-18T19:33:01+02:00","file":"log-2026.txt","star":"a*b","list":[1]}`
	for rule, want := range map[string]bool{
		`"Variable":"$.s","StringEquals":"foo"`:                                                       true,
		`"Variable":"$.s","StringEquals":"Foo"`:                                                       false,
		`"Variable":"$.n","StringEquals":"5"`:                                                         false,
		`"Variable":"$.s","StringEqualsPath":"$.s"`:                                                   true,
		`"Variable":"$.s","StringEqualsPath":"$.low"`:                                                 false,
		`"Variable":"$.low","StringLessThan":"foo"`:                                                   true,
		`"Variable":"$.low","StringLessThanPath":"$.s"`:                                               true,
		`"Variable":"$.s","StringLessThan":"foo"`:                                                     false,
		`"Variable":"$.s","StringLessThanEquals":"foo"`:                                               true,
		`"Variable":"$.s","StringLessThanEqualsPath":"$.low"`:                                         false,
		`"Variable":"$.s","StringGreaterThan":"bar"`:                                                  true,
		`"Variable":"$.s","StringGreaterThanPath":"$.low"`:                                            true,
		`"Variable":"$.s","StringGreaterThanEquals":"foo"`:                                            true,
		`"Variable":"$.low","StringGreaterThanEqualsPath":"$.s"`:                                      false,
		`"Variable":"$.file","StringMatches":"log-*.txt"`:                                             true,
		`"Variable":"$.file","StringMatches":"*2026*"`:                                                true,
		`"Variable":"$.file","StringMatches":"log-*.tx"`:                                              false,
		`"Variable":"$.star","StringMatches":"a\\*b"`:                                                 true,
		`"Variable":"$.s","StringMatches":"f\\*"`:                                                     false,
		`"Variable":"$.n","NumericEquals":5`:                                                          true,
		`"Variable":"$.f","NumericEquals":5`:                                                          true,
		`"Variable":"$.n","NumericEqualsPath":"$.f"`:                                                  true,
		`"Variable":"$.s","NumericEquals":5`:                                                          false,
		`"Variable":"$.n","NumericLessThan":5.1`:                                                      true,
		`"Variable":"$.n","NumericLessThanPath":"$.big"`:                                              true,
		`"Variable":"$.n","NumericLessThanEquals":5`:                                                  true,
		`"Variable":"$.big","NumericLessThanEqualsPath":"$.n"`:                                        false,
		`"Variable":"$.big","NumericGreaterThan":5`:                                                   true,
		`"Variable":"$.big","NumericGreaterThanPath":"$.n"`:                                           true,
		`"Variable":"$.n","NumericGreaterThanEquals":6`:                                               false,
		`"Variable":"$.n","NumericGreaterThanEqualsPath":"$.n"`:                                       true,
		`"Variable":"$.yes","BooleanEquals":true`:                                                     true,
		`"Variable":"$.yes","BooleanEquals":false`:                                                    false,
		`"Variable":"$.yes","BooleanEqualsPath":"$.yes"`:                                              true,
		`"Variable":"$.at","TimestampEquals":"2026-08-18T19:33:00+02:00"`:                             true,
		`"Variable":"$.at","TimestampEqualsPath":"$.later"`:                                           false,
		`"Variable":"$.at","TimestampLessThan":"2026-08-18T17:33:01Z"`:                                true,
		`"Variable":"$.at","TimestampLessThanPath":"$.later"`:                                         true,
		`"Variable":"$.at","TimestampLessThanEquals":"2026-08-18T17:33:00Z"`:                          true,
		`"Variable":"$.at","TimestampLessThanEqualsPath":"$.at"`:                                      true,
		`"Variable":"$.later","TimestampGreaterThan":"2026-08-18T17:33:00Z"`:                          true,
		`"Variable":"$.later","TimestampGreaterThanPath":"$.at"`:                                      true,
		`"Variable":"$.at","TimestampGreaterThanEquals":"2026-08-18T17:33:00.1Z"`:                     false,
		`"Variable":"$.at","TimestampGreaterThanEqualsPath":"$.at"`:                                   true,
		`"Variable":"$.s","TimestampEquals":"2026-08-18T17:33:00Z"`:                                   false,
		`"Variable":"$.null","IsNull":true`:                                                           true,
		`"Variable":"$.s","IsNull":true`:                                                              false,
		`"Variable":"$.s","IsNull":false`:                                                             true,
		`"Variable":"$.absent","IsPresent":true`:                                                      false,
		`"Variable":"$.absent","IsPresent":false`:                                                     true,
		`"Variable":"$.null","IsPresent":true`:                                                        true,
		`"Variable":"$.n","IsNumeric":true`:                                                           true,
		`"Variable":"$.s","IsNumeric":true`:                                                           false,
		`"Variable":"$.s","IsString":true`:                                                            true,
		`"Variable":"$.n","IsString":false`:                                                           true,
		`"Variable":"$.yes","IsBoolean":true`:                                                         true,
		`"Variable":"$.s","IsBoolean":true`:                                                           false,
		`"Variable":"$.at","IsTimestamp":true`:                                                        true,
		`"Variable":"$.s","IsTimestamp":true`:                                                         false,
		`"Variable":"$$.Execution.Name","StringEquals":"one"`:                                         true,
		`"Variable":"$.list[0]","NumericEquals":1`:                                                    true,
		`"Not":{"Variable":"$.n","NumericEquals":5}`:                                                  false,
		`"And":[{"Variable":"$.s","StringEquals":"foo"},{"Variable":"$.n","NumericEquals":5}]`:        true,
		`"And":[{"Variable":"$.absent","IsPresent":true},{"Variable":"$.absent","StringEquals":"x"}]`: false,
		`"Or":[{"Variable":"$.s","StringEquals":"x"},{"Not":{"Variable":"$.n","NumericEquals":6}}]`:   true,
		`"Or":[{"Variable":"$.s","StringEquals":"x"},{"Variable":"$.n","NumericEquals":6}]`:           false,
	} {
		m, err := parse(`{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{` + rule + `,"Next":"Yes"}],"Default":"No"},"Yes":{"Type":"Succeed"},"No":{"Type":"Succeed"}}}`)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		data, _ := decode([]byte(input))
		sc := &scope{input: data, context: map[string]any{"Execution": map[string]any{"Name": "one"}}}
		if got, err := m.states["C"].rules[0].rule.test(sc); got != want || err != nil {
			t.Errorf("%s: %v, %v; want %v", rule, got, err, want)
		}
	}
}

func TestChoiceOverAnAbsentVariableIsARuntimeError(t *testing.T) {
	for _, rule := range []string{`"Variable":"$.a","StringEquals":"x"`, `"Variable":"$.a","IsNull":true`, `"Variable":"$.s","StringEqualsPath":"$.a"`} {
		m, err := parse(`{"StartAt":"C","States":{"C":{"Type":"Choice","Choices":[{` + rule + `,"Next":"Y"}]},"Y":{"Type":"Succeed"}}}`)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.states["C"].rules[0].rule.test(&scope{input: map[string]any{"s": "x"}})
		if f, ok := err.(*fault); !ok || f.name != errRuntime {
			t.Errorf("%s: %v", rule, err)
		}
	}
}

func TestInputAndOutputProcessing(t *testing.T) {
	const input = `{"a":{"b":[1,2,3],"c":"x"},"big":12345678901234567}`
	for name, c := range map[string]struct{ fields, want, fault string }{
		"nothing":               {``, input, ""},
		"InputPath":             {`"InputPath":"$.a.c"`, `"x"`, ""},
		"InputPath null":        {`"InputPath":null`, `{}`, ""},
		"InputPath absent":      {`"InputPath":"$.z"`, "", errRuntime},
		"InputPath ResultPath":  {`"InputPath":"$.a.c","ResultPath":"$.r"`, `{"a":{"b":[1,2,3],"c":"x"},"big":12345678901234567,"r":"x"}`, ""},
		"OutputPath":            {`"OutputPath":"$.a.b[1]"`, `2`, ""},
		"OutputPath null":       {`"OutputPath":null`, `{}`, ""},
		"OutputPath absent":     {`"OutputPath":"$.z"`, "", errRuntime},
		"OutputPath wildcard":   {`"OutputPath":"$.a.b[*]"`, `[1,2,3]`, ""},
		"OutputPath none found": {`"OutputPath":"$.z[*]"`, `[]`, ""},
		"Result":                {`"Result":{"k":1}`, `{"k":1}`, ""},
		"Result null":           {`"Result":null`, `null`, ""},
		"ResultPath null":       {`"Result":1,"ResultPath":null`, input, ""},
		"ResultPath new":        {`"Result":1,"ResultPath":"$.a.d.e"`, `{"a":{"b":[1,2,3],"c":"x","d":{"e":1}},"big":12345678901234567}`, ""},
		"ResultPath element":    {`"Result":9,"ResultPath":"$.a.b[0]","OutputPath":"$.a"`, `{"b":[9,2,3],"c":"x"}`, ""},
		"ResultPath mismatch":   {`"Result":9,"ResultPath":"$.a.c.d"`, "", errResultPath},
		"ResultPath no element": {`"Result":9,"ResultPath":"$.a.b[7]"`, "", errResultPath},
		"Parameters":            {`"Parameters":{"k":"lit","v.$":"$.a.c","in":[{"n.$":"$.big"}],"name.$":"$$.Execution.Name","all.$":"$"},"OutputPath":"$['k','v','in','name']"`, `["lit","x",[{"n":12345678901234567}],"one"]`, ""},
		"Parameters no path":    {`"Parameters":{"v.$":"$.z"}`, "", errParameterPath},
		"Parameters function":   {`"Parameters":{"v.$":"States.Format('{}-{}', $.a.c, $.a.b[2])"}`, `{"v":"x-3"}`, ""},
		"Parameters bad call":   {`"Parameters":{"v.$":"States.StringToJson($.a.b)"}`, "", errIntrinsic},
		"filter":                {`"InputPath":"$.a.b[?(@ > 1)]"`, `[2,3]`, ""},
	} {
		got, err := pass(c.fields, input)
		var f *fault
		if err != nil {
			f, _ = err.(*fault)
		}
		switch {
		case c.fault != "":
			if f == nil || f.name != c.fault {
				t.Errorf("%s: %s, %v; want %s", name, got, err, c.fault)
			}
		case err != nil || got != c.want:
			t.Errorf("%s: %s, %v; want %s", name, got, err, c.want)
		}
	}
}

// pass runs a Pass state without an execution around it.
func pass(fields, input string) (string, error) {
	if fields != "" {
		fields = "," + fields
	}
	m, err := parse(`{"StartAt":"P","States":{"P":{"Type":"Pass","End":true` + fields + `}}}`)
	if err != nil {
		return "", err
	}
	data, err := decode([]byte(input))
	if err != nil {
		return "", err
	}
	s := &Service{NewID: func() string { return "id-1" }, Random: func() float64 { return 0.5 }}
	out, err := new(thread).pass(m.states["P"], data, &scope{input: data, service: s, context: map[string]any{"Execution": map[string]any{"Name": "one"}}})
	if err != nil {
		return "", err
	}
	if after := encode(data); after != encode(mustDecode(input)) {
		return "", fmt.Errorf("the input was changed to %s", after)
	}
	return encode(out), nil
}

func mustDecode(text string) any {
	v, err := decode([]byte(text))
	if err != nil {
		panic(err)
	}
	return v
}

func TestIntrinsicFunctions(t *testing.T) {
	const input = `{"s":"foo","n":3,"list":[1,2,3,3],"o":{"a":1,"b":{"x":1}},"p":{"b":{"y":2}},"json":"{\"k\":[1]}","t":"{} and {}"}`
	for call, want := range map[string]string{
		`States.Array()`: `[]`,
		`States.Array(1, 'two', $.n, true, null, States.UUID())`:                      `[1,"two",3,true,null,"id-1"]`,
		`States.ArrayPartition($.list, 3)`:                                            `[[1,2,3],[3]]`,
		`States.ArrayContains($.list, 2)`:                                             `true`,
		`States.ArrayContains($.list, 9)`:                                             `false`,
		`States.ArrayRange(1, 9, 2)`:                                                  `[1,3,5,7,9]`,
		`States.ArrayRange(3, 1, -1)`:                                                 `[3,2,1]`,
		`States.ArrayGetItem($.list, 1)`:                                              `2`,
		`States.ArrayLength($.list)`:                                                  `4`,
		`States.ArrayUnique($.list)`:                                                  `[1,2,3]`,
		`States.Base64Encode('Data to encode')`:                                       `"RGF0YSB0byBlbmNvZGU="`,
		`States.Base64Decode('RGF0YSB0byBlbmNvZGU=')`:                                 `"Data to encode"`,
		`States.Hash('input data', 'SHA-1')`:                                          `"aaff4a450a104cd177d28d18d74485e8cae074b7"`,
		`States.JsonMerge($.o, $.p, false)`:                                           `{"a":1,"b":{"y":2}}`,
		`States.StringToJson($.json)`:                                                 `{"k":[1]}`,
		`States.JsonToString($.o)`:                                                    `"{\"a\":1,\"b\":{\"x\":1}}"`,
		`States.MathRandom(1, 11)`:                                                    `6`,
		`States.MathAdd(111, -1)`:                                                     `110`,
		`States.MathAdd($.n, 1)`:                                                      `4`,
		`States.StringSplit('This.is+a,test=string', '.+,=')`:                         `["This","is","a","test","string"]`,
		`States.Format('Hi {}, it\'s \{{}\}', $.s, $.n)`:                              `"Hi foo, it's {3}"`,
		`States.Format($.t, $.s, $.list)`:                                             `"foo and [1,2,3,3]"`,
		`States.Format('{}', States.ArrayGetItem(States.StringSplit('a/b', '/'), 1))`: `"b"`,
	} {
		got, err := pass(`"Parameters":{"v.$":`+encode(call)+`},"OutputPath":"$.v"`, input)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v; want %s", call, got, err, want)
		}
	}
	for _, call := range []string{
		`States.Nope()`, `States.Array(`, `States.Array(1 2)`, `States.Array() x`, `States.UUID(1)`, `States.Array(foo)`, `States.Array("x")`, `States.MathAdd(1)`, `States.Array('x)`,
		strings.Repeat(`States.Array(`, 11) + strings.Repeat(`)`, 11),
	} {
		if _, err := pass(`"Parameters":{"v.$":`+encode(call)+`}`, `{}`); err == nil || !strings.Contains(err.Error(), "InvalidDefinition") {
			t.Errorf("%s: %v; want the definition to be refused", call, err)
		}
	}
	for _, call := range []string{
		`States.ArrayGetItem($.list, 4)`, `States.ArrayPartition($.list, 0)`, `States.ArrayRange(1, 2000, 1)`, `States.Hash('x', 'SHA-3')`,
		`States.JsonMerge($.o, $.p, true)`, `States.Format('{}')`, `States.Format('x', 1)`, `States.Base64Decode('!')`, `States.MathAdd('1', 1)`, `States.StringToJson('{')`,
	} {
		_, err := pass(`"Parameters":{"v.$":`+encode(call)+`}`, input)
		if f, ok := err.(*fault); !ok || f.name != errIntrinsic {
			t.Errorf("%s: %v; want %s", call, err, errIntrinsic)
		}
	}
}

func TestDefinitionsAreReadStrictly(t *testing.T) {
	for name, definition := range map[string]string{
		"no JSON":               `{`,
		"unknown at the top":    `{"StartAt":"A","States":{"A":{"Type":"Succeed"}},"X":1}`,
		"no start":              `{"States":{"A":{"Type":"Succeed"}}}`,
		"start names nothing":   `{"StartAt":"B","States":{"A":{"Type":"Succeed"}}}`,
		"unknown type":          `{"StartAt":"A","States":{"A":{"Type":"Sleep"}}}`,
		"unknown field":         `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Retry":[]}}}`,
		"variables":             `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Assign":{}}}}`,
		"JSONata":               `{"StartAt":"A","QueryLanguage":"JSONata","States":{"A":{"Type":"Succeed"}}}`,
		"neither Next nor End":  `{"StartAt":"A","States":{"A":{"Type":"Pass"}}}`,
		"both Next and End":     `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"A","End":true}}}`,
		"Next names nothing":    `{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}`,
		"no path":               `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"InputPath":"a"}}}`,
		"no reference path":     `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"ResultPath":"$.a[*]"}}}`,
		"template value":        `{"StartAt":"A","States":{"A":{"Type":"Pass","End":true,"Parameters":{"a.$":1}}}}`,
		"unknown integration":   `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::aws-sdk:s3:putObject","Parameters":{}}}}`,
		"unknown pattern":       `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::lambda:invoke.sync","Parameters":{"FunctionName":"f"}}}}`,
		"missing parameter":     `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::lambda:invoke","Parameters":{"Payload":1}}}}`,
		"unknown parameter":     `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:states:::lambda:invoke","Parameters":{"FunctionName":"f","Color":1}}}}`,
		"States.ALL not last":   `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Retry":[{"ErrorEquals":["States.ALL"]},{"ErrorEquals":["E"]}]}}}`,
		"States.ALL not alone":  `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Catch":[{"ErrorEquals":["States.ALL","E"],"Next":"A"}]}}}`,
		"unknown retry field":   `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Retry":[{"ErrorEquals":["E"],"Interval":1}]}}}`,
		"backoff below one":     `{"StartAt":"A","States":{"A":{"Type":"Task","End":true,"Resource":"arn:aws:lambda:us-east-1:000000000000:function:f","Retry":[{"ErrorEquals":["E"],"BackoffRate":0.5}]}}}`,
		"two operators":         `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","IsNull":true,"IsString":true,"Next":"A"}]}}}`,
		"unknown operator":      `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","StringContains":"x","Next":"A"}]}}}`,
		"operand of wrong type": `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumericEquals":"x","Next":"A"}]}}}`,
		"nested Next":           `{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Not":{"Variable":"$.a","IsNull":true,"Next":"A"},"Next":"A"}]}}}`,
		"two times to wait for": `{"StartAt":"A","States":{"A":{"Type":"Wait","End":true,"Seconds":1,"SecondsPath":"$.s"}}}`,
		"name twice":            `{"StartAt":"A","States":{"A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}]}}}`,
		"leaves its branch":     `{"StartAt":"A","States":{"A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"B","States":{"B":{"Type":"Pass","Next":"A"}}}]}}}`,
		"tolerance inline":      `{"StartAt":"A","States":{"A":{"Type":"Map","End":true,"ToleratedFailureCount":1,"ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}}}}`,
		"item reader":           `{"StartAt":"A","States":{"A":{"Type":"Map","End":true,"ItemReader":{},"ItemProcessor":{"StartAt":"B","States":{"B":{"Type":"Succeed"}}}}}}`,
	} {
		if m, err := parse(definition); err == nil || !strings.Contains(err.Error(), "InvalidDefinition: Invalid State Machine Definition: '") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

func TestWhichErrorNamesMatchWhichFaults(t *testing.T) {
	for _, c := range []struct {
		names, fault string
		want         bool
	}{
		{"Mine", "Mine", true}, {"Mine", "Other", false},
		{errAll, "Mine", true}, {errAll, errTimeout, true}, {errAll, errRuntime, false}, {errAll, errDataLimit, false},
		{errRuntime, errRuntime, false}, {errDataLimit, errDataLimit, true},
		{errTaskFailed, "Mine", true}, {errTaskFailed, "Lambda.Unknown", true}, {errTaskFailed, errTimeout, false}, {errTaskFailed, errHeartbeat, false},
		{errTimeout, errHeartbeat, true}, {errHeartbeat, errTimeout, false}, {errBranchFailed, "Mine", false},
	} {
		if got := (&state{kind: "Task"}).catches([]string{c.names}, &fault{c.fault, ""}); got != c.want {
			t.Errorf("%s matches %s: %v, want %v", c.names, c.fault, got, c.want)
		}
	}
	if !(&state{kind: "Parallel"}).catches([]string{errBranchFailed}, &fault{"Mine", ""}) {
		t.Error("States.BranchFailed does not match a branch's fault")
	}
}
