package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"
)

// Authority is AWS Secrets Manager as Mayfly may touch it: the secrets of the environments that have contracts. The
// stack makes no secret; apply-contracts does.
//
// No function is given both GrantRead and GrantMoveLabels: whoever decides which version is current never sees a value.
type Authority struct {
	secrets []*string // ARNs
}

// NewAuthority covers the secrets named <environment>/*. Naming each secret instead would outgrow the 10,240 characters
// of a role's inline policies at about a hundred contracts.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
func NewAuthority(scope constructs.Construct, environments []string) Authority {
	var a Authority
	for _, e := range environments {
		a.secrets = append(a.secrets, arn(awscdk.Stack_Of(scope), "secretsmanager", "secret:"+e+"/*"))
	}
	return a
}

// GrantRead lets functions read values, to log in with them at the target.
func (a Authority) GrantRead(functions ...*Function) {
	for _, f := range functions {
		f.Allow("ReadValue", []string{"secretsmanager:GetSecretValue"}, a.secrets...)
	}
}

// ForbidReading keeps functions from values whatever else lets them: a resource policy that they could put themselves, or a
// policy that somebody attaches to their roles one day.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
func (a Authority) ForbidReading(functions ...*Function) {
	for _, f := range functions {
		f.Deny("NeverReadValues", []string{"secretsmanager:GetSecretValue", "secretsmanager:BatchGetSecretValue"}, jsii.String("*"))
	}
}

// ForbidDeciding keeps functions that read values from saying which version is current, and who else may read.
func (a Authority) ForbidDeciding(functions ...*Function) {
	for _, f := range functions {
		f.Deny("NeverDecide", []string{"secretsmanager:UpdateSecretVersionStage", "secretsmanager:PutResourcePolicy",
			"secretsmanager:DeleteResourcePolicy"}, jsii.String("*"))
	}
}

// GrantPropose lets a function store a new value under AWSPENDING.
func (a Authority) GrantPropose(f *Function) {
	f.Allow("ProposeValue", []string{"secretsmanager:PutSecretValue"}, a.secrets...)
}

// GrantObserve lets functions see labels, tags and versions, and no value.
func (a Authority) GrantObserve(functions ...*Function) {
	for _, f := range functions {
		f.Allow("ObserveVersions", []string{"secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"}, a.secrets...)
	}
}

// GrantDescribe lets functions see labels and tags.
func (a Authority) GrantDescribe(functions ...*Function) {
	for _, f := range functions {
		f.Allow("DescribeSecret", []string{"secretsmanager:DescribeSecret"}, a.secrets...)
	}
}

// GrantDecideAccess lets functions say who reads, by the resource policies of secrets. With one they could let themselves read:
// ForbidReading outweighs that.
func (a Authority) GrantDecideAccess(functions ...*Function) {
	for _, f := range functions {
		f.Allow("DecideAccess", []string{"secretsmanager:GetResourcePolicy", "secretsmanager:PutResourcePolicy"}, a.secrets...)
	}
}

// GrantMoveLabels lets functions say which version is current, pending or none of both.
func (a Authority) GrantMoveLabels(functions ...*Function) {
	for _, f := range functions {
		f.Allow("MoveLabels", []string{"secretsmanager:UpdateSecretVersionStage"}, a.secrets...)
	}
}

// GrantTag lets functions write metadata and policy as tags.
func (a Authority) GrantTag(functions ...*Function) {
	for _, f := range functions {
		f.Allow("WriteMetadata", []string{"secretsmanager:TagResource"}, a.secrets...)
	}
}

// GrantAbsolve lets a function take the mark "compromised" off a secret.
func (a Authority) GrantAbsolve(f *Function) {
	f.Allow("TakeOffMark", []string{"secretsmanager:UntagResource"}, a.secrets...)
}

// GrantRestore lets a function take the mark for deletion off a secret.
func (a Authority) GrantRestore(f *Function) {
	f.Allow("RestoreSecret", []string{"secretsmanager:RestoreSecret"}, a.secrets...)
}

// GrantCreate lets a function make the secrets that contracts ask for. It generates their first value and cannot read
// any.
func (a Authority) GrantCreate(f *Function) {
	f.Allow("CreateSecret", []string{"secretsmanager:CreateSecret"}, a.secrets...)
}
