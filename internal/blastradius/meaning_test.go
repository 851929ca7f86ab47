package blastradius_test

import (
	"strings"
	"testing"

	"github.com/mayfly-secrets/mayfly/internal/blastradius"
)

// failer is what a test and a property have in common.
type failer interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// same tells whether two policies mean the same.
func same(a, b string) bool { return len(blastradius.Differences(a, []byte(b))) == 0 }

const plain = `{"Version":"2012-10-17","Statement":[
	{"Sid":"Read","Effect":"Allow","Principal":{"AWS":["arn:aws:iam::111122223333:root","arn:aws:iam::111122223333:role/a"]},"Action":["secretsmanager:GetSecretValue"],"Resource":"*"},
	{"Sid":"Not","Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":["arn:aws:iam::111122223333:role/a"]}}}]}`

func TestPoliciesOfOneMeaningDoNotDiffer(t *testing.T) {
	for name, text := range map[string]string{
		"as IAM may give it back": `{"Id":"x","Statement":[
			{"Effect":"Deny","Condition":{"ArnNotEquals":{"AWS:principalarn":"arn:aws:iam::111122223333:role/a"}},"Principal":{"AWS":"*"},"Action":["secretsmanager:getsecretvalue"],"Resource":["*"]},
			{"Effect":"Allow","Action":"secretsmanager:GetSecretValue","Resource":"*","Principal":{"AWS":["arn:aws:iam::111122223333:role/a","111122223333"]}}],"Version":"2012-10-17"}`,
		"a statement twice": `{"Version":"2012-10-17","Statement":[
			{"Effect":"Allow","Principal":{"AWS":["111122223333","arn:aws:iam::111122223333:role/a"]},"Action":"secretsmanager:GetSecretValue","Resource":"*"},
			{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/a"}}},
			{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*","Condition":{"ArnNotEquals":{"aws:PrincipalArn":"arn:aws:iam::111122223333:role/a"}}}]}`,
	} {
		if !same(text, plain) || !same(plain, text) {
			t.Errorf("%s: %q, %q", name, blastradius.Differences(text, []byte(plain)), blastradius.Differences(plain, []byte(text)))
		}
	}
}

func TestDriftDiffers(t *testing.T) {
	const head, deny = `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"`, `}]}`
	base := head + deny
	for name, text := range map[string]string{
		"a condition more": head + `,"Condition":{"Bool":{"aws:SecureTransport":"false"}}` + deny,
		"another version":  `{"Version":"2008-10-17","Statement":[{"Effect":"Deny","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"` + deny,
		"another effect":   `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"secretsmanager:GetSecretValue","Resource":"*"` + deny,
		"not the action":   `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":"*","NotAction":"secretsmanager:GetSecretValue","Resource":"*"` + deny,
		"one principal":    `{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Principal":{"AWS":"AROA0000000000000000"},"Action":"secretsmanager:GetSecretValue","Resource":"*"` + deny,
		"nothing at all":   `{"Version":"2012-10-17","Statement":[]}`,
	} {
		if same(text, base) || same(base, text) {
			t.Errorf("%s: no difference", name)
		}
	}
}

func TestWhatIsNoPolicyCannotBeRead(t *testing.T) {
	for _, text := range []string{"", "null x", "[]", `{"Statement":[1]}`, `{"Statment":[]}`, `{"Statement":{"Efect":"Deny"}}`,
		`{"Statement":{"Principal":1}}`, `{"Statement":{"Condition":[]}}`, `{"Statement":{"Condition":{"Bool":1}}}`,
		`{"Statement":{"Condition":{"Bool":{"a":"1","A":"1"}}}}`, `{"Statement":{"Action":[{}]}}`, plain + plain} {
		found := blastradius.Differences(text, []byte(plain))
		if want := map[bool]string{true: "no resource policy", false: "cannot be read"}[text == ""]; len(found) != 1 || !strings.Contains(found[0], want) {
			t.Errorf("%s: %q", text, found)
		}
	}
}
