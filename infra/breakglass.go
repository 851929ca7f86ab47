package infra

import (
	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awsiam"
	"github.com/aws/constructs-go/constructs/v10"
	"github.com/aws/jsii-runtime-go"

	"github.com/mayfly-secrets/mayfly/internal/env"
	"github.com/mayfly-secrets/mayfly/internal/trigger"
)

// BreakGlass is the role with which people read values when nothing else helps. Resource policies spare it, and each value
// that it reads is an incident: it is rotated.
type BreakGlass struct {
	constructs.Construct
	Role awsiam.Role
}

// NewBreakGlass makes the role. Principals of this account take it whose own policies let them, with a second factor, for an
// hour at most. The denial repeats the condition so that no statement that is added one day lets anybody in without.
// Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_mfa_configure-api-require.html
func NewBreakGlass(scope constructs.Construct, id string, authority Authority, keys Keys) BreakGlass {
	b := BreakGlass{Construct: constructs.NewConstruct(scope, &id)}
	const mfa = "aws:MultiFactorAuthPresent"
	b.Role = awsiam.NewRole(b.Construct, jsii.String("Role"), &awsiam.RoleProps{
		RoleName:           jsii.String(trigger.BreakGlass),
		Description:        jsii.String("Mayfly: people read values in an emergency; whatever they read is rotated"),
		AssumedBy:          awsiam.NewAccountRootPrincipal().WithConditions(&map[string]any{"Bool": map[string]any{mfa: "true"}}),
		MaxSessionDuration: awscdk.Duration_Hours(jsii.Number(1)),
	})
	b.Role.AssumeRolePolicy().AddStatements(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: jsii.String("NeverWithoutSecondFactor"), Effect: awsiam.Effect_DENY,
		Principals: &[]awsiam.IPrincipal{awsiam.NewAnyPrincipal()}, Actions: jsii.Strings("sts:AssumeRole"),
		Conditions: &map[string]any{"BoolIfExists": map[string]any{mfa: "false"}},
	}))
	b.allow("ReadValue", nil, []string{"secretsmanager:GetSecretValue"}, authority.secrets)
	if len(keys.keys) > 0 {
		b.allow("DecryptUnderKeys", keys.through(), []string{"kms:Decrypt"}, keys.keys)
	}
	awscdk.NewCfnOutput(awscdk.Stack_Of(b.Construct), jsii.String("BreakGlassRole"), &awscdk.CfnOutputProps{
		Value: b.Role.RoleArn(), Description: jsii.String("Who takes this role reads values in an emergency; each of them is rotated"),
	})
	return b
}

func (b BreakGlass) allow(sid string, conditions map[string]any, actions []string, resources []*string) {
	b.Role.AddToPolicy(awsiam.NewPolicyStatement(&awsiam.PolicyStatementProps{
		Sid: &sid, Actions: jsii.Strings(actions...), Resources: &resources, Conditions: &conditions,
	}))
}

// Tell gives functions that compile resource policies the role that these spare.
func (b BreakGlass) Tell(functions ...*Function) {
	for _, f := range functions {
		f.Set(env.BreakGlassRole, b.Role.RoleArn())
	}
}

// And adds the role to those whom resource policies spare.
func (b BreakGlass) And(readers *string) *string {
	return awscdk.Fn_Join(jsii.String(","), &[]*string{readers, b.Role.RoleArn()})
}

// Watch has mayfly-respond answer each value that the role reads. Reads come to EventBridge only for rules in this state, and
// from a trail that logs reads as well as writes, which is a trail's default.
// Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail-management.html
func (b BreakGlass) Watch(triggers Triggers, machines Machines, environments []string) {
	role := triggers.role("BreakGlassRole", "events.amazonaws.com", nil)
	machines.GrantRespond(role)
	read := calls("aws.secretsmanager", "secretsmanager.amazonaws.com", one{"GetSecretValue"},
		object{"sessionContext": object{"sessionIssuer": object{"arn": one{b.Role.RoleArn()}}}})
	read["detail"].(object)["requestParameters"] = object{"secretId": secretsOf(awscdk.Stack_Of(b.Construct), environments)}
	triggers.rule(answered{"BreakGlass", "Somebody has read a value with the role for emergencies", "", read},
		machines.Respond.StateMachineArn(), role).SetState(jsii.String("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"))
}
