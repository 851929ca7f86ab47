package authorization_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/kms"
	kmstypes "github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
)

// keyed makes a key with a policy and a secret under it, and returns the ARNs of both.
func (w *world) keyed(id, keyPolicy, secret string) (key, arn string) {
	w.t.Helper()
	key = w.make("AWS::KMS::Key", id, `{"KeyPolicy":`+keyPolicy+`}`).Att["Arn"]
	out, err := secretsmanager.NewFromConfig(w.Config).CreateSecret(w.t.Context(), &secretsmanager.CreateSecretInput{Name: &secret, KmsKeyId: &key, SecretString: aws.String("v"), ClientRequestToken: aws.String(stored)})
	if err != nil {
		w.t.Fatal(err)
	}
	return key, *out.ARN
}

// decrypting makes a grant of Decrypt as the root, and returns its id.
func (w *world) decrypting(key, role string, c *kmstypes.GrantConstraints) string {
	w.t.Helper()
	out, err := kms.NewFromConfig(w.Config).CreateGrant(w.t.Context(), &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: roleARN(role),
		Operations: []kmstypes.GrantOperation{kmstypes.GrantOperationDecrypt}, Constraints: c})
	if err != nil {
		w.t.Fatal(err)
	}
	return *out.GrantId
}

func under(pairs ...string) map[string]string {
	m := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

// A grant lets read what its constraint says, without any policy of the reader on the key, as long as it is there and no
// policy denies.
func TestGrantsLetRead(t *testing.T) {
	w := newWorld(t)
	key, arn := w.keyed("Key", handedOver, "prod/a")
	subset := func(m map[string]string) *kmstypes.GrantConstraints {
		return &kmstypes.GrantConstraints{EncryptionContextSubset: m}
	}
	equals := func(m map[string]string) *kmstypes.GrantConstraints {
		return &kmstypes.GrantConstraints{EncryptionContextEquals: m}
	}
	for name, c := range map[string]struct {
		constraints *kmstypes.GrantConstraints
		reads       bool
	}{
		"no constraint":                  {nil, true},
		"the secret":                     {subset(under("SecretARN", arn)), true},
		"the secret and its version":     {equals(under("SecretARN", arn, "SecretVersionId", stored)), true},
		"another secret":                 {subset(under("SecretARN", arn+"x")), false},
		"the secret, another version":    {subset(under("SecretARN", arn, "SecretVersionId", "other")), false},
		"exactly the secret, no more":    {equals(under("SecretARN", arn)), false},
		"something that is not a secret": {subset(under("aws:ebs:id", "vol-1")), false},
	} {
		role := w.role(document(grant{"secretsmanager:GetSecretValue", "*"}))
		if err := read(t.Context(), w.as(role), "prod/a"); !isDenied(err) || !strings.Contains(err.Error(), "Access to KMS is not allowed") {
			t.Errorf("%s: read without a grant: %v", name, err)
		}
		id := w.decrypting(key, role, c.constraints)
		if err := read(t.Context(), w.as(role), "prod/a"); (err == nil) != c.reads {
			t.Errorf("%s: %v", name, err)
		}
		if err := read(t.Context(), w.as(w.role(document(grant{"secretsmanager:GetSecretValue", "*"}))), "prod/a"); !isDenied(err) {
			t.Errorf("%s: another role reads by it: %v", name, err)
		}
		if _, err := kms.NewFromConfig(w.Config).RevokeGrant(t.Context(), &kms.RevokeGrantInput{KeyId: &key, GrantId: &id}); err != nil {
			t.Fatal(err)
		}
		if err := read(t.Context(), w.as(role), "prod/a"); !isDenied(err) {
			t.Errorf("%s: read by a revoked grant: %v", name, err)
		}
	}
	forbidden := w.role(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"secretsmanager:*","Resource":"*"},{"Effect":"Deny","Action":"kms:Decrypt","Resource":"*"}]}`)
	w.decrypting(key, forbidden, nil)
	if err := read(t.Context(), w.as(forbidden), "prod/a"); !isDenied(err) {
		t.Errorf("a grant outweighs a denial: %v", err)
	}
	unsecret := w.role(document())
	w.decrypting(key, unsecret, nil)
	if err := read(t.Context(), w.as(unsecret), "prod/a"); !isDenied(err) {
		t.Errorf("a grant lets read without Secrets Manager's leave: %v", err)
	}
}

// Who makes grants can be held to what is in them.
// https://docs.aws.amazon.com/kms/latest/developerguide/grant-authorization.html
func TestConditionsOnGrants(t *testing.T) {
	w := newWorld(t)
	key, arn := w.keyed("Key", handedOver, "prod/a")
	reader, stranger := w.role(document()), w.role(document())
	maker := w.role(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"kms:CreateGrant","Resource":"` + key + `","Condition":{
		"StringEquals":{"kms:GrantConstraintType":"EncryptionContextSubset","kms:GranteePrincipal":["` + *roleARN(reader) + `"]},
		"StringLike":{"kms:EncryptionContext:SecretARN":"arn:aws:secretsmanager:*:*:secret:prod/*"},
		"ForAllValues:StringEquals":{"kms:GrantOperations":["Decrypt"]}}}]}`)
	decrypt, encrypt := kmstypes.GrantOperationDecrypt, kmstypes.GrantOperationEncrypt
	for name, c := range map[string]struct {
		grantee    string
		operations []kmstypes.GrantOperation
		subset     map[string]string
		equals     map[string]string
		allowed    bool
	}{
		"as allowed":         {reader, []kmstypes.GrantOperation{decrypt}, under("SecretARN", arn), nil, true},
		"to somebody else":   {stranger, []kmstypes.GrantOperation{decrypt}, under("SecretARN", arn), nil, false},
		"to itself":          {maker, []kmstypes.GrantOperation{decrypt}, under("SecretARN", arn), nil, false},
		"of more":            {reader, []kmstypes.GrantOperation{decrypt, encrypt}, under("SecretARN", arn), nil, false},
		"another constraint": {reader, []kmstypes.GrantOperation{decrypt}, nil, under("SecretARN", arn), false},
		"another secret":     {reader, []kmstypes.GrantOperation{decrypt}, under("SecretARN", strings.Replace(arn, "prod", "staging", 1)), nil, false},
		"no secret":          {reader, []kmstypes.GrantOperation{decrypt}, under("x", "y"), nil, false},
		"no constraint":      {reader, []kmstypes.GrantOperation{decrypt}, nil, nil, false},
	} {
		in := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: roleARN(c.grantee), Operations: c.operations}
		if c.subset != nil || c.equals != nil {
			in.Constraints = &kmstypes.GrantConstraints{EncryptionContextSubset: c.subset, EncryptionContextEquals: c.equals}
		}
		if _, err := kms.NewFromConfig(w.as(maker)).CreateGrant(t.Context(), in); (err == nil) != c.allowed || (err != nil && !isDenied(err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The grant says who may retire it; a permission in a policy does not.
// https://docs.aws.amazon.com/kms/latest/developerguide/grant-delete.html
func TestRetiring(t *testing.T) {
	w := newWorld(t)
	key, _ := w.keyed("Key", handedOver, "prod/a")
	role, permitted := w.role(document()), w.role(document(grant{"kms:*", "*"}))
	make := func(grantee, retiring string, operations ...kmstypes.GrantOperation) *string {
		in := &kms.CreateGrantInput{KeyId: &key, GranteePrincipal: roleARN(grantee), Operations: append(operations, kmstypes.GrantOperationDecrypt)}
		if retiring != "" {
			in.RetiringPrincipal = roleARN(retiring)
		}
		out, err := kms.NewFromConfig(w.Config).CreateGrant(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		return out.GrantId
	}
	retire := func(id *string, as aws.Config) error {
		_, err := kms.NewFromConfig(as).RetireGrant(t.Context(), &kms.RetireGrantInput{KeyId: &key, GrantId: id})
		return err
	}
	for name, c := range map[string]struct {
		id      *string
		as      aws.Config
		allowed bool
	}{
		"by its retiring principal":  {make(permitted, role), w.as(role), true},
		"by its grantee":             {make(role, ""), w.as(role), false},
		"by its grantee, as it says": {make(role, "", kmstypes.GrantOperationRetireGrant), w.as(role), true},
		"by permission alone":        {make(role, role), w.as(permitted), false},
		"by the account":             {make(role, role), w.Config, true},
	} {
		if err := retire(c.id, c.as); (err == nil) != c.allowed || (err != nil && !isDenied(err)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A secret that gets another key: its labelled versions lie under both, if whoever gives it may decrypt with the old and
// encrypt with the new; the next version lies under the new one alone.
// https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_update-encryption-key.html
func TestChangingTheKey(t *testing.T) {
	w := newWorld(t)
	root := secretsmanager.NewFromConfig(w.Config)
	for name, c := range map[string]struct {
		actions     []string // that the changer may use on both keys
		reencrypted bool
	}{
		"with all permissions":          {[]string{"kms:GenerateDataKey", "kms:Decrypt", "kms:Encrypt"}, true},
		"without encrypting by the new": {[]string{"kms:GenerateDataKey", "kms:Decrypt"}, false},
	} {
		old, arn := w.keyed("Old "+name, handedOver, "prod/"+strings.ReplaceAll(name, " ", "-"))
		fresh := w.make("AWS::KMS::Key", "New "+name, `{"KeyPolicy":`+handedOver+`}`).Att["Arn"]
		grants := []grant{{"secretsmanager:UpdateSecret", "*"}}
		for _, a := range c.actions {
			grants = append(grants, grant{a, "*"})
		}
		if _, err := secretsmanager.NewFromConfig(w.as(w.role(document(grants...)))).UpdateSecret(t.Context(), &secretsmanager.UpdateSecretInput{SecretId: &arn, KmsKeyId: &fresh}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		by := func(key string) aws.Config {
			return w.as(w.role(document(grant{"secretsmanager:GetSecretValue", "*"}, grant{"kms:Decrypt", key})))
		}
		byOld, byNew := by(old), by(fresh)
		if err := read(t.Context(), byOld, arn); err != nil {
			t.Errorf("%s: the old key does not decrypt: %v", name, err)
		}
		if err := read(t.Context(), byNew, arn); (err == nil) != c.reencrypted {
			t.Errorf("%s: with the new key: %v", name, err)
		}
		versions, err := root.ListSecretVersionIds(t.Context(), &secretsmanager.ListSecretVersionIdsInput{SecretId: &arn})
		if err != nil || slices.Contains(versions.Versions[0].KmsKeyIds, fresh) != c.reencrypted {
			t.Errorf("%s: %+v %v", name, versions, err)
		}
		if _, err := root.PutSecretValue(t.Context(), &secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String("w")}); err != nil {
			t.Fatal(err)
		}
		if err := read(t.Context(), byOld, arn); !isDenied(err) {
			t.Errorf("%s: the old key decrypts the new version: %v", name, err)
		}
		if err := read(t.Context(), byNew, arn); err != nil {
			t.Errorf("%s: the new key does not decrypt the new version: %v", name, err)
		}
	}
}

// A key that is not there is nobody's; one that is disabled decrypts and encrypts for nobody.
func TestKeysOutOfUse(t *testing.T) {
	w := newWorld(t)
	key, arn := w.keyed("Key", handedOver, "prod/a")
	w.make("AWS::KMS::Key", "Key", `{"Enabled":"false","KeyPolicy":`+handedOver+`}`)
	anybody := w.as(w.role(document(grant{"*", "*"})))
	if err := read(t.Context(), anybody, arn); code(err) != "DecryptionFailure" {
		t.Errorf("read under a disabled key: %v", err)
	}
	create := func(cfg aws.Config, key string) error {
		_, err := secretsmanager.NewFromConfig(cfg).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{Name: aws.String("prod/b"), KmsKeyId: &key})
		return err
	}
	if err := create(anybody, key); code(err) != "EncryptionFailure" {
		t.Errorf("created under a disabled key: %v", err)
	}
	if err := create(anybody, key[:len(key)-4]+"0000"); !isDenied(err) {
		t.Errorf("created under a key that is not there: %v", err)
	}
	if err := create(anybody, "alias/aws/secretsmanager"); err != nil {
		t.Errorf("created under the account's own key: %v", err)
	}
}
