package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/aws-cdk-go/awscdk/v2/awskms"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
)

// Fingerprints is the key that the fingerprints of values are made with, alias/mayfly-fingerprints.
type Fingerprints struct {
	constructs.Construct
	Key awskms.Key
}

// NewFingerprints makes the key. KMS cannot rotate an HMAC key by itself, and under another one no fingerprint in the registry
// would match any more. Like the registry it stays when the stack goes.
// Source: https://docs.aws.amazon.com/kms/latest/APIReference/API_EnableKeyRotation.html
func NewFingerprints(scope constructs.Construct, id string) Fingerprints {
	f := Fingerprints{Construct: constructs.NewConstruct(scope, &id)}
	f.Key = awskms.NewKey(f.Construct, jsii.String("Key"), &awskms.KeyProps{
		Alias:         jsii.String("mayfly-fingerprints"),
		Description:   jsii.String("Mayfly: keyed fingerprints of secret values"),
		KeySpec:       awskms.KeySpec_HMAC_256,
		KeyUsage:      awskms.KeyUsage_GENERATE_VERIFY_MAC,
		RemovalPolicy: awscdk.RemovalPolicy_RETAIN,
	})
	return f
}

// GrantMake lets functions make fingerprints, and nobody else in the account: whoever may could try guesses against those in
// the registry. It is to be called once. The roles are known by name, for their policies need the key first.
// Source: https://docs.aws.amazon.com/kms/latest/developerguide/hmac-authz.html
func (f Fingerprints) GrantMake(functions ...*Function) {
	algorithm := map[string]any{"StringEquals": map[string]any{"kms:MacAlgorithm": "HMAC_SHA_256"}}
	var makers []*string
	for _, maker := range functions {
		maker.Set(env.FingerprintKey, f.Key.KeyArn())
		maker.AllowIf("MakeFingerprints", []string{"kms:GenerateMac"}, algorithm, f.Key.KeyArn())
		makers = append(makers, maker.roleByName())
	}
	f.Key.AddToResourcePolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid:        jsii.String("NobodyElseMakesFingerprints"),
		Effect:     awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()},
		Actions:    jsii.Strings("kms:GenerateMac", "kms:VerifyMac"),
		Resources:  jsii.Strings("*"),
		Conditions: &map[string]any{"ArnNotEquals": map[string]any{"aws:PrincipalArn": makers}},
	}), nil)
}
