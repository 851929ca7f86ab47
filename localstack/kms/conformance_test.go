package kms_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/kms"
	"github.com/aws/aws-sdk-go-v2/service/kms/types"
	"github.com/aws/smithy-go"

	"github.com/mayfly-secrets/mayfly/localstack/kms"
	"github.com/mayfly-secrets/mayfly/localstack/stack"
	"github.com/mayfly-secrets/mayfly/localstack/stacktest"
)

func TestKeys(t *testing.T) {
	stacktest.Local(t)
	clock := stack.NewClock()
	s := kms.New(clock)
	c := sdk.NewFromConfig(stacktest.Start(t, clock, s).Config)
	ctx := t.Context()
	make := func(kind, properties string) stack.Made {
		made, err := s.Resources()[kind](ctx, stack.Resource{LogicalID: rand.Text(), Type: kind, Properties: []byte(properties)})
		if err != nil {
			t.Fatal(err)
		}
		return made
	}
	key := make("AWS::KMS::Key", `{"EnableKeyRotation":true,"KeyPolicy":{"Statement":[]}}`)
	other := make("AWS::KMS::Key", `{}`)
	off := make("AWS::KMS::Key", `{"Enabled":"false"}`)
	mac := make("AWS::KMS::Key", `{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`)
	make("AWS::KMS::Alias", `{"AliasName":"alias/mayfly","TargetKeyId":"`+key.Att["Arn"]+`"}`)

	for _, id := range []string{key.Ref, key.Att["Arn"], "alias/mayfly", "arn:aws:kms:us-east-1:000000000000:alias/mayfly"} {
		out, err := c.DescribeKey(ctx, &sdk.DescribeKeyInput{KeyId: &id})
		if err != nil || *out.KeyMetadata.Arn != key.Att["Arn"] || out.KeyMetadata.KeyState != types.KeyStateEnabled {
			t.Fatalf("%s: %v %v", id, out, err)
		}
	}
	purpose := map[string]string{"purpose": "audit", "seq": "1"}
	sealed, err := c.Encrypt(ctx, &sdk.EncryptInput{KeyId: aws.String("alias/mayfly"), Plaintext: []byte("hello"), EncryptionContext: purpose})
	if err != nil {
		t.Fatal(err)
	}
	opened, err := c.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: purpose})
	if err != nil || string(opened.Plaintext) != "hello" {
		t.Fatalf("decrypt: %v", err)
	}
	data, err := c.GenerateDataKey(ctx, &sdk.GenerateDataKeyInput{KeyId: &key.Ref, KeySpec: types.DataKeySpecAes256})
	if err != nil || len(data.Plaintext) != 32 {
		t.Fatalf("data key: %v", err)
	}
	if back, err := c.Decrypt(ctx, &sdk.DecryptInput{CiphertextBlob: data.CiphertextBlob}); err != nil || !bytes.Equal(back.Plaintext, data.Plaintext) {
		t.Fatalf("data key back: %v", err)
	}
	tag, err := c.GenerateMac(ctx, &sdk.GenerateMacInput{KeyId: &mac.Ref, Message: []byte("m"), MacAlgorithm: types.MacAlgorithmSpecHmacSha256})
	if err != nil {
		t.Fatal(err)
	}
	verify := func(message string) error {
		_, err := c.VerifyMac(ctx, &sdk.VerifyMacInput{KeyId: &mac.Ref, Message: []byte(message), Mac: tag.Mac, MacAlgorithm: types.MacAlgorithmSpecHmacSha256})
		return err
	}
	decrypt := func(in *sdk.DecryptInput) error { _, err := c.Decrypt(ctx, in); return err }
	encrypt := func(in *sdk.EncryptInput) error { _, err := c.Encrypt(ctx, in); return err }
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"the right MAC":      {verify("m"), ""},
		"another message":    {verify("n"), "KMSInvalidMacException"},
		"no context":         {decrypt(&sdk.DecryptInput{CiphertextBlob: sealed.CiphertextBlob}), "InvalidCiphertextException"},
		"another key":        {decrypt(&sdk.DecryptInput{CiphertextBlob: sealed.CiphertextBlob, EncryptionContext: purpose, KeyId: &other.Ref}), "IncorrectKeyException"},
		"garbage":            {decrypt(&sdk.DecryptInput{CiphertextBlob: []byte("x")}), "InvalidCiphertextException"},
		"no such key":        {encrypt(&sdk.EncryptInput{KeyId: aws.String("alias/none"), Plaintext: []byte("x")}), "NotFoundException"},
		"a disabled key":     {encrypt(&sdk.EncryptInput{KeyId: &off.Ref, Plaintext: []byte("x")}), "DisabledException"},
		"a MAC key":          {encrypt(&sdk.EncryptInput{KeyId: &mac.Ref, Plaintext: []byte("x")}), "InvalidKeyUsageException"},
		"too long for a key": {encrypt(&sdk.EncryptInput{KeyId: &key.Ref, Plaintext: bytes.Repeat([]byte("x"), 4097)}), "ValidationException"},
	} {
		got := ""
		if e, is := errors.AsType[smithy.APIError](c.err); is {
			got = e.ErrorCode()
		} else if c.err != nil {
			got = c.err.Error()
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestUpdateKeepsTheKey(t *testing.T) {
	stacktest.Local(t)
	s := kms.New(stack.NewClock())
	make := func(properties string) (stack.Made, error) {
		return s.Resources()["AWS::KMS::Key"](t.Context(), stack.Resource{LogicalID: "K", Properties: []byte(properties)})
	}
	one, err := make(`{"Description":"a"}`)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := make(`{"Description":"b","Enabled":"false"}`); err != nil || two.Ref != one.Ref {
		t.Fatalf("%+v became %+v: %v", one, two, err)
	}
	if _, err := make(`{"KeySpec":"HMAC_256","KeyUsage":"GENERATE_VERIFY_MAC"}`); err == nil {
		t.Fatal("a key changed its spec")
	}
}
